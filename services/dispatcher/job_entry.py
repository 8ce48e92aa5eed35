"""One job in this dispatcher's hands: its machine, who runs it, and how to reach its edge."""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from trunkline.bus.dispatch_job import DispatchJob, DispatchState
from trunkline.bus.messages import Fail, UsageEvent
from trunkline.bus.port import Bus, BusFullError
from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType, Fault

CLIENT_LEFT = Fault(ErrorType.CLIENT_GONE, "The client has left.")


class UpstreamCall(Protocol):
    """What a job needs of a call that is under way."""

    def resume(self) -> None:
        """There is credit again."""

    def cancel(self) -> None:
        """The client has left: close the upstream call."""

    def outrun(self) -> None:
        """Another call of the job has its answer: close this one."""


class JobEntry:
    """A job that was taken.

    Args:
        machine: its state machine.
        bus: carries its frames.
        deadline: monotonic seconds.
    """

    __slots__ = (
        "_body_whole",
        "_bus",
        "_calls",
        "_drained",
        "_pause",
        "_why",
        "_winner",
        "attempts",
        "cancelled",
        "deadline",
        "machine",
        "void",
    )

    def __init__(self, machine: DispatchJob, bus: Bus, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        self.machine = machine
        self.deadline = deadline
        self.cancelled = False
        self.void = False
        self.attempts = 0
        self._calls: tuple[UpstreamCall, ...] = ()
        self._winner: UpstreamCall | None = None
        self._pause: asyncio.Future[None] | None = None
        self._why = CLIENT_LEFT
        self._bus = bus
        self._body_whole: asyncio.Future[None] = loop.create_future()
        self._drained: asyncio.Future[None] | None = None
        self.body_progressed()

    @property
    def offer(self) -> int:
        """Number of the offer that was taken."""
        return self.machine.offer

    def publish(self, frames: Iterable[bytes], *, may_wait: bool = False) -> None:
        """Send frames to the edge; see `bus.port.Bus.publish`."""
        reply = self.machine.envelope.reply
        for frame in frames:
            try:
                self._bus.publish(reply, frame, may_wait=may_wait)
            except BusFullError:
                # The edge will see the gap in the sequence and end the job.
                return

    def body_progressed(self) -> None:
        """More of the request body may have come."""
        if self.machine.state is not DispatchState.RECEIVING and not self._body_whole.done():
            self._body_whole.set_result(None)

    async def body(self) -> bytes | None:
        """Return the whole request body once it is here, None if the job was cancelled meanwhile."""
        if not self._body_whole.done():
            await self._body_whole
        return None if self.cancelled else self.machine.take_body()

    def began(self, call: UpstreamCall) -> None:
        """A call is under way, and is to hear what happens to the job until it is `over`."""
        self._calls = (*self._calls, call)
        self.tell(call)

    def tell(self, call: UpstreamCall) -> None:
        """Let a call hear what happened while it could not: it began a moment after it was made, or begins anew."""
        if self.cancelled:
            call.cancel()
        elif self._winner is not None and self._winner is not call:
            call.outrun()

    def over(self, call: UpstreamCall) -> None:
        """A call has ended."""
        self._calls = tuple(other for other in self._calls if other is not call)
        if self._winner is call:
            self._winner = None

    def won(self, call: UpstreamCall) -> None:
        """A call has the job's answer: others that were made beside it are closed."""
        self._winner = call
        if len(self._calls) > 1:
            for other in self._calls:
                if other is not call:
                    other.outrun()

    async def pause(self, seconds: float, clock: Clock) -> None:
        """Return after a while, or when the job is cancelled."""
        if self.cancelled:
            return
        pause = self._pause = asyncio.get_running_loop().create_future()
        timer = clock.call_later(seconds, lambda: None if pause.done() else pause.set_result(None))
        await pause
        self._pause = None
        timer.cancel()

    def credit_arrived(self, released: list[bytes]) -> None:
        """The edge has granted more: send what waited for it, and go on reading."""
        self.publish(released)
        if self.machine.room > 0:
            for call in self._calls:
                call.resume()
        if self._drained is not None and self.machine.state is DispatchState.ENDED and not self._drained.done():
            self._drained.set_result(None)

    async def drained(self) -> None:
        """Return when END has gone out, which a slow reader may hold up."""
        if self.machine.state is DispatchState.CLOSING:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    def cancel(self, why: Fault = CLIENT_LEFT, *, void: bool = False) -> None:
        """The client or the edge is gone: close the upstream call and wake whoever waits.

        Args:
            why: for an edge that is there all the same.
            void: the edge passed nothing of it on: the client does not pay, and nobody waits to hear what was used.
        """
        if not self.cancelled:
            self._why = why
        self.cancelled = True
        self.void = self.void or void
        self.machine.cancel(void=void)
        for call in self._calls:
            call.cancel()
        for waiting in (self._body_whole, self._drained, self._pause):
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    def give_back(self, why: Fault) -> None:
        """This dispatcher stops: another one may have the job, if nothing of its answer has left; else it ends here."""
        if self.machine.state in {DispatchState.RECEIVING, DispatchState.CALLING}:
            self.publish(self.machine.fail(Fail(why, elsewhere=True, dispatcher=self.machine.dispatcher)))
            self.cancel(why, void=True)
        else:
            self.cancel(why)

    def say_last(self, event: UsageEvent | None = None, number: int = 0) -> None:
        """Tell the edge what a job used that was cancelled; nothing where it has been told before.

        Args:
            event: of the attempt that was under way, None if none was.
            number: of the event.
        """
        told = event if event is not None and (event.charged or event.units.any()) else None
        self.publish(
            self.machine.fail(
                Fail(self._why, attempts=self.attempts, usage=told, usage_no=number, dispatcher=self.machine.dispatcher)
            )
        )

    def fail(self, fault: Fault) -> None:
        """End the job with an error that no attempt stands behind."""
        self.publish(self.machine.fail(Fail(fault, attempts=self.attempts, dispatcher=self.machine.dispatcher)))
