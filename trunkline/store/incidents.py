"""How public models fared, by day, and their incidents (0010_health_history.sql). Called by the console."""

import datetime as dt
from collections.abc import Iterable, Mapping

import asyncpg

from trunkline.policy.health_history import KEPT_MS
from trunkline.policy.incidents import FRESH_MS, REJOIN_MS, DaySums, Incident, Level
from trunkline.policy.status import DAYS_SHOWN, DayFigures, ModelReport, StatusReport
from trunkline.store.configuration import unix_ms
from trunkline.store.database import Connection

KNOWN_FOR = dt.timedelta(milliseconds=FRESH_MS + 30_000)
"""A level that was not confirmed for so long is not shown as the present one: what is known for judging, and half a
minute for its way through the stream."""

FORGOTTEN_MAX = 1000
"""Deleted in one go, so that no transaction becomes long."""

INCIDENTS_READ_MAX = 2000
"""For one page; of more only the newest are shown."""

_ADD_DAYS = """
insert into model_days as d (day, model, up_s, degraded_s, down_s, level, at)
select * from unnest($1::date[], $2::text[], $3::int[], $4::int[], $5::int[], $6::text[], $7::timestamptz[])
on conflict (day, model) do update
set up_s = d.up_s + excluded.up_s, degraded_s = d.degraded_s + excluded.degraded_s,
    down_s = d.down_s + excluded.down_s, level = excluded.level, at = excluded.at
"""


def _moment(at_ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC)


async def read_recent(connection: Connection, judged_ms: int) -> list[Incident]:
    """Return the incident of each model that is open or may come back, as judging went up to ``judged_ms``."""
    rows = await connection.fetch(
        "select distinct on (model) model, began_at, ended_at, level from incidents"
        " where ended_at is null or ended_at >= $1 order by model, began_at desc",
        _moment(judged_ms - REJOIN_MS),
    )
    return [_incident(row) for row in rows]


def _incident(row: asyncpg.Record) -> Incident:
    began_ms = round(row["began_at"].timestamp() * 1000)
    return Incident(row["model"], began_ms, unix_ms(row["ended_at"]), Level(row["level"]))


async def add_days(connection: Connection, days: Mapping[tuple[dt.date, str], DaySums]) -> None:
    """Add to models' days, in the transaction that moves the position in the stream."""
    if days:
        lines = [
            (*key, sums.up_s, sums.degraded_s, sums.down_s, sums.level.value, _moment(sums.at_ms))
            for key, sums in sorted(days.items())
        ]
        await connection.execute(_ADD_DAYS, *zip(*lines, strict=True))


async def put_incidents(connection: Connection, incidents: Iterable[Incident]) -> None:
    """Store incidents that have changed, in the same transaction."""
    await connection.executemany(
        "insert into incidents (model, began_at, ended_at, level) values ($1, $2, $3, $4)"
        " on conflict (model, began_at) do update set ended_at = excluded.ended_at, level = excluded.level",
        [
            (
                incident.model,
                _moment(incident.began_ms),
                None if incident.ended_ms is None else _moment(incident.ended_ms),
                incident.level.value,
            )
            for incident in incidents
        ],
    )


async def forget_incidents(connection: Connection, now_ms: int) -> None:
    """Delete what is older than the status page shows: incidents that have ended, and days."""
    before = _moment(now_ms - KEPT_MS)
    await connection.execute(
        "delete from incidents where (model, began_at) in (select model, began_at from incidents"
        " where began_at < $1 and ended_at < $1 limit $2)",
        before,
        FORGOTTEN_MAX,
    )
    await connection.execute(
        "delete from model_days where (day, model) in (select day, model from model_days where day < $1 limit $2)",
        before.date(),
        FORGOTTEN_MAX,
    )


async def read_report(connection: Connection, models: Iterable[str], now_ms: int) -> StatusReport:
    """Return what the status page shows.

    Args:
        connection: in any state.
        models: public names that are served.
        now_ms: Unix milliseconds.
    """
    names = sorted(models)
    now = _moment(now_ms)
    models_by_name = {name: ModelReport(name) for name in names}
    rows = await connection.fetch(
        "select model, day, up_s, degraded_s, down_s, level, at from model_days"
        " where day > $1 and model = any($2::text[]) order by day",
        now.date() - dt.timedelta(days=DAYS_SHOWN),
        names,
    )
    for row in rows:
        model = models_by_name[row["model"]]
        model.days[row["day"]] = DayFigures(row["up_s"], row["degraded_s"], row["down_s"])
        if now - row["at"] <= KNOWN_FOR:
            model.level = Level(row["level"])
    incidents = await connection.fetch(
        "select model, began_at, ended_at, level from incidents where model = any($1::text[])"
        " order by ended_at is not null, began_at desc limit $2",
        names,
        INCIDENTS_READ_MAX,
    )
    return StatusReport(now_ms, tuple(models_by_name.values()), tuple(map(_incident, incidents)))
