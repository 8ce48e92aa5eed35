"""Sends mails with links, behind the answer that caused them: how long a server takes says nothing to who asked.

A mail that the server does not take, or that waits when the console ends, is lost: people ask for another one.
"""

import asyncio
import uuid
from typing import Final, NamedTuple

import structlog

from trunkline.core.clock import Clock
from trunkline.policy.logins.letters import Letter
from trunkline.runtime.smtp import MailError, SMTPMailer

log = structlog.get_logger()

WAITING_MAX: Final = 200
"""Mails that wait. More are not registrations but a flood, and are dropped."""

TRIES: Final = 3
RETRY_S: Final = 2.0
"""Servers turn a sender away for a moment now and then."""


class _Waiting(NamedTuple):
    to: str
    letter: Letter


class Letters:
    """Sends while this process lives.

    Args:
        mailer: sends.
        clock: of the process.
    """

    def __init__(self, mailer: SMTPMailer, clock: Clock) -> None:
        self._mailer = mailer
        self._clock = clock
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue(WAITING_MAX)

    def post(self, to: str, letter: Letter) -> None:
        """Send a mail soon."""
        try:
            self._waiting.put_nowait(_Waiting(to, letter))
        except asyncio.QueueFull:
            log.warning("letter_dropped", reason="too many wait")

    async def run(self) -> None:
        """Run until the process ends."""
        while True:
            await self._send(await self._waiting.get())

    async def _send(self, waiting: _Waiting) -> None:
        message_id = f"login-{uuid.uuid4()}@trunkline"
        for attempt in range(1, TRIES + 1):
            try:
                await self._mailer.send(waiting.to, waiting.letter.subject, waiting.letter.text, message_id=message_id)
            except MailError as error:
                log.warning("letter_not_sent", reason=str(error), attempt=attempt)
                await self._clock.sleep(RETRY_S * attempt)
            else:
                log.info("letter_sent")
                return
