"""The jobs in flight at this edge: frames in, commands of `bus.edge_job.EdgeJob` carried out.

Frames are handled in the subscription's callback, down to the write on the client's socket; nothing waits in a
queue of ours. A job whose client has its end before its dispatcher has said what it used stays for a while, as little
more than its name.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from services.edge.admission import Admission
from services.edge.client_job import ClientJob
from services.edge.job_entry import JobEntry
from services.edge.metrics import EdgeMetrics
from services.edge.payments import Payments
from services.edge.relay import Relay
from services.edge.request_trace import event
from services.edge.usage_keeper import UsageKeeper
from trunkline.bus import frames, messages, subjects
from trunkline.bus.edge_commands import (
    Abort,
    Command,
    Finish,
    Forget,
    Reoffer,
    Send,
    Settle,
    Start,
    Wait,
    Withdraw,
    Write,
)
from trunkline.bus.edge_job import EdgeJob, EdgeState, IllegalInputError
from trunkline.bus.fleet import Fleet
from trunkline.bus.messages import Beat, Envelope, UsageEvent, Withdrawal
from trunkline.bus.port import Bus, BusFullError, Message
from trunkline.core import limits
from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.ids import JobID

log = structlog.get_logger()

_BROKEN = Fault(ErrorType.GATEWAY_INTERNAL, "The gateway lost track of this request. Please retry.")
_STOPPING = Fault(ErrorType.GATEWAY_SHUTTING_DOWN, "The gateway is restarting. Please retry.", retry_after_ms=1000)

OnEnd = Callable[[ClientJob], None]
OnPriced = Callable[[ClientJob, UsageEvent], None]


class OnSettled(Protocol):
    """Told what a job comes to."""

    def __call__(self, client: ClientJob, usage: UsageEvent | None, *, lost: bool) -> None:
        """A job is settled.

        Args:
            client: whose job.
            usage: what the client pays for; None for nothing.
            lost: its dispatcher could not be heard: with no ``usage``, something may be charged all the same.
        """


class JobBoard:
    """Runs the state machines of the jobs in flight.

    Args:
        bus, edge, clock, metrics: of the process.
        fleet: the living dispatchers.
        keeper: takes the usage that dispatchers tell.
        wait_s: how long a job may wait where all dispatchers are full.
        on_end: called once per job, after its answer (or its client) is gone.
        on_priced: called when a whole answer begins whose use is known before its end.
        on_settled: called once per job, when it is known what it comes to: before its end or, where the client left or
            its answer was given up, up to `limits.SETTLE_WAIT_S` after it.
    """

    def __init__(
        self,
        bus: Bus,
        edge: str,
        *,
        clock: Clock,
        metrics: EdgeMetrics,
        fleet: Fleet,
        keeper: UsageKeeper,
        wait_s: float,
        on_end: OnEnd,
        on_priced: OnPriced,
        on_settled: OnSettled,
    ) -> None:
        self._bus = bus
        self._edge = edge
        self._clock = clock
        self._metrics = metrics
        self._fleet = fleet
        self._keeper = keeper
        self._on_end = on_end
        self._on_priced = on_priced
        self._on_settled = on_settled
        self._entries: dict[JobID, JobEntry] = {}
        self._settling: OrderedDict[JobID, JobEntry] = OrderedDict()
        self._by_reply: dict[str, JobEntry] = {}
        self._opened = 0
        self._admission = Admission(
            wait_s, clock=clock, metrics=metrics, fleet=fleet, refuse=self._refuse, offer=self._offer
        )

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def settling(self) -> int:
        """Jobs whose clients have their end, and whose dispatchers have still to say what they used."""
        return len(self._settling)

    @property
    def lanes_waiting(self) -> tuple[str, ...]:
        """Lanes in which jobs wait for room at dispatchers."""
        return self._admission.lanes

    @property
    def waiting(self) -> int:
        """Jobs that wait for room at dispatchers."""
        return self._admission.waiting

    @property
    def streams(self) -> int:
        """Answers that are being streamed. Looks at every job: for once in a second."""
        return sum(entry.relay.streaming for entry in self._entries.values())

    async def start(self) -> None:
        """Listen for frames, and for room."""
        await self._bus.subscribe(subjects.room(self._edge), self._on_room)
        await self._bus.subscribe(subjects.edge_inbox(self._edge), self._on_message)

    def next_reply(self) -> str:
        """Return a fresh subject for the frames of a job."""
        self._opened += 1
        return subjects.edge_job(self._edge, self._opened)

    def open(self, client: ClientJob, envelope: Envelope, body: bytes, lane: str) -> None:
        """Publish a job and see it through."""
        now = self._clock.now()
        machine = EdgeJob(client.job, envelope, body, now)
        relay = Relay(client, stream=envelope.stream and not client.asked.raw)
        entry = JobEntry(client, machine, relay, lane, envelope.reply)
        self._entries[client.job] = entry
        self._by_reply[entry.reply] = entry
        client.exchange.on_gone = lambda: self._run(entry, machine.client_gone())
        client.exchange.on_drained = lambda size: self._run(entry, machine.drained(size))
        version = self._fleet.frame_version(None, lane)
        self._run(entry, machine.wait() if lane in self._admission else machine.offer(now, version))

    # --- inputs ------------------------------------------------------------------------------------------------

    def _on_message(self, message: Message) -> None:
        if message.no_responders:
            self._no_responders(message.subject)
            return
        try:
            frame = frames.decode(message.data)
        except frames.FrameError:
            self._metrics.frames_refused.inc()
            return
        entry = self._entries.get(frame.job) or self._settling.get(frame.job)
        if entry is None:
            return  # settled here already; the rest of its frames are of no interest
        try:
            commands = entry.machine.receive(frame, self._clock.now())
            dispatcher = None if entry.ticket is None else entry.machine.dispatcher
            if dispatcher is not None:
                event(entry.client, "trunkline.admission.over")
                self._admission.got_in(entry)
            self._run(entry, commands)
            if dispatcher is not None:
                self._offer(self._admission.take_next(dispatcher, entry.lane), dispatcher)
        except (frames.FrameError, IllegalInputError, ValueError) as error:
            # ValueError is msgspec's: a payload that this version cannot read.
            self._metrics.frames_refused.inc()
            log.exception("frame_illegal", request_id=entry.client.request_id, kind=frame.kind.name, error=str(error))
            self._run(entry, entry.machine.give_up(_BROKEN))

    def _on_room(self, message: Message) -> None:
        """A dispatcher has room for jobs that wait."""
        try:
            room = messages.decode_room(message.data)
        except ValueError:
            self._metrics.frames_refused.inc()
            return
        self._offer(self._admission.take(room), room.dispatcher)

    def beat_heard(self, beat: Beat) -> None:
        """A dispatcher lives, and may have room for jobs that wait."""
        self._offer(self._admission.take_untold(beat), beat.process)

    def _offer(self, taken: Iterable[tuple[JobEntry, int]], dispatcher: str) -> None:
        now = self._clock.now()
        for entry, waiting in taken:
            version = self._fleet.frame_version(dispatcher, entry.lane)
            self._run(entry, entry.machine.offer(now, version, dispatcher, waiting=waiting))

    def _refuse(self, entry: JobEntry, fault: Fault) -> None:
        """A job has waited long enough."""
        self._run(entry, entry.machine.give_up(fault))

    def _no_responders(self, subject: str) -> None:
        entry = self._by_reply.get(subject)
        if entry is not None:
            self._run(entry, entry.machine.no_responders())

    def tick(self) -> None:
        """Look at the clock for every job. Called about once a second."""
        now = self._clock.now()
        for entry in list(self._entries.values()):
            if entry.machine.dispatcher is not None:
                self._fleet.meet(entry.machine.dispatcher, now)
            self._run(entry, entry.machine.tick(now))
        while self._settling and now - next(iter(self._settling.values())).left_at >= limits.SETTLE_WAIT_S:
            self._give_up_oldest()

    def keep_alive(self) -> None:
        """Show clients of silent streams that these live. Called every `limits.KEEPALIVE_INTERVAL_S` or so."""
        for entry in list(self._entries.values()):
            entry.relay.keep_alive()

    def dispatcher_lost(self, dispatcher: str) -> None:
        """A dispatcher's beats have stopped."""
        for entry in [*self._entries.values(), *self._settling.values()]:
            self._run(entry, entry.machine.dispatcher_lost(dispatcher))

    def give_up_all(self) -> None:
        """The grace time of a stopping edge is over."""
        for entry in list(self._entries.values()):
            self._run(entry, entry.machine.give_up(_STOPPING))
        while self._settling:
            self._give_up_oldest()

    def _give_up_oldest(self) -> None:
        entry = next(iter(self._settling.values()))
        self._run(entry, entry.machine.unheard())

    # --- commands ----------------------------------------------------------------------------------------------

    def _run(self, entry: JobEntry, commands: tuple[Command, ...]) -> None:
        if not commands:
            return
        unwritten = b""
        for command in commands:
            match command:
                case Write(data):
                    unwritten += data  # what stands beside it (a head, an end) leaves in the same write
                case Send(dispatcher, frame, answered):
                    lane = subjects.job(entry.lane)
                    subject = lane if dispatcher is None else subjects.dispatcher_inbox(dispatcher)
                    self._publish(subject, frame, entry.reply if answered else "")
                case Start(head):
                    entry.relay.start(head)
                    entry.client.first_byte = self._clock.now()
                    if head.usage is not None:
                        self._on_priced(entry.client, head.usage)
                case Settle(usage, number, lost):
                    self._settle(entry, usage, number, lost=lost)
                case Finish():
                    entry.relay.finish(unwritten)
                    unwritten = b""
                    self._end(entry, "ok")
                case _:
                    self._run_uncommon(entry, command)
        if unwritten:
            entry.relay.write(unwritten)

    def _run_uncommon(self, entry: JobEntry, command: Abort | Reoffer | Wait | Withdraw | Forget) -> None:
        match command:
            case Abort(fault):
                had_all = entry.relay.fail(fault)
                self._end(entry, "ok" if had_all else fault.type.value)
            case Reoffer(fault, full):
                self._reoffer(entry, fault, full=full)
            case Wait():
                event(entry.client, "trunkline.admission.waits", {"trunkline.lane": entry.lane})
                refusal = self._admission.wait(entry)
                if refusal is not None:
                    self._refuse(entry, refusal)
            case Withdraw(offer, void):
                self._publish(subjects.WITHDRAW, messages.encode(Withdrawal(entry.client.job, offer, void)))
            case Forget():
                self._end(entry, ErrorType.CLIENT_GONE.value)

    def _publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        try:
            self._bus.publish(subject, payload, reply)
        except BusFullError:
            # At most once is the bus's contract: what is lost here is found by timeouts and sequence numbers.
            log.warning("bus_full")

    def _reoffer(self, entry: JobEntry, fault: Fault, *, full: bool) -> None:
        self._metrics.offers.labels(fault.type.value).inc()
        event(entry.client, "trunkline.offered.again", {"error.type": fault.type.value})
        chosen = self._next_of(entry, full=full)
        if chosen is not None:
            version = self._fleet.frame_version(chosen, entry.lane)
            self._run(entry, entry.machine.offer(self._clock.now(), version, chosen))
        elif full:
            self._run(entry, entry.machine.wait())
        else:
            self._run(entry, entry.machine.give_up(fault))

    def _next_of(self, entry: JobEntry, *, full: bool) -> str | None:
        """Return where to offer a job that was not taken; None if it is to wait, or there is nobody else."""
        if full and entry.ticket is not None:
            return None  # one that has waited was offered where there was to be room: the others have none
        chosen = self._fleet.pick(entry.machine.tried, entry.lane)
        if chosen is None and (not full or self._admission.may_leave(entry.lane)):
            chosen = self._fleet.pick_far(entry.machine.tried, entry.lane)
            if chosen is not None:
                self._admission.left(entry.lane)
        return chosen

    def _end(self, entry: JobEntry, outcome: str) -> None:
        client = entry.client
        if self._entries.pop(client.job, None) is not None:
            self._admission.over(entry)
            client.outcome = outcome
            client.offers = entry.machine.offers
            if entry.machine.state is EdgeState.SETTLING:
                self._wait_for_last_word(entry)
            self._on_end(client)

    def _wait_for_last_word(self, entry: JobEntry) -> None:
        exchange = entry.client.exchange
        exchange.request = exchange.request._replace(body=b"")  # may be large, and serves nobody any more
        entry.left_at = self._clock.now()
        if len(self._settling) >= limits.SETTLING_MAX:
            self._give_up_oldest()
        self._settling[entry.client.job] = entry

    def _settle(self, entry: JobEntry, usage: UsageEvent | None, number: int, *, lost: bool) -> None:
        if usage is None and entry.machine.voided and entry.machine.worthless and entry.client.job in self._entries:
            self._keeper.void(entry.client.job, entry.client.key.policy.account, Payments.lease_number(entry.client))
        del self._by_reply[entry.reply]
        self._settling.pop(entry.client.job, None)
        if usage is not None:
            self._keeper.keep(entry.machine.dispatcher or "", number, usage)
        self._on_settled(entry.client, usage if usage is not None and usage.charged else None, lost=lost)
