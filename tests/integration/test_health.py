"""Health against a real NATS and an upstream over HTTP that does as it is told."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from prometheus_client import generate_latest

from services.health.app import HealthService
from tests.support.health_replica import POLL_S, SECRET, Replica, Upstream, is_state, put, until, until_weights, weights
from tests.support.waiting import eventually
from trunkline.bus import messages, snapshots, subjects
from trunkline.bus.messages import AttemptOutcome, CredentialEvent, HealthSample, OutcomeBatch
from trunkline.bus.snapshots import ChannelState, ChannelWeight, ModelFigures, Probe
from trunkline.core.errors import ErrorType
from trunkline.runtime.nats_bus import NATSBus

WITHIN_S = 20.0


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream().running() as running:
        yield running


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
        ejected = (await until_weights(bus, is_state("1", ChannelState.EJECTED), WITHIN_S))["1"]
        assert (ejected.weight, ejected.reason) == (0.0, "probes fail")
        assert ejected.version > first.version
        assert replica.metric('trunkline_channel_state{channel="channel-1",state="ejected"}') == 1.0
        upstream.status = 200
        probing = (await until_weights(bus, is_state("1", ChannelState.PROBING), WITHIN_S))["1"]
        assert probing.weight == 0.1
        serving = (await until_weights(bus, is_state("1", ChannelState.SERVING), WITHIN_S))["1"]
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

    def report(error: ErrorType | None) -> None:
        outcomes = tuple(
            AttemptOutcome(number, 1, "m", error if number == 1 else None, 0, 5, 1, 9) for number in (1, 2)
        )
        bus.publish(subjects.OUTCOME, messages.encode(OutcomeBatch("dispatcher-1", outcomes)))

    async with Replica("health-1", nats_url).running():
        await until_weights(bus, lambda found: set(found) == {"1", "2"})
        for _ in range(20):
            report(None)
        attempts = 0
        while (await weights(bus))["1"].state is not ChannelState.EJECTED:
            report(ErrorType.UPSTREAM_UNREACHABLE)
            attempts += 1
            assert attempts <= 5.0 / 0.05, "as many as five seconds bring: a busy machine makes fewer a second"
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
        async with asyncio.timeout(WITHIN_S):
            # Its own weight comes by another way than its probes.
            while len(upstream.requests) < 5 or not seen or seen[-1].version <= before.version:
                seen.append((await weights(bus))["1"])
                await asyncio.sleep(POLL_S)  # noqa: TID251 - polls for an event with a deadline

    async with Replica("health-2", nats_url).running():
        await collect()
    assert {weight.state for weight in seen} == {ChannelState.EJECTED}


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
        found = await until_weights(bus, is_state("1", ChannelState.EJECTED), WITHIN_S)
        assert found["1"].version > before


async def test_a_drained_channel_is_probed_and_judged(bus: NATSBus, nats_url: str, upstream: Upstream) -> None:
    await put(bus, upstream.channel(1, drained=True))
    upstream.status = 503
    async with Replica("health-1", nats_url).running():
        await until_weights(bus, is_state("1", ChannelState.EJECTED))


def failures(*channels: int) -> bytes:
    outcomes = tuple(
        AttemptOutcome(number, 1, "m", ErrorType.UPSTREAM_ERROR, 500, 0, 0, 9) for number in channels for _ in range(5)
    )
    return messages.encode(OutcomeBatch("dispatcher-1", outcomes))


async def test_failing_attempts_alone_do_not_eject_all_channels(
    bus: NATSBus, nats_url: str, upstream: Upstream
) -> None:
    for number in (1, 2, 3):
        await put(bus, upstream.channel(number))
    replica = Replica("health-1", nats_url)
    async with replica.running():
        await until_weights(bus, lambda found: set(found) == {"1", "2", "3"})
        bus.publish(subjects.OUTCOME, failures(1, 2, 3))
        await until_weights(bus, is_state("1", ChannelState.EJECTED))
        # One after the other is written.
        await until_weights(bus, lambda found: [found[token].weight for token in ("1", "2", "3")] == [0.0, 0.1, 0.1])
        assert replica.metric('trunkline_channel_spared{channel="channel-3"}') == 1.0


async def test_an_outage_of_all_channels_ejects_all_of_them_within_seconds(
    bus: NATSBus, nats_url: str, upstream: Upstream
) -> None:
    for number in (1, 2, 3):
        await put(bus, upstream.channel(number, probe=Probe(interval_s=5.0)))
    async with Replica("health-1", nats_url).running():
        await until_weights(bus, lambda found: set(found) == {"1", "2", "3"})
        await until(lambda: len(upstream.requests) >= 3)
        upstream.status = 503
        times = 0
        while {weight.weight for weight in (await weights(bus)).values()} != {0.0}:
            bus.publish(subjects.OUTCOME, failures(1, 2, 3))
            times += 1
            assert times <= 5.0 / 0.1, "as often as in five seconds: a busy machine makes fewer of them"
            await asyncio.sleep(0.1)  # noqa: TID251 - attempts go on
        assert {weight.reason for weight in (await weights(bus)).values()} == {"attempts fail"}


async def test_figures_of_all_dispatchers_are_published(bus: NATSBus, nats_url: str, upstream: Upstream) -> None:
    await put(bus, upstream.channel(1))
    async with Replica("health-1", nats_url).running():
        await until_weights(bus, is_state("1", ChannelState.SERVING))
        for dispatcher, first_token_ms in (("dispatcher-1", 300), ("dispatcher-2", 500)):
            outcome = AttemptOutcome(1, 10, "m", None, 200, first_token_ms, 101, first_token_ms + 1000, stream=True)
            bus.publish(subjects.OUTCOME, messages.encode(OutcomeBatch(dispatcher, (outcome,))))
        # Those of the first may be published before the second's are heard.
        await until_weights(bus, lambda found: found["1"].figures == {"m": ModelFigures(400, 100)})


async def test_a_refused_credential_is_told_once_and_through_a_restart(
    bus: NATSBus, nats_url: str, upstream: Upstream
) -> None:
    await put(bus, upstream.channel(1))

    def report(error: ErrorType | None, status: int) -> None:
        outcome = AttemptOutcome(1, 10, "m", error, status, 0, 0, 9)
        bus.publish(subjects.OUTCOME, messages.encode(OutcomeBatch("dispatcher-1", (outcome,) * 3)))

    async def told() -> list[CredentialEvent]:
        found: list[CredentialEvent] = []
        for number in range(1, (await bus.stream_span(subjects.HEALTH_STREAM)).last + 1):
            message: Any = await bus.jetstream.get_msg(subjects.HEALTH_STREAM, number)
            if message.subject == subjects.credential(1, 10):
                found.append(messages.decode_credential_event(message.data))
        return found

    async def until_told(refused: list[bool]) -> None:
        async def look() -> bool:
            return [event.refused for event in await told()] == refused

        await eventually(look, within_s=WITHIN_S, what=f"credential events are {refused}")

    first = Replica("health-1", nats_url)
    async with first.running():
        await until_weights(bus, is_state("1", ChannelState.SERVING))
        report(ErrorType.UPSTREAM_CREDENTIAL, 402)
        await until_told([True])
        assert first.metric('trunkline_channel_refused_credentials{channel="channel-1"}') == 1.0
    second = Replica("health-2", nats_url)
    async with second.running():
        assert second.metric('trunkline_channel_refused_credentials{channel="channel-1"}') == 1.0
        report(ErrorType.UPSTREAM_CREDENTIAL, 402)
        report(None, 200)
        await until_told([True, False])
    assert (await told())[0].status == 402


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
    # An interval of the process's own may have ended meanwhile, with a part of them.
    assert sum(each.successes for each in stored) >= 2


@pytest.mark.usefixtures("bus")
async def test_it_ends_although_a_loop_swallows_its_cancellation(
    nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As nats-py does while it flushes, and `asyncio.wait_for` before Python 3.12."""
    begun = asyncio.Event()

    async def stubborn(_: HealthService) -> None:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    monkeypatch.setattr(HealthService, "_tick", stubborn)
    async with AsyncExitStack() as replica:
        await replica.enter_async_context(Replica("health-1", nats_url).running())
        async with asyncio.timeout(WITHIN_S):
            await begun.wait()
            await replica.aclose()
