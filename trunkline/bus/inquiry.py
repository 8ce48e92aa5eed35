"""What edges ask metering for their clients, about the client's own key and account, on `subjects.ASK`.

Encoded as in `bus.messages`, with the name of the question or answer first. The account and the key in a question are
those that the edge has identified, never what a client wrote: so nobody is told about another account.
"""

from enum import StrEnum
from typing import TypeAlias

import msgspec

from trunkline.bus.allowance import Meter
from trunkline.core.usage import Units

USAGE_DAYS_MAX = 92
"""Span of one question for sums: three months. Usage is kept 90 days by default, and all rows of a span are read."""

USAGE_ROWS_MAX = 2000
"""Rows of one answer: three months by day and twenty models. Some 200 KB, and a client reads no more."""

# --- Questions -----------------------------------------------------------------------------------------------------


class KeyInquiry(msgspec.Struct, frozen=True, array_like=True, tag="key"):
    """What bounds a key, and what it has used.

    Attributes:
        account, key: which.
        usage: whether its use of today, this week and this month is asked for.
    """

    account: int
    key: int
    usage: bool = True


class UsageInquiry(msgspec.Struct, frozen=True, array_like=True, tag="usage"):
    """Sums of what was charged.

    Attributes:
        account: whose.
        key: only of this key; 0 for all of the account.
        first, last: days of the account's time zone, ``2030-01-31``, both included; empty: the thirty days to
            ``last``, and today.
        by: what the sums are told apart by, of `USAGE_DIMENSIONS`; each at most once.
    """

    account: int
    key: int
    first: str = ""
    last: str = ""
    by: tuple[str, ...] = ()


USAGE_DIMENSIONS = ("day", "model", "key", "group")


class GenerationInquiry(msgspec.Struct, frozen=True, array_like=True, tag="generation"):
    """The settled attempts of one request.

    Attributes:
        account: whose it must be.
        job: its id.
    """

    account: int
    job: bytes


Inquiry: TypeAlias = KeyInquiry | UsageInquiry | GenerationInquiry

# --- Answers -------------------------------------------------------------------------------------------------------


class MeterReading(msgspec.Struct, frozen=True, array_like=True):
    """How far a meter has got, over all edges.

    Attributes:
        meter: see there.
        used: of its limit: units that edges have drawn, permits that they keep, or nano-USD that are booked.
        reset_ms: until a minute or a period is whole again; 0 where that says nothing.
    """

    meter: Meter
    used: int
    reset_ms: int = 0


class UsageSums(msgspec.Struct, frozen=True, array_like=True):
    """Sums over answers that were charged.

    Attributes:
        requests: how many.
        input_tokens: cached or not.
        cached_tokens: the part of these that came from a cache.
        output_tokens: reasoning included.
        charge_nano: what was paid, in nano-USD.
    """

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    charge_nano: int = 0


class KeyReport(msgspec.Struct, frozen=True, array_like=True, tag="key"):
    """The answer to a `KeyInquiry`.

    Attributes:
        tier: of the account, empty for none.
        time_zone: of the account.
        today: in it, ``2030-01-31``.
        balance_nano: of its wallet.
        charged_nano: all that it was ever charged.
        readings: of every meter that may count a job of the key, save for the wallet's.
        day, week, month: what the key was charged for today, since Monday, and since the first of the month, by the
            account's time zone; None where that was not asked for, or takes too long to be summed up.
    """

    tier: str
    time_zone: str
    today: str
    balance_nano: int
    charged_nano: int
    readings: tuple[MeterReading, ...]
    day: UsageSums | None = None
    week: UsageSums | None = None
    month: UsageSums | None = None


class UsageRow(msgspec.Struct, frozen=True, array_like=True):
    """Sums of one day, model, key or group, or several of these; what they are not told apart by is empty.

    Attributes:
        sums: see there.
        day: ``2030-01-31``.
        model: public name.
        key: id.
        key_name: empty as well for one that was deleted.
        group: name.
    """

    sums: UsageSums
    day: str = ""
    model: str = ""
    key: int = 0
    key_name: str = ""
    group: str = ""


class UsageReport(msgspec.Struct, frozen=True, array_like=True, tag="usage"):
    """The answer to a `UsageInquiry`.

    Attributes:
        time_zone: of the account.
        first, last: as asked, or as filled in.
        rows: in the order of the question's ``by``.
    """

    time_zone: str
    first: str
    last: str
    rows: tuple[UsageRow, ...]


class AttemptReport(msgspec.Struct, frozen=True, array_like=True):
    """One upstream call of a request, without anything that says who was called.

    Attributes:
        model: public name.
        group: through which the key reached the channel.
        outcome: empty for a complete answer, else the error that ended it.
        status, stream, charged, counted: as in the usage row.
        units: what it used.
        charge_nano: what the client paid, in nano-USD.
        started_ms: Unix time, in milliseconds.
        first_token_ms: 0 if there was no output.
        duration_ms: from start to end.
        asked: the model that the client named, where it is not ``model``; else empty.
        continues, joined_output: as in `bus.messages.UsageEvent`.
    """

    model: str
    group: str
    outcome: str
    status: int
    stream: bool
    charged: bool
    counted: bool
    units: Units
    charge_nano: int
    started_ms: int
    first_token_ms: int
    duration_ms: int
    asked: str = ""
    continues: bool = False
    joined_output: int = 0


class GenerationReport(msgspec.Struct, frozen=True, array_like=True, tag="generation"):
    """The answer to a `GenerationInquiry`.

    Attributes:
        attempts: in their order; empty if nothing of it is settled, or it is another account's.
    """

    attempts: tuple[AttemptReport, ...]


class RefusalReason(StrEnum):
    """Why a question has no answer."""

    BUSY = "busy"
    """Too many wait."""
    AWAY = "away"
    """Postgres."""
    TOO_LONG = "too_long"
    """The span is longer than `USAGE_DAYS_MAX`, or ends before it begins."""
    TOO_MUCH = "too_much"
    """More than `USAGE_ROWS_MAX` rows, or more to read than time allows."""
    UNKNOWN = "unknown"
    """There is no such account any more."""
    UNREADABLE = "unreadable"
    """It cannot be answered as it is: its edge should not have asked."""


class InquiryRefusal(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """The answer where there is none."""

    reason: RefusalReason


Report: TypeAlias = KeyReport | UsageReport | GenerationReport | InquiryRefusal

decode_inquiry = msgspec.msgpack.Decoder(Inquiry).decode
decode_report = msgspec.msgpack.Decoder(Report).decode
