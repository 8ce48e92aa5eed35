"""Usage events as rows: priced, one value a column. Called by `settlement` and `exact_usage`."""

from collections.abc import Mapping
from typing import Any

import msgspec
from asyncpg.pgproto.pgproto import UUID  # the type asyncpg decodes to; a third of the cost of the standard one

from trunkline.bus.messages import UsageEvent
from trunkline.core.usage import UNIT_KINDS, Units, UsageSource
from trunkline.policy.pricing import PriceBook, Quote, UnitsError

COMMON_KINDS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning")
"""Kinds of units with a column of their own."""

_RARE_KINDS = tuple(kind for kind in UNIT_KINDS if kind not in COMMON_KINDS)

CALL_COLUMNS = {
    "upstream_model": "text",
    "variant": "text",
    "outcome": "text",
    "status": "integer",
    "stream": "boolean",
    "charged": "boolean",
    "unpriced": "boolean",
    "counted": "boolean",
    "first_token_ms": "integer",
    "duration_ms": "integer",
}
"""What was called, and how it went; exports have them so, too."""

AMOUNT_COLUMNS = {
    "continues": "boolean",
    "joined_output": "bigint",
    "charge_nano": "bigint",
    "cost_nano": "bigint",
    "price_version": "bigint",
    "cost_version": "bigint",
    "multiplier_ppm": "bigint",
    "discount_ppm": "bigint",
}
"""What the units came to, and by what; exports have them so, too."""

COLUMNS = {
    "job": "uuid",
    "attempt": "integer",
    "started_ms": "bigint",
    "account_id": "bigint",
    "user_id": "bigint",
    "key_id": "bigint",
    "model": "text",
    "asked": "text",
    "group_name": "text",
    "channel_id": "bigint",
    "credential_id": "bigint",
    **CALL_COLUMNS,
    **dict.fromkeys(COMMON_KINDS, "bigint"),
    "other_units": "jsonb",
    **AMOUNT_COLUMNS,
}
"""One array parameter each, in the order of `usage_row`."""

COUNTED_COLUMNS = {
    "job": "uuid",
    "attempt": "integer",
    "account_id": "bigint",
    "lease": "bigint",
    "meter": "text",
    "period_start": "date",
}
"""One array parameter each, behind those of others: the money meters that count an event (ADR 6)."""

AT = "'epoch'::timestamptz + interval '1 millisecond' *"
"""Before an expression of Unix time in milliseconds: the moment."""


def arrays(columns: Mapping[str, str], first: int = 1) -> str:
    """Return the parameters, from ``$first`` on, of one array for each of ``columns``, which have the types."""
    return ", ".join(f"${number}::{type_}[]" for number, type_ in enumerate(columns.values(), first))


def usage_row(event: UsageEvent, book: PriceBook, discount_ppm: int) -> tuple[Any, ...]:
    """Return the values of `COLUMNS`.

    Raises:
        ValueError: the job is no id, or the units cannot be.
    """
    job = UUID(event.job)
    if event.joined_output < 0:
        raise UnitsError("a negative output")
    quote = _quote(event, book, discount_ppm)
    units = event.units
    return (
        job,
        event.attempt,
        event.started_ms,
        event.account,
        event.user,
        event.key,
        event.model,
        event.asked,
        event.group,
        event.channel,
        event.credential,
        event.upstream_model,
        event.variant,
        event.outcome,
        event.status,
        event.stream,
        event.charged,
        quote.unpriced,
        event.source is UsageSource.COUNTED,
        event.first_token_ms,
        event.duration_ms,
        units.input,
        units.cache_read,
        units.cache_write_5m,
        units.cache_write_1h,
        units.output,
        units.reasoning,
        _rare_units(units),
        event.continues,
        event.joined_output,
        quote.charge_nano,
        quote.cost_nano,
        quote.price_version,
        quote.cost_version,
        quote.multiplier_ppm,
        quote.discount_ppm,
    )


def _quote(event: UsageEvent, book: PriceBook, discount_ppm: int) -> Quote:
    return book.quote(
        event.units,
        billed=event.billed,
        charged=event.charged,
        model=event.model,
        group=event.group,
        channel=event.channel,
        at_ms=event.started_ms,
        variant=event.variant,
        discount_ppm=discount_ppm,
    )


def _rare_units(units: Units) -> str | None:
    counts = {kind: count for kind in _RARE_KINDS if (count := getattr(units, kind))}
    return msgspec.json.encode(counts).decode() if counts else None
