"""Relays a stream of the old completions: the provider's bytes go on, and what must be known is read beside it.

As chat's relay does, on chunks that have ``text`` where chat has a ``delta`` (DIALECTS section 7). The dispatcher
holds one per streamed attempt.
"""

import re

from trunkline.core.usage import Units
from trunkline.protocol.endpoints.answer_form import AnswerForm, FormReader
from trunkline.protocol.endpoints.completion_answer import (
    FAILED_FINISHES,
    Answer,
    Choice,
    read_answer_object,
    read_usage,
    usable,
)
from trunkline.protocol.event_relay import NO_STREAM, EventRelay
from trunkline.protocol.json_span import edit_object, top_level_spans
from trunkline.protocol.sse import event_data, leading_line_ends, with_data
from trunkline.protocol.upstream_error import BROKEN_EVENT, UpstreamError, invalid_answer, read_upstream_error

_CHOICE_INDEX_MAX = 127
"""OpenAI's bound on ``n``; a stream cannot make us remember more choices than that."""

_NO_USAGE_YET = re.compile(rb',[ \t]*"usage"[ \t]*:[ \t]*null')
_NULL = b"null"
_FOREIGN = FormReader(AnswerForm, NO_STREAM)


class CompletionStream(EventRelay):
    """See `EventRelay`.

    Args:
        public_model: what ``model`` is changed to in each chunk; None leaves it.
        hide_usage: withhold the extra chunk with the usage, as the client did not ask for it.
        lenient: take ``[DONE]`` without a finish reason for a good end.
        echo: the client asked for its prompt back, so that a text may have cost no output.

    Attributes:
        first_output: whether any text has come.
    """

    __slots__ = ("_done", "_echo", "_finished_choices", "_hide_usage", "_lenient", "_output_choices", "_units")

    def __init__(
        self, *, public_model: str | None = None, hide_usage: bool = False, lenient: bool = False, echo: bool = False
    ) -> None:
        super().__init__(public_model, read_answer_object)
        self._hide_usage = hide_usage
        self._lenient = lenient
        self._echo = echo
        self._units: Units | None = None
        self._output_choices: set[int] = set()
        self._finished_choices: set[int] = set()
        self._done = False

    @property
    def complete(self) -> bool:
        """Whether the body may end here as a success: each choice with output has finished."""
        if self.error is not None:
            return False
        if self._lenient and self._done:
            return True
        return bool(self._finished_choices) and self._output_choices <= self._finished_choices

    def _relay_event(self, event: bytes) -> bytes:
        data = event_data(event)
        if not data:
            return event
        if data == b"[DONE]":
            self._done = True
            return event
        try:
            chunk = read_answer_object(data)
        except ValueError:
            self.error = invalid_answer(BROKEN_EVENT)
            return leading_line_ends(event)
        return self._relay_chunk(event, data, chunk) if chunk is not None else event

    def _relay_chunk(self, event: bytes, data: bytes, chunk: Answer) -> bytes:
        if chunk.failed:
            self.error = read_upstream_error(200, {}, data, 0)
            return leading_line_ends(event)
        for choice in chunk.choices or ():
            self._read_choice(choice)
        if self.error is not None:
            return leading_line_ends(event)
        usage = memoryview(chunk.usage)
        if usage and usage != _NULL:
            self._units = read_usage(chunk.usage) or self._units
            if self._hide_usage and not chunk.choices:
                return leading_line_ends(event)
        if self._public_model is not None:
            event = self._renamed(event, data, self._public_model)
        if self._hide_usage and usage:
            # The provider puts it into every chunk because the gateway asked for usage; the client did not. Inside a
            # string the quotes would be escaped, so this can only be a member.
            event = _NO_USAGE_YET.sub(b"", event, 1)
        return event

    def _read_choice(self, choice: Choice) -> None:
        index = choice.index if 0 <= choice.index <= _CHOICE_INDEX_MAX else _CHOICE_INDEX_MAX
        if choice.text:
            self.first_output = True
            self._output_choices.add(index)
            self._counter.add(choice.text)
        if choice.finish_reason:
            self._finished_choices.add(index)
            if choice.finish_reason in FAILED_FINISHES:
                self.error = read_upstream_error(500, {}, b"", 0)

    def _renamed(self, event: bytes, data: bytes, name: bytes) -> bytes:
        members = top_level_spans(data)
        replaced = {index: name for index, member in enumerate(members) if member.key == "model"}
        return with_data(event, data, edit_object(data, members, replaced=replaced))

    def _reported(self) -> Units | None:
        return self._units

    def _lacks_output(self, units: Units) -> bool:
        return usable(units, output=self.first_output, echo=self._echo) is None

    def _foreign_error(self, body: bytes) -> UpstreamError:
        answer = _FOREIGN.read(body)
        return answer if isinstance(answer, UpstreamError) else _FOREIGN.invalid()
