"""What health has seen of channels, as rows by minute, hour and day (0010_health_history.sql). Called by the console.

One replica at a time writes, in the transaction that moves the position in the stream: so each sample counts once,
however often it is delivered.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from trunkline.policy.admin_health import HistoryRow
from trunkline.policy.health_history import SPANS, Counts, RowKey, Span
from trunkline.store.configuration import NotFoundError
from trunkline.store.database import Connection

FORGOTTEN_MAX = 5000
"""Rows deleted in one go, so that no transaction becomes long. A thousand channels leave as many a minute."""

LISTED_MAX = 3000
"""Rows of one answer: all that there are of a channel by minute."""

_ADD = """
insert into health_history as h (channel_id, model, span_s, at, successes, failures, first_tokens, first_token_ms,
                                 serving_s, ejected_s, probing_s)
select channel_id, model, span_s, to_timestamp(begin_s), successes, failures, first_tokens, first_token_ms,
       serving_s, ejected_s, probing_s
from unnest($1::bigint[], $2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
            $9::int[], $10::int[], $11::int[])
     as r (channel_id, model, span_s, begin_s, successes, failures, first_tokens, first_token_ms,
           serving_s, ejected_s, probing_s)
on conflict (channel_id, model, span_s, at) do update
set successes = h.successes + excluded.successes, failures = h.failures + excluded.failures,
    first_tokens = h.first_tokens + excluded.first_tokens, first_token_ms = h.first_token_ms + excluded.first_token_ms,
    serving_s = h.serving_s + excluded.serving_s, ejected_s = h.ejected_s + excluded.ejected_s,
    probing_s = h.probing_s + excluded.probing_s
"""


class Position(NamedTuple):
    """How far the stream is read.

    Attributes:
        stream_created: which stream; of another one it says nothing.
        sequence: of the last message that counts.
        judged_ms: Unix milliseconds: models are judged up to this instant.
    """

    stream_created: dt.datetime
    sequence: int
    judged_ms: int


async def read_position(connection: Connection) -> Position | None:
    """Return how far the stream is read; None before the first message."""
    row = await connection.fetchrow("select stream_created, sequence, judged_ms from health_position")
    return None if row is None else Position(*row)


async def write_position(connection: Connection, position: Position) -> None:
    """Set how far the stream is read, in the transaction of what was read."""
    await connection.execute(
        "insert into health_position (stream_created, sequence, judged_ms) values ($1, $2, $3) on conflict (one)"
        " do update set stream_created = $1, sequence = $2, judged_ms = $3",
        *position,
    )


async def add_history(connection: Connection, rows: Mapping[RowKey, Counts]) -> None:
    """Add to rows, and make those that are missing.

    Args:
        connection: in the transaction that moves the position.
        rows: see `policy.health_history.tally`.
    """
    if rows:
        # In one order, so that pages are touched once each.
        lines = [(*key, *_columns(rows[key])) for key in sorted(rows)]
        await connection.execute(_ADD, *zip(*lines, strict=True))


def _columns(counts: Counts) -> tuple[int, ...]:
    return (
        counts.successes,
        counts.failures,
        counts.first_tokens,
        counts.first_token_ms,
        counts.serving_s,
        counts.ejected_s,
        counts.probing_s,
    )


async def forget_history(connection: Connection, now: dt.datetime) -> int:
    """Delete rows that are past their time, a bounded number of them, and return how many; fewer: all are gone."""
    forgotten = 0
    for span in SPANS:
        status = await connection.execute(
            "delete from health_history where (channel_id, model, span_s, at) in (select channel_id, model, span_s, at"
            " from health_history where span_s = $1 and at < $2 order by at limit $3)",
            span.length_s,
            now - span.kept,
            FORGOTTEN_MAX - forgotten,
        )
        forgotten += int(status.removeprefix("DELETE "))
    return forgotten


async def served_models(connection: Connection, groups: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return the models that channels of these groups serve, with the ids of those channels.

    Channels that take no jobs, because they are off, drained or of weight 0, do not count.
    """
    rows = await connection.fetch(
        "select name, array_agg(id order by id) as channels from (select id, jsonb_object_keys(models) as name"
        " from channels where enabled and not drained and weight > 0 and groups && $1::text[]) as served"
        " group by name order by name",
        list(groups),
    )
    return {row["name"]: tuple(row["channels"]) for row in rows}


async def read_history(
    connection: Connection, channel: str, model: str, span: Span, since: dt.datetime
) -> list[HistoryRow]:
    """Return a channel's history, the newest first.

    Args:
        connection: in any state.
        channel: its name.
        model: public name; empty for the channel as a whole.
        span: which resolution.
        since: the first moment.

    Raises:
        NotFoundError: there is no such channel.
    """
    channel_id = await connection.fetchval("select id from channels where name = $1", channel)
    if channel_id is None:
        raise NotFoundError(f"there is no channel {channel!r}")
    rows = await connection.fetch(
        "select * from health_history where channel_id = $1 and model = $2 and span_s = $3 and at >= $4"
        " order by at desc limit $5",
        channel_id,
        model,
        span.length_s,
        since,
        LISTED_MAX,
    )
    return [
        HistoryRow(
            at=row["at"],
            successes=row["successes"],
            failures=row["failures"],
            first_token_ms=round(row["first_token_ms"] / row["first_tokens"]) if row["first_tokens"] else None,
            serving_s=row["serving_s"],
            ejected_s=row["ejected_s"],
            probing_s=row["probing_s"],
        )
        for row in rows
    ]
