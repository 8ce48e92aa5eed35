"""Relays a stream of the old completions: the provider's bytes go on, and what must be known is read beside it.

As chat's relay does, on chunks that have ``text`` where chat has a ``delta`` (DIALECTS section 7). The dispatcher
holds one per streamed attempt.
"""

import re

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol.endpoints.completion_answer import (
    FAILED_FINISHES,
    Answer,
    Choice,
    read_answer_object,
    read_usage,
    usable,
)
from trunkline.protocol.endpoints.event_source import EventSource
from trunkline.protocol.json_span import edit_object, top_level_spans
from trunkline.protocol.sse import event_data, leading_line_ends, parse_event, render_event
from trunkline.protocol.tokens import OutputCounter
from trunkline.protocol.upstream_error import UpstreamError, invalid_answer, read_upstream_error

_CHOICE_INDEX_MAX = 127
"""OpenAI's bound on ``n``; a stream cannot make us remember more choices than that."""

_NO_USAGE_YET = re.compile(rb',[ \t]*"usage"[ \t]*:[ \t]*null')

_DONE = b"[DONE]"
_NULL = b"null"


class CompletionStream:
    """See `protocol.dialect.StreamRelay`.

    Args:
        public_model: what ``model`` is changed to in each chunk; None leaves it.
        hide_usage: withhold the extra chunk with the usage, as the client did not ask for it.
        lenient: take ``[DONE]`` without a finish reason for a good end.
        echo: the client asked for its prompt back, so that a text may have cost no output.

    Attributes:
        first_output: whether any text has come.
        error: what ended the stream.
    """

    __slots__ = (
        "_counter",
        "_done",
        "_echo",
        "_events",
        "_finished_choices",
        "_hide_usage",
        "_lenient",
        "_output_choices",
        "_public_model",
        "_units",
        "error",
        "first_output",
    )

    def __init__(
        self, *, public_model: str | None = None, hide_usage: bool = False, lenient: bool = False, echo: bool = False
    ) -> None:
        self._public_model = None if public_model is None else msgspec.json.encode(public_model)
        self._hide_usage = hide_usage
        self._lenient = lenient
        self._echo = echo
        self._events = EventSource()
        self._counter = OutputCounter()
        self._units: Units | None = None
        self._output_choices: set[int] = set()
        self._finished_choices: set[int] = set()
        self._done = False
        self.first_output = False
        self.error: UpstreamError | None = None

    @property
    def opening(self) -> Units | None:
        """See `protocol.dialect.StreamRelay`; this dialect says nothing of the input at the start."""
        return None

    @property
    def complete(self) -> bool:
        """Whether the body may end here as a success: each choice with output has finished."""
        if self.error is not None:
            return False
        if self._lenient and self._done:
            return True
        return bool(self._finished_choices) and self._output_choices <= self._finished_choices

    @property
    def units(self) -> Units | None:
        """What the provider reported last; None if nothing usable."""
        return usable(self._units, output=self.first_output, echo=self._echo)

    def output_tokens_counted(self) -> int:
        """Return the tokens of the output so far, counted here."""
        return self._counter.tokens()

    def receive(self, chunk: bytes) -> bytes:
        """Return what the client gets now: whole events only, so it may be nothing."""
        if self.error is not None:
            return b""
        relayed = []
        for event in self._events.receive(chunk):
            relayed.append(self._relay(event))
            if self.error is not None:
                break
        self.error = self.error or self._events.error
        return relayed[0] if len(relayed) == 1 else b"".join(relayed)

    def finish(self) -> bytes:
        """Return what the client gets at the end of the body: a last event without its blank line, if it is whole."""
        if self.error is not None:
            return b""
        event = self._events.finish()
        self.error = self._events.error
        # Nobody can read the beginning of an event; `complete` tells whether the stream was cut in it.
        return self._relay(event) if _is_whole(event) else leading_line_ends(event)

    def _relay(self, event: bytes) -> bytes:
        data = event_data(event)
        if not data:
            return event
        if data == _DONE:
            self._done = True
            return event
        try:
            chunk = read_answer_object(data)
        except ValueError:
            self.error = invalid_answer("The provider sent a broken event.")
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
            event = self._renamed(event, data)
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

    def _renamed(self, event: bytes, data: bytes) -> bytes:
        members = top_level_spans(data)
        name = self._public_model or b""
        renamed = edit_object(
            data, members, replaced={index: name for index, member in enumerate(members) if member.key == "model"}
        )
        offset = event.find(data)
        if offset < 0:
            # The data of several lines.
            return leading_line_ends(event) + render_event(renamed, parse_event(event).event)
        return event[:offset] + renamed + event[offset + len(data) :]


def _is_whole(event: bytes) -> bool:
    data = event_data(event)
    if not data or data == _DONE:
        return bool(data)
    try:
        read_answer_object(data)
    except ValueError:
        return False
    return True
