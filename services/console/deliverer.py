"""Brings alerts to people: signed webhooks and mail, tried again until they arrive or are given up.

Every replica delivers; a delivery that one has taken is left alone by the others. What takes its time keeps nobody
else waiting for longer than its deadline.
"""

import asyncio

import asyncpg
import msgspec
import structlog

from services.console.metrics import ConsoleMetrics
from trunkline.core.clock import Clock
from trunkline.policy.alerts import mail_subject, mail_text, signing_key, webhook_headers
from trunkline.policy.fetching import FetchError
from trunkline.runtime.http_post import HTTPPoster
from trunkline.runtime.smtp import MailError, SMTPMailer
from trunkline.store.database import Database, StoreError
from trunkline.store.deliveries import Delivery, mark_delivered, mark_failed, take_deliveries

log = structlog.get_logger()

POLL_S = 1.0
"""How late a delivery that is due may be."""

AT_A_TIME_MAX = 20
"""Deliveries on their way at a time. A webhook has ten seconds, so 120 a minute go out though all of them hang."""

_encode = msgspec.json.Encoder().encode


class UndeliverableError(Exception):
    """A delivery has failed; says why, for whoever set the address to read.

    Attributes:
        detail: for the operator's log: more than strangers may learn of what can be reached from here.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail or message


class Deliverer:
    """Delivers while this process lives.

    Args:
        database, clock, metrics: of the process.
        pepper: that webhooks' keys are made of.
        poster: sends webhooks.
        mailer: sends mail; None if no server is set.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        metrics: ConsoleMetrics,
        pepper: bytes,
        poster: HTTPPoster,
        mailer: SMTPMailer | None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._pepper = pepper
        self._poster = poster
        self._mailer = mailer

    async def run(self) -> None:
        """Run until the process ends."""
        while True:
            try:
                more = await self.once()
            except (StoreError, asyncpg.PostgresError) as error:
                log.warning("deliveries_postponed", error=type(error.__cause__ or error).__name__)
                self._metrics.upkeep_failures.inc()
                more = False
            if not more:
                await self._clock.sleep(POLL_S)

    async def once(self) -> bool:
        """Try what is due, and return whether there may be more.

        Raises:
            StoreError, asyncpg.PostgresError: Postgres cannot do it now. What had arrived may be sent again.
        """
        async with self._database.connection() as connection:
            taken = await take_deliveries(connection, AT_A_TIME_MAX)
        for result in await asyncio.gather(*map(self._deliver, taken), return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
        return len(taken) == AT_A_TIME_MAX

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            await self._send(delivery)
        except UndeliverableError as error:
            async with self._database.connection() as connection:
                again = await mark_failed(connection, delivery, str(error))
            result = "failed" if again else "given_up"
            log.warning("alert_not_delivered", alert=delivery.alert_id, channel=delivery.channel, reason=error.detail)
        else:
            async with self._database.connection() as connection:
                await mark_delivered(connection, delivery)
            result = "delivered"
            log.info("alert_delivered", alert=delivery.alert_id, channel=delivery.channel, attempts=delivery.attempts)
        self._metrics.deliveries.labels(delivery.channel, result).inc()

    async def _send(self, delivery: Delivery) -> None:
        try:
            await (self._post(delivery) if delivery.channel == "webhook" else self._mail(delivery))
        except UndeliverableError:
            raise
        except Exception as error:
            # An alert that nobody thought of: it must not end the process, again and again.
            log.exception("alert_not_made", alert=delivery.alert_id, error=type(error).__name__)
            raise UndeliverableError("it cannot be put into words") from error

    async def _post(self, delivery: Delivery) -> None:
        message_id = f"alert-{delivery.alert_id}"
        body = _encode(
            {
                "id": message_id,
                "type": delivery.kind,
                "subject": delivery.subject,
                "account": delivery.account,
                "created_at": delivery.created_at,
                "data": delivery.payload,
            }
        )
        key = signing_key(self._pepper, delivery.account_id)
        headers = webhook_headers(key, message_id, self._clock.wall_ms() // 1000, body)
        try:
            status = await self._poster.post(delivery.target, headers, body)
        except FetchError as error:
            raise UndeliverableError(str(error), error.result.value) from error
        if not 200 <= status < 300:
            raise UndeliverableError(f"its server answered {status}")

    async def _mail(self, delivery: Delivery) -> None:
        if self._mailer is None:
            raise UndeliverableError("no mail server is set: TRUNKLINE_SMTP_HOST")
        parts = delivery.kind, delivery.subject, delivery.payload
        message_id = f"alert-{delivery.alert_id}-{delivery.id}@trunkline"
        try:
            await self._mailer.send(delivery.target, mail_subject(*parts), mail_text(*parts), message_id=message_id)
        except MailError as error:
            raise UndeliverableError(str(error)) from error
