"""Health against a real NATS and an upstream over HTTP that does as it is told."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

from services.health.app import HealthService, open_service
from services.health.config import HealthSettings
from trunkline.bus import messages, snapshots, subjects
from trunkline.bus.messages import AttemptOutcome, Beat, HealthSample, OutcomeBatch
from trunkline.bus.snapshots import ChannelSnapshot, ChannelState, ChannelWeight
from trunkline.core.errors import ErrorType
from trunkline.policy.vault import NONCE_BYTES, Vault
from trunkline.runtime import nats_bus
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.process import Process
from trunkline.runtime.tasks import TaskSet

MASTER = bytes(range(32))
SECRET = "sk-upstream-planted-secret"
POLL_S = 0.02


class Upstream:
    """Answers ``/v1/models`` with the status it is told to, None for never."""

    def __init__(self) -> None:
        self.status: int | None = 200
        self.requests: list[dict[str, str]] = []
        self.port = 0
        self._release = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append({name.lower(): value for name, value in request.headers.items()})
        if self.status is None:
            await self._release.wait()
        return web.json_response({"data": []}, status=self.status or 200)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Upstream"]:
        app = web.Application()
        app.router.add_get("/v1/models", self.handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            self._release.set()
            await runner.cleanup()

    def channel(self, number: int, dialect: str = "openai", *, master: bytes = MASTER) -> ChannelSnapshot:
        sealed = Vault({1: master}).seal(number * 10, SECRET, bytes(NONCE_BYTES))
        return ChannelSnapshot(
            id=number,
            name=f"channel-{number}",
            dialect=dialect,
            base_url=f"http://127.0.0.1:{self.port}/v1",
            credentials=(sealed,),
            models={"m": "m"},
        )


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream().running() as running:
        yield running


def settings(nats_url: str) -> HealthSettings:
    return HealthSettings(
        nats_url=nats_url,
        master_keys="1:" + base64.b64encode(MASTER).decode(),
        probe_interval_s=0.2,
        probe_timeout_s=0.5,
    )


class Replica:
    """One health process within the test's own."""

    def __init__(self, name: str, nats_url: str) -> None:
        self.name = name
        self.registry = CollectorRegistry()
        self._nats_url = nats_url
        self.draining = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[HealthService]:
        tasks, clock = TaskSet(), SystemClock()
        bus = await nats_bus.connect(self._nats_url, name=self.name, tasks=tasks)
        process = Process("health", self.name, 7, clock, tasks, bus, self.registry)
        try:
            async with open_service(process, settings(self._nats_url)) as service:
                tasks.spawn(self._beat(bus, clock), name="beat")
                yield service
        finally:
            await tasks.cancel()
            await bus.close()

    async def _beat(self, bus: NATSBus, clock: SystemClock) -> None:
        while True:
            beat = Beat("health", self.name, clock.wall_ms(), draining=self.draining)
            bus.publish(subjects.alive("health", self.name), messages.encode(beat))
            await clock.sleep(0.2)

    def metric(self, line: str) -> float:
        """Return one sample of what a scrape would find."""
        found = [text for text in generate_latest(self.registry).decode().splitlines() if text.startswith(line + " ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0


async def put(bus: NATSBus, channel: ChannelSnapshot) -> None:
    await bus.kv_put(subjects.KV_CHANNELS, str(channel.id), snapshots.encode(channel))


async def weights(bus: NATSBus) -> dict[str, ChannelWeight]:
    entries = await bus.kv_all(subjects.KV_WEIGHTS)
    return {token: snapshots.decode_weight(value) for token, value in entries.items()}


async def until_weights(
    bus: NATSBus, holds: Callable[[dict[str, ChannelWeight]], bool], within_s: float = 10.0
) -> dict[str, ChannelWeight]:
    found: dict[str, ChannelWeight] = {}
    try:
        async with asyncio.timeout(within_s):
            while not holds(found := await weights(bus)):  # noqa: ASYNC110 - NATS tells nobody here
                await asyncio.sleep(POLL_S)  # noqa: TID251 - polls for an event with a deadline
    except TimeoutError:
        raise AssertionError(f"weights did not become so within {within_s} s: {found}") from None
    return found


async def until(holds: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - metrics and counts are read, not awaited
            await asyncio.sleep(POLL_S)  # noqa: TID251 - polls for an event with a deadline


def is_state(token: str, state: ChannelState) -> Callable[[dict[str, ChannelWeight]], bool]:
    return lambda found: token in found and found[token].state is state


async def test_a_channel_dies_is_ejected_comes_back_is_tried_and_serves(
    bus: NATSBus, nats_url: str, upstream: Upstream, capfd: pytest.CaptureFixture[str]
) -> None:
    await put(bus, upstream.channel(1))
    replica = Replica("health-1", nats_url)
    async with replica.running() as service:
        first = (await until_weights(bus, is_state("1", ChannelState.SERVING)))["1"]
        assert first.weight == 1.0
        assert service.not_ready() == []
        upstream.status = 503
        ejected = (await until_weights(bus, is_state("1", ChannelState.EJECTED), 5.0))["1"]
        assert (ejected.weight, ejected.reason) == (0.0, "probes fail")
        assert ejected.version > first.version
        assert replica.metric('trunkline_channel_state{channel="channel-1",state="ejected"}') == 1.0
        upstream.status = 200
        probing = (await until_weights(bus, is_state("1", ChannelState.PROBING), 8.0))["1"]
        assert probing.weight == 0.1
        serving = (await until_weights(bus, is_state("1", ChannelState.SERVING), 8.0))["1"]
        assert serving.weight < 1.0
        assert serving.version > probing.version > ejected.version
        assert replica.metric('trunkline_channel_ejections_total{channel="channel-1"}') == 1.0
        assert replica.metric('trunkline_probes_total{result="failed"}') >= 3
    assert {request["authorization"] for request in upstream.requests} == {f"Bearer {SECRET}"}
    assert SECRET not in "".join(capfd.readouterr()) + json.dumps(generate_latest(replica.registry).decode())


async def test_outcomes_under_load_eject_within_seconds_although_probes_pass(
    bus: NATSBus, nats_url: str, upstream: Upstream
) -> None:
    for number in (1, 2):
        await put(bus, upstream.channel(number))
    clock = SystemClock()

    def report(error: ErrorType | None) -> None:
        outcomes = tuple(
            AttemptOutcome(number, 1, "m", error if number == 1 else None, 0, 5, 1, 9) for number in (1, 2)
        )
        bus.publish(subjects.OUTCOME, messages.encode(OutcomeBatch("dispatcher-1", outcomes)))

    async with Replica("health-1", nats_url).running():
        await until_weights(bus, lambda found: set(found) == {"1", "2"})
        for _ in range(20):
            report(None)
        died = clock.now()
        while (await weights(bus))["1"].state is not ChannelState.EJECTED:
            report(ErrorType.UPSTREAM_UNREACHABLE)
            assert clock.now() - died < 5.0
            await asyncio.sleep(0.05)  # noqa: TID251 - 20 attempts a second
        found = await weights(bus)
        assert found["1"].reason == "attempts fail"
        assert found["2"].weight == 1.0


async def test_an_upstream_that_never_answers_is_ejected(bus: NATSBus, nats_url: str, upstream: Upstream) -> None:
    await put(bus, upstream.channel(1))
    upstream.status = None
    replica = Replica("health-1", nats_url)
    async with replica.running():
        await until_weights(bus, is_state("1", ChannelState.EJECTED))
        assert replica.metric('trunkline_probes_total{result="timeout"}') >= 3


async def test_refused_and_unopened_credentials_are_not_the_channels_fault(
    bus: NATSBus, nats_url: str, upstream: Upstream
) -> None:
    await put(bus, upstream.channel(1, "anthropic"))
    await put(bus, upstream.channel(2, master=bytes(32)))
    upstream.status = 401
    replica = Replica("health-1", nats_url)
    async with replica.running():
        await until(lambda: replica.metric('trunkline_probes_total{result="credential"}') >= 4)
        await until(lambda: replica.metric('trunkline_probes_total{result="unusable"}') >= 4)
        found = await until_weights(bus, lambda found: set(found) == {"1", "2"})
        assert {weight.weight for weight in found.values()} == {1.0}
    assert {request.get("x-api-key") for request in upstream.requests} == {SECRET}
    assert all("authorization" not in request for request in upstream.requests)


async def test_weights_follow_the_channels(bus: NATSBus, nats_url: str, upstream: Upstream) -> None:
    stale = ChannelWeight(9, ChannelState.SERVING, 1.0, 10**14)
    await bus.kv_put(subjects.KV_WEIGHTS, "9", snapshots.encode(stale))
    await put(bus, upstream.channel(1))
    async with Replica("health-1", nats_url).running():
        found = await until_weights(bus, lambda found: set(found) == {"1"})
        assert found["1"].version > stale.version
        await put(bus, upstream.channel(2))
        await until_weights(bus, lambda found: set(found) == {"1", "2"})
        await bus.kv_delete(subjects.KV_CHANNELS, "1")
        await until_weights(bus, lambda found: set(found) == {"2"})


async def test_a_restart_keeps_an_ejected_channel_out(bus: NATSBus, nats_url: str, upstream: Upstream) -> None:
    upstream.status = 500
    await put(bus, upstream.channel(1))
    before = ChannelWeight(1, ChannelState.EJECTED, 0.0, 77, "attempts fail")
    await bus.kv_put(subjects.KV_WEIGHTS, "1", snapshots.encode(before))
    seen: list[ChannelWeight] = []

    async def collect() -> None:
        async with asyncio.timeout(5):
            while len(upstream.requests) < 5:
                seen.append((await weights(bus))["1"])
                await asyncio.sleep(POLL_S)  # noqa: TID251 - polls for an event with a deadline

    async with Replica("health-2", nats_url).running():
        await collect()
    assert {weight.state for weight in seen} == {ChannelState.EJECTED}
    assert seen[-1].version > before.version


async def test_one_of_two_replicas_publishes_and_the_other_takes_over(
    bus: NATSBus, nats_url: str, upstream: Upstream
) -> None:
    await put(bus, upstream.channel(1))
    one, two = Replica("health-1", nats_url), Replica("health-2", nats_url)
    async with AsyncExitStack() as stack:
        leader = await stack.enter_async_context(one.running())
        await stack.enter_async_context(two.running())
        await until(lambda: one.metric("trunkline_health_leads") == 1 and two.metric("trunkline_health_leads") == 0)
        one.draining = True  # as the process's skeleton says in its beats
        await leader.drain()
        await until(lambda: one.metric("trunkline_health_leads") == 0)
        await until(lambda: two.metric("trunkline_health_leads") == 1)
        before = (await weights(bus))["1"].version
        upstream.status = 503
        found = await until_weights(bus, is_state("1", ChannelState.EJECTED), 5.0)
        assert found["1"].version > before


async def test_history_reaches_the_stream(bus: NATSBus, nats_url: str, upstream: Upstream) -> None:
    await put(bus, upstream.channel(1))
    async with Replica("health-1", nats_url).running() as service:
        await until(lambda: len(upstream.requests) >= 3)
        await service._history.write(1_700_000_000_000)
        await service._history.write(1_700_000_000_000)
    stored: list[HealthSample] = []
    info = await bus.jetstream.stream_info(subjects.HEALTH_STREAM)
    for number in range(info.state.first_seq, info.state.last_seq + 1):
        message: Any = await bus.jetstream.get_msg(subjects.HEALTH_STREAM, number)
        assert message.subject == subjects.health(1)
        stored.append(messages.decode_health_sample(message.data))
    (sample,) = [each for each in stored if each.at_ms == 1_700_000_000_000]
    assert (sample.channel, sample.state, sample.failures) == (1, "serving", 0)
    assert sample.successes >= 2
