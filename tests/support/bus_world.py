"""One job on a bus that does its worst: an `EdgeJob`, its client, and dispatchers, joined by a list of messages.

A list of small numbers says what happens, one number a decision; where it is used up, everything goes well from then
on. So a test can draw the numbers, and what fails shrinks to the few that matter.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from tests.support.job_scripts import HEAD, JOB, USAGE, envelope
from trunkline.bus import frames, messages
from trunkline.bus.dispatch_job import DispatchJob, DispatchState
from trunkline.bus.edge_commands import Abort, Command, Finish, Forget, Reoffer, Send, Settle, Start, Withdraw, Write
from trunkline.bus.edge_job import EdgeJob
from trunkline.bus.fleet import LOST_AFTER_S
from trunkline.bus.frames import Frame, FrameError, Kind
from trunkline.bus.job_table import JobTable, Verdict
from trunkline.bus.messages import End, Fail, Head
from trunkline.core.errors import ErrorType, Fault

BODY = b"a body that takes several frames"
WINDOW = 16
SMALL_LIMITS: dict[str, Any] = {
    "OPEN_BODY_BYTES_MAX": 8,
    "DATA_BYTES_MAX": 8,
    "CREDIT_STEP_BYTES": 4,
    "BODY_WINDOW_BYTES": 12,
}
"""For these tests, so that short bodies and answers already cross every border."""

DEADLINE_S = 30.0
STEP_S = 0.25
STEPS_MAX = 5000
EDGE = "edge"

_FULL = Fault(ErrorType.GATEWAY_BUSY, "")
_LOST = Fault(ErrorType.GATEWAY_FRAME_LOST, "")
_CUT = Fault(ErrorType.UPSTREAM_CUT, "")
_GONE = Fault(ErrorType.CLIENT_GONE, "")


class Decisions:
    """A list of small numbers; used up, it says 0 for ever, which is always the good course."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = iter(numbers)

    def choose(self, below: int) -> int:
        return next(self._numbers, 0) % below


@dataclasses.dataclass(frozen=True)
class Message:
    """One message on its way: a frame, a withdrawal, or the word that nobody listens."""

    to: str
    sent_s: float
    frame: bytes = b""
    withdrawn: int | None = None
    void: bool = False


@dataclasses.dataclass
class Call:
    """A job in a dispatcher's hands; ``answer`` is what its upstream has still to say before it ends or fails."""

    machine: DispatchJob
    answer: list[bytes]
    fails: bool

    @property
    def offer(self) -> int:
        return self.machine.offer


class Dispatcher:
    """A dispatcher's shell, as short as it can be."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.table: JobTable[Call] = JobTable(jobs_max=1, body_bytes_max=1 << 20)
        self.table.delay_s(EDGE, 0, 0, 0.0)  # a beat was heard: offers' delays are measured against it

    def receive(self, message: Message) -> None:
        if message.withdrawn is not None:
            self._let_go(message.withdrawn, void=message.void)
            return
        frame = frames.decode(message.frame)
        call = self.table.get(JOB)
        mine = call if call is not None and call.offer == frame.offer else None
        match frame.kind:
            case Kind.OPEN:
                self._offered(frame, message.sent_s)
            case Kind.CREDIT:
                credit = frames.decode_credit(frame.payload)
                if mine is not None:
                    self._send(mine.machine.receive_credit(credit))
                elif credit.sync:
                    self._refuse(frame.offer, credit.expects, Fail(_LOST, dispatcher=self.name, unknown=True))
            case Kind.CANCEL:
                self._let_go(frame.offer, void=frames.decode_void(frame.payload))
            case Kind.BODY if mine is not None:
                try:
                    self._send(mine.machine.receive_body(frame))
                except FrameError:
                    self._send(mine.machine.fail(Fail(_LOST, elsewhere=True, dispatcher=self.name)))
        self._forget_ended()

    def _offered(self, frame: Frame, sent_s: float) -> None:
        now = self.world.now
        delay_s = self.table.delay_s(EDGE, round(sent_s * 1000), round(now * 1000), now)
        earlier = self.table.get(JOB)
        if earlier is not None and earlier.offer < frame.offer:
            earlier.machine.cancel(void=True)
            self._forget_ended()
        patience_s = messages.decode_envelope(frames.split_parts(frame.payload)[0]).patience_ms / 1000
        verdict = self.table.judge(JOB, frame.offer, len(BODY), delay_s=delay_s, patience_s=patience_s, now=now)
        if verdict is Verdict.TAKE and self.world.decisions.choose(4) == 3:
            verdict = Verdict.FULL
        if verdict is Verdict.FULL:
            self._refuse(frame.offer, 0, Fail(_FULL, elsewhere=True, dispatcher=self.name))
        if verdict is not Verdict.TAKE:
            return
        opened = envelope(body_bytes=len(BODY), credit=WINDOW)
        part = frames.split_parts(frame.payload)[1]
        machine = DispatchJob(self.name, JOB, frame.offer, opened, part, version=frame.version)
        call = Call(machine, *self.world.draw_answer(self.name, frame.offer))
        self.table.add(JOB, call, len(BODY))
        if machine.state is DispatchState.RECEIVING or self.world.decisions.choose(2) == 0:
            self._send(machine.accept())

    def work(self) -> bool:
        """Pass on one piece of the answer, as far as the credit allows; returns whether there was anything to do."""
        call = self.table.get(JOB)
        if call is None:
            return False
        machine, head, end = call.machine, self.world.head(self.name), End(USAGE, self.number(call.offer))
        last = len(call.answer) <= 1 and not call.fails
        match machine.state:
            case DispatchState.CALLING:
                assert machine.take_body() == BODY
                part = call.answer.pop(0)
                self._send(machine.whole(head, end, part) if last else machine.head(head, part))
            case DispatchState.ANSWERING if machine.room > 0 or not call.answer:
                if call.answer and not last:
                    self._send(machine.data(call.answer.pop(0)))
                elif call.fails:
                    self._send(machine.fail(self._failed(_CUT, call.offer)))
                else:
                    self._send(machine.end(end, b"".join(call.answer)))
            case _:
                return False
        self._forget_ended()
        return True

    def number(self, offer: int) -> int:
        """Return the number of the usage of an offer; no two dispatchers or offers have the same."""
        return 16 * (1 + offer) + int(self.name[1:])

    def _failed(self, fault: Fault, offer: int) -> Fail:
        return Fail(fault, usage=USAGE, usage_no=self.number(offer), dispatcher=self.name)

    def _let_go(self, offer: int, *, void: bool) -> None:
        call = self.table.withdraw(JOB, offer, self.world.now)
        if call is None:
            return
        begun = call.machine.state not in {DispatchState.RECEIVING, DispatchState.CALLING}
        call.machine.cancel(void=void)
        self._send(call.machine.fail(self._failed(_GONE, call.offer) if begun else Fail(_GONE, dispatcher=self.name)))
        self._forget_ended()

    def _forget_ended(self) -> None:
        call = self.table.get(JOB)
        if call is not None and call.machine.state is DispatchState.ENDED:
            self.table.remove(JOB, call, len(BODY), self.world.now)

    def _refuse(self, offer: int, seq: int, fail: Fail) -> None:
        self._send([frames.encode(1, Kind.FAIL, offer, JOB, seq, messages.encode(fail))])

    def _send(self, sent: Iterable[bytes]) -> None:
        self.world.messages += [Message(EDGE, self.world.now, frame) for frame in sent]


class World:
    """The whole of it.

    Args:
        numbers: see the module.
        dispatchers: how many there are.
        mishaps: whether anything is lost, repeated or late, and anybody dies.

    Attributes:
        ends: what has ended the job; exactly one when `run` returns.
        settled: what it came to; exactly one when `run` returns.
        offers_run: the dispatchers and offers that ran, with what their upstreams said.
    """

    def __init__(self, numbers: Iterable[int], dispatchers: int, *, mishaps: bool = True) -> None:
        self.decisions = Decisions(numbers)
        self._steps = _STEPS if mishaps else _GOOD_STEPS
        self.now = 0.0
        self.messages: list[Message] = []
        self.living = {name: Dispatcher(self, name) for name in (f"d{number}" for number in range(dispatchers))}
        self.known = set(self.living)
        self.offers_run: dict[tuple[str, int], bytes] = {}
        self.ends: list[Command] = []
        self.settled: list[Settle] = []
        self.written = b""
        self.outstanding = 0
        self.job = EdgeJob(JOB, envelope(body_bytes=len(BODY), credit=WINDOW, deadline_s=DEADLINE_S), BODY, 0.0)
        self._lost_at: dict[str, float] = {}

    def head(self, dispatcher: str) -> Head:
        return msgspec.structs.replace(HEAD, dispatcher=dispatcher)

    def draw_answer(self, dispatcher: str, offer: int) -> tuple[list[bytes], bool]:
        """Return an answer in pieces, and whether it fails behind them; no two offers get the same."""
        assert (dispatcher, offer) not in self.offers_run, f"offer {offer} was run twice by {dispatcher}"
        tag = 16 * (1 + offer) + int(dispatcher[1:])
        pieces = [
            bytes([tag, index] * self.decisions.choose(12)) + b"\n\n" for index in range(self.decisions.choose(6))
        ]
        fails = bool(pieces) and self.decisions.choose(5) == 4
        answer = [bytes([tag]), *pieces]
        self.offers_run[dispatcher, offer] = b"".join(answer)
        return answer, fails

    # --- the edge's shell --------------------------------------------------------------------------------------

    def run(self) -> None:
        """See the job to its end, and then everything that is still under way."""
        self._execute(self.job.offer(self.now, 1))
        for _ in range(STEPS_MAX):
            if self.ends and not self.messages:
                break
            self._steps[self.decisions.choose(len(self._steps))](self)
        assert self.ends, "the job has no end"
        self._execute(self.job.unheard())
        for last in (self.job.client_gone(), self.job.tick(self.now + 1e6), self.job.no_responders()):
            self._execute(last)

    def _execute(self, commands: Iterable[Command]) -> None:
        for command in commands:
            if isinstance(command, Settle):
                assert not self.settled, f"{command} after {self.settled}"
                self.settled.append(command)
                continue
            assert not self.ends, f"{command} after {self.ends}"
            match command:
                case Send(None, frame):
                    # A queue group: one of those who listen gets it.
                    listening = sorted(self.living)
                    to = listening[self.decisions.choose(len(listening))] if listening else ""
                    self._post(to, frame, answered=True)
                case Send(str(to), frame, answered):
                    self._post(to, frame, answered=answered)
                case Withdraw(offer, void):
                    self.messages += [Message(name, self.now, withdrawn=offer, void=void) for name in self.living]
                case Reoffer(fault):
                    untried = sorted(self.known - self.job.tried)
                    self._execute(self.job.offer(self.now, 1, untried[0]) if untried else self.job.give_up(fault))
                case Start(head):
                    assert not self.written
                    assert head.dispatcher == self.job.dispatcher
                case Write(data):
                    self.written += data
                    self.outstanding += len(data)
                    assert self.outstanding <= WINDOW
                case Finish() | Abort() | Forget():
                    self.ends.append(command)

    def _post(self, to: str, frame: bytes, *, answered: bool) -> None:
        if to in self.living:
            self.messages.append(Message(to, self.now, frame))
        elif answered:
            self.messages.append(Message(EDGE, self.now))

    # --- what can happen ---------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """The good course: messages arrive, then dispatchers work, then the client reads, then time passes."""
        if self.messages:
            self._arrive(self.messages.pop(0))
        elif not any(dispatcher.work() for dispatcher in self.living.values()):
            if self.outstanding:
                self._drain(self.outstanding)
            else:
                self._time_passes()

    def _arrive(self, message: Message) -> None:
        if message.to != EDGE:
            if message.to in self.living:
                self.living[message.to].receive(message)
        elif message.frame:
            self._execute(self.job.receive(frames.decode(message.frame), self.now))
        else:
            self._execute(self.job.no_responders())

    def _drain(self, size: int) -> None:
        self.outstanding -= size
        self._execute(self.job.drained(size))

    def _time_passes(self) -> None:
        self.now += STEP_S
        for dispatcher in self.living.values():
            dispatcher.table.sweep(self.now)
        for name in [name for name, lost_at in self._lost_at.items() if lost_at <= self.now]:
            del self._lost_at[name]
            self.known.discard(name)
            self._execute(self.job.dispatcher_lost(name))
        self._execute(self.job.tick(self.now))

    def _any_message(self) -> Message | None:
        return self.messages.pop(self.decisions.choose(len(self.messages))) if self.messages else None

    def _drop(self) -> None:
        self._any_message()

    def _overtake(self) -> None:
        message = self._any_message()
        if message is not None:
            self._arrive(message)

    def _repeat(self) -> None:
        message = self._any_message()
        if message is not None:
            self.messages.append(message)
            self._arrive(message)

    def _work(self) -> None:
        for dispatcher in self.living.values():
            dispatcher.work()

    def _drain_some(self) -> None:
        if self.outstanding:
            self._drain(1 + self.decisions.choose(self.outstanding))

    def _leave(self) -> None:
        if self.decisions.choose(4) == 3:
            self._execute(self.job.client_gone())

    def _die(self) -> None:
        if self.living and self.decisions.choose(2):
            name = sorted(self.living)[self.decisions.choose(len(self.living))]
            del self.living[name]
            self._lost_at[name] = self.now + LOST_AFTER_S

    def _seem_lost(self) -> None:
        names = sorted(self.known)
        if names:
            self._execute(self.job.dispatcher_lost(names[self.decisions.choose(len(names))]))


_Steps = tuple[Callable[[World], None], ...]

_GOOD_STEPS: _Steps = (World._go_on, World._work, World._drain_some, World._leave)
"""Nothing is lost and nobody dies; clients read slowly, dispatchers work at odd times, and a client may leave."""

_STEPS: _Steps = (
    World._go_on,
    World._go_on,
    World._go_on,
    World._drop,
    World._overtake,
    World._repeat,
    World._time_passes,
    World._work,
    World._drain_some,
    World._leave,
    World._die,
    World._seem_lost,
)
