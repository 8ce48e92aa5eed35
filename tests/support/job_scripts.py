"""Playbooks of one job's two state machines: ``script >> input << "what it commands"``.

Commands and frames are compared in a short written form (`describe`, `frame_text`), so that a script reads like the
course of events it is. Each ``>>`` fails if the input before it commanded more than was expected; end with `done`.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Self

import msgspec

from tests.support.usage_events import usage_event
from trunkline.bus import frames, messages
from trunkline.bus.dispatch_job import DispatchJob
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
from trunkline.bus.edge_job import EdgeJob
from trunkline.bus.frames import Credit, Frame, Kind
from trunkline.bus.messages import Accepted, End, Envelope, Fail, Head
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.ids import JobID

JOB = JobID(bytes(range(16)))
HEAD = Head(200, "text/event-stream", attempt=0, attempts=1, channel="main", dispatcher="d1")
USAGE = usage_event(job=JOB)
FULL = ErrorType.GATEWAY_BUSY


def envelope(*, body_bytes: int = 5, credit: int = 1000, deadline_s: float = 600.0) -> Envelope:
    return Envelope(
        edge="e1",
        reply="tl.edge.e1.1",
        offered_ms=0,
        deadline_s=deadline_s,
        dialect="openai-chat",
        model="small",
        stream=True,
        wants_usage=False,
        account=1,
        key=1,
        groups=("default",),
        body_bytes=body_bytes,
        credit=credit,
    )


# --- written forms ---------------------------------------------------------------------------------------------


def payload_text(data: bytes) -> str:
    """Return bytes as they are, or their number if they are many."""
    return repr(data) if len(data) <= 20 else f"{len(data)} bytes"


def frame_text(message: bytes) -> str:
    """Return a frame as ``KIND offer.sequence what it carries``; CREDIT and CANCEL have no sequence."""
    frame = frames.decode(message)
    assert frame.job == JOB
    match frame.kind:
        case Kind.CREDIT:
            credit = frames.decode_credit(frame.payload)
            sync = " sync" if credit.sync else ""
            return f"CREDIT {frame.offer} {credit.total} expects {credit.expects}{sync}"
        case Kind.CANCEL:
            return f"CANCEL {frame.offer}" + (" void" if frames.decode_void(frame.payload) else "")
        case Kind.OPEN:
            encoded, part = frames.split_parts(frame.payload)
            left_s = messages.decode_envelope(encoded).deadline_s
            return f"OPEN {frame.offer} {payload_text(part)}, {left_s:g} s left"
    return f"{frame.kind.name} {frame.offer}.{frame.seq}{_payload_of(frame)}"


def _payload_of(frame: Frame) -> str:
    match frame.kind:
        case Kind.ACCEPTED:
            accepted = messages.decode_accepted(frame.payload)
            return f" {accepted.dispatcher} {accepted.body_credit}"
        case Kind.HEAD:
            encoded, data = frames.split_parts(frame.payload)
            return f" {messages.decode_head(encoded).status} {payload_text(data)}"
        case Kind.END:
            encoded, data = frames.split_parts(frame.payload)
            return f" usage {messages.decode_end(encoded).usage_no} {payload_text(data)}"
        case Kind.WHOLE:
            encoded, rest = frames.split_parts(frame.payload)
            end, data = frames.split_parts(rest)
            status, number = messages.decode_head(encoded).status, messages.decode_end(end).usage_no
            return f" {status} usage {number} {payload_text(data)}"
        case Kind.FAIL:
            fail = messages.decode_fail(frame.payload)
            usage = f", usage {fail.usage_no}" if fail.usage is not None else ""
            return f" {fail.fault.type}" + (" elsewhere" if fail.elsewhere else "") + usage
    return f" {payload_text(frame.payload)}"


def describe(command: Command) -> str:
    """Return a command in a few words."""
    match command:
        case Send(dispatcher, frame, answered):
            return f"{dispatcher or 'lane'} <- {frame_text(frame)}" + (", answer wanted" if answered else "")
        case Withdraw(offer, void):
            return f"withdraw {offer}" + (" void" if void else "")
        case Reoffer(fault, full):
            return f"reoffer, {fault.type}" + (", full" if full else "")
        case Wait():
            return "wait"
        case Start(head):
            return f"start {head.status}"
        case Write(data):
            return f"write {payload_text(data)}"
        case Finish():
            return "finish"
        case Abort(fault):
            return f"abort, {fault.type}"
        case Forget():
            return "forget"
        case Settle(usage, number, lost):
            return "settle, lost" if lost else "settle, nothing" if usage is None else f"settle, usage {number}"


# --- scripts ---------------------------------------------------------------------------------------------------


class _Script:
    """What both kinds of script have in common: a queue of what was commanded and not yet expected."""

    def __init__(self) -> None:
        self._commanded: deque[str] = deque()
        self._last = "the beginning"

    def _take(self, commanded: Iterable[str], name: str) -> None:
        self.done()
        self._last = name
        self._commanded.extend(commanded)

    def __lshift__(self, expected: str) -> Self:
        """Expect a command."""
        assert self._commanded, f"after {self._last}: expected {expected!r}, but nothing more was commanded"
        found = self._commanded.popleft()
        assert found == expected, f"after {self._last}: expected {expected!r}, found {found!r}"
        return self

    def done(self) -> None:
        """Nothing more was commanded."""
        assert not self._commanded, f"after {self._last}: not expected: {list(self._commanded)}"


EdgeStep = Callable[["EdgeScript"], tuple[Command, ...]]


class EdgeScript(_Script):
    """A script of an `EdgeJob`; offers it to the lane at second 0.

    Args:
        body: of the request.
        window: credit of the envelope.
        deadline_s: of the job.
        stream: whether its client takes the answer as a stream.
    """

    def __init__(
        self, body: bytes = b"hello", *, window: int = 1000, deadline_s: float = 600.0, stream: bool = True
    ) -> None:
        super().__init__()
        self.now = 0.0
        told = envelope(body_bytes=len(body), credit=window, deadline_s=deadline_s)
        self.job = EdgeJob(JOB, msgspec.structs.replace(told, stream=stream), body, self.now)

    def __rshift__(self, step: EdgeStep) -> Self:
        self._take([describe(command) for command in step(self)], getattr(step, "__name__", "?"))
        return self


def _named(name: str, step: EdgeStep) -> EdgeStep:
    step.__name__ = name
    return step


def offer(to: str | None = None) -> EdgeStep:
    return _named("offer", lambda script: script.job.offer(script.now, 1, to))


def wait() -> EdgeStep:
    return _named("wait", lambda script: script.job.wait())


def gone() -> EdgeStep:
    return _named("gone", lambda script: script.job.client_gone())


def drained(size: int) -> EdgeStep:
    return _named(f"drained {size}", lambda script: script.job.drained(size))


def lost(dispatcher: str) -> EdgeStep:
    return _named(f"{dispatcher} lost", lambda script: script.job.dispatcher_lost(dispatcher))


def nobody() -> EdgeStep:
    return _named("no responders", lambda script: script.job.no_responders())


def unheard() -> EdgeStep:
    return _named("unheard", lambda script: script.job.unheard())


def give_up() -> EdgeStep:
    fault = Fault(ErrorType.GATEWAY_SHUTTING_DOWN, "")
    return _named("give up", lambda script: script.job.give_up(fault))


def at(now: float) -> EdgeStep:
    """The clock is looked at."""

    def step(script: EdgeScript) -> tuple[Command, ...]:
        script.now = now
        return script.job.tick(now)

    return _named(f"tick at {now:g}", step)


def frame(kind: Kind, seq: int, payload: bytes = b"", *, offer_no: int = 0) -> EdgeStep:
    received = Frame(1, kind, offer_no, JOB, seq, payload)
    return _named(f"{kind.name} {offer_no}.{seq}", lambda script: script.job.receive(received, script.now))


def accepted(seq: int = 0, *, by: str = "d1", body_credit: int = 1 << 20, offer_no: int = 0) -> EdgeStep:
    return frame(Kind.ACCEPTED, seq, messages.encode(Accepted(by, body_credit)), offer_no=offer_no)


def head(seq: int = 1, data: bytes = b"", *, by: str = "d1", offer_no: int = 0) -> EdgeStep:
    encoded = messages.encode(msgspec.structs.replace(HEAD, dispatcher=by))
    return frame(Kind.HEAD, seq, frames.join_parts(encoded, data), offer_no=offer_no)


def data(seq: int, part: bytes, *, offer_no: int = 0) -> EdgeStep:
    return frame(Kind.DATA, seq, part, offer_no=offer_no)


def end(seq: int, part: bytes = b"", *, offer_no: int = 0, usage_no: int = 7) -> EdgeStep:
    return frame(Kind.END, seq, end_payload(part, usage_no), offer_no=offer_no)


def whole(seq: int, part: bytes, *, offer_no: int = 0) -> EdgeStep:
    payload = frames.join_parts(messages.encode(HEAD), end_payload(part, 7))
    return frame(Kind.WHOLE, seq, payload, offer_no=offer_no)


def fail(seq: int, kind: ErrorType, *, offer_no: int = 0, usage: bool = False, unknown: bool = False) -> EdgeStep:
    failed = Fail(Fault(kind, ""), usage=USAGE if usage else None, usage_no=7, dispatcher="d1", unknown=unknown)
    return frame(Kind.FAIL, seq, messages.encode(failed), offer_no=offer_no)


def busy(by: str, *, offer_no: int = 0) -> EdgeStep:
    refused = Fail(Fault(FULL, ""), elsewhere=True, dispatcher=by)
    return frame(Kind.FAIL, 0, messages.encode(refused), offer_no=offer_no)


def body_credit(total: int, expects: int, *, sync: bool = False, offer_no: int = 0) -> EdgeStep:
    return frame(Kind.CREDIT, 0, frames.encode_credit(Credit(total, expects, sync)), offer_no=offer_no)


def end_payload(part: bytes, usage_no: int) -> bytes:
    return frames.join_parts(messages.encode(End(USAGE, usage_no)), part)


def offered(body: bytes = b"hello") -> EdgeScript:
    """A job that is offered to all, and of which nothing is heard yet."""
    script = EdgeScript(body) >> offer()
    return script << f"lane <- OPEN 0 {body!r}, 600 s left, answer wanted"


def taken() -> EdgeScript:
    """A job that dispatcher d1 has accepted."""
    return offered() >> accepted()


def answering(*, window: int = 1000) -> EdgeScript:
    """A job of which the client has got the first bytes."""
    script = EdgeScript(window=window) >> offer() << "lane <- OPEN 0 b'hello', 600 s left, answer wanted"
    return script >> accepted() >> head(1, b"ab") << "start 200" << "write b'ab'"


DispatchStep = Callable[[DispatchJob], list[bytes] | None]


class DispatchScript(_Script):
    """A script of a `DispatchJob` that took offer 0.

    Args:
        body: of the request.
        part: what of it came in OPEN; all of it by default.
        window: credit of the envelope.
    """

    def __init__(self, body: bytes = b"hello", *, part: bytes | None = None, window: int = 1000) -> None:
        super().__init__()
        opened = envelope(body_bytes=len(body), credit=window)
        self.job = DispatchJob("d1", JOB, 0, opened, body if part is None else part, version=1)

    def __rshift__(self, step: DispatchStep) -> Self:
        self._take([frame_text(sent) for sent in step(self.job) or ()], getattr(step, "__name__", "?"))
        return self
