"""What a client asks of its own: its key, its use, one of its requests. The edge has no database, so metering is asked.

A question carries the account and the key that the step ``identify`` found, and nothing that a client wrote can change
them. With metering away the client is told to come again.
"""

from collections import Counter
from typing import TypeVar

import msgspec

from services.edge.client_job import ClientJob
from services.edge.metrics import EdgeMetrics
from services.edge.routes import Route
from trunkline.bus import messages, subjects
from trunkline.bus.inquiry import (
    GenerationInquiry,
    GenerationReport,
    Inquiry,
    InquiryRefusal,
    KeyInquiry,
    KeyReport,
    RefusalReason,
    Report,
    UsageInquiry,
    UsageReport,
    decode_report,
)
from trunkline.bus.port import Bus, BusError
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.core.ids import job_text, parse_job
from trunkline.policy import self_service as views
from trunkline.policy import self_service_query as queries

INQUIRY_TIMEOUT_S = 3.0
"""Metering answers within milliseconds, or says within two seconds that it will not."""

PER_ACCOUNT_MAX = 8
"""Questions of one account under way at one edge, so that no account keeps metering from answering the others."""

_AWAY = Fault(
    ErrorType.GATEWAY_NOT_READY, "Usage and limits cannot be read at the moment. Please retry.", retry_after_ms=1000
)
_BUSY = Fault(
    ErrorType.GATEWAY_BUSY, "Too many questions about usage and limits wait. Please retry.", retry_after_ms=1000
)
_TOO_MANY = Fault(
    ErrorType.POLICY_RATE_LIMITED,
    f"More than {PER_ACCOUNT_MAX} questions about usage and limits of this account are under way. Send fewer at once.",
    retry_after_ms=1000,
    code="rate_limit",
)
_TOO_MUCH = Fault(
    ErrorType.CLIENT_BAD_REQUEST,
    "This is more than can be summed up at once. Ask for fewer days, or tell fewer things apart with `by`.",
    param="from",
)
_NO_GENERATION = Fault(
    ErrorType.CLIENT_NOT_FOUND,
    "There is no request of this id here. One that has just ended can be seen a second later: please retry then.",
)
_NO_ACCOUNT = Fault(ErrorType.CLIENT_NOT_FOUND, "This key's account is not there any more.")
_DEFECT = Fault(ErrorType.GATEWAY_INTERNAL, "The gateway failed on this request. Please retry.")

_REFUSALS = {
    RefusalReason.BUSY: _BUSY,
    RefusalReason.AWAY: _AWAY,
    RefusalReason.TOO_MUCH: _TOO_MUCH,
    RefusalReason.UNKNOWN: _NO_ACCOUNT,
    RefusalReason.UNREADABLE: _DEFECT,
}


R = TypeVar("R", KeyReport, UsageReport, GenerationReport)


class SelfService:
    """Asks metering and renders its answers.

    Args:
        bus, metrics: of the process.
    """

    def __init__(self, bus: Bus, *, metrics: EdgeMetrics) -> None:
        self._bus = bus
        self._metrics = metrics
        self._under_way: Counter[int] = Counter()

    async def tell(self, client: ClientJob) -> bytes:
        """Return the JSON that answers a request to one of the routes of self-service.

        Raises:
            FaultError: it cannot be read, or not be answered now.
        """
        match None if client.match is None else client.match.route:
            case Route.KEY:
                return views.render_key(client.key.policy, await self._key(client, usage=True))
            case Route.USAGE:
                return await self._usage(client)
            case Route.GENERATION:
                return await self._generation(client)
            case Route.BILLING_SUBSCRIPTION:
                return views.render_subscription(client.key.policy, await self._key(client, usage=False))
            case Route.BILLING_USAGE:
                queries.check_billing_days(client.exchange.request.query)
                return views.render_billing_usage(await self._key(client, usage=False))
            case _:
                raise AssertionError("a route that is none of self-service")

    async def _key(self, client: ClientJob, *, usage: bool) -> KeyReport:
        policy = client.key.policy
        return await self._ask(client, KeyInquiry(policy.account, policy.key, usage), KeyReport)

    async def _usage(self, client: ClientJob) -> bytes:
        asked = queries.read_usage_query(client.exchange.request.query)
        policy = client.key.policy
        key = policy.key if asked.scope == queries.KEY else 0
        question = UsageInquiry(policy.account, key, asked.first, asked.last, asked.by)
        return views.render_usage(await self._ask(client, question, UsageReport), asked.scope, asked.by)

    async def _generation(self, client: ClientJob) -> bytes:
        named = client.match.request_id if client.match is not None else ""
        try:
            job = parse_job(named or queries.read_generation_id(client.exchange.request.query))
        except ValueError:
            raise FaultError(_NO_GENERATION) from None
        report = await self._ask(client, GenerationInquiry(client.key.policy.account, job), GenerationReport)
        if not report.attempts:
            raise FaultError(_NO_GENERATION)
        render = views.render_generation if named else views.render_openrouter_generation
        return render(job_text(job), report)

    async def _ask(self, client: ClientJob, question: Inquiry, kind: type[R]) -> R:
        account = client.key.policy.account
        if self._under_way[account] >= PER_ACCOUNT_MAX:
            raise FaultError(_TOO_MANY)
        self._under_way[account] += 1
        try:
            report = await self._request(question)
        finally:
            self._under_way[account] -= 1
            if not self._under_way[account]:
                del self._under_way[account]
        if isinstance(report, kind):
            self._metrics.inquiries.labels("answered").inc()
            return report
        self._metrics.inquiries.labels("refused").inc()
        reason = report.reason if isinstance(report, InquiryRefusal) else RefusalReason.UNREADABLE
        if reason is RefusalReason.TOO_LONG:
            raise queries.span_too_long()
        raise FaultError(_REFUSALS[reason])

    async def _request(self, question: Inquiry) -> Report:
        try:
            answer = await self._bus.request(subjects.ASK, messages.encode(question), timeout_s=INQUIRY_TIMEOUT_S)
        except BusError:
            self._metrics.inquiries.labels("unanswered").inc()
            raise FaultError(_AWAY) from None
        try:
            report: Report = decode_report(answer)
        except msgspec.MsgspecError:
            return InquiryRefusal(RefusalReason.UNREADABLE)
        return report
