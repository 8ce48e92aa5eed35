"""Mail over SMTP, with the standard library's client in threads of its own. Called by the console."""

import asyncio
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.utils import formatdate
from typing import Final, NamedTuple

TIMEOUT_S: Final = 10.0
"""One step of a conversation with the server."""

THREADS_MAX: Final = 4
"""Mails on their way at a time: servers slow senders down that open more connections."""

STARTTLS, TLS, PLAIN = "starttls", "tls", "none"
SECURITIES: Final = (STARTTLS, TLS, PLAIN)


class MailError(Exception):
    """A mail was not sent. The message says why, without anything that the server said."""


class SMTPServer(NamedTuple):
    """Where mail goes.

    Attributes:
        host, port: of the server.
        security: one of `SECURITIES`.
        user, password: empty to send without logging in.
        sender: address that mail comes from.
    """

    host: str
    port: int
    security: str
    user: str
    password: str
    sender: str


class SMTPMailer:
    """Sends mail, one connection each: there is little of it, and a kept connection would have to be watched.

    Args:
        server: see there.
        tls: context for TLS; None takes the system's trust store.
    """

    def __init__(self, server: SMTPServer, *, tls: ssl.SSLContext | None = None) -> None:
        self._server = server
        self._tls = tls or ssl.create_default_context()
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="smtp")

    async def send(self, to: str, subject: str, text: str, *, message_id: str) -> None:
        """Send a mail.

        Args:
            to: address.
            subject: one line.
            text: the body.
            message_id: the same on every try, without angle brackets.

        Raises:
            MailError: see there.
        """
        message = EmailMessage()
        message["From"] = self._server.sender
        message["To"] = to
        message["Subject"] = subject
        message["Date"] = formatdate()
        message["Message-ID"] = f"<{message_id}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answers by machines
        message.set_content(text)
        await asyncio.get_running_loop().run_in_executor(self._threads, self._send, message)

    def _send(self, message: EmailMessage) -> None:
        try:
            with self._connected() as connection:
                if self._server.user:
                    connection.login(self._server.user, self._server.password)
                connection.send_message(message)
        except smtplib.SMTPResponseException as error:
            raise MailError(f"the mail server answered {error.smtp_code} ({type(error).__name__})") from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = ", ".join(str(code) for code, _ in error.recipients.values())
            raise MailError(f"the mail server refused the recipient ({codes})") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            # OSError: no connection, a time-out, or TLS failed.
            raise MailError(f"the mail server cannot be used: {type(error).__name__}") from None

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        if server.security == TLS:
            return smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=self._tls)
        connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
        if server.security == STARTTLS:
            try:
                connection.starttls(context=self._tls)
            except BaseException:
                connection.close()
                raise
        return connection

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
