"""Volume discounts as they stand in the database: the schedules, and what accounts have spent by month.

Called by metering; the console writes the schedules (`configuration_writes.put_discounts`).
"""

import datetime as dt
from collections.abc import Collection

import msgspec

from trunkline.policy.discounts import Discounts, DiscountStep, discount_ppm
from trunkline.store.database import Connection

SETTING = "discounts"
"""Name of the setting that holds the steps."""

decode_steps = msgspec.json.Decoder(tuple[DiscountStep, ...]).decode

# The account's other side of every charge is its wallet, whose number is its id times eight plus one.
PROJECT_SPENDING = """
    insert into monthly_spending as m (account_id, month, spent_nano)
    select debit >> 3 as account_id, date_trunc('month', occurred_at at time zone 'UTC')::date as month,
           sum(amount_nano)::bigint
    from moved
    where kind = 'charge'
    group by 1, 2
    order by 1, 2
    on conflict (account_id, month) do update set spent_nano = m.spent_nano + excluded.spent_nano
"""
"""Adds what was newly charged; accounts in one order, so that two transactions never wait for each other."""


async def read_steps(connection: Connection) -> tuple[DiscountStep, ...]:
    """Return the steps of all schedules, none if nothing was set."""
    value = await connection.fetchval("select value from settings where name = $1", SETTING)
    return () if value is None else decode_steps(value)


async def account_discounts(
    connection: Connection, discounts: Discounts, places: Collection[tuple[int, dt.date]]
) -> dict[tuple[int, dt.date], int]:
    """Return the discounts that accounts have now on what they are charged for months.

    Args:
        connection: in any state.
        discounts: the schedules; without steps nothing is read.
        places: accounts, each with the first day of a month (`policy.discounts.month_of`).

    Returns:
        Parts per million, for every one of ``places``.
    """
    if not discounts or not places:
        return dict.fromkeys(places, 0)
    rows = await connection.fetch(
        "select p.account_id, p.month, a.tier, coalesce(m.spent_nano, 0) as spent_nano"
        " from unnest($1::bigint[], $2::date[]) as p (account_id, month)"
        " left join accounts as a on a.id = p.account_id left join monthly_spending as m using (account_id, month)",
        *zip(*places, strict=True),
    )
    return {
        (row["account_id"], row["month"]): discount_ppm(discounts.of(row["tier"]), row["spent_nano"]) for row in rows
    }
