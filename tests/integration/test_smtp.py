"""Mail through a real server: encrypted or not, logged in or not, and what the server refuses."""

import socket
from pathlib import Path

import pytest

from tests.support.http_certificate import certified
from tests.support.smtp_server import Mailbox, running_smtp
from trunkline.runtime.smtp import PLAIN, STARTTLS, TLS, MailError, SMTPMailer, SMTPServer


def server(mailbox: Mailbox, security: str, *, user: str = "", password: str = "") -> SMTPServer:
    return SMTPServer("localhost", mailbox.port, security, user, password, "alerts@example.com")


async def send(mailer: SMTPMailer, to: str = "ops@example.com") -> None:
    try:
        await mailer.send(to, "acme: 80 % — used", "line one\n.\nGrüße\n", message_id="alert-1-2@trunkline")
    finally:
        mailer.close()


async def test_a_mail_arrives_as_it_was_written(tmp_path: Path) -> None:
    tls, trusting = certified(tmp_path)
    async with running_smtp(starttls=tls, login=("user", "pass")) as mailbox:
        await send(SMTPMailer(server(mailbox, STARTTLS, user="user", password="pass"), tls=trusting))
    [mail] = mailbox.mails
    assert (mail.sender, mail.recipients, mail.encrypted) == ("alerts@example.com", ["ops@example.com"], True)
    assert mail.message["subject"] == "acme: 80 % — used"
    assert mail.message["message-id"] == "<alert-1-2@trunkline>"
    assert mail.message["auto-submitted"] == "auto-generated"
    assert mail.message.get_content().splitlines() == ["line one", ".", "Grüße"]


async def test_tls_from_the_first_byte_and_none_at_all(tmp_path: Path) -> None:
    tls, trusting = certified(tmp_path)
    async with running_smtp(tls=tls) as mailbox:
        await send(SMTPMailer(server(mailbox, TLS), tls=trusting))
        assert len(mailbox.mails) == 1
    async with running_smtp() as mailbox:
        await send(SMTPMailer(server(mailbox, PLAIN)))
        assert [mail.encrypted for mail in mailbox.mails] == [False]


@pytest.mark.parametrize("security", [STARTTLS, TLS])
async def test_nothing_is_sent_to_a_server_that_nobody_vouches_for(tmp_path: Path, security: str) -> None:
    tls, _ = certified(tmp_path)
    async with running_smtp(**{"tls" if security == TLS else "starttls": tls}) as mailbox:
        with pytest.raises(MailError, match="SSLCertVerificationError"):
            await send(SMTPMailer(server(mailbox, security)))
        assert mailbox.mails == []


async def test_a_server_without_starttls_gets_nothing(tmp_path: Path) -> None:
    _, trusting = certified(tmp_path)
    async with running_smtp() as mailbox:
        with pytest.raises(MailError, match="SMTPNotSupportedError"):
            await send(SMTPMailer(server(mailbox, STARTTLS, user="user", password="planted-password"), tls=trusting))


async def test_what_the_server_refuses_is_said_with_its_code_alone(tmp_path: Path) -> None:
    tls, trusting = certified(tmp_path)
    async with running_smtp(starttls=tls, login=("user", "pass")) as mailbox:
        with pytest.raises(MailError, match=r"answered 535 \(SMTPAuthenticationError\)"):
            await send(SMTPMailer(server(mailbox, STARTTLS, user="user", password="wrong"), tls=trusting))
    async with running_smtp() as mailbox:
        mailbox.answers = ["451 try later: planted-text"]
        with pytest.raises(MailError, match=r"answered 451 \(SMTPDataError\)") as caught:
            await send(SMTPMailer(server(mailbox, PLAIN)))
        assert "planted-text" not in str(caught.value)
        mailbox.refused.add("nobody@example.com")
        with pytest.raises(MailError, match=r"refused the recipient \(550\)$"):
            await send(SMTPMailer(server(mailbox, PLAIN)), to="nobody@example.com")


async def test_a_server_that_is_not_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        mailer = SMTPMailer(SMTPServer("127.0.0.1", taken.getsockname()[1], PLAIN, "", "", "alerts@example.com"))
        with pytest.raises(MailError, match="ConnectionRefusedError"):
            await send(mailer)
