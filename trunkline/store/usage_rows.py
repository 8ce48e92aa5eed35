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

COLUMNS = {
    "job": "uuid",
    "attempt": "integer",
    "started_ms": "bigint",
    "duration_ms": "integer",
    "first_token_ms": "integer",
    "account_id": "bigint",
    "key_id": "bigint",
    "channel_id": "bigint",
    "credential_id": "bigint",
    "model": "text",
    "upstream_model": "text",
    "group_name": "text",
    "outcome": "text",
    "status": "integer",
    "stream": "boolean",
    "charged": "boolean",
    "unpriced": "boolean",
    "counted": "boolean",
    **dict.fromkeys(COMMON_KINDS, "bigint"),
    "other_units": "jsonb",
    "charge_nano": "bigint",
    "cost_nano": "bigint",
    "price_version": "bigint",
    "cost_version": "bigint",
    "multiplier_ppm": "bigint",
    "discount_ppm": "bigint",
    "variant": "text",
    "user_id": "bigint",
    "asked": "text",
    "continues": "boolean",
    "joined_output": "bigint",
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
        event.duration_ms,
        event.first_token_ms,
        event.account,
        event.key,
        event.channel,
        event.credential,
        event.model,
        event.upstream_model,
        event.group,
        event.outcome,
        event.status,
        event.stream,
        event.charged,
        quote.unpriced,
        event.source is UsageSource.COUNTED,
        units.input,
        units.cache_read,
        units.cache_write_5m,
        units.cache_write_1h,
        units.output,
        units.reasoning,
        _rare_units(units),
        quote.charge_nano,
        quote.cost_nano,
        quote.price_version,
        quote.cost_version,
        quote.multiplier_ppm,
        quote.discount_ppm,
        event.variant,
        event.user,
        event.asked,
        event.continues,
        event.joined_output,
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
