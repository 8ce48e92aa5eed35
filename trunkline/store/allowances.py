"""What metering keeps of accounts' allowances (docs/adr/0006-allowances.md): states, and what their money can bear.

Reading takes one statement for any number of accounts, so one state of the database: what a balance lost to a charge,
``settled`` has gained. Writing takes one, and writes a state only if nobody else has since it was read.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import asyncpg
import msgspec
import structlog

from trunkline.bus.allowance import Meter
from trunkline.policy.grants import AccountState
from trunkline.policy.patterns import matcher
from trunkline.policy.periods import beginning
from trunkline.store.database import Connection
from trunkline.store.ledger import Book

log = structlog.get_logger()

_encode_state = msgspec.msgpack.Encoder().encode
decode_state = msgspec.msgpack.Decoder(AccountState).decode

PERIODS_READ_DAYS = 32
"""Spending that began before is of no period that still runs."""

COUNT_TIMEOUT_MS = 2000
"""How long the usage of one budget may take to be added up when it begins in mid-period: some million attempts. All
settlement and all draws wait meanwhile."""

VERSIONS_PER_US = 1024
"""A state begins with a version of the microsecond in which it was found missing, so that one that was deleted and made
anew has none that it had before: there are no more writes than this in a microsecond."""

_READ = f"""
select a.id, s.state, coalesce(b.balance_nano, 0) as balance_nano,
       (extract(epoch from clock_timestamp()) * 1000)::bigint as now_ms,
       coalesce(s.version, (extract(epoch from clock_timestamp()) * 1000000)::bigint * {VERSIONS_PER_US}) as version,
       l.leases, l.meters, l.settled, p.budgets, p.starts, p.spent, p.refused
from unnest($1::bigint[]) as wanted (id)
join accounts as a using (id)
left join allowances as s on s.account_id = a.id
left join balances as b on b.book = a.id * 8 + {Book.WALLET:d}
left join lateral (
    select array_agg(lease) as leases, array_agg(meter) as meters, array_agg(settled_nano) as settled
    from lease_settlements where account_id = a.id
) as l on true
left join lateral (
    select array_agg(meter) as budgets, array_agg(period_start) as starts, array_agg(spent_nano) as spent,
           array_agg(refused_limit_nano) as refused
    from budget_spending where account_id = a.id and period_start > current_date - {PERIODS_READ_DAYS}
) as p on true
"""  # noqa: S608 - made of constants

# A write that a crash of Postgres undoes is made good by the edges' next reports, which state totals; so it need not
# wait for the disk, and a draw takes half the time. But no report follows the one that gives a lease back, and one that
# was forgotten while its edge still has it counts as given up: where leases come or go, all is on disk first.
_WRITE = """
with hasty as (select set_config('synchronous_commit', case when $6 then 'on' else 'off' end, true) as value),
written as (
    insert into allowances as a (account_id, version, edges, closing, state)
    select account_id, version + 1, string_to_array(edges, ' '), closing, state
    from unnest($1::bigint[], $2::bigint[], $3::text[], $4::boolean[], $5::bytea[])
         as new (account_id, version, edges, closing, state), hasty
    order by account_id
    on conflict (account_id) do update
        set version = excluded.version, edges = excluded.edges, closing = excluded.closing, state = excluded.state
        where a.version = excluded.version - 1
    returning account_id
)
select account_id from written
"""


# Both take ``counted``: charges and corrections that were newly booked, once for every money meter that counts them.
PROJECT_LEASES = """
    insert into lease_settlements as l (account_id, lease, meter, settled_nano)
    select account_id, lease, meter, sum(amount_nano)::bigint from counted where lease <> 0
    group by account_id, lease, meter order by account_id, lease, meter
    on conflict (account_id, lease, meter) do update set settled_nano = l.settled_nano + excluded.settled_nano
"""
# Only rows that are there: one begins with all that its period had before (`open_budgets`). Not below nothing: one that
# could not be counted in time began at zero. In one order, so that two transactions never wait for each other.
PROJECT_BUDGETS = """
    update budget_spending as b set spent_nano = greatest(b.spent_nano + c.nano, 0)
    from (
        select account_id, meter, period_start, added.nano
        from budget_spending as locked join (
            select account_id, meter, period_start, sum(amount_nano)::bigint as nano
            from counted where period_start is not null group by account_id, meter, period_start
        ) as added using (account_id, meter, period_start)
        order by account_id, meter, period_start
        for update of locked
    ) as c
    where b.account_id = c.account_id and b.meter = c.meter and b.period_start = c.period_start
"""


# What an account ($1) was charged for attempts that began at $2 or later, and what of it was refunded. A refund is
# booked after what it gives back, by clocks that may differ a little.
SPENT = f"""
    select started_at, key_id, user_id, model, charge_nano as nano from usage
    where account_id = $1 and started_at >= $2 and charge_nano > 0
    union all
    select u.started_at, u.key_id, u.user_id, u.model, -r.amount_nano
    from transfers as r join usage as u on u.job = r.corrects_job
    where r.credit = $1 * 8 + {Book.WALLET:d} and r.kind = 'refund' and r.reference is not null
      and r.occurred_at >= $2::timestamptz - interval '1 hour'
      and u.account_id = $1 and u.started_at >= $2 and u.charge_nano > 0
"""  # noqa: S608 - made of constants


class StoredAccount(NamedTuple):
    """An account's allowances as they were read.

    Attributes:
        version: of the state; of one that is not there a number that none has had.
        state: see `policy.grants`.
        balance_nano: of its wallet.
        settled: what is booked of each lease's jobs, by meter and lease.
        spent: of budgets, by meter and the first day of the period.
        now_ms: Postgres's clock, Unix time in milliseconds: one clock for all replicas.
        refused: those of ``spent`` that have refused a job, with the budget as it was then (`mark_refusing`).
    """

    version: int
    state: AccountState
    balance_nano: int
    settled: Mapping[str, Mapping[int, int]]
    spent: Mapping[tuple[str, dt.date], int]
    now_ms: int
    refused: Mapping[tuple[str, dt.date], int]


class WrittenAccount(NamedTuple):
    """A state to be written.

    Attributes:
        account: whose.
        version: that was read.
        state: the new one.
        durable: whether it must outlive a crash of Postgres: leases have come or gone, or been given up.
    """

    account: int
    version: int
    state: AccountState
    durable: bool


async def read_accounts(connection: Connection, accounts: Collection[int]) -> dict[int, StoredAccount]:
    """Return those of the accounts that exist."""
    rows = await connection.fetch(_READ, list(accounts))
    return {row["id"]: _stored(row) for row in rows}


def _stored(row: asyncpg.Record) -> StoredAccount:
    settled: dict[str, dict[int, int]] = {}
    for lease, meter, nano in zip(row["leases"] or (), row["meters"] or (), row["settled"] or (), strict=True):
        settled.setdefault(meter, {})[lease] = nano
    periods = list(zip(row["budgets"] or (), row["starts"] or (), strict=True))
    return StoredAccount(
        version=row["version"],
        state=AccountState() if row["state"] is None else decode_state(row["state"]),
        balance_nano=row["balance_nano"],
        settled=settled,
        spent=dict(zip(periods, row["spent"] or (), strict=True)),
        now_ms=row["now_ms"],
        refused={period: nano for period, nano in zip(periods, row["refused"] or (), strict=True) if nano is not None},
    )


async def write_states(connection: Connection, states: Sequence[WrittenAccount]) -> set[int]:
    """Write states whose version is still the one that was read; return the accounts that were written."""
    rows = await connection.fetch(
        _WRITE,
        [written.account for written in states],
        [written.version for written in states],
        [" ".join(sorted({lease.edge for lease in written.state.leases.values()})) for written in states],
        [any(lease.closing for lease in written.state.leases.values()) for written in states],
        [_encode_state(written.state) for written in states],
        any(written.durable for written in states),
    )
    return {row["account_id"] for row in rows}


async def forget_leases(connection: Connection, leases: Mapping[int, Collection[int]]) -> None:
    """Drop what was booked of leases that are no more, by account."""
    pairs = [(account, lease) for account in leases for lease in leases[account]]
    if pairs:
        await connection.execute(
            "delete from lease_settlements"
            " where (account_id, lease) in (select * from unnest($1::bigint[], $2::bigint[]))",
            *map(list, zip(*pairs, strict=True)),
        )


async def forget_accounts(connection: Connection, accounts: Collection[int]) -> None:
    """Drop the allowances of accounts that are no more."""
    await connection.execute("delete from allowances where account_id = any($1::bigint[])", list(accounts))
    await connection.execute("delete from lease_settlements where account_id = any($1::bigint[])", list(accounts))


async def accounts_of_edges(connection: Connection, edges: Collection[str], rows_max: int) -> list[int]:
    """Return accounts of which one of these edges holds a lease."""
    rows = await connection.fetch(
        "select account_id from allowances where edges && $1::text[] limit $2", list(edges), rows_max
    )
    return [row["account_id"] for row in rows]


async def closing_accounts(connection: Connection, rows_max: int) -> list[int]:
    """Return accounts of which some lease was given up and waits for its last jobs to be booked."""
    rows = await connection.fetch("select account_id from allowances where closing limit $1", rows_max)
    return [row["account_id"] for row in rows]


async def known_edges(connection: Connection) -> set[str]:
    """Return the edges that hold any lease. Reads all rows: not for every second."""
    rows = await connection.fetch("select distinct unnest(edges) as edge from allowances where edges <> '{}'")
    return {row["edge"] for row in rows}


class OpenedBudget(NamedTuple):
    """A budget in one of its periods.

    Attributes:
        account: whose.
        meter: the budget.
        start: first day of the period.
        time_zone: of the account.
    """

    account: int
    meter: Meter
    start: dt.date
    time_zone: str


async def open_budgets(connection: Connection, budgets: Sequence[OpenedBudget]) -> None:
    """Begin to keep what is spent of budgets in a period, from the usage there is; once.

    Settlement waits meanwhile, so that no charge is missed or counted twice. All together, since at midnight most
    budgets begin anew.

    Args:
        connection: outside of a transaction.
        budgets: of any accounts.
    """
    async with connection.transaction():
        await connection.execute("lock table budget_spending in share row exclusive mode")
        spent = [await _spent_so_far(connection, budget) for budget in budgets]
        await connection.execute(
            "insert into budget_spending (account_id, meter, period_start, spent_nano)"
            " select * from unnest($1::bigint[], $2::text[], $3::date[], $4::bigint[]) on conflict do nothing",
            [budget.account for budget in budgets],
            [budget.meter.id for budget in budgets],
            [budget.start for budget in budgets],
            spent,
        )


class RefusingBudget(NamedTuple):
    """A budget that refuses jobs in one of its periods.

    Attributes:
        account: whose.
        meter: its id.
        start: first day of the period.
        limit_nano: the budget as it is now.
    """

    account: int
    meter: str
    start: dt.date
    limit_nano: int


async def mark_refusing(connection: Connection, budgets: Collection[RefusingBudget]) -> None:
    """Note that budgets have refused jobs; once, and again only of one that was raised since.

    Args:
        connection: outside of a transaction.
        budgets: of any accounts.
    """
    for budget in budgets:  # one row at a time, so that nobody waits for settlement with another one in hand
        await connection.execute(
            "update budget_spending set refused_limit_nano = $4"
            " where account_id = $1 and meter = $2 and period_start = $3 and coalesce(refused_limit_nano < $4, true)",
            *budget,
        )


async def _spent_so_far(connection: Connection, budget: OpenedBudget) -> int:
    try:
        async with connection.transaction():
            await connection.execute(f"set local statement_timeout = {COUNT_TIMEOUT_MS}")
            return await budget_spent(connection, *budget)
    except asyncpg.QueryCanceledError:
        # Better a budget that is too wide until its period ends than nobody's requests for as long as that takes.
        log.error("budget_begun_at_zero", account=budget.account, meter=budget.meter.id)  # noqa: TRY400 - no bug
        return 0


async def budget_spent(
    connection: Connection, account: int, meter: Meter, period_start: dt.date, time_zone: str
) -> int:
    """Return what the usage of a period says was spent of a budget, in nano-USD; arguments as in `OpenedBudget`."""
    rows = await connection.fetch(
        f"select model, sum(nano)::bigint as nano from ({SPENT}) as spent"  # noqa: S608 - a constant
        " where ($3 = 0 or key_id = $3) and ($4 = 0 or user_id = $4) group by model",
        account,
        beginning(period_start, time_zone),
        meter.key,
        meter.user,
    )
    matches = matcher(meter.models) if meter.models else None
    return sum(row["nano"] for row in rows if matches is None or matches(row["model"]))
