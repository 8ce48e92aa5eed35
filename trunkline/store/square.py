"""What the model square is read from: models, channels, groups, and how they fared. Called by the console."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from trunkline.bus.snapshots import ChannelSnapshot
from trunkline.policy.entities import Channel
from trunkline.policy.square import ConfiguredModel, Source
from trunkline.policy.status import ModelReport
from trunkline.store.configuration import (
    CHANNEL_COLUMNS,
    MODELS_WITH_PRICES,
    NotFoundError,
    channel_of,
    model_of,
    read_groups,
)
from trunkline.store.database import Connection
from trunkline.store.incidents import read_report

HOUR_S = 3600
DAY_S = 86_400
"""Spans of `health_history` that are read here."""


async def groups_of(connection: Connection, account: str) -> tuple[str, ...]:
    """Return the groups that an account's own people may use.

    Raises:
        NotFoundError: there is no such account.
    """
    groups = await connection.fetchval("select groups from accounts where name = $1", account)
    if groups is None:
        raise NotFoundError(f"there is no account {account!r}")
    return tuple(groups)


async def read_source(connection: Connection, refused: Mapping[int, Collection[str]]) -> Source:
    """Return what is configured.

    Args:
        connection: in any state.
        refused: by channel, the models that its provider does not let the gateway use.
    """
    models = await connection.fetch(MODELS_WITH_PRICES)
    channels = await connection.fetch(f"select {CHANNEL_COLUMNS} from channels c where c.enabled order by c.id")  # noqa: S608 - constants
    return Source(
        models=[ConfiguredModel(model_of(row), row["created_at"]) for row in models],
        channels=[_channel(row["id"], channel_of(row)) for row in channels],
        refused=refused,
        multipliers_ppm={group.name: group.multiplier_ppm for group in await read_groups(connection)},
    )


def _channel(channel_id: int, channel: Channel) -> ChannelSnapshot:
    return ChannelSnapshot(
        id=channel_id,
        name=channel.name,
        dialect=channel.dialect,
        base_url=channel.base_url,
        credentials=(),
        models=channel.models,
        groups=channel.groups,
        weight=channel.weight,
        enabled=channel.enabled,
        params=channel.params,
        stream_usage=channel.stream_usage,
        options=channel.options,
        drained=channel.drained,
        overrides=channel.overrides,
    )


class ChannelTimes(NamedTuple):
    """How long a channel was known about, and ejected, in seconds."""

    day_known_s: int
    day_ejected_s: int
    month_known_s: int
    month_ejected_s: int


async def channel_times(connection: Connection, channels: Sequence[int], now: dt.datetime) -> dict[int, ChannelTimes]:
    """Return how channels fared in the last 24 hours and 30 days; those of which nothing is known are missing."""
    rows = await connection.fetch(
        "select c.id, day.known as day_known, day.ejected as day_ejected, month.known as month_known,"
        " month.ejected as month_ejected from unnest($1::bigint[]) as c (id)"
        " cross join lateral (select coalesce(sum(serving_s + ejected_s + probing_s), 0)::bigint as known,"
        "  coalesce(sum(ejected_s), 0)::bigint as ejected from health_history"
        "  where channel_id = c.id and model = '' and span_s = $2 and at > $3) day"
        " cross join lateral (select coalesce(sum(serving_s + ejected_s + probing_s), 0)::bigint as known,"
        "  coalesce(sum(ejected_s), 0)::bigint as ejected from health_history"
        "  where channel_id = c.id and model = '' and span_s = $4 and at > $5) month",
        channels,
        HOUR_S,
        now - dt.timedelta(days=1),
        DAY_S,
        now - dt.timedelta(days=30),
    )
    return {
        row["id"]: ChannelTimes(row["day_known"], row["day_ejected"], row["month_known"], row["month_ejected"])
        for row in rows
        if row["day_known"] or row["month_known"]
    }


async def first_tokens(
    connection: Connection, places: Iterable[tuple[int, str]], now: dt.datetime
) -> dict[tuple[int, str], tuple[int, int]]:
    """Return how many streams of the last 24 hours had a first token, and the sum of their times in ms.

    Args:
        connection: in any state.
        places: channels' ids and public models; the answer is by them, without those that had none.
        now: see there.
    """
    wanted = list(places)
    rows = await connection.fetch(
        "select p.channel_id, p.model, sum(h.first_tokens)::bigint as streams, sum(h.first_token_ms)::bigint as ms"
        " from unnest($1::bigint[], $2::text[]) as p (channel_id, model) join health_history h"
        " on h.channel_id = p.channel_id and h.model = p.model and h.span_s = $3 and h.at > $4"
        " group by p.channel_id, p.model having sum(h.first_tokens) > 0",
        [channel for channel, _ in wanted],
        [model for _, model in wanted],
        HOUR_S,
        now - dt.timedelta(days=1),
    )
    return {(row["channel_id"], row["model"]): (row["streams"], row["ms"]) for row in rows}


async def model_reports(connection: Connection, models: Iterable[str], now_ms: int) -> dict[str, ModelReport]:
    """Return what the status page knows of models: nothing of those that it does not show."""
    report = await read_report(connection, models, now_ms)
    return {model.name: model for model in report.models}
