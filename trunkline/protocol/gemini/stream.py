"""Relays a Gemini stream: the provider's events go on as they came, and what the gateway must know is read beside it.

Google's SDKs break on anything in a stream that is not a plain ``data:`` line (DIALECTS section 3.3): comments, event
names, ``[DONE]``. So an event that is not exactly one such line is written anew, and one without data is withheld. A
client without ``alt=sse`` gets the same objects as pieces of one JSON array.
"""

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol.counted_usage import CountInput, state_usage
from trunkline.protocol.event_relay import NO_STREAM, EventRelay
from trunkline.protocol.gemini.ends import provider_failed
from trunkline.protocol.gemini.usage import latest, read_usage, write_usage
from trunkline.protocol.gemini.wire import Candidate, Frame, Part, UsageMetadata, read_frame, reason_name
from trunkline.protocol.json_span import edit_object, top_level_spans
from trunkline.protocol.sse import event_data
from trunkline.protocol.stream_start import without_space
from trunkline.protocol.upstream_error import BROKEN_EVENT, UpstreamError, invalid_answer, read_upstream_error

CHOICE_INDEX_MAX = 127
"""Far above Google's bound of eight; a stream cannot make us remember more candidates than that."""

_SUFFIX_BYTES_MAX = 1024
"""An event's end from its model on is remembered if it is no longer than this."""

_BLANK_ENDS = frozenset({b"\n\n", b"\n\r\n"})
"""What follows the first line of an event that has no other; the latter behind a CR."""

_encode = msgspec.json.Encoder().encode

_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")


def one_line(source: bytes) -> bytes:
    """Return JSON without line ends: in valid JSON they are only ever white space between tokens."""
    return source.translate(_LINE_ENDS).strip() if b"\n" in source or b"\r" in source else source


def array_piece(source: bytes, *, first: bool) -> bytes:
    """Return an object as a piece of an array."""
    return (b"[" if first else b",\n") + source


def choice_index(candidate: Candidate, position: int) -> int:
    """Return a candidate's number: what it says, else its place in the frame."""
    index = position if candidate.index is None else candidate.index
    return index if 0 <= index <= CHOICE_INDEX_MAX else CHOICE_INDEX_MAX


class GeminiStreamRelay(EventRelay):
    """See `EventRelay`.

    Args:
        public_model: what ``modelVersion`` is changed to; None leaves it.
        array: write one JSON array instead of events.
        count_input: for the usage in the last frame where the provider reports none.
    """

    __slots__ = (
        "_array",
        "_ended",
        "_finished_choices",
        "_held",
        "_output_choices",
        "_report",
        "_suffix",
        "_suffix_renamed",
        "_written",
    )

    def __init__(
        self, *, public_model: str | None = None, array: bool = False, count_input: CountInput | None = None
    ) -> None:
        super().__init__(public_model, read_frame, count_input)
        self._array = array
        self._written = False
        self._held = b""
        self._suffix = b""
        self._suffix_renamed = b""
        self._report: UsageMetadata | None = None
        self._output_choices: set[int] = set()
        self._finished_choices: set[int] = set()
        self._ended = False

    @property
    def complete(self) -> bool:
        """Whether the body may end here as a success: each candidate with output has finished, or there is none."""
        return self.error is None and bool(self._finished_choices) and self._output_choices <= self._finished_choices

    def finish(self) -> bytes:
        """Return what the client gets at the end of the body; the array's end only if the stream is complete."""
        if self.error is not None or self._ended:
            return b""
        self._ended = True
        last = super().finish() + self._last_frame()
        return last + b"]" if self._array and self.complete else last

    def _relay_last(self, rest: bytes) -> bytes:
        data = event_data(rest) if rest else None
        return self._relay_frame(data, b"") if data and self._is_json(data) else b""

    def _relay(self, block: bytes) -> bytes:
        data = _plain_data(block)
        # Nearly always: one event of one line.
        return self._relay_frame(data, block) if data is not None else super()._relay(block)

    def _relay_event(self, event: bytes) -> bytes:
        event = event.lstrip(b"\r\n")
        data = _plain_data(event)
        if data is not None:
            return self._relay_frame(data, event)
        data = event_data(event)
        return self._relay_frame(data, b"") if data and data != b"[DONE]" else b""

    def _relay_frame(self, data: bytes, event: bytes) -> bytes:
        """Return what the client gets for an event.

        Args:
            data: its data.
            event: the event as it came; empty where it must not pass so.
        """
        try:
            frame = read_frame(data)
        except ValueError:
            self.error = invalid_answer(BROKEN_EVENT)
            return b""
        if frame is None:
            return b""
        if frame.failed:
            self.error = read_upstream_error(200, {}, data, 0)
            return b""
        self._read(frame)
        if self.error is not None:
            return b""
        if self._array:
            first, self._written = not self._written, True
            shown = array_piece(one_line(self._renamed(data, frame)), first=first)
        elif event:
            shown = self._renamed(event, frame)
        else:
            shown = b"data: " + one_line(self._renamed(data, frame)) + b"\n\n"
        return self._hold(shown) if self._finished_choices else shown

    def _hold(self, shown: bytes) -> bytes:
        """Return what the client gets of a frame behind a finish reason: it may be the last.

        While the provider has reported nothing it waits for the next one, or for the end, to take the counted usage
        then: clients look for both, how an answer ended and what it used, in one and the same frame.
        """
        held, self._held = self._held, b""
        if not (self._lacks_usage and self.complete):
            return held + shown
        self._held = shown
        return held

    def _last_frame(self) -> bytes:
        """Return the frame that was held back, with the usage; nothing where none was."""
        held, self._held = self._held, b""
        units = self._counted_usage() if held and self.error is None else None
        if units is None:
            return b""
        start, end = held.index(b"{"), held.rindex(b"}") + 1
        usage = _encode(write_usage(units))
        return held[:start] + state_usage(held[start:end], usage, key="usageMetadata") + held[end:]

    def _read(self, frame: Frame) -> None:
        if frame.usage_metadata is not None:
            self._report = latest(self._report, frame.usage_metadata)
        for position, candidate in enumerate(frame.candidates or ()):
            index = choice_index(candidate, position)
            if candidate.content is not None:
                for part in candidate.content.all_parts:
                    self._read_part(part, index)
            reason = reason_name(candidate.finish_reason)
            if reason:
                self.finish_reason = reason
                self._finished_choices.add(index)
                if provider_failed(reason, output=self.first_output):
                    self.error = read_upstream_error(500, {}, b"", 0)
        if frame.block_reason and not self._output_choices:
            self._finished_choices.add(0)

    def _read_part(self, part: Part, index: int) -> None:
        texts = part_texts(part)
        if texts is None:
            return
        self.first_output = True
        self._output_choices.add(index)
        for text in texts:
            self._counter.add(text)

    def _renamed(self, source: bytes, frame: Frame) -> bytes:
        """Return an event, or its data, under the public model name.

        All frames of a stream end alike from their model on, so it is looked for once, and then the end is replaced;
        where the end differs it is looked for again.
        """
        if self._public_model is None or frame.model_version is None:
            return source
        suffix = self._suffix
        if suffix and source.endswith(suffix):
            return source[: len(source) - len(suffix)] + self._suffix_renamed
        start = source.index(b"{")
        end = source.rindex(b"}") + 1
        data = source[start:end]
        members = top_level_spans(data)
        replaced = {index: self._public_model for index, member in enumerate(members) if member.key == "modelVersion"}
        if len(replaced) == 1:
            member = members[next(iter(replaced))]
            if len(data) - member.start <= _SUFFIX_BYTES_MAX:
                self._suffix = source[start + member.start :]
                self._suffix_renamed = (
                    data[member.start : member.value_start]
                    + self._public_model
                    + data[member.value_end :]
                    + source[end:]
                )
        return source[:start] + edit_object(data, members, replaced=replaced) + source[end:]

    def _reported(self) -> Units | None:
        return read_usage(self._report) if self._report is not None else None

    def _foreign_error(self, body: bytes) -> UpstreamError:
        body = without_space(body)
        try:
            frame = read_frame(body)
        except ValueError:
            frame = None
        if frame is not None and frame.failed:
            return read_upstream_error(200, {}, body, 0)
        return invalid_answer(NO_STREAM)


def _plain_data(event: bytes) -> bytes | None:
    """Return the data of an event that is one line with an object and a blank line, else None."""
    end = event.find(b"\n")
    if not event.startswith(b"data: {") or event[end:] not in _BLANK_ENDS:
        return None
    data = event[6:end]
    if event[end:] == b"\n\r\n":
        if not data.endswith(b"\r"):
            return None
        data = data[:-1]
    return data if b"\r" not in data else None


def part_texts(part: Part) -> tuple[str, ...] | None:
    """Return the texts in a part that its provider was paid to produce.

    None if there is no output in it; empty for media and what a tool of the provider's did.
    """
    if part.text:
        return (part.text,)
    call = part.function_call
    if call is not None:
        arguments = bytes(call.args).decode(errors="replace") if call.args is not msgspec.UNSET else ""
        return (call.name or "", arguments)
    return () if part.inline_data is not None or part.file_data is not None or part.built_in else None
