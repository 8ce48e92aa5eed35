"""Usage by day: partitions ahead, and what is past its time turned into sums (0007_usage_partitions.sql).

Called by metering. A row is in exactly one of ``usage`` and ``usage_history`` at any time, and so is what it adds up
to: the sums are written and the rows dropped in one transaction.
"""

import datetime as dt
import re

from trunkline.core.usage import UNIT_KINDS
from trunkline.store.database import Connection
from trunkline.store.usage_rows import COMMON_KINDS

LOCK = 0x74_6C_75_68
"""The advisory lock of whoever changes partitions: ``tluh`` in ASCII. See `store.migrate.LOCK`."""

LOCK_TIMEOUT_MS = 500
"""How long dropping a partition may wait for its readers, since settlement waits behind it. It is tried again."""

SUM_TIMEOUT_S = 600.0
"""For the sums of one day: some 20 s for 20 million rows."""

_PARTITION = re.compile(r"usage_(\d{8})")

DIMENSIONS = ("account_id", "user_id", "key_id", "channel_id", "model", "group_name")
"""What the history tells apart, beside the day."""

_UNITS = {
    kind: kind if kind in COMMON_KINDS else f"coalesce((other_units->>'{kind}')::bigint, 0)" for kind in UNIT_KINDS
}
_SUMS = {
    "attempts": "count(*)",
    "answers": "count(*) filter (where charged)",
    **{kind: f"sum({units})" for kind, units in _UNITS.items()},
    "charge_nano": "sum(charge_nano)",
    "cost_nano": "sum(cost_nano)",
}

_ADD = f"""
    insert into usage_history as h (day, {", ".join(DIMENSIONS)}, {", ".join(_SUMS)})
    select (started_at at time zone 'UTC')::date, {", ".join(DIMENSIONS)}, {", ".join(_SUMS.values())}
    from %s group by (started_at at time zone 'UTC')::date, {", ".join(DIMENSIONS)}
    on conflict (account_id, day, user_id, key_id, channel_id, model, group_name) do update
    set {", ".join(f"{name} = h.{name} + excluded.{name}" for name in _SUMS)}
"""  # noqa: S608 - made of constants

_ADD_LATE = f"""
with late as (
    delete from usage_default where started_at < $1 returning *
), added as ({_ADD % "late"}
)
select count(*) from late
"""  # noqa: S608 - as above


async def make_partitions(connection: Connection, first: dt.date, days: int) -> int:
    """Make the partitions of some days that are missing, and return how many were; none while another process is at it.

    Args:
        connection: outside of a transaction.
        first: of the days, in UTC.
        days: how many.

    Raises:
        asyncpg.PostgresError: it could not be done now; nothing has changed.
    """
    made = 0
    async with connection.transaction():
        if await connection.fetchval("select pg_try_advisory_xact_lock($1)", LOCK):
            for ahead in range(days):
                day = first + dt.timedelta(days=ahead)
                made += await connection.fetchval("select make_usage_partition($1::date)", day)
    return made


async def days_before(connection: Connection, day: dt.date) -> list[dt.date]:
    """Return the days before ``day`` that have a partition, in order."""
    rows = await connection.fetch(
        "select c.relname from pg_inherits as i join pg_class as c on c.oid = i.inhrelid"
        " where i.inhparent = 'usage'::regclass"
    )
    found = [_PARTITION.fullmatch(row["relname"]) for row in rows]
    days = [dt.datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=dt.UTC).date() for match in found if match]
    return sorted(other for other in days if other < day)


async def retire_day(connection: Connection, day: dt.date) -> int | None:
    """Turn a day's usage into sums and drop its partition.

    Args:
        connection: outside of a transaction.
        day: one of `days_before`.

    Returns:
        How many attempts it had; None if another process is at it.

    Raises:
        asyncpg.PostgresError: it could not be done now; nothing has changed.
    """
    partition = f"usage_{day:%Y%m%d}"
    async with connection.transaction():
        if not await connection.fetchval("select pg_try_advisory_xact_lock($1)", LOCK):
            return None
        # Nothing is added any more; reading goes on.
        await connection.execute(f"lock table {partition} in share mode")
        attempts: int = await connection.fetchval(f"select count(*) from {partition}", timeout=SUM_TIMEOUT_S)  # noqa: S608 - a name made of a date
        await connection.execute(_ADD % partition, timeout=SUM_TIMEOUT_S)
        await connection.execute(f"set local lock_timeout = {LOCK_TIMEOUT_MS}")
        await connection.execute(f"drop table {partition}")
    return attempts


async def retire_late(connection: Connection, before: dt.datetime) -> int | None:
    """Turn attempts into sums that came when the partition of their day was gone already.

    Args:
        connection: outside of a transaction.
        before: the first moment whose day is kept, with a time zone.

    Returns:
        How many there were; None if another process is at it.
    """
    async with connection.transaction():
        if not await connection.fetchval("select pg_try_advisory_xact_lock($1)", LOCK):
            return None
        late: int = await connection.fetchval(_ADD_LATE, before, timeout=SUM_TIMEOUT_S)
    return late
