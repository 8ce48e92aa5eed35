"""One job as its dispatcher sees it: a state machine without sockets.

::

    RECEIVING ──body whole──▶ CALLING ──head──▶ ANSWERING ──end──▶ CLOSING ──all sent──▶ ENDED
        any state ──fail, void cancel──▶ ENDED
        any state ──cancel──▶ LEFT ──fail──▶ ENDED

It numbers frames, keeps within the edge's credit, and assembles the request body. The shell asks `room` before
it reads more from the upstream: without credit it stops reading, and TCP slows the upstream down.

CREDIT carries a running total, so a lost, repeated or late one is harmless; the edge's `sync` is answered with an
empty DATA frame, by whose number the edge sees whether it has missed anything.
"""

from enum import Enum

import msgspec

from trunkline.bus import frames, messages
from trunkline.bus.frames import Credit, Frame, FrameError, Kind
from trunkline.bus.messages import Accepted, End, Envelope, Fail, Head
from trunkline.core import limits
from trunkline.core.ids import JobID


class DispatchState(Enum):
    """Where a job stands."""

    RECEIVING = "receiving"
    CALLING = "calling"
    ANSWERING = "answering"
    CLOSING = "closing"
    LEFT = "left"
    """Nobody waits for the answer any more, but the edge for what it has cost."""
    ENDED = "ended"


_SILENT = frozenset({DispatchState.LEFT, DispatchState.ENDED})


_NOTHING = memoryview(b"")


class DispatchJob:
    """One offer of a job that this dispatcher took. Methods return the frames to publish, in order.

    Args:
        dispatcher: process id.
        job, offer: which offer of which job.
        envelope: from the OPEN frame.
        part: the first part of the body, from the OPEN frame.
        version: of the OPEN frame, and so of all that is sent.
    """

    __slots__ = (
        "_body",
        "_body_expected",
        "_body_received",
        "_closing",
        "_credit",
        "_pending",
        "_sent",
        "_seq",
        "_version",
        "dispatcher",
        "envelope",
        "job",
        "offer",
        "state",
    )

    def __init__(
        self, dispatcher: str, job: JobID, offer: int, envelope: Envelope, part: bytes, *, version: int
    ) -> None:
        self.dispatcher = dispatcher
        self._version = version
        self.job = job
        self.offer = offer
        self.envelope = envelope
        self.state = DispatchState.RECEIVING
        self._body: list[bytes] = [part]
        self._body_received = len(part)
        self._body_expected = 1
        self._credit = envelope.credit
        self._sent = 0
        self._seq = 0
        self._pending = _NOTHING
        self._closing: End | None = None
        self._check_body()

    def _frame(self, kind: Kind, payload: bytes = b"") -> bytes:
        frame = frames.encode(self._version, kind, self.offer, self.job, self._seq, payload)
        self._seq += 1
        return frame

    # --- Body --------------------------------------------------------------------------------------------------

    def accept(self) -> list[bytes]:
        """Say that the job is taken, unless an answer has said so already.

        Nobody waits for it but an edge with more of the body to send, so the shell may let some time pass: a fast
        answer then needs one frame less.
        """
        if self._seq or self.state in _SILENT:
            return []
        return [self._frame(Kind.ACCEPTED, messages.encode(Accepted(self.dispatcher, self._body_credit())))]

    def _body_credit(self) -> int:
        return self._body_received + limits.BODY_WINDOW_BYTES

    def _check_body(self) -> None:
        if self._body_received > self.envelope.body_bytes:
            raise FrameError("more request body than the envelope announced")
        if self._body_received == self.envelope.body_bytes:
            self.state = DispatchState.CALLING

    def receive_body(self, frame: Frame) -> list[bytes]:
        """Take a BODY frame; returns a CREDIT frame while more is to come.

        Raises:
            FrameError: a part is missing, or there is more than was announced: the job cannot be run.
        """
        if self.state is not DispatchState.RECEIVING or frame.seq < self._body_expected:
            return []
        if frame.seq > self._body_expected:
            raise FrameError(f"BODY frame {frame.seq} where {self._body_expected} was expected")
        self._body_expected += 1
        self._body.append(frame.payload)
        self._body_received += len(frame.payload)
        self._check_body()
        if self.state is not DispatchState.RECEIVING:
            return []
        return [self._credit_for_body(sync=False)]

    def _credit_for_body(self, *, sync: bool) -> bytes:
        credit = frames.encode_credit(Credit(self._body_credit(), self._body_expected, sync))
        return frames.encode(self._version, Kind.CREDIT, self.offer, self.job, 0, credit)

    def take_body(self) -> bytes:
        """Return the whole request body. It is the caller's from now on."""
        if self.state is not DispatchState.CALLING:
            raise IllegalDispatchError("take_body", self.state)
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        return body

    # --- Answer ------------------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """Bytes that may be sent now; zero or less: stop reading the upstream."""
        return self._credit - self._sent - len(self._pending)

    def head(self, head: Head, data: bytes = b"") -> list[bytes]:
        """Begin the answer, with its first bytes where there are any."""
        if self.state is not DispatchState.CALLING:
            raise IllegalDispatchError("head", self.state)
        self.state = DispatchState.ANSWERING
        # What does not fit is split by `_release`.
        first = data if len(data) <= min(self._credit, limits.DATA_BYTES_MAX) else b""
        self._sent += len(first)
        opening = self._frame(Kind.HEAD, frames.join_parts(messages.encode(head), first))
        rest = data[len(first) :]
        return [opening, *self.data(rest)] if rest else [opening]

    def whole(self, head: Head, end: End, data: bytes) -> list[bytes]:
        """Send a whole answer that came in one piece."""
        if len(data) > limits.DATA_BYTES_MAX or len(data) > self._credit:
            return [*self.head(msgspec.structs.replace(head, usage=end.usage)), *self.end(end, data)]
        if self.state is not DispatchState.CALLING:
            raise IllegalDispatchError("whole", self.state)
        self.state = DispatchState.ENDED
        rest = frames.join_parts(messages.encode(end), data)
        return [self._frame(Kind.WHOLE, frames.join_parts(messages.encode(head), rest))]

    def data(self, data: bytes) -> list[bytes]:
        """Send bytes of the answer; what exceeds the credit is kept until more comes."""
        if self.state is not DispatchState.ANSWERING:
            raise IllegalDispatchError("data", self.state)
        if not self._pending and len(data) <= limits.DATA_BYTES_MAX and self._sent + len(data) <= self._credit:
            self._sent += len(data)
            return [self._frame(Kind.DATA, data)]
        self._keep(data)
        return self._release()

    def _keep(self, data: bytes) -> None:
        self._pending = memoryview(bytes(self._pending) + data)

    def _release(self) -> list[bytes]:
        """Send what is pending as far as the credit goes, and END behind it if that was all."""
        released = []
        while self._pending and (part := self._next_part()):
            self._pending = self._pending[len(part) :]
            self._sent += len(part)
            released.append(self._frame(Kind.DATA, part))
        if self._closing is not None and not self._pending:
            self.state = DispatchState.ENDED
            released.append(self._frame(Kind.END, frames.join_parts(messages.encode(self._closing), b"")))
        return released

    def _next_part(self) -> bytes:
        """Return what of the pending bytes may leave now.

        A stream is split between its events, so that an error can stand behind any frame: an event of which the
        client has a part is one it cannot read. One that fits into no frame, or into most of a window, is split all
        the same.
        """
        credit = max(0, self._credit - self._sent)
        part = bytes(self._pending[: min(credit, limits.DATA_BYTES_MAX)])
        if len(part) == len(self._pending) or not self.envelope.stream:
            return part
        border = max(part.rfind(b"\n\n") + 2, part.rfind(b"\n\r\n") + 3)
        if border > 2:
            return part[:border]
        # The edge grants more only once a step of it has been used up.
        more_will_come = credit <= self.envelope.credit - limits.CREDIT_STEP_BYTES and credit < limits.DATA_BYTES_MAX
        return b"" if more_will_come else part

    def end(self, end: End, data: bytes = b"") -> list[bytes]:
        """Complete the answer, with its last bytes; END follows the last of the pending ones."""
        if self.state is not DispatchState.ANSWERING:
            raise IllegalDispatchError("end", self.state)
        if not self._pending and len(data) <= limits.DATA_BYTES_MAX and self._sent + len(data) <= self._credit:
            self._sent += len(data)
            self.state = DispatchState.ENDED
            return [self._frame(Kind.END, frames.join_parts(messages.encode(end), data))]
        self.state = DispatchState.CLOSING
        self._keep(data)
        self._closing = end
        return self._release()

    def fail(self, fail: Fail) -> list[bytes]:
        """End the job badly. Pending bytes are dropped: an error that waits for a slow reader helps nobody.

        What an END that waited behind them would have said of the usage is said all the same.
        """
        if self.state is DispatchState.ENDED:
            return []
        self.state = DispatchState.ENDED
        self._pending = _NOTHING
        if self._closing is not None and fail.usage is None:
            fail = msgspec.structs.replace(fail, usage=self._closing.usage, usage_no=self._closing.usage_no)
        return [self._frame(Kind.FAIL, messages.encode(fail))]

    def cancel(self, *, void: bool = False) -> None:
        """The edge or its client gave the job up: nothing more is sent but a FAIL, and with ``void`` not even that."""
        if self.state is not DispatchState.ENDED:
            self.state = DispatchState.ENDED if void else DispatchState.LEFT
        self._pending = _NOTHING

    def receive_credit(self, credit: Credit) -> list[bytes]:
        """Take a CREDIT frame."""
        if self.state in _SILENT:
            return []
        self._credit = max(self._credit, credit.total)
        released = self._release() if self._pending else []
        if not credit.sync or released:
            return released
        # While the body comes, the edge must also learn what of it is missing, or that it may send more.
        body = [self._credit_for_body(sync=True)] if self.state is DispatchState.RECEIVING else []
        return [*body, self._frame(Kind.DATA)]


class IllegalDispatchError(Exception):
    """An input that the state does not allow: a defect of the shell."""

    def __init__(self, given: str, state: DispatchState) -> None:
        super().__init__(f"{given} in state {state.value}")
