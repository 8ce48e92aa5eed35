"""Who publishes, what, and with which version; against a bucket and a stream in memory."""

import asyncio

import pytest

from services.health.history import SAMPLES_MAX, History
from services.health.judge import Judge
from services.health.peers import LOST_AFTER_S, Peers
from services.health.publisher import REPUBLISH_S, WeightPublisher
from tests.support.health_bus import MemoryBus, StandingClock
from trunkline.bus import messages, snapshots
from trunkline.bus.messages import AttemptOutcome, Beat, OutcomeBatch
from trunkline.bus.port import BusError
from trunkline.bus.snapshots import ChannelSnapshot, ChannelState, ChannelWeight, ModelFigures
from trunkline.policy.model_access import DENIALS_MIN


class Replica:
    """One health process's publishing half."""

    def __init__(self, name: str, bus: MemoryBus, clock: StandingClock) -> None:
        self.clock = clock
        self.bus = bus
        self.peers = Peers(name)
        self.judge = Judge({}, self._changed)
        self.publisher = WeightPublisher(bus, self.judge, self.peers, clock)
        self.history = History(bus, self.judge, self.peers, clock)
        for number in (1, 2):
            self.judge.put(channel(number), clock.now())

    def _changed(self, channel: int) -> None:
        self.publisher.changed(channel)

    def weights(self) -> dict[str, ChannelWeight]:
        return {token: snapshots.decode_weight(value) for token, value in self.bus.entries.items()}


def channel(number: int) -> ChannelSnapshot:
    return ChannelSnapshot(
        id=number, name=str(number), dialect="openai", base_url="http://test", credentials=(), models={"m": "m"}
    )


def eject(judge: Judge, number: int, now: float) -> None:
    for _ in range(3):
        judge.receive_probe(number, passed=False, now=now)


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


async def test_everything_is_published_at_once_then_changes_then_everything_again(
    bus: MemoryBus, clock: StandingClock
) -> None:
    replica = Replica("health-a", bus, clock)
    await replica.publisher.publish_due()
    assert {token: weight.weight for token, weight in replica.weights().items()} == {"1": 1.0, "2": 1.0}
    assert bus.puts == 2
    bus.puts = 0
    eject(replica.judge, 1, clock.now())
    await replica.publisher.publish_due()
    assert bus.puts == 1
    assert replica.weights()["1"].state is ChannelState.EJECTED
    assert replica.weights()["1"].reason == "probes fail"
    clock.seconds += REPUBLISH_S - 0.1
    await replica.publisher.publish_due()
    assert bus.puts == 1
    assert replica.publisher.age_s() == pytest.approx(REPUBLISH_S - 0.1)
    clock.seconds += 0.1
    await replica.publisher.publish_due()
    assert bus.puts == 3
    assert replica.publisher.age_s() == 0.0


async def test_versions_grow_through_a_restart_even_if_the_clock_went_back(
    bus: MemoryBus, clock: StandingClock
) -> None:
    first = Replica("health-a", bus, clock)
    await first.publisher.publish_due()
    before = max(weight.version for weight in first.weights().values())
    assert before >= clock.wall_ms()
    clock.seconds -= 500
    second = Replica("health-b", bus, clock)
    await second.publisher.publish_due()
    assert min(weight.version for weight in second.weights().values()) > before


async def test_weights_of_channels_that_are_gone_are_dropped(bus: MemoryBus, clock: StandingClock) -> None:
    bus.entries = {
        "9": snapshots.encode(ChannelWeight(9, ChannelState.SERVING, 1.0, 5)),
        "odd": b"not a weight",
    }
    replica = Replica("health-a", bus, clock)
    await replica.publisher.publish_due()
    assert set(bus.entries) == {"1", "2", "odd"}
    replica.judge.remove(2)
    await replica.publisher.publish_due()
    assert set(bus.entries) == {"1", "odd"}


async def test_what_could_not_be_written_stays_due(bus: MemoryBus, clock: StandingClock) -> None:
    replica = Replica("health-a", bus, clock)
    bus.down = True
    with pytest.raises(BusError):
        await replica.publisher.publish_due()
    assert not replica.publisher.leading
    bus.down = False
    await replica.publisher.publish_due()
    bus.down = True
    eject(replica.judge, 1, clock.now())
    with pytest.raises(BusError):
        await replica.publisher.publish_due()
    bus.down = False
    await replica.publisher.publish_due()
    assert replica.weights()["1"].weight == 0.0


async def test_the_loop_counts_failures_and_goes_on(bus: MemoryBus, clock: StandingClock) -> None:
    replica = Replica("health-a", bus, clock)
    bus.down = True
    loop = asyncio.get_running_loop().create_task(replica.publisher.run())
    async with asyncio.timeout(5):
        while not replica.publisher.failures:
            replica.publisher.tick()
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        bus.down = False
        while set(bus.entries) != {"1", "2"}:
            replica.publisher.tick()
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


async def test_one_of_two_publishes_and_the_other_takes_over(bus: MemoryBus, clock: StandingClock) -> None:
    first, second = Replica("health-a", bus, clock), Replica("health-b", bus, clock)
    second.peers.receive_beat(Beat("health", "health-a", 0), clock.now())
    first.peers.receive_beat(Beat("health", "health-b", 0), clock.now())
    await first.publisher.publish_due()
    bus.puts = 0
    eject(second.judge, 1, clock.now())
    await second.publisher.publish_due()
    await second.history.write(10_000)
    assert (bus.puts, bus.stored) == (0, {})
    assert second.publisher.age_s() == 0.0
    before = max(weight.version for weight in first.weights().values())
    clock.seconds += LOST_AFTER_S + 0.1
    await second.publisher.publish_due()
    assert second.publisher.leading
    assert second.weights()["1"].weight == 0.0
    assert min(weight.version for weight in second.weights().values()) > before


def test_the_smallest_living_id_leads() -> None:
    peers = Peers("health-b")
    assert peers.leads(0.0)
    peers.receive_beat(Beat("health", "health-c", 0), 0.0)
    peers.receive_beat(Beat("health", "health-b", 0), 0.0)
    assert peers.leads(0.0)
    peers.receive_beat(Beat("health", "health-a", 0), 0.0)
    assert not peers.leads(LOST_AFTER_S)
    peers.receive_beat(Beat("health", "health-a", 0, draining=True), 1.0)
    assert peers.leads(1.0)
    peers.resign()
    assert not peers.leads(1.0)


async def test_history_is_one_sample_per_channel_and_interval(bus: MemoryBus, clock: StandingClock) -> None:
    replica = Replica("health-a", bus, clock)
    replica.judge.receive_probe(1, passed=True, now=clock.now())
    await replica.history.write(10_000)
    await replica.history.write(10_000)
    assert set(bus.stored) == {"1-10000", "2-10000"}
    subject, payload = bus.stored["1-10000"]
    assert subject == "tl.health.1"
    assert messages.decode_health_sample(payload).successes == 1
    bus.down = True
    await replica.history.write(20_000)
    assert replica.history.lost == 2


async def test_models_that_had_attempts_have_samples_of_their_own(bus: MemoryBus, clock: StandingClock) -> None:
    replica = Replica("health-a", bus, clock)
    replica.judge.receive_outcomes(
        OutcomeBatch("dispatcher-1", (AttemptOutcome(1, 1, "m", None, 200, 40, 9, 100, stream=True),)), clock.now()
    )
    await replica.history.write(10_000)
    await replica.history.write(20_000)
    assert set(bus.stored) == {"1-10000", "2-10000", "1-10000-bQ", "1-20000", "2-20000"}
    subject, payload = bus.stored["1-10000-bQ"]
    assert subject == "tl.health.1"
    sample = messages.decode_health_sample(payload)
    assert (sample.model, sample.successes, sample.first_token_ms, sample.first_tokens) == ("m", 1, 40, 1)


async def test_past_the_bound_models_go_without_samples(bus: MemoryBus, clock: StandingClock) -> None:
    replica = Replica("health-a", bus, clock)
    numbers = range(1, SAMPLES_MAX // 2 + 2)
    for number in numbers:
        replica.judge.put(channel(number), clock.now())
    outcomes = tuple(AttemptOutcome(number, 1, "m", None, 200, 0, 0, 1) for number in numbers)
    replica.judge.receive_outcomes(OutcomeBatch("dispatcher-1", outcomes), clock.now())
    await replica.history.write(10_000)
    assert len(bus.stored) == SAMPLES_MAX
    assert {f"{number}-10000" for number in numbers} <= set(bus.stored)
    assert replica.history.lost == 2


async def test_figures_go_out_with_the_round_and_do_not_set_it_off(bus: MemoryBus, clock: StandingClock) -> None:
    replica = Replica("health-a", bus, clock)
    await replica.publisher.publish_due()
    outcomes = (AttemptOutcome(1, 1, "m", None, 200, 200, 101, 2200, stream=True),)
    replica.judge.receive_outcomes(OutcomeBatch("dispatcher-1", outcomes), clock.now())
    await replica.publisher.publish_due()
    assert replica.weights()["1"].figures == {}
    clock.seconds += REPUBLISH_S
    await replica.publisher.publish_due()
    assert replica.weights()["1"].figures == {"m": ModelFigures(200, 50)}
    assert replica.weights()["2"].figures == {}


async def test_a_refused_model_is_published_at_once(bus: MemoryBus, clock: StandingClock) -> None:
    replica = Replica("health-a", bus, clock)
    await replica.publisher.publish_due()
    for _ in range(DENIALS_MIN):
        replica.judge.receive_model(1, "m", allowed=False, now=clock.now())
    await replica.publisher.publish_due()
    assert (replica.weights()["1"].refused, replica.weights()["1"].weight) == (("m",), 1.0)
    assert replica.weights()["2"].refused == ()


async def test_intervals_end_on_the_same_instants_everywhere(bus: MemoryBus, clock: StandingClock) -> None:
    clock.seconds = 1003.2
    replica = Replica("health-a", bus, clock)
    loop = asyncio.get_running_loop().create_task(replica.history.run())
    async with asyncio.timeout(5):
        while len(bus.stored) < 4:
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert {"1-1010000", "1-1020000"} <= set(bus.stored)
