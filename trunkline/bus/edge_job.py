"""One job as its edge sees it: a state machine without sockets.

::

    OFFERED ──ACCEPTED──▶ ACCEPTED ──HEAD──▶ ANSWERING ──END──▶ ENDED
       │ refused, silent      │ dispatcher lost, frame lost        ▲
       └──────▶ offered again ◀┘                 any state ──FAIL──┤
                                                                   │ last frame, nothing heard
        any state ──client gone, an answer given up──▶ SETTLING ───┘

    OFFERED ──all are full──▶ WAITING ──its turn──▶ OFFERED

A fast answer skips ACCEPTED (its HEAD names the dispatcher), and one in one piece comes as a single WHOLE.

Until the first byte has gone to the client a job may be offered again; after it, the only ends left are END and
an error. Whatever is lost, repeated, late or reordered on the bus, the machine emits exactly one of `Finish`,
`Abort` and `Forget` (the client left), and exactly one `Settle`: with the end, or later where the client's end comes
before the dispatcher's last word. Nothing follows the two.

Inputs are methods; each returns the commands (`bus.edge_commands`) that the shell carries out in order. Times are
monotonic seconds. The shell calls `tick` about once a second.
"""

from collections.abc import Iterator
from enum import Enum

import msgspec

from trunkline.bus import frames, messages
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
from trunkline.bus.frames import Credit, Frame, Kind
from trunkline.bus.messages import Envelope, Fail, Head
from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.ids import JobID


class EdgeState(Enum):
    """Where a job stands."""

    OFFERED = "offered"
    WAITING = "waiting"
    """No dispatcher has it, and none is asked before there is room."""
    ACCEPTED = "accepted"
    ANSWERING = "answering"
    SETTLING = "settling"
    """The client has its end, or has left; what is to be paid is still to come."""
    ENDED = "ended"


_FRAME_LOST = Fault(ErrorType.GATEWAY_FRAME_LOST, "A part of the answer was lost inside the gateway. Please retry.")
_DISPATCHER_LOST = Fault(
    ErrorType.GATEWAY_DISPATCHER_LOST, "The worker that handled this request went away. Please retry."
)
_NOT_ACCEPTED = Fault(ErrorType.GATEWAY_BUSY, "No worker took this request in time. Please retry.", retry_after_ms=1000)
_NO_DISPATCHER = Fault(
    ErrorType.GATEWAY_NO_DISPATCHER, "No worker is available at the moment. Please retry.", retry_after_ms=2000
)
_DEADLINE = Fault(ErrorType.UPSTREAM_TIMEOUT, "The request did not finish within its deadline.")
_OVERRUN = Fault(ErrorType.GATEWAY_INTERNAL, "The gateway broke its own flow control. Please retry.")

_UNTAKEN = frozenset({EdgeState.OFFERED, EdgeState.WAITING})
_BEFORE_HEAD = frozenset({EdgeState.OFFERED, EdgeState.ACCEPTED})
_OVER = frozenset({EdgeState.SETTLING, EdgeState.ENDED})

_OURS = frozenset({ErrorType.GATEWAY_SHUTTING_DOWN, ErrorType.GATEWAY_FRAME_LOST, ErrorType.GATEWAY_INTERNAL})
"""Why a dispatcher ends an answer that has begun, where neither its client nor its provider is to blame."""

DEADLINE_SLACK_S = 5.0
"""The dispatcher ends a job at its deadline by itself, with a better message; the edge waits this much longer."""


class EdgeJob:
    """One job.

    Attributes:
        voided: an offer was given up that may have been answered.

    Args:
        job: its id.
        envelope: what dispatchers are told; ``offered_ms``, ``deadline_s`` and ``patience_ms`` are set anew for each
            offer.
        body: the whole request body; let go once the answer has begun.
        now: monotonic seconds.
    """

    __slots__ = (
        "_body",
        "_body_sent",
        "_body_seq",
        "_credit",
        "_deadline",
        "_drained",
        "_envelope",
        "_expected",
        "_full",
        "_heard",
        "_offered",
        "_offered_to",
        "_patience_s",
        "_received",
        "_round",
        "_version",
        "_window",
        "dispatcher",
        "job",
        "offer_no",
        "offers",
        "started",
        "state",
        "tried",
        "voided",
    )

    def __init__(self, job: JobID, envelope: Envelope, body: bytes, now: float) -> None:
        self.job = job
        self.state = EdgeState.OFFERED
        self.dispatcher: str | None = None
        self.tried: set[str] = set()
        self.offers = 0
        self.offer_no = -1
        self.started = False
        self.voided = False
        self._round = 0  # offers since the job last waited
        self._full = False
        self._envelope = envelope
        self._version = frames.OLDEST_READ
        self._window = envelope.credit
        self._deadline = now + envelope.deadline_s
        self._patience_s = limits.ACCEPT_TIMEOUT_S
        self._body: bytes | None = body
        self._reset(now)

    @property
    def worthless(self) -> bool:
        """Whether what the client has is worth nothing unless more comes.

        A stream may be used as far as it came, the beginning of any other answer may not.
        """
        return not self.started or not self._envelope.stream

    def _reset(self, now: float) -> None:
        self.state = EdgeState.OFFERED
        self.dispatcher = None
        self._offered_to: str | None = None
        self._expected = 0
        self._credit = self._window
        self._received = 0
        self._drained = 0
        self._body_sent = 0
        self._body_seq = 1
        self._offered = self._heard = now

    # --- Offers ------------------------------------------------------------------------------------------------

    def offer(self, now: float, version: int, to: str | None = None, *, waiting: int = 0) -> tuple[Command, ...]:
        """Hand the job to a dispatcher: ``to``, or whichever of the lane the broker picks.

        Args:
            now: monotonic seconds.
            version: of this offer's frames; see `bus.fleet.Fleet.frame_version`.
            to: process id of a dispatcher.
            waiting: jobs that wait for room behind it.
        """
        if self.state not in _UNTAKEN or self._body is None:
            raise IllegalInputError("offer", self.state)
        self.offers += 1
        self._round += 1
        self.offer_no += 1
        self._reset(now)
        self._version = version
        self._offered_to = to
        envelope = msgspec.structs.replace(
            self._envelope,
            offered_ms=round(now * 1000),
            deadline_s=max(0.0, self._deadline - now),
            patience_ms=round(self._patience_s * 1000),
            waiting=waiting,
        )
        part = self._body[: limits.OPEN_BODY_BYTES_MAX]
        self._body_sent = len(part)
        payload = frames.join_parts(messages.encode(envelope), part)
        return (Send(to, self._frame(Kind.OPEN, 0, payload), answered=True),)

    def _frame(self, kind: Kind, seq: int, payload: bytes) -> bytes:
        return frames.encode(self._version, kind, self.offer_no, self.job, seq, payload)

    def wait(self) -> tuple[Command, ...]:
        """Let the job wait for room, before its first offer or after all have been refused."""
        if self.state is not EdgeState.OFFERED:
            raise IllegalInputError("wait", self.state)
        self.state = EdgeState.WAITING
        self.tried.clear()
        self._round = 0
        self._full = False
        return (Wait(),)

    def give_up(self, fault: Fault) -> tuple[Command, ...]:
        """End the job because no dispatcher is left to offer it to, or the edge must stop."""
        if self.state in _OVER:
            return ()
        self._void(fault)
        return (*self._cancel(void=self.worthless), *self._abort(fault))

    def _again(self, fault: Fault) -> tuple[Command, ...]:
        """Offer the job again if the client has got nothing yet; else fail it with ``fault``."""
        if self.started:
            return self._abort(fault)
        tried = self.dispatcher or self._offered_to
        if tried is not None:
            self.tried.add(tried)
        self.state = EdgeState.OFFERED
        self.dispatcher = None
        if self._round >= limits.OFFERS_MAX:
            return self.wait() if self._full else self._abort(fault)
        return (Reoffer(fault, self._full),)

    # --- Frames ------------------------------------------------------------------------------------------------

    def receive(self, frame: Frame, now: float) -> tuple[Command, ...]:
        """Take a frame from the bus. Stale and repeated ones change nothing."""
        state = self.state
        if (
            state is EdgeState.ENDED
            or state is EdgeState.SETTLING
            or state is EdgeState.WAITING
            or frame.offer != self.offer_no
        ):
            return self._last_word(frame)
        self._heard = now
        if frame.kind is Kind.CREDIT:
            return self._body_credit(frames.decode_credit(frame.payload))
        if frame.seq < self._expected:
            return ()
        if frame.seq > self._expected:
            return self._lost(_FRAME_LOST)
        self._expected += 1
        match frame.kind:
            case Kind.DATA:
                return self._data(frame.payload)
            case Kind.HEAD:
                return self._head(frame.payload)
            case Kind.END:
                return self._end(frame.payload)
            case Kind.ACCEPTED:
                return self._accepted(frame.payload)
            case Kind.WHOLE:
                return self._whole(frame.payload)
            case Kind.FAIL:
                return self._fail(frame.payload)
            case _:
                raise frames.FrameError(f"a {frame.kind.name} frame towards an edge")

    def _lost(self, fault: Fault) -> tuple[Command, ...]:
        """Nothing good can come of this offer any more: end it there, and offer the job again if that is possible."""
        self._void(fault)
        return (*self._cancel(void=self.worthless), *self._again(fault))

    def _void(self, fault: Fault) -> None:
        """Note that an offer which is given up may be answered all the same, or may have been."""
        answering = self.state is EdgeState.ANSWERING and self.worthless
        if (answering or self.state in _BEFORE_HEAD) and fault is not _NO_DISPATCHER:
            self.voided = True

    def _accepted(self, payload: bytes) -> tuple[Command, ...]:
        if self.state is not EdgeState.OFFERED:
            raise IllegalInputError("ACCEPTED", self.state)
        accepted = messages.decode_accepted(payload)
        self.state = EdgeState.ACCEPTED
        self.dispatcher = accepted.dispatcher
        return self._send_body(accepted.body_credit)

    def _head(self, payload: bytes) -> tuple[Command, ...]:
        encoded, data = frames.split_parts(payload)
        return (self._begin(messages.decode_head(encoded)), *self._data(data))

    def _begin(self, head: Head) -> Start:
        if self.state not in _BEFORE_HEAD:
            raise IllegalInputError("HEAD", self.state)
        self.state = EdgeState.ANSWERING
        self.started = True
        self.dispatcher = head.dispatcher
        self._body = None
        return Start(head)

    def _whole(self, payload: bytes) -> tuple[Command, ...]:
        encoded, rest = frames.split_parts(payload)
        return (self._begin(messages.decode_head(encoded)), *self._end(rest))

    def _data(self, data: bytes) -> tuple[Command, ...]:
        if not data:
            return ()  # an answer to `sync`, or a head without a body
        if self.state is not EdgeState.ANSWERING:
            raise IllegalInputError("DATA", self.state)
        self._received += len(data)
        if self._received > self._credit:
            return self.give_up(_OVERRUN)
        return (Write(data),)

    def _end(self, payload: bytes) -> tuple[Command, ...]:
        if self.state is not EdgeState.ANSWERING:
            raise IllegalInputError("END", self.state)
        encoded, data = frames.split_parts(payload)
        written = self._data(data)
        if self.state is not EdgeState.ANSWERING:
            return written  # more than was granted: the job has been ended
        self.state = EdgeState.ENDED
        return (*written, _settled_by_end(encoded), Finish())

    def _fail(self, payload: bytes) -> tuple[Command, ...]:
        fail = messages.decode_fail(payload)
        if fail.elsewhere:
            self.tried.add(fail.dispatcher)
            self._full = self._full or fail.fault.type is ErrorType.GATEWAY_BUSY
            return self._again(fail.fault)
        self.dispatcher = fail.dispatcher
        self.voided = self.voided or fail.unknown
        settled = _settled_by_fail(fail)
        if self.started and self.worthless and fail.fault.type in _OURS:
            self.voided, settled = True, Settle()
        self.state = EdgeState.ENDED
        self._body = None
        return (settled, Abort(fail.fault))

    def _abort(self, fault: Fault) -> tuple[Command, ...]:
        """End the job by ourselves. What the client has got of it is paid, so its dispatcher is still to be heard."""
        self._body = None
        if self.worthless:
            self.state = EdgeState.ENDED
            return (Settle(), Abort(fault))
        self.state = EdgeState.SETTLING
        return (Abort(fault),)

    # --- After the client's end --------------------------------------------------------------------------------

    def _last_word(self, frame: Frame) -> tuple[Command, ...]:
        """Take the frame that ends the job at its dispatcher; those before it are of no interest, lost or not."""
        if self.state is not EdgeState.SETTLING or frame.offer != self.offer_no:
            return ()
        match frame.kind:
            case Kind.END:
                settled = _settled_by_end(frames.split_parts(frame.payload)[0])
            case Kind.WHOLE:
                head, rest = frames.split_parts(frame.payload)
                self.dispatcher = messages.decode_head(head).dispatcher
                settled = _settled_by_end(frames.split_parts(rest)[0])
            case Kind.FAIL:
                fail = messages.decode_fail(frame.payload)
                self.dispatcher = fail.dispatcher
                settled = _settled_by_fail(fail)
            case _:
                return ()
        self.state = EdgeState.ENDED
        return (settled,)

    def unheard(self) -> tuple[Command, ...]:
        """The dispatcher's last word on a job whose client has its end will not come, or is not waited for."""
        if self.state is not EdgeState.SETTLING:
            return ()
        self.state = EdgeState.ENDED
        return (Settle(lost=True),)

    # --- Body, credit, cancel ----------------------------------------------------------------------------------

    def _body_credit(self, credit: Credit) -> tuple[Command, ...]:
        """Send what the dispatcher grants. Its answer to `sync` shows whether a part that was sent is missing there."""
        parts = self._send_body(credit.total)
        if credit.sync and not parts and credit.expects < self._body_seq:
            return self._lost(_FRAME_LOST)
        return parts

    def _send_body(self, credit: int) -> tuple[Command, ...]:
        """Return BODY frames up to the dispatcher's credit, which is a total over the whole body."""
        if self._body is None:
            return ()
        return tuple(self._body_frames(self._body, min(credit, len(self._body))))

    def _body_frames(self, body: bytes, end: int) -> Iterator[Send]:
        while self._body_sent < end:
            part = body[self._body_sent : min(end, self._body_sent + limits.DATA_BYTES_MAX)]
            frame = self._frame(Kind.BODY, self._body_seq, part)
            self._body_seq += 1
            self._body_sent += len(part)
            yield Send(self.dispatcher, frame)

    def drained(self, size: int) -> tuple[Command, ...]:
        """The client has taken ``size`` more bytes of what `Write` gave."""
        self._drained += size
        granted = self._drained + self._window
        if granted - self._credit < limits.CREDIT_STEP_BYTES or self.state is not EdgeState.ANSWERING:
            return ()
        self._credit = granted
        return (self._send_credit(sync=False),)

    def _send_credit(self, *, sync: bool) -> Send:
        payload = frames.encode_credit(Credit(self._credit, self._expected, sync))
        return Send(self.dispatcher, self._frame(Kind.CREDIT, 0, payload), answered=sync)

    def _cancel(self, *, void: bool) -> tuple[Command, ...]:
        if self.state is EdgeState.WAITING:
            return ()
        if self.dispatcher is None:
            return (Withdraw(self.offer_no, void),)
        return (Send(self.dispatcher, self._frame(Kind.CANCEL, 0, frames.encode_void(void=void))),)

    def client_gone(self) -> tuple[Command, ...]:
        """The client closed its connection: the upstream call must be closed, too."""
        if self.state in _OVER:
            return ()
        if self.state is EdgeState.WAITING:
            self.state = EdgeState.ENDED
            self._body = None
            return (Settle(), Forget())
        # One who leaves pays for what was produced until now, even if he has not seen it.
        commands = self._cancel(void=False)
        self.state = EdgeState.SETTLING
        self._body = None
        return (*commands, Forget())

    # --- Time and loss -----------------------------------------------------------------------------------------

    def tick(self, now: float) -> tuple[Command, ...]:
        """Look at the clock: acceptance, silence, deadline. How long to wait for a last word is the shell's concern."""
        if self.state in _OVER:
            return ()
        if now - self._deadline > DEADLINE_SLACK_S:
            return self.give_up(_DEADLINE)
        if self.state is EdgeState.WAITING:
            return ()
        if self.state is EdgeState.OFFERED:
            if now - self._offered < self._patience_s:
                return ()
            self._patience_s = limits.ACCEPT_AGAIN_TIMEOUT_S
            return self._lost(_NOT_ACCEPTED)
        if now - self._heard >= limits.SYNC_AFTER_QUIET_S:
            self._heard = now  # ask again after as long
            return (self._send_credit(sync=True),)
        return ()

    def dispatcher_lost(self, dispatcher: str) -> tuple[Command, ...]:
        """A dispatcher's beats have stopped. Its CANCEL is sent all the same: it may be cut off, not dead."""
        if self.state is EdgeState.ENDED or self.dispatcher != dispatcher:
            return ()
        commands = () if self.state is EdgeState.SETTLING else self._lost(_DISPATCHER_LOST)
        return (*commands, *self.unheard())

    def no_responders(self) -> tuple[Command, ...]:
        """The broker says that nobody listens: to the offer, or to a question about a job under way.

        It does not say to which, and may speak of an earlier offer: so the present one is ended in good form. A job
        under way stays: its dispatcher may be about to reconnect, and whether it lives its beats tell.
        """
        if self.state is EdgeState.SETTLING and self.dispatcher is None:
            self.state = EdgeState.ENDED
            return (Settle(),)
        return self._lost(_NO_DISPATCHER) if self.state is EdgeState.OFFERED else ()


def _settled_by_end(encoded: bytes) -> Settle:
    end = messages.decode_end(encoded)
    return Settle(end.usage, end.usage_no)


def _settled_by_fail(fail: Fail) -> Settle:
    return Settle(fail.usage, fail.usage_no, lost=fail.unknown)


class IllegalInputError(Exception):
    """An input that the state does not allow: a defect of the other side or of the shell."""

    def __init__(self, given: str, state: EdgeState) -> None:
        super().__init__(f"{given} in state {state.value}")
