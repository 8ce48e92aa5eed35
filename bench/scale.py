"""Measures P8 of the design: what a request costs as keys and channels grow. Called by `bench.__main__`."""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import NamedTuple

import asyncpg
import msgspec

from bench import generator, workloads
from bench.measure import Bench
from bench.results import GATEWAY_ROLES, Scale
from bench.stack import MODEL, Home, channel
from bench.workloads import CONNECTIONS, Effort
from trunkline.dev import secrets as dev_secrets
from trunkline.dev.http_call import call
from trunkline.policy import admin_api, keys
from trunkline.store import outbox

OTHER_MODEL = "bench-other"
"""What channels serve that are only there."""

APPLY_TIMEOUT_S = 120.0
PROJECTED_POLL_S = 0.2
PROJECTED_PER_S_MIN = 500
"""Entries that must get to KV in a second; with fewer the run is given up."""

SPREAD_KEYS = 10_000
"""Keys that requests take in turn, where they are spread."""

SPREAD_WARM_S = 60.0

SETTLE_S = 6.0
"""After the configuration has reached KV: for every service to have taken it and for health to have probed it."""

IDLE_S_MIN = 10.0
"""Two rounds of probes: with a thousand channels they are most of the idle load."""

ROWS_PER_INSERT = 10_000

Say = Callable[[str], None]


class ScaleError(Exception):
    """The system could not be made that large; says why."""


class Size(NamedTuple):
    """How large the system is made in a step; each step adds to the one before.

    Attributes:
        keys: in all.
        idle_channels: that serve another model.
        serving_channels: that serve the model which is asked for.
        spread: whether requests take many keys in turn.
    """

    keys: int
    idle_channels: int = 0
    serving_channels: int = 1
    spread: bool = False


def sizes(keys_max: int, channels_max: int) -> list[Size]:
    """Return the steps."""
    return [
        Size(0),
        Size(0, idle_channels=9),
        Size(0, idle_channels=channels_max - 1),
        Size(keys_max, idle_channels=channels_max - 1),
        Size(keys_max, idle_channels=channels_max - 1, spread=True),
        Size(keys_max, idle_channels=channels_max - 1, serving_channels=channels_max, spread=True),
    ]


def measure(home: Home, bench: Bench, steps: list[Size], effort: Effort, say: Say) -> list[Scale]:
    """Measure the same load in a system that grows.

    Raises:
        ScaleError: see there.
    """
    return asyncio.run(_measure(home, bench, steps, effort, say))


async def _measure(home: Home, bench: Bench, steps: list[Size], effort: Effort, say: Say) -> list[Scale]:
    connection = await asyncpg.connect(bench.stack.ready.postgres_dsn)
    try:
        grower = _Grower(home, bench, connection)
        found = []
        for size in steps:
            begun = time.monotonic()
            await grower.grow(size)
            projected_s = time.monotonic() - begun
            say(f"{size.keys} keys, {size.idle_channels} idle and {size.serving_channels} serving channels")
            found.append(await asyncio.to_thread(_cost, bench, grower, size, effort, projected_s))
        return found
    finally:
        await connection.close()


def _cost(bench: Bench, grower: "_Grower", size: Size, effort: Effort, projected_s: float) -> Scale:
    time.sleep(SETTLE_S)
    bench.learn_idle(max(effort.idle_s, IDLE_S_MIN))
    if size.spread:
        bench.stack.api_keys = grower.real
        # Each key once: what is measured is the cost of many keys in use, not of their first use.
        bench.warm(workloads.plain(CONNECTIONS, SPREAD_WARM_S, requests_max=len(grower.real)), SPREAD_WARM_S)
    work = bench.work("plain", "request", workloads.plain(CONNECTIONS, effort.run_s), effort.warm_s)
    one = generator.run(bench.gateway(workloads.plain(1, effort.round_s)))
    return Scale(
        keys=max(size.keys, len(bench.stack.api_keys)),
        keys_used=len(bench.stack.api_keys),
        channels=size.idle_channels + size.serving_channels,
        serving=size.serving_channels,
        projected_s=projected_s,
        idle=sum(bench.idle.get(role, 0.0) for role in GATEWAY_ROLES),
        work=work,
        p50_us=one.whole.p50_us,
    )


class _Grower:
    """Makes the system larger.

    Attributes:
        real: API keys whose secrets are known.
    """

    def __init__(self, home: Home, bench: Bench, connection: asyncpg.Connection) -> None:
        self._home = home
        self._bench = bench
        self._connection = connection
        self._idle = 0
        self._serving = 1
        self._keys = 0
        self.real: tuple[str, ...] = ()

    async def grow(self, size: Size) -> None:
        """Return when Postgres and KV are as large as wanted."""
        port = self._home.upstream_port
        channels = [channel(f"idle-{n}", port, OTHER_MODEL) for n in range(self._idle, size.idle_channels)]
        channels += [channel(f"serving-{n}", port, MODEL) for n in range(self._serving, size.serving_channels)]
        if channels:
            await self._apply({"channels": channels, "models": [{"name": OTHER_MODEL, "free": True}]})
        self._idle, self._serving = size.idle_channels, size.serving_channels
        if size.keys > self._keys:
            await self._add_keys(size.keys)
        await self._projected(len(channels) + size.keys)

    async def _apply(self, configuration: dict[str, object]) -> None:
        ready = self._bench.stack.ready
        answer = await call(
            "POST",
            f"{ready.console_url}{admin_api.PREFIX}/apply",
            body=msgspec.json.encode(configuration),
            bearer=ready.admin_key,
            timeout_s=APPLY_TIMEOUT_S,
        )
        if answer.status != 200:
            raise ScaleError(f"the console answered with {answer.status}: {answer.body[:500].decode(errors='replace')}")

    async def _add_keys(self, count: int) -> None:
        """Write keys to Postgres and queue them for KV; only `SPREAD_KEYS` of them have a secret that anyone knows."""
        pepper = dev_secrets.load_or_draw(self._home.data_dir).key_pepper.encode()
        self.real = tuple(keys.mint(secrets.token_bytes(64)) for _ in range(min(SPREAD_KEYS, count)))
        hashes = [keys.key_hash(secret, pepper) for secret in self.real]
        hashes += [secrets.token_hex(32) for _ in range(count - len(hashes))]
        async with self._connection.transaction():
            for first in range(0, count, ROWS_PER_INSERT):
                await self._connection.execute(
                    "with made as ("
                    " insert into keys (account_id, name, groups, models)"
                    " select (select min(id) from accounts), hash, '{default}', '{*}' from unnest($1::text[]) hash"
                    " returning id, name)"
                    " insert into key_secrets (key_id, hash, prefix) select id, name, 'sk-tl-scale' from made",
                    hashes[first : first + ROWS_PER_INSERT],
                )
            await outbox.enqueue_keys(self._connection, None)
        self._keys = count

    async def _projected(self, entries: int) -> None:
        deadline = time.monotonic() + APPLY_TIMEOUT_S + entries / PROJECTED_PER_S_MIN
        while await outbox.backlog(self._connection):
            if time.monotonic() > deadline:
                raise ScaleError("the console does not get the configuration to KV in time")
            await asyncio.sleep(PROJECTED_POLL_S)
