"""Relays a chat stream: the provider's bytes go on as they came, and what the gateway must know is read beside it.

The dispatcher holds one `ChatStreamRelay` per streamed attempt and calls it for each chunk of the body.
"""

import re

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol.counted_usage import CountInput
from trunkline.protocol.event_relay import NO_STREAM, EventRelay
from trunkline.protocol.json_span import edit_object, top_level_spans
from trunkline.protocol.openai_chat.usage import read_usage
from trunkline.protocol.openai_chat.usage_writer import write_usage
from trunkline.protocol.openai_chat.wire import FAILED_FINISHES, Answer, Choice, output_texts, read_answer_object
from trunkline.protocol.sse import event_data, leading_line_ends, render_event, with_data
from trunkline.protocol.upstream_error import BROKEN_EVENT, UpstreamError, invalid_answer, read_upstream_error

_MODEL_PREFIX_BYTES_MAX = 1024
"""An event's beginning up to its model is remembered if it is no longer than this."""

_CHOICE_INDEX_MAX = 127
"""OpenAI's bound on ``n``; a stream cannot make us remember more choices than that."""

_SHARED = frozenset({"id", "object", "created", "model", "system_fingerprint", "service_tier"})
"""What all chunks of a stream say alike (DIALECTS section 3.1)."""

_DONE = b"data: [DONE]\n\n"

_NO_USAGE_YET = re.compile(rb',[ \t]*"usage"[ \t]*:[ \t]*null')


class ChatStreamRelay(EventRelay):
    """See `EventRelay`.

    Args:
        public_model: what ``model`` is changed to in each chunk; None leaves it.
        hide_usage: withhold the extra chunk with the usage (``choices`` empty), as the client did not ask for it.
        lenient: take ``[DONE]`` without a finish reason for a good end.
        count_input: for the usage chunk where the provider sends none; of no use to a client that did not ask for it.

    Attributes:
        first_output: whether any text, tool call, reasoning or media has come; a role alone is none.
        done: whether ``[DONE]`` has come.
    """

    __slots__ = (
        "_ended",
        "_finished_choices",
        "_hide_usage",
        "_last",
        "_lenient",
        "_output_choices",
        "_prefix",
        "_prefix_renamed",
        "_units",
        "done",
    )

    def __init__(
        self,
        *,
        public_model: str | None = None,
        hide_usage: bool = False,
        lenient: bool = False,
        count_input: CountInput | None = None,
    ) -> None:
        super().__init__(public_model, read_answer_object, None if hide_usage else count_input)
        self._hide_usage = hide_usage
        self._lenient = lenient
        self._prefix = b""
        self._prefix_renamed = b""
        self._last = b""
        self._units: Units | None = None
        self._output_choices: set[int] = set()
        self._finished_choices: set[int] = set()
        self._ended = False
        self.done = False

    @property
    def finished(self) -> bool:
        """Whether a finish reason has come."""
        return bool(self._finished_choices)

    @property
    def complete(self) -> bool:
        """Whether the body may end here as a success (DIALECTS section 3.2): each choice with output has finished."""
        if self.error is not None:
            return False
        if self._lenient and self.done:
            return True
        return self.finished and self._output_choices <= self._finished_choices

    def finish(self) -> bytes:
        """Return what the client gets at the end of the body: ``[DONE]`` at the latest, and the usage before it."""
        if self._ended:
            return b""
        last = super().finish()
        if self._ended or not self.complete:
            return last
        self._ended = True
        return last + self._usage_chunk() + _DONE

    def _relay(self, block: bytes) -> bytes:
        if self._ended:
            return b""
        end = block.find(b"\n")
        if (
            block.startswith(b"data: {")
            and (end == len(block) - 2 or (end == len(block) - 3 and block[-2] == 0x0D))
            # One inside ends a line, though it may be white space to JSON, as that of a CRLF is.
            and block.find(b"\r", 0, end - 1) < 0
        ):
            # Nearly always: one event of one line.
            data = block[6:end]
            try:
                chunk = read_answer_object(data)
            except ValueError:
                pass
            else:
                return self._relay_chunk(block, data, chunk) if chunk is not None else block
        return super()._relay(block)

    def _relay_event(self, event: bytes) -> bytes:
        if self._ended:
            return b""  # a second answer, or rubbish
        data = event_data(event)
        if not data:
            return event
        if data == b"[DONE]":
            self.done = True
            if not self.complete:
                # Behind it a client reads nothing more: a cut answer must not seem whole to it.
                return leading_line_ends(event)
            self._ended = True
            return self._usage_chunk() + event
        try:
            chunk = read_answer_object(data)
        except ValueError:
            self.error = invalid_answer(BROKEN_EVENT)
            return leading_line_ends(event)
        return self._relay_chunk(event, data, chunk) if chunk is not None else event

    def _relay_chunk(self, event: bytes, data: bytes, chunk: Answer) -> bytes:
        choices = chunk.choices
        if (chunk.error is not msgspec.UNSET or not choices) and chunk.failed:
            self.error = read_upstream_error(200, {}, data, 0)
            return leading_line_ends(event)
        if choices:
            self._last = data
            for choice in choices:
                self._read_choice(choice)
        if chunk.usage is not msgspec.UNSET or chunk.x_groq is not None:
            report = chunk.reported
            if report:
                self._units = read_usage(report) or self._units
                if self._hide_usage and not choices:
                    return leading_line_ends(event)
        if self.error is not None:
            return leading_line_ends(event)
        if self._public_model is not None:
            event = self._renamed(event, data)
        if self._hide_usage and chunk.usage is not msgspec.UNSET:
            # The provider puts it into every chunk because the gateway asked for usage; the client did not. Inside a
            # string the quotes would be escaped, so this can only be a member.
            event = _NO_USAGE_YET.sub(b"", event, 1)
        return event

    def _read_choice(self, choice: Choice) -> None:
        output = choice.delta or choice.message
        if output is not None and (texts := output_texts(output)) is not None:
            self.first_output = True
            self._output_choices.add(_index(choice))
            for text in texts:
                self._counter.add(text)
        finish_reason = choice.finish_reason
        if finish_reason:
            self.finish_reason = finish_reason
            self._finished_choices.add(_index(choice))
            if finish_reason in FAILED_FINISHES:
                self.error = read_upstream_error(500, {}, b"", 0)

    def _usage_chunk(self) -> bytes:
        """Return the chunk that the provider owes a client that asked for usage, counted; nothing if it owes none."""
        units = self._counted_usage() if self._last else None
        if units is None:
            return b""
        last, self._last = self._last, b""
        members = [
            b'"model":' + self._public_model
            if member.key == "model" and self._public_model is not None
            else last[member.start : member.value_end]
            for member in top_level_spans(last)
            if member.key in _SHARED
        ]
        return render_event(b"{" + b",".join([*members, b'"choices":[]', b'"usage":' + write_usage(units)]) + b"}")

    def _renamed(self, event: bytes, data: bytes) -> bytes:
        """Return an event under the public model name.

        All chunks of a stream begin alike up to their model, so it is looked for once and then replaced together
        with what stands before it; where the beginning differs it is looked for again.
        """
        if self._prefix and event.startswith(self._prefix):
            return self._prefix_renamed + event[len(self._prefix) :]
        members = top_level_spans(data)
        name = self._public_model or b""
        replaced = {index: name for index, member in enumerate(members) if member.key == "model"}
        offset = event.find(data)
        if offset >= 0 and len(replaced) == 1:
            member = members[next(iter(replaced))]
            if offset + member.value_end <= _MODEL_PREFIX_BYTES_MAX:
                self._prefix = event[: offset + member.value_end]
                self._prefix_renamed = event[: offset + member.value_start] + name
        return with_data(event, data, edit_object(data, members, replaced=replaced))

    def _reported(self) -> Units | None:
        return self._units

    def _foreign_error(self, body: bytes) -> UpstreamError:
        try:
            answer = read_answer_object(body)
        except ValueError:
            answer = None
        if answer is not None and answer.failed:
            return read_upstream_error(200, {}, body, 0)
        return invalid_answer(NO_STREAM)


def _index(choice: Choice) -> int:
    return choice.index if 0 <= choice.index <= _CHOICE_INDEX_MAX else _CHOICE_INDEX_MAX
