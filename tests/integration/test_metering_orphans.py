"""What dead dispatchers had under way, settled by their checkpoints: real NATS, real Postgres."""

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from services.metering.consumer import Consumer
from services.metering.intake import NATSIntake
from services.metering.metrics import MeteringMetrics
from services.metering.orphans import Orphans
from services.metering.settler import Settler
from services.metering.terms import TermsBook
from tests.support import usage_events
from tests.support.absent_mirror import add_absent_mirror
from tests.support.manual_clock import ManualClock
from tests.support.usage_events import usage_event
from tests.support.waiting import eventually
from trunkline.bus import messages, subjects
from trunkline.bus.messages import Beat, Checkpoint, UsageBatch, UsageEvent
from trunkline.core import limits
from trunkline.core.usage import Units, UsageSource
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store import ledger
from trunkline.store.database import Database

DEADLINE_S = 20.0
LOST = "gateway_dispatcher_lost"


class Rig:
    """Metering's work on checkpoints and usage, and one account.

    Attributes:
        clock: of who listens for beats: silence is as long as a test says, however long it takes.
    """

    def __init__(self, bus: NATSBus, database: Database, account: int) -> None:
        self.bus = bus
        self.database = database
        self.account = account
        self.clock = ManualClock()
        self.registry = CollectorRegistry()
        clock, metrics = SystemClock(), MeteringMetrics(self.registry)
        self.settler = Settler(database, TermsBook(clock), clock=clock, metrics=metrics)
        self.orphans = Orphans(bus, self.settler, clock=self.clock, metrics=metrics)
        self.consumer = Consumer(NATSIntake(bus, 8), self.settler, clock=clock, metrics=metrics)

    def so_far(self, *, job: bytes | None = None, output: int = 20) -> UsageEvent:
        units = Units(input=10, output=output)
        return usage_event(account=self.account, job=job, units=units, source=UsageSource.COUNTED, outcome=LOST)

    async def checkpoint(self, dispatcher: str, *events: UsageEvent, part: int = 0) -> None:
        await self.keep(subjects.checkpoint(dispatcher, part), messages.encode(Checkpoint(dispatcher, 0, events)))

    async def keep(self, subject: str, payload: bytes) -> None:
        """Publish what the stream of checkpoints is to keep, and return when it does."""
        self.bus.publish(subject, payload)

        async def kept() -> bool:
            return await self.bus.last_message(subjects.CHECKPOINT_STREAM, subject) == payload

        await eventually(kept, within_s=DEADLINE_S, what="the checkpoint is kept")

    async def beat(self, dispatcher: str) -> None:
        self.bus.publish(subjects.alive("dispatcher", dispatcher), messages.encode(Beat("dispatcher", dispatcher, 0)))
        await self.bus.flush()

    async def publish(self, *events: UsageEvent) -> None:
        payload = messages.encode(UsageBatch(events))
        await self.bus.store(subjects.usage("edge", "edge-1"), payload, message_id=events[0].job.hex(), timeout_s=5)

    async def silence(self, *, less_s: float = 0.0) -> None:
        """A dispatcher that was heard until now is silent for long enough, or for so much less."""
        await self.orphans.sweep()
        await self.clock.advance(limits.ORPHANS_AFTER_S - less_s)

    async def rows(self) -> list[tuple[bytes, str, int]]:
        async with self.database.connection() as connection:
            rows = await connection.fetch("select job, outcome, charge_nano from usage order by job")
        return [(row["job"].bytes, row["outcome"], row["charge_nano"]) for row in rows]

    async def left(self) -> list[str]:
        return await self.bus.subjects_of(subjects.CHECKPOINT_STREAM, subjects.CHECKPOINT_SUBJECTS)

    def settled(self) -> float:
        return self.registry.get_sample_value("trunkline_metering_orphans_total") or 0.0


@pytest.fixture
async def rig(bus: NATSBus, database: Database) -> Rig:
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        account = await usage_events.add_account(connection)
    rig = Rig(bus, database, account)
    await rig.orphans.start()
    return rig


async def test_what_a_silent_dispatcher_had_under_way_is_charged_once(rig: Rig) -> None:
    first, second = rig.so_far(), rig.so_far(output=30)
    await rig.checkpoint("dispatcher-1", rig.so_far(job=first.job, output=1))
    await rig.checkpoint("dispatcher-1", first)  # the last one counts
    await rig.checkpoint("dispatcher-1", second, part=1)
    await rig.silence(less_s=0.5)
    await rig.orphans.sweep()
    assert await rig.rows() == []
    await rig.clock.advance(0.5)
    await rig.orphans.sweep()
    assert await rig.rows() == [(first.job, LOST, 50), (second.job, LOST, 70)]
    assert rig.settled() == 2
    assert await rig.left() == []
    async with rig.database.connection() as connection:
        assert await ledger.balance(connection, rig.account) == -120
        assert await ledger.verify(connection) == []


async def test_exact_usage_that_comes_late_takes_the_place_of_the_checkpoint_once(rig: Rig, tasks: TaskSet) -> None:
    first, second = rig.so_far(), rig.so_far(output=30)
    await rig.checkpoint("dispatcher-1", first, second)
    await rig.silence()
    await rig.orphans.sweep()
    assert await rig.rows() == [(first.job, LOST, 50), (second.job, LOST, 70)]
    tasks.spawn(rig.consumer.run(), name="consumer")
    exact = msgspec.structs.replace(first, units=Units(input=10, output=99), source=UsageSource.REPORTED, outcome="")
    await rig.publish(exact)
    await rig.publish(msgspec.structs.replace(exact, job=usage_events.new_job()), exact, exact)

    async def settled() -> bool:
        return [row[1:] for row in await rig.rows()] == [("", 208), (LOST, 70), ("", 208)]

    await eventually(settled, within_s=DEADLINE_S, what="all are settled")

    async def counted() -> float | None:
        return rig.registry.get_sample_value("trunkline_metering_orphans_corrected_total")

    # What is committed is counted a moment later.
    assert await eventually(counted, within_s=DEADLINE_S, what="the correction is counted") == 1
    # The dispatcher has made another checkpoint before it was there again.
    await rig.checkpoint("dispatcher-1", msgspec.structs.replace(first, units=Units(input=10, output=60)))
    await rig.silence()
    await rig.orphans.sweep()
    async with rig.database.connection() as connection:
        assert await ledger.balance(connection, rig.account) == -208 - 70 - 208
        assert await ledger.verify(connection) == []
        assert await connection.fetchval("select count(*) from settled_checkpoints") == 1
    await rig.consumer.stop()


@pytest.mark.parametrize("mirrored", [False, True], ids=["alone", "with a mirror that is away"])
async def test_what_is_known_exactly_goes_before(rig: Rig, tasks: TaskSet, mirrored: bool) -> None:
    if mirrored:
        await add_absent_mirror(rig.bus)
    known, other = rig.so_far(), rig.so_far()
    exact = msgspec.structs.replace(known, units=Units(input=10, output=45), outcome="upstream_cut")
    await rig.checkpoint("dispatcher-1", known, other)
    await rig.silence()
    await rig.publish(exact)
    # It is in the stream and not settled yet: the checkpoint waits for it.
    await rig.orphans.sweep()
    await rig.orphans.sweep()
    assert await rig.rows() == []
    tasks.spawn(rig.consumer.run(), name="consumer")

    async def settled() -> bool:
        await rig.orphans.sweep()
        return len(await rig.rows()) == 2

    await eventually(settled, within_s=DEADLINE_S, what="both are settled")
    assert await rig.rows() == [(known.job, "upstream_cut", 100), (other.job, LOST, 50)]
    assert rig.settled() == 1
    await rig.consumer.stop()


async def test_of_a_dispatcher_that_is_heard_nothing_is_settled(rig: Rig) -> None:
    await rig.checkpoint("dispatcher-1", rig.so_far())
    for _ in range(3):
        await rig.silence()
        before = rig.orphans._heard["dispatcher-1"]
        await rig.beat("dispatcher-1")

        async def heard(before: float = before) -> bool:
            return rig.orphans._heard["dispatcher-1"] > before

        await eventually(heard, within_s=DEADLINE_S, what="the beat is heard")
        await rig.orphans.sweep()
    assert await rig.rows() == []
    assert len(await rig.left()) == 1
    # While our own connection was away nobody could be heard.
    await rig.clock.advance(limits.ORPHANS_AFTER_S)
    rig.orphans._connection_changed(True)
    await rig.orphans.sweep()
    assert await rig.rows() == []


async def test_a_job_that_another_attempt_has_been_charged_for_is_not_charged_again(rig: Rig) -> None:
    so_far = rig.so_far()
    answered = usage_event(account=rig.account, job=so_far.job, attempt=17)
    await rig.settler.settle([answered])
    await rig.checkpoint("dispatcher-1", so_far)
    await rig.silence()
    await rig.orphans.sweep()
    assert sorted(charge for _, _, charge in await rig.rows()) == [0, 200]
    assert rig.settled() == 1


async def test_an_empty_checkpoint_is_cleared_away_and_an_unreadable_one_kept(rig: Rig) -> None:
    await rig.checkpoint("dispatcher-1")
    await rig.keep(subjects.checkpoint("dispatcher-2", 0), b"\x93 no checkpoint")
    await rig.silence()
    await rig.orphans.sweep()
    assert await rig.rows() == []
    assert await rig.left() == []
    async with rig.database.connection() as connection:
        kept = await connection.fetchrow("select subject, reason from usage_refused")
    assert tuple(kept) == ("tl.checkpoint.dispatcher-2.0", "not a checkpoint")
