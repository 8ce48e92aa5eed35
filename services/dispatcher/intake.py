"""What a dispatcher hears: offers of jobs, and what concerns the jobs it holds."""

import structlog

from services.dispatcher.job_entry import JobEntry
from services.dispatcher.job_runner import JobRunner
from services.dispatcher.metrics import DispatcherMetrics
from trunkline.bus import frames, messages, subjects
from trunkline.bus.dispatch_job import DispatchJob, DispatchState
from trunkline.bus.edge_turns import EdgeTurns
from trunkline.bus.fleet import Fleet
from trunkline.bus.frames import Frame, Kind
from trunkline.bus.job_table import JobTable, Verdict
from trunkline.bus.messages import Envelope, Fail, Room
from trunkline.bus.port import Bus, BusFullError, Message
from trunkline.core import limits
from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.ids import JobID
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.usage_outbox import UsageOutbox

log = structlog.get_logger()

DEADLINE_SLACK_S = 1.0
"""What an attempt and its edge are left to end a job by themselves, with a better message."""

HURRIED_AFTER_S = 0.25
"""An offer that was under way for longer is accepted at once, not with the next tick: ACCEPTED may take as long, and
its edge has waited since it made the offer."""

_BUSY = Fault(ErrorType.GATEWAY_BUSY, "All workers are busy. Please retry.", retry_after_ms=1000)
_UNKNOWN_JOB = Fault(ErrorType.GATEWAY_FRAME_LOST, "The end of the answer was lost inside the gateway. Please retry.")
_DEADLINE = Fault(ErrorType.UPSTREAM_TIMEOUT, "The request did not finish within its deadline.")
_EDGE_UNHEARD = Fault(ErrorType.GATEWAY_FRAME_LOST, "The answer was lost inside the gateway. Please retry.")
_BODY_LOST = Fault(ErrorType.GATEWAY_FRAME_LOST, "A part of the request was lost inside the gateway. Please retry.")


class Intake:
    """Hears offers and frames.

    Args:
        bus, dispatcher, clock, tasks, metrics: of the process.
        table: the jobs in hand.
        runner: runs them.
        usage: while it is full nothing new is taken.
        edges: the living edges.
    """

    def __init__(
        self,
        bus: Bus,
        dispatcher: str,
        *,
        table: JobTable[JobEntry],
        runner: JobRunner,
        usage: UsageOutbox,
        edges: Fleet,
        clock: Clock,
        tasks: TaskSet,
        metrics: DispatcherMetrics,
    ) -> None:
        self._bus = bus
        self._dispatcher = dispatcher
        self._table = table
        self._runner = runner
        self._usage = usage
        self._edges = edges
        self._clock = clock
        self._tasks = tasks
        self._metrics = metrics
        self._unannounced: dict[JobEntry, None] = {}  # in the order in which they came
        self._orphans: list[JobEntry] = []
        self._lanes: tuple[str, ...] = ()
        self._turns = EdgeTurns()
        self._verdicts = {verdict: metrics.offers.labels(verdict.value) for verdict in Verdict}

    async def start(self, lanes: tuple[str, ...]) -> None:
        """Listen; on the lanes last, when everything else that a job needs is in place."""
        self._lanes = lanes
        await self._bus.subscribe(subjects.alive_of("edge"), self._on_beat)
        await self._bus.subscribe(subjects.WITHDRAW, self._on_withdrawal)
        await self._bus.subscribe(subjects.dispatcher_inbox(self._dispatcher), self._on_message)
        for lane in lanes:
            await self._bus.subscribe(subjects.job(lane), self._on_message, queue=subjects.JOB_QUEUE)

    def _on_message(self, message: Message) -> None:
        try:
            frame = frames.decode(message.data)
            match frame.kind:
                case Kind.OPEN:
                    self._offered(frame)
                case Kind.CREDIT:
                    self._credit(frame, message.reply)
                case Kind.CANCEL:
                    self._cancel(frame.job, frame.offer, void=frames.decode_void(frame.payload))
                case Kind.BODY:
                    self._body(frame)
                case _:
                    self._metrics.frames_refused.inc()
        except (frames.FrameError, ValueError):
            # ValueError is msgspec's: a payload that this version cannot read.
            self._metrics.frames_refused.inc()

    # --- offers ------------------------------------------------------------------------------------------------

    def _offered(self, frame: Frame) -> None:
        encoded, part = frames.split_parts(frame.payload)
        envelope = messages.decode_envelope(encoded)
        now = self._clock.now()
        earlier = self._table.get(frame.job)
        if earlier is not None and earlier.offer < frame.offer:
            earlier.cancel(void=True)  # its edge has given that offer up, whatever becomes of this one
        delay_s = self._table.delay_s(envelope.edge, envelope.offered_ms, round(now * 1000), now)
        patience_s = envelope.patience_ms / 1000
        verdict = self._table.judge(
            frame.job, frame.offer, envelope.body_bytes, delay_s=delay_s, patience_s=patience_s, now=now
        )
        if verdict is Verdict.TAKE and self._usage.full:
            verdict = Verdict.FULL
        self._verdicts[verdict].inc()
        self._turns.offered(envelope.edge)
        if verdict is Verdict.TAKE:
            self._take(frame, envelope, part, now, hurried=delay_s > HURRIED_AFTER_S)
            if envelope.waiting:
                self._waits(envelope.edge, envelope.waiting)
                self._share_room()
        elif verdict in {Verdict.FULL, Verdict.DRAINING}:
            self._waits(envelope.edge, envelope.waiting + 1)
            fail = messages.encode(Fail(_BUSY, elsewhere=True, dispatcher=self._dispatcher))
            self._publish(envelope.reply, frames.encode(frame.version, Kind.FAIL, frame.offer, frame.job, 0, fail))

    def _take(self, frame: Frame, envelope: Envelope, part: bytes, now: float, *, hurried: bool) -> None:
        machine = DispatchJob(self._dispatcher, frame.job, frame.offer, envelope, part, version=frame.version)
        entry = JobEntry(machine, self._bus, now + envelope.deadline_s)
        self._table.add(frame.job, entry, envelope.body_bytes)
        if self._edges.is_far(envelope.edge):
            self._metrics.jobs_far.inc()
        if hurried or machine.state is DispatchState.RECEIVING:
            entry.publish(machine.accept())  # the edge may wait for it to send the rest of the body
        else:
            self._unannounced[entry] = None
        self._tasks.spawn(self._run(entry), name="job")

    async def _run(self, entry: JobEntry) -> None:
        try:
            await self._runner.run(entry)
        finally:
            # Most end before the next tick, and would stay in memory until then, body and all.
            self._unannounced.pop(entry, None)
            self._table.remove(entry.machine.job, entry, entry.machine.envelope.body_bytes, self._clock.now())
            self._share_room()

    def _waits(self, edge: str, jobs: int) -> None:
        self._turns.waits(edge, jobs, far=self._edges.is_far(edge))

    def _share_room(self) -> None:
        """Tell the edges at which jobs wait of the room there is, in turn."""
        if not len(self._turns) or self._usage.full:
            return
        for edge, jobs in self._turns.share(self._table.room, self._clock.now()):
            self._publish(subjects.room(edge), messages.encode(Room(self._dispatcher, jobs, self._lanes)))

    # --- jobs in hand ------------------------------------------------------------------------------------------

    def _find(self, frame: Frame) -> JobEntry | None:
        entry = self._table.get(frame.job)
        return entry if entry is not None and entry.offer == frame.offer else None

    def _credit(self, frame: Frame, reply: str) -> None:
        credit = frames.decode_credit(frame.payload)
        entry = self._find(frame)
        if entry is not None and entry.machine.state is not DispatchState.ENDED:
            if not entry.cancelled:
                entry.credit_arrived(entry.machine.receive_credit(credit))
        elif credit.sync and reply:
            # The edge waits for a job that has ended here: what it misses was lost on the way. Its own sequence
            # number is sent back, so that it takes this for the next frame.
            fail = messages.encode(Fail(_UNKNOWN_JOB, dispatcher=self._dispatcher, unknown=True))
            answer = frames.encode(frame.version, Kind.FAIL, frame.offer, frame.job, credit.expects, fail)
            self._publish(reply, answer)

    def _body(self, frame: Frame) -> None:
        entry = self._find(frame)
        if entry is None:
            return
        try:
            entry.publish(entry.machine.receive_body(frame))
        except frames.FrameError:
            # Not begun, and the edge has the body still: another dispatcher may have it.
            entry.publish(entry.machine.fail(Fail(_BODY_LOST, elsewhere=True, dispatcher=self._dispatcher)))
            entry.cancel()
            return
        entry.body_progressed()

    def _cancel(self, job: JobID, offer: int, *, void: bool) -> None:
        entry = self._table.withdraw(job, offer, self._clock.now())
        if entry is not None:
            entry.cancel(void=void)

    def _on_withdrawal(self, message: Message) -> None:
        try:
            withdrawal = messages.decode_withdrawal(message.data)
        except ValueError:
            self._metrics.frames_refused.inc()
            return
        self._cancel(JobID(withdrawal.job), withdrawal.offer, void=withdrawal.void)

    # --- edges -------------------------------------------------------------------------------------------------

    def _on_beat(self, message: Message) -> None:
        beat = messages.decode_beat(message.data)
        now = self._clock.now()
        self._edges.receive(beat, now)
        self._table.delay_s(beat.process, beat.clock_ms, round(now * 1000), now)
        if any(lane in self._lanes for lane in beat.lanes):
            self._waits(beat.process, 1)

    def announce(self) -> None:
        """Send ACCEPTED for the jobs taken since the last time that have no answer yet. Called by the tick."""
        unannounced, self._unannounced = self._unannounced, {}
        for entry in unannounced:
            entry.publish(entry.machine.accept())

    def tick(self) -> None:
        """Close the calls of lost edges. Called by the tick while the bus is connected."""
        now = self._clock.now()
        for edge in self._edges.take_lost(now):
            self._metrics.edges_lost.inc()
            self._table.forget_edge(edge)
            self._turns.forget(edge)
            self._orphans += [entry for entry in self._table.entries() if entry.machine.envelope.edge == edge]
        for entry in self._orphans[: limits.LOST_JOBS_PER_TICK_MAX]:
            entry.cancel(_EDGE_UNHEARD)
        del self._orphans[: limits.LOST_JOBS_PER_TICK_MAX]
        self._table.sweep(now)
        self._share_room()
        for entry in self._table.entries():
            # An attempt under way ends itself. This is for a body or a credit that never comes.
            if now > entry.deadline + DEADLINE_SLACK_S and not entry.cancelled:
                entry.fail(_DEADLINE)
                entry.cancel()

    def _publish(self, subject: str, payload: bytes) -> None:
        try:
            self._bus.publish(subject, payload)
        except BusFullError:
            log.warning("bus_full")
