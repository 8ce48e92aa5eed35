"""What the ledger's balances add up to, and the usage that never came into it. Called by the console."""

from trunkline.policy.admin_credit import BookSum, ChannelBooks, LedgerBooks, RefusedUsage
from trunkline.store.database import Connection

CHANNELS_MAX = 200
"""Of the channels that ever served something; those below bring next to nothing."""

REFUSED_MAX = 200
"""Entries at a time. There is none while all is well; of many, the first hundred say why."""

_KINDS = """
select kind, count(*) as books, sum(balance_nano)::bigint as balance_nano,
       count(*) filter (where balance_nano < 0) as below_zero
from balances group by kind order by min(book & 7)
"""

_CHANNELS = """
select coalesce(c.name, '#' || s.owner_id) as channel, s.revenue_nano, s.cost_nano
from (
    select owner_id, coalesce(sum(balance_nano) filter (where kind = 'revenue'), 0)::bigint as revenue_nano,
           coalesce(-sum(balance_nano) filter (where kind = 'cost_of_sales'), 0)::bigint as cost_nano
    from balances where kind in ('revenue', 'cost_of_sales') group by owner_id
) s left join channels c on c.id = s.owner_id
order by s.revenue_nano desc, s.cost_nano desc, channel limit $1
"""


async def read_books(connection: Connection) -> LedgerBooks:
    """Return the sums of all books; within a transaction that sees one state, they add up to zero."""
    kinds = await connection.fetch(_KINDS)
    channels = await connection.fetch(_CHANNELS, CHANNELS_MAX)
    return LedgerBooks(
        kinds=tuple(BookSum(**row) for row in kinds), channels=tuple(ChannelBooks(**row) for row in channels)
    )


async def read_refused(connection: Connection) -> list[RefusedUsage]:
    """Return the newest `REFUSED_MAX` messages and events that could not be settled."""
    rows = await connection.fetch(
        "select id, refused_at, subject, reason, length(payload) as bytes from usage_refused order by id desc limit $1",
        REFUSED_MAX,
    )
    return [RefusedUsage(**row) for row in rows]
