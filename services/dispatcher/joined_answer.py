"""The rest of a stream that broke off, from another provider: written where the first one's bytes ended (ADR 12)."""

from typing import Protocol

from services.dispatcher.answers import AnswerFacts, InputCount, read_facts
from services.dispatcher.costs import StatedCost
from trunkline.core.usage import Units
from trunkline.protocol.continuation import AnswerSoFar, Joint
from trunkline.protocol.dialect import EventReader, EventWriter
from trunkline.protocol.events import Event, MessageEnd, StreamError
from trunkline.protocol.upstream_error import UpstreamError


class Begun(Protocol):
    """A stream whose beginning the client has.

    Attributes:
        writer: of the client's dialect, in the middle of the answer.
        so_far: what it has written; None where nobody may go on with it.
        cost: as in `answers.StreamAnswer`.
    """

    writer: EventWriter
    so_far: AnswerSoFar | None
    cost: StatedCost | None

    @property
    def billed(self) -> Units:
        """What the client pays for so far."""


class JoinedStream:
    """A stream that goes on with another one; see `answers.StreamAnswer`.

    Args:
        begun: what it goes on with.
        so_far: of ``begun``.
        reader: of the provider's dialect.
        count_input: counts what this provider was sent.

    Attributes:
        complete: see `answers.StreamAnswer`.
    """

    def __init__(self, begun: Begun, so_far: AnswerSoFar, reader: EventReader, count_input: InputCount) -> None:
        self.writer = begun.writer
        self.so_far: AnswerSoFar | None = so_far
        self.cost = begun.cost
        self.count_input = count_input
        self.complete = False
        self.error: UpstreamError | None = None
        self._reader = reader
        self._joint = Joint(so_far.text, begun.billed)
        self._so_far = so_far

    @property
    def first_output(self) -> bool:
        """Whether the client has got anything of it: what only this side knows of does not bind the job to it."""
        return self._joint.output

    def receive(self, data: bytes) -> bytes:
        """See `StreamAnswer`."""
        return self._write(self._reader.receive(data))

    def finish(self) -> bytes:
        """See `StreamAnswer`."""
        return self._write(self._reader.finish())

    def _write(self, events: list[Event]) -> bytes:
        written = []
        for event in events:
            if isinstance(event, StreamError):
                self.error = event.error
                break
            for joined in self._joint.take(event):
                self._so_far.take(joined)
                self.complete = self.complete or isinstance(joined, MessageEnd)
                written.append(self.writer.write(joined))
        block = b"".join(written)
        return block if self.cost is None or not block else self.cost.events(block, lambda: self.billed)

    def facts(self) -> AnswerFacts:
        """Return what this provider was used for; see `StreamAnswer`."""
        return read_facts(self._joint.meter, self.count_input)

    def facts_so_far(self) -> AnswerFacts:
        """See `StreamAnswer`."""
        return read_facts(self._joint.meter, self.count_input.so_far)

    @property
    def billed(self) -> Units:
        """What the client pays for the whole answer, as far as it has come."""
        return self._joint.billed

    @property
    def joined_output(self) -> int:
        """Tokens of this provider's output that the client pays."""
        return self._joint.joined_output
