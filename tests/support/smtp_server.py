"""A mail server inside the test's own process: aiosmtpd, with STARTTLS, TLS or neither, and logins if wanted."""

import asyncio
import contextlib
import email.policy
import ssl
from collections.abc import AsyncIterator
from email.message import EmailMessage
from email.parser import BytesParser
from typing import NamedTuple

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Mail(NamedTuple):
    """A mail that has come."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    encrypted: bool


class Mailbox:
    """Takes mail.

    Attributes:
        mails: those that have come.
        answers: what is said to the next mails instead of taking them, such as ``451 later``.
        refused: addresses that nobody here has.
        port: where it listens.
    """

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.refused: set[str] = set()
        self.answers: list[str] = []
        self.port = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Called by aiosmtpd."""
        if address in self.refused:
            return "550 planted-text"
        envelope.rcpt_tos.append(address)
        return "250 known"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        """Called by aiosmtpd."""
        if self.answers:
            return self.answers.pop(0)
        content = envelope.content
        assert isinstance(content, bytes)
        message = BytesParser(_class=EmailMessage, policy=email.policy.default).parsebytes(content)
        assert isinstance(message, EmailMessage)
        assert envelope.mail_from is not None
        encrypted = session.ssl is not None
        self.mails.append(Mail(envelope.mail_from, list(envelope.rcpt_tos), message, encrypted))
        return "250 taken"


@contextlib.asynccontextmanager
async def running_smtp(
    *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None, login: tuple[str, str] | None = None
) -> AsyncIterator[Mailbox]:
    """Run a mail server for the length of the block."""
    mailbox = Mailbox()

    def authenticate(*arguments: object) -> AuthResult:
        given = arguments[-1]
        assert isinstance(given, LoginPassword)
        return AuthResult(success=(given.login.decode(), given.password.decode()) == login, handled=False)

    def make() -> SMTP:
        return SMTP(
            mailbox,
            hostname="mail.test",
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=authenticate,
            auth_required=login is not None,
            auth_require_tls=starttls is not None,
        )

    server = await asyncio.get_running_loop().create_server(make, "localhost", 0, ssl=tls, family=2)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
        await server.wait_closed()
