"""Jobs of which an edge says that their clients got nothing: what they were charged is refunded. Called by metering.

What is settled afterwards is not charged (`store.settlement`); its cost is. So it does not matter which comes first.
"""

import datetime as dt
from collections.abc import Sequence

from asyncpg.pgproto.pgproto import UUID  # as in `usage_rows`

from trunkline.bus.messages import VoidJob
from trunkline.core.ids import JobID, job_text
from trunkline.store.configuration import ConflictError, NotFoundError
from trunkline.store.corrections import lock_for_refunds, refund_charge
from trunkline.store.database import Connection

_NOTE = """
insert into void_jobs (job, account_id)
select * from unnest($1::uuid[], $2::bigint[]) as noted (job, account_id) order by job, account_id
on conflict do nothing returning job, account_id
"""


async def take_back(connection: Connection, jobs: Sequence[VoidJob]) -> int:
    """Note jobs, and refund what was charged for them. What a person has refunded stays as it is.

    Args:
        connection: outside of a transaction.
        jobs: any number of times.

    Returns:
        How many were refunded now.
    """
    refunded = 0
    async with connection.transaction():
        # Settlement waits: what it has begun is seen below, and what it books afterwards sees the jobs.
        await lock_for_refunds(connection)
        columns = zip(*((UUID(void.job), void.account) for void in jobs), strict=True)
        rows = await connection.fetch(_NOTE, *columns)
        new = {tuple(row) for row in rows}
        for void in {(void.job, void.account): void for void in jobs}.values():
            if (UUID(void.job), void.account) in new:
                refunded += await _refund(connection, void)
    return refunded


async def _refund(connection: Connection, void: VoidJob) -> bool:
    job = JobID(void.job)
    try:
        await refund_charge(connection, void.account, job, reference=f"void {job_text(job)}", lease=void.lease)
    except (NotFoundError, ConflictError):
        return False  # nothing was charged, or a person was quicker
    return True


async def forget_void_jobs(connection: Connection, before: dt.datetime) -> None:
    """Forget jobs of which no usage comes any more.

    Args:
        connection: in any state.
        before: those noted before it, with a time zone.
    """
    await connection.execute("delete from void_jobs where noted_at < $1", before)
