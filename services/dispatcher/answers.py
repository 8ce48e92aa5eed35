"""The two forms of an answer: a stream that is passed on, and a whole body that is kept till its end.

Each either stays in its dialect, its bytes untouched but for the model's name and a usage that the provider did not
report, or is translated by way of neutral events. `passage` decides which.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import msgspec

from services.dispatcher.costs import StatedCost
from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.usage import Units, Usage, UsageSource
from trunkline.protocol.continuation import AnswerSoFar
from trunkline.protocol.counted_usage import CountInput, counted_units
from trunkline.protocol.dialect import EventReader, EventWriter, StreamRelay, WholeAnswer
from trunkline.protocol.events import Event, MessageEnd, StreamError, UsageReport
from trunkline.protocol.json_cut import closed
from trunkline.protocol.meter import AnswerMeter
from trunkline.protocol.tokens import estimate_input
from trunkline.protocol.upstream_error import RetryClass, UpstreamError

_CUT = UpstreamError(Fault(ErrorType.UPSTREAM_CUT, "The provider's answer was cut off."), RetryClass.OTHER_CHANNEL)


class InputCount:
    """A `CountInput` that counts once.

    Args:
        count: of the dialect.
        body: the client's request.
        further: tokens of what stands behind it in what is sent to the provider.
    """

    __slots__ = ("_body", "_count", "_estimate", "_further", "_tokens")

    def __init__(self, count: Callable[[bytes], int], body: bytes, further: int = 0) -> None:
        self._count = count
        self._body = body
        self._further = further
        self._tokens = -1
        self._estimate = -1

    def __call__(self) -> int:
        """Return the tokens."""
        if self._tokens < 0:
            self._tokens = self._count(self._body) + self._further
        return self._tokens

    def so_far(self) -> int:
        """Return the tokens, or what they may be where counting them takes long and may not be needed."""
        if self._tokens >= 0 or len(self._body) <= limits.COUNT_AT_ONCE_BYTES_MAX:
            return self()
        if self._estimate < 0:
            # A picture that is cut here must end with a quotation mark, not to be taken for text.
            self._estimate = estimate_input(self._body[: limits.COUNT_BYTES_MAX] + b'"') + self._further
        return self._estimate


class AnswerFacts(NamedTuple):
    """What an answer used.

    Attributes:
        usage: in disjoint buckets; empty if nothing was produced.
        output: whether the client got anything for it.
        finish_reason: the provider's word for why it ended; empty if it said none.
    """

    usage: Usage
    output: bool
    finish_reason: str = ""

    @classmethod
    def none(cls) -> "AnswerFacts":
        """An attempt without an answer."""
        return cls(Usage(Units(), UsageSource.COUNTED), output=False)


class Used(Protocol):
    """What reads usage beside an answer.

    Attributes:
        finish_reason: why it ended; empty until that is known.
    """

    finish_reason: str

    @property
    def units(self) -> Units | None:
        """As reported, None if not."""

    @property
    def first_output(self) -> bool:
        """Whether the model has said anything yet."""

    @property
    def opening(self) -> Units | None:
        """Of the input, as the provider said when it began; None if it did not."""

    def output_tokens_counted(self) -> int:
        """Output so far, counted here."""


def read_facts(used: Used, count_input: CountInput) -> AnswerFacts:
    """Return what was used so far: the last report, else a count."""
    units = used.units
    if units is not None:
        return AnswerFacts(Usage(units, UsageSource.REPORTED), used.first_output, used.finish_reason)
    if not used.first_output:
        # Nothing for the client; but what the provider read costs us all the same.
        read = Units() if used.opening is None else msgspec.structs.replace(used.opening, output=0, reasoning=0)
        return AnswerFacts(Usage(read, UsageSource.COUNTED), output=False)
    counted = counted_units(used.opening, used.output_tokens_counted(), count_input)
    return AnswerFacts(Usage(counted, UsageSource.COUNTED), output=True, finish_reason=used.finish_reason)


class StreamAnswer(Protocol):
    """A stream: what it says is passed on as it comes.

    Attributes:
        error: why it is no good answer; set by `receive` and `finish`.
        cost: states what it costs; None for a client that did not ask.
        count_input: counts the request's tokens.
    """

    error: UpstreamError | None
    cost: StatedCost | None
    count_input: InputCount

    @property
    def first_output(self) -> bool:
        """Whether the model has said anything yet."""

    @property
    def complete(self) -> bool:
        """Whether all of the answer has come."""

    def receive(self, data: bytes) -> bytes:
        """Take bytes; returns those to pass on."""

    def finish(self) -> bytes:
        """The body has ended; returns what is still to pass on, and sets ``error`` if the answer is not whole."""

    def facts(self) -> AnswerFacts:
        """Return what was used so far."""

    def facts_so_far(self) -> AnswerFacts:
        """As `facts`, for a stream that goes on: what would take long to be counted may be estimated."""


class RelayedStream:
    """A stream that stays in its dialect.

    Args:
        relay: of the dialect.
        count_input: see there.
    """

    def __init__(self, relay: StreamRelay, count_input: InputCount) -> None:
        self._relay = relay
        self.count_input = count_input
        self.error: UpstreamError | None = None
        self.cost: StatedCost | None = None

    @property
    def first_output(self) -> bool:
        """See `StreamAnswer`."""
        return self._relay.first_output

    @property
    def complete(self) -> bool:
        """See `StreamAnswer`."""
        return self._relay.complete and not self._relay.open_ended

    def receive(self, data: bytes) -> bytes:
        """See `StreamAnswer`."""
        passed = self._relay.receive(data)
        self.error = self._relay.error
        return passed if self.cost is None else self._with_cost(passed, self.cost)

    def finish(self) -> bytes:
        """See `StreamAnswer`."""
        last = self._relay.finish()
        self.error = self._relay.error
        if self.error is None and not self._relay.complete:
            self.error = _CUT
        return last if self.cost is None else self._with_cost(last, self.cost)

    def _with_cost(self, passed: bytes, cost: StatedCost) -> bytes:
        # A report that says nothing yet is let by: to count at each of them what came so far would change the count.
        told = self._relay.units is not None or self._relay.complete
        return cost.events(passed, lambda: self.facts().usage.units) if passed and told else passed

    def facts(self) -> AnswerFacts:
        """See `StreamAnswer`."""
        return read_facts(self._relay, self.count_input)

    def facts_so_far(self) -> AnswerFacts:
        """See `StreamAnswer`."""
        return read_facts(self._relay, self.count_input.so_far)


class TranslatedStream:
    """A stream that is read in the provider's dialect and written in the client's.

    Args:
        reader, writer: of the two dialects.
        count_input: see there.
        so_far: watches what is written, where another provider may go on with it; else None.

    Attributes:
        writer, so_far: see there.
        complete: see `StreamAnswer`.
    """

    def __init__(
        self, reader: EventReader, writer: EventWriter, count_input: InputCount, so_far: AnswerSoFar | None = None
    ) -> None:
        self._reader = reader
        self.writer = writer
        self.so_far = so_far
        self.count_input = count_input
        self._meter = AnswerMeter()
        self.complete = False
        self.error: UpstreamError | None = None
        self.cost: StatedCost | None = None

    @property
    def first_output(self) -> bool:
        """See `StreamAnswer`."""
        return self._meter.first_output

    def receive(self, data: bytes) -> bytes:
        """See `StreamAnswer`."""
        return self._write(self._reader.receive(data))

    def finish(self) -> bytes:
        """See `StreamAnswer`."""
        return self._write(self._reader.finish())

    def _write(self, events: list[Event]) -> bytes:
        written = []
        for event in with_counted_usage(events, self._meter, self.count_input):
            if isinstance(event, StreamError):
                self.error = event.error
                break
            if self.so_far is not None:
                self.so_far.take(event)
            self.complete = self.complete or isinstance(event, MessageEnd)
            written.append(self.writer.write(event))
        block = written[0] if len(written) == 1 else b"".join(written)
        return block if self.cost is None else self.cost.events(block, lambda: self.facts().usage.units)

    def facts(self) -> AnswerFacts:
        """See `StreamAnswer`."""
        return read_facts(self._meter, self.count_input)

    @property
    def billed(self) -> Units:
        """What the client pays for so far."""
        return self.facts().usage.units

    def facts_so_far(self) -> AnswerFacts:
        """See `StreamAnswer`."""
        return read_facts(self._meter, self.count_input.so_far)


def with_counted_usage(events: Iterable[Event], meter: AnswerMeter, count_input: CountInput) -> Iterable[Event]:
    """Yield events as the meter takes them, with a count before the end where the provider reported nothing."""
    for event in events:
        if isinstance(event, MessageEnd) and meter.units is None and meter.first_output:
            yield UsageReport(counted_units(meter.opening, meter.output_tokens_counted(), count_input))
        else:
            meter.take(event)
        yield event


class PlainAnswer:
    """A whole answer: kept until its end, since only then is it known to be one.

    Args:
        read: takes the whole body and returns what it is, and the body for the client.
        count_input: see there.
    """

    def __init__(self, read: Callable[[bytes], tuple[WholeAnswer, bytes]], count_input: CountInput) -> None:
        self._read = read
        self.count_input = count_input
        self._parts: list[bytes] = []
        self._bytes = 0
        self._answer: WholeAnswer | None = None
        self.error: UpstreamError | None = None
        self.cost: StatedCost | None = None

    def receive(self, data: bytes) -> bool:
        """Take bytes; False if there are too many."""
        self._parts.append(data)
        self._bytes += len(data)
        return self._bytes <= limits.UPSTREAM_ANSWER_BYTES_MAX

    def finish(self) -> bytes:
        """The body has ended; returns it for the client, and sets ``error`` if it is no answer."""
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        self._answer, shown = self._read(body)
        self.error = self._answer.error
        if self.error is not None:
            return b""
        return shown if self.cost is None else self.cost.whole(shown, self.facts().usage.units)

    def cut(self) -> None:
        """The rest will not come: let what has come be read for `facts`, as far as it says anything."""
        if self._parts and self._answer is None:
            came = b"".join(self._parts)[: limits.CUT_ANSWER_BYTES_MAX]
            self._parts = []
            answer, _ = self._read(closed(came))
            if answer.output_tokens_counted:
                answer = msgspec.structs.replace(answer, error=None)  # that its end is missing is no fault of what came
            self._answer = answer

    def facts(self) -> AnswerFacts:
        """Return what was used."""
        answer = self._answer
        if answer is None or answer.error is not None:
            return AnswerFacts.none()
        if answer.units is not None:
            return AnswerFacts(
                Usage(answer.units, UsageSource.REPORTED), output=True, finish_reason=answer.finish_reason
            )
        if not answer.output:
            return AnswerFacts.none()
        counted = counted_units(answer.opening, answer.output_tokens_counted, self.count_input)
        return AnswerFacts(Usage(counted, UsageSource.COUNTED), output=True, finish_reason=answer.finish_reason)
