"""What a dispatcher says to offers; and, if it is full, to the edges at which jobs wait."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple, cast

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from services.dispatcher.intake import HURRIED_AFTER_S, Intake
from services.dispatcher.job_entry import JobEntry
from services.dispatcher.job_runner import JobRunner
from services.dispatcher.metrics import DispatcherMetrics
from tests.support.job_scripts import envelope
from tests.support.manual_clock import ManualClock
from trunkline.bus import frames, messages, subjects
from trunkline.bus.fleet import Fleet
from trunkline.bus.frames import Kind
from trunkline.bus.job_table import JobTable
from trunkline.bus.messages import Beat, Room
from trunkline.bus.port import Message
from trunkline.core.ids import JobID, JobIDMint
from trunkline.runtime.memory_bus import MemoryBroker
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.usage_outbox import UsageOutbox

PLACES = 2
LANES = ("default", "slow")


class Runner:
    """Holds every job until the test ends it."""

    def __init__(self) -> None:
        self.running: dict[JobID, asyncio.Event] = {}

    async def run(self, entry: JobEntry) -> None:
        await self.running.setdefault(entry.machine.job, asyncio.Event()).wait()


class Usage:
    full = False


class Told(NamedTuple):
    edge: str
    room: Room


class Rig:
    """A dispatcher's intake, and edges that only the test speaks for.

    Args:
        region: of the dispatcher.
    """

    def __init__(self, region: str = "") -> None:
        self.clock = ManualClock()
        self.tasks = TaskSet()
        self.runner = Runner()
        self.usage = Usage()
        self.table: JobTable[JobEntry] = JobTable(jobs_max=PLACES, body_bytes_max=1 << 20)
        self.told: list[Told] = []
        self.refused: list[str] = []
        self.accepted: list[JobID] = []
        self._broker = MemoryBroker()
        self._bus = self._broker.connect("edges")
        self._mint = JobIDMint(1)
        self._registry = CollectorRegistry()
        self.intake = Intake(
            self._broker.connect("d1"),
            "d1",
            table=self.table,
            runner=cast("JobRunner", self.runner),
            usage=cast("UsageOutbox", self.usage),
            edges=Fleet(region),
            clock=self.clock,
            tasks=self.tasks,
            metrics=DispatcherMetrics(self._registry),
        )

    async def start(self) -> None:
        await self.intake.start(LANES)
        for edge in ("e1", "e2", "e3"):
            await self._bus.subscribe(subjects.room(edge), self._on_room)
            await self._bus.subscribe(subjects.edge_inbox(edge), self._on_frame)
            await self.beat(edge)

    def _on_room(self, message: Message) -> None:
        self.told.append(Told(message.subject.rpartition(".")[2], messages.decode_room(message.data)))

    def _on_frame(self, message: Message) -> None:
        frame = frames.decode(message.data)
        if frame.kind is Kind.FAIL:
            self.refused.append(message.subject.split(".")[2])
        elif frame.kind is Kind.ACCEPTED:
            self.accepted.append(frame.job)

    async def beat(self, edge: str, *lanes: str, region: str = "") -> None:
        beat = Beat("edge", edge, 0, lanes=lanes, clock_ms=round(self.clock.now() * 1000), region=region)
        self._bus.publish(subjects.alive("edge", edge), messages.encode(beat))
        await self.clock.advance(0.0)

    async def offer(self, edge: str, *, waiting: int = 0, delay_s: float = 0.0, patience_s: float = 1.0) -> JobID:
        """An edge offers a job, which is under way for so long."""
        job = self._mint.mint(0)
        offered = msgspec.structs.replace(
            envelope(),
            edge=edge,
            reply=subjects.edge_job(edge, 1),
            offered_ms=round((self.clock.now() - delay_s) * 1000),
            waiting=waiting,
            patience_ms=round(patience_s * 1000),
        )
        payload = frames.join_parts(messages.encode(offered), b"hello")
        self._bus.publish(subjects.dispatcher_inbox("d1"), frames.encode(1, Kind.OPEN, 0, job, 0, payload))
        await self.clock.advance(0.0)
        return job

    async def end(self, job: JobID) -> None:
        """A job ends."""
        self.runner.running[job].set()
        await self.clock.advance(0.0)

    def jobs_far(self) -> float | None:
        return self._registry.get_sample_value("trunkline_dispatcher_jobs_far_total")

    async def tick(self) -> None:
        self.intake.tick()
        await self.clock.advance(0.0)

    def take_told(self) -> list[tuple[str, int]]:
        told, self.told = self.told, []
        assert all(room.dispatcher == "d1" and room.lanes == LANES for _, room in told)
        return [(edge, room.jobs) for edge, room in told]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    await rig.start()
    yield rig
    await rig.tasks.cancel()


async def test_without_refusals_nobody_is_told_anything(rig: Rig) -> None:
    jobs = [await rig.offer("e1") for _ in range(PLACES)]
    for job in jobs:
        await rig.end(job)
    await rig.tick()
    assert (rig.take_told(), rig.refused, len(rig.table)) == ([], [], 0)


async def test_edges_that_were_refused_hear_of_room_in_turn(rig: Rig) -> None:
    jobs = [await rig.offer("e1") for _ in range(PLACES)]
    for edge in ("e2", "e3", "e2"):
        await rig.offer(edge)
    assert rig.refused == ["e2", "e3", "e2"]
    assert rig.take_told() == []
    await rig.end(jobs[0])
    assert rig.take_told() == [("e2", 1)]
    jobs.append(await rig.offer("e2", waiting=1))
    await rig.end(jobs[1])
    assert rig.take_told() == [("e3", 1)]
    jobs.append(await rig.offer("e3"))
    await rig.end(jobs[2])
    assert rig.take_told() == [("e2", 1)]
    await rig.offer("e2")
    await rig.end(jobs[3])
    assert rig.take_told() == []


async def test_an_offer_behind_which_more_wait_is_answered_with_the_room_there_is(rig: Rig) -> None:
    await rig.offer("e1", waiting=7)
    assert rig.take_told() == [("e1", 1)]


async def test_a_beat_makes_good_for_what_was_lost(rig: Rig) -> None:
    await rig.beat("e2", "elsewhere")
    await rig.tick()
    assert rig.take_told() == []
    await rig.beat("e2", "slow")
    await rig.tick()
    assert rig.take_told() == [("e2", 1)]


async def test_with_no_room_for_usage_there_is_none_for_jobs(rig: Rig) -> None:
    rig.usage.full = True
    await rig.offer("e1")
    assert rig.refused == ["e1"]
    await rig.tick()
    assert rig.take_told() == []
    rig.usage.full = False
    await rig.tick()
    assert rig.take_told() == [("e1", 1)]


async def test_an_offer_is_accepted_with_the_next_tick_unless_it_took_long(rig: Rig) -> None:
    quick = await rig.offer("e1", delay_s=HURRIED_AFTER_S)
    assert rig.accepted == []
    slow = await rig.offer("e1", delay_s=HURRIED_AFTER_S + 0.001)
    assert rig.accepted == [slow]
    rig.intake.announce()
    await rig.clock.advance(0.0)
    assert rig.accepted == [slow, quick]


async def test_an_offer_is_taken_while_its_edge_waits(rig: Rig) -> None:
    await rig.offer("e1", delay_s=0.6)
    assert len(rig.table) == 0
    await rig.offer("e1", delay_s=0.6, patience_s=2.0)
    assert len(rig.table) == 1


async def test_a_lost_edge_is_told_nothing(rig: Rig) -> None:
    jobs = [await rig.offer("e1") for _ in range(PLACES)]
    await rig.offer("e2")
    await rig.clock.advance(3.0)
    await rig.beat("e1")
    await rig.clock.advance(1.0)
    await rig.tick()
    await rig.end(jobs[0])
    assert rig.take_told() == []


async def test_one_that_drains_promises_nothing(rig: Rig) -> None:
    jobs = [await rig.offer("e1") for _ in range(PLACES)]
    rig.table.draining = True
    await rig.offer("e2")
    await rig.end(jobs[0])
    await rig.tick()
    assert (rig.refused, rig.take_told()) == (["e2"], [])


async def test_edges_of_other_regions_are_told_of_what_those_of_ones_own_leave() -> None:
    rig = Rig("home")
    await rig.start()
    await rig.beat("e1", region="abroad")
    jobs = [await rig.offer("e2") for _ in range(PLACES)]
    for edge in ("e1", "e2"):
        await rig.offer(edge)
    assert rig.refused == ["e1", "e2"]
    await rig.end(jobs[0])
    assert rig.take_told() == [("e2", 1)]
    await rig.end(jobs[1])
    assert rig.take_told() == [("e1", 1)]
    await rig.offer("e1")
    assert rig.jobs_far() == 1
    await rig.tasks.cancel()
