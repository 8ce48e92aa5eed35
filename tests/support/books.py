"""Compares a stack's ledger with what its counting upstream says, once everything has come to rest."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

import aiohttp
import nats

from tests.support.described_stack import DescribedStack
from tests.support.waiting import eventually
from trunkline.bus import subjects
from trunkline.dev.demo.counts import ModelUsage
from trunkline.store import ledger
from trunkline.store.database import Connection, single_connection

REST_TIMEOUT_S = 20.0

REDELIVERY_TIMEOUT_S = 60.0
"""Where something was killed that had usage in hand: JetStream gives it to another process after 30 s."""

# An upstream's name for a model carries the test's script after a question mark.
_REPORTED = """
    select split_part(upstream_model, '?', 1) as model, count(*) as answers,
           sum(input)::bigint as prompt_tokens, sum(output)::bigint as completion_tokens,
           sum(cache_read)::bigint as cached_tokens, sum(reasoning)::bigint as reasoning_tokens
    from usage where not counted group by 1
"""

_OF_ACCOUNT = """
    select count(distinct job) as requests, count(*) filter (where charged) as charged,
           count(*) filter (where counted and output > 0) as counted,
           coalesce(sum(input), 0)::bigint as input_tokens, coalesce(sum(output), 0)::bigint as output_tokens,
           coalesce(sum(charge_nano), 0)::bigint as charge_nano
    from usage where account_id = (select id from accounts where name = $1)
"""

_WAITING = """
    select count(*) from pg_stat_activity
    where application_name = 'trunkline-metering' and wait_event_type = 'Lock'
"""

_ENDS = "select outcome, counted, charged, count(*) from usage group by 1, 2, 3 order by 1, 2, 3"

_CHARGED = f"""
    select (select coalesce(sum(charge_nano), 0) from usage)
           = (select coalesce(sum(amount_nano), 0) from ({ledger.CHARGED}) as charged) as charges_agree,
           (select count(*) from usage_refused) as refused
"""  # noqa: S608 - a constant


class AccountUsage(NamedTuple):
    """What the ledger has of an account.

    Attributes:
        requests: with at least one attempt.
        charged: attempts that the client pays for.
        counted: attempts with output that the provider did not report.
        input_tokens, output_tokens: over all attempts.
        charge_nano: what the account paid.
    """

    requests: int
    charged: int = 0
    counted: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    charge_nano: int = 0


async def account_usage(stack: DescribedStack, account: str) -> AccountUsage:
    """Return what the ledger has of an account."""
    async with ledger_connection(stack) as connection:
        row = await connection.fetchrow(_OF_ACCOUNT, account)
    return AccountUsage(*row)


async def _unrest(stack: DescribedStack, http: aiohttp.ClientSession) -> list[str]:
    """Return what is still in flight."""
    found = {
        "jobs at edges": await stack.metric_sum(http, "edge", "trunkline_edge_jobs"),
        "jobs to settle at edges": await stack.metric_sum(http, "edge", "trunkline_edge_jobs_settling"),
        "jobs at dispatchers": await stack.metric_sum(http, "dispatcher", "trunkline_dispatcher_jobs"),
        "usage at dispatchers": await stack.metric_sum(http, "dispatcher", "trunkline_dispatcher_usage_pending"),
        "usage kept by edges": await stack.metric_sum(http, "edge", "trunkline_edge_usage_unconfirmed"),
        "answers at the upstream": (await stack.counts(http)).open,
        "usage messages in JetStream": await _stored_usage(stack),
    }
    return [f"{what}: {count:g}" for what, count in found.items() if count]


async def _stored_usage(stack: DescribedStack) -> int:
    client = await nats.connect(stack.ready.nats_url.split(","), connect_timeout=2, max_reconnect_attempts=1)
    try:
        return (await client.jetstream().stream_info(subjects.USAGE_STREAM)).state.messages
    finally:
        await client.close()


async def reported_in_ledger(connection: Connection) -> dict[str, ModelUsage]:
    """Return what the ledger holds as reported, by the upstream's model."""
    rows = await connection.fetch(_REPORTED)
    return {row["model"]: ModelUsage(*list(row.values())[1:]) for row in rows}


@contextlib.asynccontextmanager
async def settlement_held_up(stack: DescribedStack) -> AsyncIterator[None]:
    """Run the block while metering waits in the middle of a settlement; balances can be read meanwhile."""
    async with ledger_connection(stack) as holding, ledger_connection(stack) as looking, holding.transaction():
        await holding.execute("lock table transfers in exclusive mode")

        async def waiting() -> bool:
            return bool(await looking.fetchval(_WAITING))

        await eventually(waiting, within_s=10, what="metering waits for the table")
        yield


def ledger_connection(stack: DescribedStack) -> AbstractAsyncContextManager[Connection]:
    return single_connection(stack.ready.postgres_dsn, application="trunkline-tests", command_timeout_s=10)


async def assert_at_rest(
    stack: DescribedStack, http: aiohttp.ClientSession, *, within_s: float = REST_TIMEOUT_S
) -> None:
    """Wait until nothing is in flight anywhere.

    Raises:
        AssertionError: something still is, after ``within_s``; says what.
    """
    unrest: list[str] = []

    async def look() -> bool:
        unrest[:] = await _unrest(stack, http)
        return not unrest

    try:
        await eventually(look, within_s=within_s, what="everything is at rest")
    except AssertionError as error:
        raise AssertionError(f"still in flight: {'; '.join(unrest)}") from error


async def assert_books_agree(
    stack: DescribedStack,
    http: aiohttp.ClientSession,
    *,
    within_s: float = REST_TIMEOUT_S,
    elsewhere: Mapping[str, ModelUsage] | None = None,
) -> None:
    """Wait until all is at rest, then compare the ledger with the upstream, model by model, to the token.

    Args:
        stack: whose books.
        http: to ask its processes.
        within_s: for all to come to rest.
        elsewhere: what upstreams beside the demo upstream reported.

    Raises:
        AssertionError: something is still in flight, or the books differ.
    """
    await assert_at_rest(stack, http, within_s=within_s)
    reported = {**(await stack.counts(http)).reported, **(elsewhere or {})}
    async with ledger_connection(stack) as connection:
        booked = await reported_in_ledger(connection)
        ends = [tuple(row) for row in await connection.fetch(_ENDS)]
        assert booked == reported, f"the ledger has {booked}, the upstream reported {reported}; attempts: {ends}"
        wrong = await ledger.verify(connection)
        assert not wrong, f"balances are wrong: {wrong}"
        sums = await connection.fetchrow(_CHARGED)
        assert sums["charges_agree"], "charges of usage and of transfers differ"
        assert sums["refused"] == 0, "usage was set aside"
