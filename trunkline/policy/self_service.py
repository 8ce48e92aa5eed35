"""What a client is shown of its own key, use and requests, as JSON. Pure; the edge makes it of metering's reports."""

import datetime as dt

import msgspec

from trunkline.bus.allowance import Meter, MeterKind, Period
from trunkline.bus.inquiry import (
    AttemptReport,
    GenerationReport,
    KeyReport,
    MeterReading,
    UsageReport,
    UsageRow,
    UsageSums,
)
from trunkline.bus.snapshots import KeyPolicy
from trunkline.core.errors import ErrorType
from trunkline.core.money import NANO_PER_USD, usd_text
from trunkline.policy.self_service_views import (
    AttemptView,
    BillingUsageView,
    BudgetView,
    GenerationView,
    KeyUsageView,
    KeyView,
    LimitView,
    OpenRouterGeneration,
    SubscriptionView,
    UsageListView,
    UsageRowView,
    UsageView,
)

NO_END_S = 4_102_444_800
"""The first second of 2100, for keys without an end: some balance checkers take 0 for one that is over."""

_UNITS = {
    MeterKind.REQUESTS: "requests",
    MeterKind.TOKENS: "tokens",
    MeterKind.IMAGES: "images",
    MeterKind.CONCURRENCY: "requests at a time",
}
_PERIODS = {Period.MINUTE: "minute", Period.DAY: "day", Period.MONTH: "month", Period.NONE: None}

_encode = msgspec.json.Encoder().encode


def render_key(policy: KeyPolicy, report: KeyReport) -> bytes:
    """Return the answer to ``GET /v1/key``."""
    readings = _readings(policy, report)
    return _encode(
        KeyView(
            object="key",
            name=policy.key_name,
            account=policy.account_name,
            tier=report.tier or None,
            groups=policy.groups,
            models=policy.models,
            endpoints=policy.endpoints,
            expires_at=None if policy.expires_ms is None else _moment(policy.expires_ms),
            time_zone=report.time_zone,
            balance_usd=usd_text(report.balance_nano),
            balance_nano=report.balance_nano,
            limits=[_limit(reading) for reading in readings if reading.meter.kind is not MeterKind.MONEY],
            budgets=[_budget(reading) for reading in readings if reading.meter.kind is MeterKind.MONEY],
            usage=KeyUsageView(
                *(None if sums is None else _sums(sums) for sums in (report.day, report.week, report.month))
            ),
        )
    )


def _readings(policy: KeyPolicy, report: KeyReport) -> list[MeterReading]:
    """Return those that can count a job of this key: a group that it may not use bounds others."""
    return [reading for reading in report.readings if not reading.meter.group or reading.meter.group in policy.groups]


def _limit(reading: MeterReading) -> LimitView:
    meter = reading.meter
    return LimitView(
        of=_UNITS[meter.kind],
        per=_PERIODS[meter.period],
        scope=_scope(meter),
        models=meter.models,
        limit=meter.limit,
        used=reading.used,
        remaining=max(meter.limit - reading.used, 0),
        resets_in_s=None if meter.period is Period.NONE else round(reading.reset_ms / 1000, 3),
    )


def _budget(reading: MeterReading) -> BudgetView:
    meter = reading.meter
    left = _left(reading)
    return BudgetView(
        per=_PERIODS[meter.period],
        scope=_scope(meter),
        models=meter.models,
        limit_usd=usd_text(meter.limit),
        limit_nano=meter.limit,
        spent_usd=usd_text(reading.used),
        spent_nano=reading.used,
        remaining_usd=usd_text(left),
        remaining_nano=left,
        resets_in_s=round(reading.reset_ms / 1000, 3),
    )


def _left(reading: MeterReading) -> int:
    return max(reading.meter.limit - reading.used, 0)


def _scope(meter: Meter) -> str:
    if meter.key:
        return "key"
    if meter.user:
        return "user"
    return f"group {meter.group}" if meter.group else "account"


def _sums(sums: UsageSums) -> UsageView:
    return UsageView(
        sums.requests,
        sums.input_tokens,
        sums.cached_tokens,
        sums.output_tokens,
        usd_text(sums.charge_nano),
        sums.charge_nano,
    )


def render_usage(report: UsageReport, scope: str, by: tuple[str, ...]) -> bytes:
    """Return the answer to ``GET /v1/usage``."""
    rows = [_usage_row(row, by) for row in report.rows]
    return _encode(UsageListView("usage", scope, report.first, report.last, report.time_zone, by, rows))


def _usage_row(row: UsageRow, by: tuple[str, ...]) -> UsageRowView:
    unset = msgspec.UNSET
    return UsageRowView(
        **msgspec.structs.asdict(_sums(row.sums)),
        day=row.day if "day" in by else unset,
        model=row.model if "model" in by else unset,
        group=row.group if "group" in by else unset,
        key=(row.key_name or None) if "key" in by else unset,
        key_id=row.key if "key" in by else unset,
    )


def render_generation(request_id: str, report: GenerationReport) -> bytes:
    """Return the answer to ``GET /v1/generations/{request_id}``, for a report that has attempts."""
    answer = _answering(report)
    first, last = report.attempts[0], report.attempts[-1]
    return _encode(
        GenerationView(
            object="generation",
            id=request_id,
            model=answer.model,
            model_asked=first.asked or first.model,
            group=answer.group,
            stream=answer.stream,
            outcome=answer.outcome or "ok",
            status=answer.status,
            cost_usd=usd_text(answer.charge_nano),
            cost_nano=answer.charge_nano,
            tokens={kind: count for kind, count in msgspec.structs.asdict(answer.units).items() if count},
            tokens_counted=answer.counted,
            created_at=_moment(first.started_ms),
            first_token_ms=answer.first_token_ms or None,
            total_ms=last.started_ms + last.duration_ms - first.started_ms,
            attempts=[
                AttemptView(attempt.model, attempt.outcome or "ok", attempt.status, attempt.duration_ms)
                for attempt in report.attempts
            ],
        )
    )


def render_openrouter_generation(request_id: str, report: GenerationReport) -> bytes:
    """Return the answer to ``GET /v1/generation?id=``, for a report that has attempts."""
    answer = _answering(report)
    units = answer.units
    generation = OpenRouterGeneration(
        id=request_id,
        total_cost=answer.charge_nano / NANO_PER_USD,
        usage=answer.charge_nano / NANO_PER_USD,
        created_at=_moment(report.attempts[0].started_ms),
        model=answer.model,
        streamed=answer.stream,
        cancelled=answer.outcome == ErrorType.CLIENT_GONE,
        latency=answer.first_token_ms or None,
        generation_time=answer.duration_ms,
        tokens_prompt=units.input_total,
        tokens_completion=units.output_total,
        native_tokens_prompt=units.input_total,
        native_tokens_completion=units.output_total,
        native_tokens_reasoning=units.reasoning,
        native_tokens_cached=units.cache_read,
    )
    return _encode({"data": generation})


def _answering(report: GenerationReport) -> AttemptReport:
    """Return the attempt that the client has paid for, with what has gone on with its answer, else the last one."""
    last = report.attempts[-1]
    answer = next((attempt for attempt in report.attempts if attempt.charged), last)
    if answer is last or not last.continues:
        return answer
    return msgspec.structs.replace(
        answer,
        outcome=last.outcome,
        units=msgspec.structs.replace(answer.units, output=answer.units.output + answer.joined_output),
        duration_ms=last.started_ms + last.duration_ms - answer.started_ms,
    )


def render_subscription(policy: KeyPolicy, report: KeyReport) -> bytes:
    """Return the answer to ``GET /v1/dashboard/billing/subscription``."""
    budgets = [
        _left(reading)
        for reading in _readings(policy, report)
        if reading.meter.kind is MeterKind.MONEY and not reading.meter.models
    ]
    account = (report.charged_nano + report.balance_nano) / NANO_PER_USD
    key = (report.charged_nano + min([report.balance_nano, *budgets])) / NANO_PER_USD
    return _encode(
        SubscriptionView(
            object="billing_subscription",
            has_payment_method=True,
            soft_limit_usd=key,
            hard_limit_usd=key,
            system_hard_limit_usd=account,
            access_until=NO_END_S if policy.expires_ms is None else policy.expires_ms // 1000,
        )
    )


def render_billing_usage(report: KeyReport) -> bytes:
    """Return the answer to ``GET /v1/dashboard/billing/usage``."""
    return _encode(BillingUsageView("list", report.charged_nano * 100 / NANO_PER_USD))


def _moment(at_ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC)
