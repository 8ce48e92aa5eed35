"""The two forms of an answer, with one face: a stream that is passed on, and a whole body that is kept till its end."""

from typing import NamedTuple

from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.usage import Units, Usage, UsageSource
from trunkline.protocol.dialect import WholeAnswer
from trunkline.protocol.openai_chat.answer import read_answer, rename_answer
from trunkline.protocol.openai_chat.count import count_input
from trunkline.protocol.openai_chat.stream import ChatStreamRelay
from trunkline.protocol.upstream_error import RetryClass, UpstreamError

_CUT = UpstreamError(Fault(ErrorType.UPSTREAM_CUT, "The provider's answer was cut off."), RetryClass.OTHER_CHANNEL)


class AnswerFacts(NamedTuple):
    """What an answer used.

    Attributes:
        usage: in disjoint buckets; empty if nothing was produced.
        output: whether the client got anything for it.
    """

    usage: Usage
    output: bool

    @classmethod
    def none(cls) -> "AnswerFacts":
        """An attempt without an answer."""
        return cls(Usage(Units(), UsageSource.COUNTED), output=False)


def _counted(body: bytes, output_tokens: int) -> Usage:
    return Usage(Units(input=count_input(body), output=output_tokens), UsageSource.COUNTED)


class StreamAnswer:
    """A stream: its events are passed on as they come.

    Args:
        public_model: the name the client knows, None where the upstream's is the same.
        hide_usage: the client did not ask for the usage chunk.
    """

    def __init__(self, public_model: str | None, *, hide_usage: bool) -> None:
        self._relay = ChatStreamRelay(public_model=public_model, hide_usage=hide_usage)
        self.error: UpstreamError | None = None

    @property
    def first_output(self) -> bool:
        """Whether the model has said anything yet."""
        return self._relay.first_output

    def receive(self, data: bytes) -> bytes:
        """Take bytes; returns those to pass on."""
        passed = self._relay.receive(data)
        self.error = self._relay.error
        return passed

    def finish(self) -> bytes:
        """The body has ended; returns what is still to pass on, and sets ``error`` if the answer is not whole."""
        last = self._relay.finish()
        self.error = self._relay.error
        if self.error is None and not self._relay.complete:
            self.error = _CUT
        return last

    def facts(self, body: bytes) -> AnswerFacts:
        """Return what was used so far: the last report, else a count. ``body`` is the request."""
        if self._relay.units is not None:
            return AnswerFacts(Usage(self._relay.units, UsageSource.REPORTED), output=self._relay.first_output)
        if not self._relay.first_output:
            return AnswerFacts.none()
        return AnswerFacts(_counted(body, self._relay.output_tokens_counted()), output=True)


class PlainAnswer:
    """A whole answer: kept until its end, since only then is it known to be one.

    Args:
        public_model: as for `StreamAnswer`.
    """

    def __init__(self, public_model: str | None) -> None:
        self._public_model = public_model
        self._parts: list[bytes] = []
        self._bytes = 0
        self._read: WholeAnswer | None = None
        self.error: UpstreamError | None = None

    def receive(self, data: bytes) -> bool:
        """Take bytes; False if there are too many."""
        self._parts.append(data)
        self._bytes += len(data)
        return self._bytes <= limits.UPSTREAM_ANSWER_BYTES_MAX

    def finish(self) -> bytes:
        """The body has ended; returns it for the client, and sets ``error`` if it is no answer."""
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        answer = self._read = read_answer(body)
        self.error = answer.error
        if answer.error is not None:
            return b""
        return body if self._public_model is None else rename_answer(body, self._public_model)

    def facts(self, body: bytes) -> AnswerFacts:
        """Return what was used. ``body`` is the request."""
        answer = self._read
        if answer is None or answer.error is not None:
            return AnswerFacts.none()
        if answer.units is not None:
            return AnswerFacts(Usage(answer.units, UsageSource.REPORTED), output=True)
        return AnswerFacts(_counted(body, answer.output_tokens_counted), output=True)
