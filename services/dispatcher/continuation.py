"""An answer that broke off while others go on with it: what is to be booked of it at the end (ADR 12).

The attempt that began it is charged for all of the answer, so that a job is charged once. Its event is therefore held
back until the answer is over; checkpoints have it meanwhile.
"""

import msgspec

from services.dispatcher.joined_answer import Begun, JoinedStream
from trunkline.bus.messages import UsageEvent
from trunkline.core.errors import ErrorType, Fault
from trunkline.protocol.continuation import AnswerSoFar

CONTINUATIONS_MAX = 2
"""Attempts to go on with one answer. When two more have failed it is likely that a third fails as well, and each is
paid for the whole conversation again."""


class Continuation:
    """One answer that is gone on with.

    Args:
        event: of the attempt that began it, as it would be booked.
        begun: what the client has.
        so_far: of ``begun``.
        fault: why it broke off.

    Attributes:
        so_far, fault: see there; the fault is that of the last attempt of which the client has got something.
        begun: the answer as far as it has come.
        tries: attempts to go on with it.
    """

    def __init__(self, event: UsageEvent, begun: Begun, so_far: AnswerSoFar, fault: Fault) -> None:
        self._event = event
        self._first_output = begun.billed.output
        self.begun = begun
        self.so_far = so_far
        self.fault = fault
        self.tries = 0

    @property
    def possible(self) -> bool:
        """Whether another provider may (still) go on."""
        return self.so_far.continuable and self.tries < CONTINUATIONS_MAX

    def went_on(self, answer: object, fault: Fault | None, *, sent: bool) -> bool:
        """Take what an attempt to go on came to; returns whether another one makes sense after it.

        Args:
            answer: of the attempt.
            fault: None for a complete answer.
            sent: the client has got what was written of it, if anything was.
        """
        if isinstance(answer, JoinedStream) and answer.first_output:
            if not sent:
                return False  # the writer is ahead of the client
            self.begun, self.fault = answer, fault or self.fault
        return True

    def event(self, begun: Begun | None = None) -> UsageEvent:
        """Return what the client pays, up to ``begun`` or the last that it has got."""
        output = (self.begun if begun is None else begun).billed.output
        return msgspec.structs.replace(self._event, joined_output=output - self._first_output)

    def event_if_lost(self, begun: Begun) -> UsageEvent:
        """Return what is to be booked if this process dies now."""
        return msgspec.structs.replace(self.event(begun), outcome=ErrorType.GATEWAY_DISPATCHER_LOST.value)
