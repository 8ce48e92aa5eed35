"""What the admin API answers about usage: overviews, breakdowns, lists of attempts, and single requests.

Money is nano-USD. What only the site's operators see is left out for everybody else: channels, credentials, and what
providers are paid.
"""

import datetime as dt
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

COMPLETE: Final = "complete"
"""The outcome of an attempt that brought a complete answer; any other is one of `core.errors.ErrorType`."""


class Step(StrEnum):
    """How far the points of a series are apart."""

    HOUR = "hour"
    DAY = "day"


class Dimension(StrEnum):
    """What usage can be broken down by. The last two are for the site's operators."""

    MODEL = "model"
    KEY = "key"
    USER = "user"
    GROUP = "group"
    OUTCOME = "outcome"
    ACCOUNT = "account"
    CHANNEL = "channel"


ACCOUNT_DIMENSIONS: Final = (Dimension.MODEL, Dimension.KEY, Dimension.USER, Dimension.GROUP, Dimension.OUTCOME)


class Order(StrEnum):
    """What comes first in a breakdown: the most of it. The last one is for the site's operators."""

    CHARGE = "charge"
    REQUESTS = "requests"
    TOKENS = "tokens"
    ERRORS = "errors"
    COST = "cost"


class UsageTotals(msgspec.Struct, frozen=True, omit_defaults=True):
    """Sums over attempts.

    Attributes:
        attempts: upstream calls.
        requests: those whose answer the client was to pay for.
        errors: those that did not bring a complete answer; some of their requests did, by another attempt.
        input_tokens: neither read from a cache nor written to one; of all kinds of input.
        cache_read_tokens, cache_write_tokens: read from a provider's cache, and written to it.
        output_tokens: without reasoning; of all kinds of output.
        reasoning_tokens: see there.
        charge_nano: what clients paid.
        cost_nano: what providers got; for operators.
        margin_nano: what is left of the charge; for operators.
        first_token_ms: mean time to the first output, of those that had any; None if none had.
        duration_ms: mean time to the end; None without attempts.
    """

    attempts: int
    requests: int
    errors: int
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    charge_nano: int
    first_token_ms: int | None
    duration_ms: int | None
    cost_nano: int | UnsetType = UNSET
    margin_nano: int | UnsetType = UNSET


class Quantiles(msgspec.Struct, frozen=True):
    """How long something took, within 9 %.

    Attributes:
        attempts: of how many.
        p50_ms, p95_ms: what half of them, and 95 % of them, did not exceed.
    """

    attempts: int
    p50_ms: int
    p95_ms: int


class Speeds(msgspec.Struct, frozen=True):
    """How fast attempts were; None where there were none.

    Attributes:
        first_token: to the first output, of all that had any.
        duration: to the end, of complete answers.
    """

    first_token: Quantiles | None
    duration: Quantiles | None


class UsagePoint(msgspec.Struct, frozen=True):
    """One point of a series.

    Attributes:
        at: when it begins.
        totals, speeds: of what began in it.
    """

    at: dt.datetime
    totals: UsageTotals
    speeds: Speeds


class UsageOverview(msgspec.Struct, frozen=True):
    """A span of time at a glance.

    Attributes:
        since: first moment of the span, a whole hour.
        until: first moment after it, a whole hour.
        step: of the series.
        time_zone: whose days the points are.
        totals, speeds: of the span.
        previous: of the span of the same length before it.
        previous_speeds: as `speeds`.
        series: one point for each step, in order, also for those without usage.
    """

    since: dt.datetime
    until: dt.datetime
    step: Step
    time_zone: str
    totals: UsageTotals
    speeds: Speeds
    previous: UsageTotals
    previous_speeds: Speeds
    series: tuple[UsagePoint, ...]


class UsageShare(msgspec.Struct, frozen=True):
    """One row of a breakdown.

    Attributes:
        value: the model, group or outcome, or the name of what else it is; ``#`` and a number for what is deleted;
            None for keys that are nobody's.
        account: whose key or user it is, where accounts are not one.
        totals: of its attempts.
    """

    value: str | None
    totals: UsageTotals
    account: str | UnsetType = UNSET


class UsageBreakdown(msgspec.Struct, frozen=True):
    """A span of time by one dimension.

    Attributes:
        since, until: as in `UsageOverview`.
        by: the dimension.
        rows: those with most, in order.
        others: how many more there are.
        rest: what those add up to.
    """

    since: dt.datetime
    until: dt.datetime
    by: Dimension
    rows: tuple[UsageShare, ...]
    others: int
    rest: UsageTotals


class UsageAttempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attempt of a request.

    Attributes:
        started_at: when it began.
        job: the request's id, as in ``x-request-id``.
        attempt: its number within the request.
        user: whose key it was; None for nobody's.
        key, model, group: see there.
        asked: the model that the client named.
        outcome: `COMPLETE`, or the error that ended it.
        status: HTTP status that the client got, or the upstream's if the attempt's answer was not relayed.
        stream: whether it was one.
        charged: whether the client was to pay for it.
        counted: whether the gateway counted the units, since the provider reported none.
        unpriced: the client was to pay, and the model or a kind of unit had no price.
        first_token_ms: to the first output, 0 if there was none.
        duration_ms: to the end.
        units: what was used, by kind (`core.usage.Units`).
        charge_nano: what the client paid.
        price_version: of the prices; None if there was none.
        multiplier_ppm, discount_ppm: of the group and of the account, at that time, in parts per million.
        account, channel, credential, upstream_model, cost_nano, cost_version: for operators.
    """

    started_at: dt.datetime
    job: str
    attempt: int
    user: str | None
    key: str
    model: str
    asked: str
    group: str
    outcome: str
    status: int
    stream: bool
    charged: bool
    counted: bool
    unpriced: bool
    first_token_ms: int
    duration_ms: int
    units: dict[str, int]
    charge_nano: int
    price_version: int | None
    multiplier_ppm: int
    discount_ppm: int
    account: str | UnsetType = UNSET
    channel: str | UnsetType = UNSET
    credential: int | UnsetType = UNSET
    upstream_model: str | UnsetType = UNSET
    cost_nano: int | UnsetType = UNSET
    cost_version: int | UnsetType | None = UNSET


class UsageAttempts(msgspec.Struct, frozen=True):
    """A page of attempts, the newest first.

    Attributes:
        attempts: see there.
        next: the ``cursor`` of the page of older ones; None if there are none.
    """

    attempts: tuple[UsageAttempt, ...]
    next: str | None


class UsageRefund(msgspec.Struct, frozen=True):
    """What was given back of a request's charge."""

    occurred_at: dt.datetime
    reference: str
    amount_nano: int


class UsageRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request.

    Attributes:
        job: its id.
        attempts: in order. An account's people see those that made the answer, or the last one if there was none.
        failed_attempts: how many others there were.
        charge_nano: what the client paid.
        refunds: see there.
        cost_nano: what providers got; for operators.
    """

    job: str
    attempts: tuple[UsageAttempt, ...]
    failed_attempts: int
    charge_nano: int
    refunds: tuple[UsageRefund, ...]
    cost_nano: int | UnsetType = UNSET
