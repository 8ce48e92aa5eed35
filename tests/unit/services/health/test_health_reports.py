"""What health says of closed models and of credentials, and who says it."""

import pytest

from services.health.access_publisher import COMPARE_S, AccessPublisher
from services.health.credential_reports import HANDOVER_MS, CredentialReports, read_last_events
from services.health.judge import Judge
from services.health.peers import LOST_AFTER_S, Peers
from tests.support.health_bus import MemoryBus, StandingClock
from trunkline.bus import messages, snapshots, subjects
from trunkline.bus.messages import AttemptOutcome, Beat, CredentialEvent, OutcomeBatch
from trunkline.bus.port import BusError
from trunkline.bus.snapshots import ChannelSnapshot, ModelAccess, SealedCredential
from trunkline.core.errors import ErrorType
from trunkline.policy.model_access import DENIALS_MIN


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


def channel(number: int) -> ChannelSnapshot:
    credential = SealedCredential(number * 10, 1, b"nonce", b"sealed")
    return ChannelSnapshot(number, str(number), "openai", "http://test", (credential,), {"a/b": "m"})


def outcome(error: ErrorType | None) -> OutcomeBatch:
    return OutcomeBatch("dispatcher-1", (AttemptOutcome(1, 10, "a/b", error, 401 if error else 200, 0, 0, 5),))


class Access:
    """A judge of one channel, and what publishes its closed models."""

    def __init__(self, bus: MemoryBus, clock: StandingClock) -> None:
        self.clock = clock
        self.peers = Peers("health-b")
        self.judge = Judge({}, lambda _: None)
        self.judge.put(channel(1), clock.now())
        self.publisher = AccessPublisher(bus, self.judge, self.peers, clock)

    def deny(self) -> None:
        for _ in range(DENIALS_MIN):
            self.judge.receive_model(1, "a/b", allowed=False, now=self.clock.now())


async def test_a_closed_model_is_written_once_and_deleted_when_it_is_open(bus: MemoryBus, clock: StandingClock) -> None:
    access = Access(bus, clock)
    await access.publisher.compare()
    assert bus.access == {}
    access.deny()
    await access.publisher.compare()
    await access.publisher.compare()
    assert bus.puts == 1
    assert {token: snapshots.decode_access(value) for token, value in bus.access.items()} == {
        subjects.kv_token("a/b"): ModelAccess("a/b", ("default",))
    }
    access.judge.receive_model(1, "a/b", allowed=True, now=clock.now())
    await access.publisher.compare()
    assert bus.access == {}


async def test_what_a_leader_before_has_left_is_deleted(bus: MemoryBus, clock: StandingClock) -> None:
    bus.access = {subjects.kv_token("old"): b"whatever"}
    await Access(bus, clock).publisher.compare()
    assert bus.access == {}


async def test_only_the_leader_writes_access(bus: MemoryBus, clock: StandingClock) -> None:
    access = Access(bus, clock)
    access.peers.receive_beat(Beat("health", "health-a", 0), clock.now())
    access.deny()
    await access.publisher.compare()
    assert bus.access == {}


async def test_the_publisher_wakes_for_changes_and_to_compare(bus: MemoryBus, clock: StandingClock) -> None:
    access = Access(bus, clock)
    wakes = access.publisher._wake
    access.publisher.tick()
    assert wakes.is_set()
    wakes.clear()
    await access.publisher.compare()
    access.publisher.tick()
    assert not wakes.is_set()
    access.deny()
    access.publisher.tick()
    assert wakes.is_set()
    wakes.clear()
    bus.down = True
    with pytest.raises(BusError):
        await access.publisher.compare()
    bus.down = False
    access.publisher.tick()
    assert wakes.is_set()
    wakes.clear()
    await access.publisher.compare()
    clock.seconds += COMPARE_S
    access.publisher.tick()
    assert wakes.is_set()


# --- credentials ------------------------------------------------------------------------------------------------------


class Reports:
    """The reports of one process."""

    def __init__(self, bus: MemoryBus, clock: StandingClock, last: list[CredentialEvent] | None = None) -> None:
        self.bus = bus
        self.peers = Peers("health-b")
        self.reports = CredentialReports(bus, self.peers, clock, last or [])

    def events(self) -> list[CredentialEvent]:
        return [messages.decode_credential_event(payload) for _, payload in self.bus.stored.values()]


async def test_each_change_is_stored_once(bus: MemoryBus, clock: StandingClock) -> None:
    told = Reports(bus, clock)
    told.reports.put(channel(1))
    for _ in range(3):
        told.reports.receive_outcomes(outcome(ErrorType.UPSTREAM_CREDENTIAL))
        assert await told.reports.store_waiting()
    assert told.reports.refused() == [("1", 1)]
    clock.seconds += 5
    told.reports.receive_outcomes(outcome(None))
    assert await told.reports.store_waiting()
    assert {subject for subject, _ in bus.stored.values()} == {"tl.health.1.credential.10"}
    assert told.events() == [
        CredentialEvent(1, 10, 1_000_000, refused=True, status=401),
        CredentialEvent(1, 10, 1_005_000, refused=False),
    ]


async def test_an_event_waits_for_the_stream(bus: MemoryBus, clock: StandingClock) -> None:
    told = Reports(bus, clock)
    told.reports.put(channel(1))
    bus.down = True
    told.reports.receive_outcomes(outcome(ErrorType.UPSTREAM_CREDENTIAL))
    assert not await told.reports.store_waiting()
    bus.down = False
    assert await told.reports.store_waiting()
    assert told.events() == [CredentialEvent(1, 10, 1_000_000, refused=True, status=401)]


async def test_a_process_that_does_not_lead_knows_and_does_not_tell(bus: MemoryBus, clock: StandingClock) -> None:
    told = Reports(bus, clock)
    told.reports.put(channel(1))
    told.peers.receive_beat(Beat("health", "health-a", 0), clock.now())
    told.reports.receive_outcomes(outcome(ErrorType.UPSTREAM_CREDENTIAL))
    assert not await told.reports.store_waiting()
    clock.seconds += HANDOVER_MS / 1000
    told.peers.receive_beat(Beat("health", "health-a", 0), clock.now())
    assert await told.reports.store_waiting()
    told.peers.receive_beat(Beat("health", "health-a", 0, draining=True), clock.now())
    told.reports.receive_outcomes(outcome(ErrorType.UPSTREAM_CREDENTIAL))
    assert await told.reports.store_waiting()
    assert (told.events(), told.reports.refused()) == ([], [("1", 1)])


async def test_what_a_leader_did_not_live_to_tell_its_successor_tells(bus: MemoryBus, clock: StandingClock) -> None:
    told = Reports(bus, clock)
    told.reports.put(channel(1))
    told.peers.receive_beat(Beat("health", "health-a", 0), clock.now())
    clock.seconds += 1
    told.reports.receive_outcomes(outcome(ErrorType.UPSTREAM_CREDENTIAL))
    assert not await told.reports.store_waiting()
    clock.seconds += LOST_AFTER_S
    assert await told.reports.store_waiting()
    assert told.events() == [CredentialEvent(1, 10, 1_001_000, refused=True, status=401)]


async def test_a_restart_takes_up_what_was_told(bus: MemoryBus, clock: StandingClock) -> None:
    before = Reports(bus, clock)
    for number in (1, 2):
        before.reports.put(channel(number))
    before.reports.receive_outcomes(outcome(ErrorType.UPSTREAM_CREDENTIAL))
    second = AttemptOutcome(2, 20, "a/b", ErrorType.UPSTREAM_CREDENTIAL, 402, 0, 0, 5)
    before.reports.receive_outcomes(OutcomeBatch("dispatcher-1", (second,)))
    assert await before.reports.store_waiting()
    last = await read_last_events(bus)
    assert [(event.channel, event.refused) for event in last] == [(1, True), (2, True)]
    after = Reports(bus, clock, last)
    after.reports.put(channel(1))
    after.reports.loaded()
    after.reports.receive_outcomes(outcome(ErrorType.UPSTREAM_CREDENTIAL))
    assert await after.reports.store_waiting()
    assert after.events()[2:] == [CredentialEvent(2, 20, 1_000_000, refused=False)]
