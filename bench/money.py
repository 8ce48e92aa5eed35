"""Measures what money costs: usage events settled and draws decided, on a running stack. Called by `bench.__main__`.

Events are published to the stream as dispatchers do, faster than they can be settled; draws are sent as edges do, each
of an account whose lease is not known yet, so that nothing is decided from what is at hand.
"""

import asyncio
import secrets
import time
from collections.abc import Callable

import nats
from nats.aio.client import Client

from bench.figures import percentile
from bench.measure import Bench
from bench.results import Money
from trunkline.bus import messages, subjects
from trunkline.bus.allowance import AllowanceDraw, Demand, LeaseDraw, decode_allowance_grants
from trunkline.bus.messages import UsageBatch, UsageEvent
from trunkline.core.ids import JobIDMint
from trunkline.core.usage import Units, UsageSource
from trunkline.store import ledger
from trunkline.store.database import Connection, single_connection

EVENTS_PER_MESSAGE = 100
"""As a busy dispatcher has in 20 ms."""

ACCOUNTS = 200
CREDIT_NANO = 10**15
DRAWS_AT_ONCE = 16
"""Edges that ask at the same time."""

ROLES = ("metering", "postgres", "nats")

DEADLINE_S = 120.0
POLL_S = 0.1

Say = Callable[[str], None]


class MoneyError(Exception):
    """It could not be measured; says why."""


def measure(bench: Bench, events: int, draws: int, say: Say) -> Money:
    """Settle so many events and decide so many draws, one after the other."""
    return asyncio.run(_measure(bench, events, draws, say))


async def _measure(bench: Bench, events: int, draws: int, say: Say) -> Money:
    ready = bench.stack.ready
    connection = await nats.connect(ready.nats_url)
    async with single_connection(ready.postgres_dsn, application="bench", command_timeout_s=30.0) as database:
        accounts = [await _account(database, number) for number in range(ACCOUNTS)]
        channel = await database.fetchval("select min(id) from channels")
        say(f"{events} usage events")
        before = bench.watch.read()  # they are settled while they are published
        await _publish(connection, accounts, channel, events)
        while (count := await database.fetchval("select count(*) from usage")) < events:
            if time.monotonic() - before.at > DEADLINE_S:
                raise MoneyError(f"only {count} of {events} usage events were settled within {DEADLINE_S:.0f} s")
            await asyncio.sleep(POLL_S)
        after = bench.watch.read()
        settled = bench.costs(before, after, events)
        say(f"{draws} draws")
        first = bench.watch.read()
        took_s = await _draw(connection, accounts, draws, DRAWS_AT_ONCE)
        last = bench.watch.read()
        alone_s = await _draw(connection, accounts, draws // DRAWS_AT_ONCE, 1)
    await connection.close()
    drawn = bench.costs(first, last, draws)
    return Money(
        events=events,
        events_per_s=events / (after.at - before.at),
        event_roles={role: settled[role] for role in ROLES},
        draws=draws,
        draws_per_s=draws / (last.at - first.at),
        draw_p50_us=percentile(sorted(took_s), 0.5) * 1e6,
        draw_alone_us=percentile(sorted(alone_s), 0.5) * 1e6,
        draw_p99_us=percentile(sorted(took_s), 0.99) * 1e6,
        draw_roles={role: drawn[role] for role in ROLES},
    )


async def _account(database: Connection, number: int) -> int:
    account: int = await database.fetchval("insert into accounts (name) values ($1) returning id", f"money-{number}")
    await ledger.grant_credit(database, account, CREDIT_NANO, "bench")
    return account


async def _publish(connection: Client, accounts: list[int], channel: int, events: int) -> None:
    """Put events into the stream; they are there before the first is waited for."""
    mint = JobIDMint(secrets.randbits(32))
    stream = connection.jetstream()
    now_ms = time.time_ns() // 1_000_000
    for start in range(0, events, EVENTS_PER_MESSAGE):
        batch = tuple(
            UsageEvent(
                job=mint.mint(now_ms),
                attempt=1,
                account=accounts[(start + number) % len(accounts)],
                key=1,
                model="bench",
                upstream_model="demo",
                group="default",
                channel=channel,
                credential=1,
                units=Units(input=40, output=25),
                source=UsageSource.REPORTED,
                charged=True,
                outcome="",
                status=200,
                stream=False,
                started_ms=now_ms,
                first_token_ms=10,
                duration_ms=20,
                lease=1,
            )
            for number in range(min(EVENTS_PER_MESSAGE, events - start))
        )
        await stream.publish(subjects.usage("dispatcher", "bench"), messages.encode(UsageBatch(batch)))


async def _draw(connection: Client, accounts: list[int], draws: int, at_once: int) -> list[float]:
    """Send draws, so many at a time; returns the seconds that each took."""
    took: list[float] = []
    lease = secrets.randbits(40) << 20

    async def edge(index: int) -> None:
        for number in range(index, draws, at_once):
            account = accounts[number % len(accounts)]
            demand = Demand(1, 0, "bench", "default", 1, nano=10**5, nano_min=10**5, tokens=9, tokens_min=9, images=0)
            draw = LeaseDraw(account, lease + number, number=1, applied=0, keys=(1,), demands=(demand,), closing=True)
            question = messages.encode(AllowanceDraw(f"bench-{index}", (draw,)))
            asked = time.perf_counter()
            answer = await connection.request(subjects.ALLOW, question, timeout=5.0)
            took.append(time.perf_counter() - asked)
            if len(decode_allowance_grants(answer.data).grants) != 1:
                raise MoneyError("a draw was not decided")

    await asyncio.gather(*(edge(index) for index in range(at_once)))
    return took
