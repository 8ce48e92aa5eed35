"""One streamed answer of the demo upstream under way; used by `dev.demo.upstream`."""

from typing import Protocol

from trunkline.core.clock import Clock, Timer
from trunkline.dev.demo.completion import Plan
from trunkline.dev.demo.request import Speech
from trunkline.runtime.http_exchange import Exchange

BURST_BYTES = 32 * 1024
"""What is written at once of a stream without delays."""


class Owner(Protocol):
    """Keeps the books of all answers."""

    clock: Clock

    def header_lines(self, plan: Plan, speech: Speech) -> bytes:
        """Return the header lines that every answer of a plan has."""

    def ended_whole(self, plan: Plan, exchange: Exchange, *, reported: bool) -> None:
        """The answer is complete."""

    def ended_cut(self, plan: Plan, chunks: int, told: int) -> None:
        """The script broke it off after so many chunks; usage was reported up to ``told`` of them."""

    def ended_aborted(self, plan: Plan, chunks: int, told: int) -> None:
        """The client left after so many chunks; usage was reported up to ``told`` of them."""


class Stream:
    """Writes an answer as fast as its script says and its client reads."""

    __slots__ = (
        "_ended",
        "_exchange",
        "_next",
        "_owner",
        "_plan",
        "_speech",
        "_started",
        "_stop",
        "_timer",
        "_undrained",
    )

    def __init__(self, owner: Owner, exchange: Exchange, plan: Plan, speech: Speech) -> None:
        self._owner = owner
        self._exchange = exchange
        self._plan = plan
        self._speech = speech
        self._next = 0
        self._stop = _stop(plan)
        self._undrained = 0
        self._started = False
        self._ended = False
        self._timer: Timer | None = None
        exchange.on_gone = self._gone

    def run(self) -> None:
        """Write what is due now and arrange for the rest."""
        self._timer = None
        self._exchange.on_drained = self._drained_at_once
        while not self._ended:
            data = b"" if self._started else self._speech.opening()
            data += self._due()
            if self._next == self._plan.chunks != self._stop:
                self._finish(data)
                return
            self._write(data)
            if self._next == self._stop:
                self._break_off()
                return
            if self._undrained:
                self._exchange.on_drained = self._drained_later
                return
            if self._plan.script.delay_ms:
                self._timer = self._owner.clock.call_later(self._plan.script.delay_ms / 1000, self.run)
                return

    def _due(self) -> bytes:
        """Return the next events: one, or a burst of them when no delay lies between."""
        script = self._plan.script
        if script.delay_ms and not self._started:
            return b""
        burst: list[bytes] = []
        room = 1 if script.delay_ms else BURST_BYTES
        while room > 0 and self._next < self._plan.chunks and self._next != self._stop:
            if self._next == script.broken_chunk_after:
                burst.append(self._speech.broken)
            burst.append(self._speech.event(self._next))
            room -= len(burst[-1])
            self._next += 1
            if script.delay_ms:
                break
        return b"".join(burst)

    def _break_off(self) -> None:
        script = self._plan.script
        if self._next == script.stall_after:
            return  # nothing more comes until the client leaves
        self._ended = True
        self._owner.ended_cut(self._plan, self._next, self._speech.told)
        if self._next == script.cut_after:
            self._exchange.abort()
        else:
            self._exchange.finish(self._speech.failing())

    def _write(self, data: bytes) -> None:
        self._undrained += len(data)
        if self._started:
            self._exchange.write(data)
        else:
            self._started = True
            self._exchange.start(200, self._head(), data)

    def _head(self) -> bytes:
        return self._speech.stream_headers + self._owner.header_lines(self._plan, self._speech)

    def _finish(self, data: bytes) -> None:
        self._ended = True
        # Counted first: who has read the end of an answer finds it in the counts.
        self._owner.ended_whole(self._plan, self._exchange, reported=self._plan.reports_usage)
        data += self._speech.closing()
        if not self._started:
            self._exchange.start(200, self._head())
        self._exchange.finish(data)

    def _drained_at_once(self, size: int) -> None:
        self._undrained -= size

    def _drained_later(self, size: int) -> None:
        self._undrained -= size
        if not self._undrained:
            self.run()

    def _gone(self) -> None:
        if self._ended:
            return
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        self._owner.ended_aborted(self._plan, self._next, self._speech.told)


def _stop(plan: Plan) -> int:
    """Return the chunk before which the script breaks the answer off, or -1."""
    script = plan.script
    if script.cut_after is None and script.stall_after is None and script.error_mid_stream is None:
        return -1
    return min([at for at in (script.cut_after, script.stall_after, script.error_mid_stream) if at is not None])
