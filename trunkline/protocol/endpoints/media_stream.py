"""Relays an event stream of images, speech or transcripts: bytes through, and what the gateway must know read beside.

Each such endpoint has few kinds of events, of which one says that the answer is whole; a body that ends without it was
cut. Providers that cannot stream ignore the wish and answer whole: that is passed on, too, if it is an answer.
"""

import codecs
from typing import Protocol

import msgspec

from trunkline.core import limits
from trunkline.core.errors import FaultError
from trunkline.core.usage import Units
from trunkline.protocol.endpoint import ReadWhole
from trunkline.protocol.endpoints.answer_form import AnswerForm
from trunkline.protocol.json_span import without_lone_surrogates
from trunkline.protocol.sse import EventBuffer, leading_line_ends, parse_event, split_events
from trunkline.protocol.upstream_error import UpstreamError, invalid_answer, read_upstream_error

_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
"""What the first line of an event stream begins with. Sound, text and JSON do not."""
_BEFORE_FIRST_LINE = b"\r\n\xef\xbb\xbf"
_START_BYTES_MAX = 1024
"""What is looked at to tell events from a whole answer; blank lines before the first event are fewer."""
_UTF8_STEP_BYTES = 1024 * 1024
_NOTHING = frozenset({b"", b"null", b'""'})

_TOO_LARGE = "The provider sent an answer that is too large."
_BROKEN_EVENT = "The provider sent a broken event."


class MediaEvent(AnswerForm, gc=False):
    """The members of events that are looked at, whichever endpoint they belong to. None is built but the type.

    Attributes:
        usage: the report.
        text, delta: of a transcript.
        audio: a piece of sound in base64.
        b64_json, url: an image.
    """

    usage: msgspec.Raw = msgspec.Raw()
    text: msgspec.Raw = msgspec.Raw()
    delta: msgspec.Raw = msgspec.Raw()
    audio: msgspec.Raw = msgspec.Raw()
    b64_json: msgspec.Raw = msgspec.Raw()
    url: msgspec.Raw = msgspec.Raw()


class EventFacts(Protocol):
    """What one endpoint makes of its events.

    Attributes:
        first_output: whether there was anything that a client pays for.
        done: whether an event said that the answer is whole.
    """

    first_output: bool
    done: bool

    def take(self, kind: str, event: MediaEvent) -> None:
        """Note an event; ``kind`` is its type, such as ``speech.audio.done``."""

    @property
    def units(self) -> Units | None:
        """What was used so far; None while that is nothing."""


class MediaStreamRelay:
    """See `dialect.StreamRelay`. Never raises.

    Args:
        facts: of the endpoint; fresh.
        read_whole: the endpoint's reader of a whole answer.
    """

    __slots__ = (
        "_buffer",
        "_facts",
        "_foreign",
        "_read_whole",
        "_start",
        "_started",
        "_whole_units",
        "error",
        "first_output",
    )

    def __init__(self, facts: EventFacts, read_whole: ReadWhole) -> None:
        self._facts = facts
        self._read_whole = read_whole
        self._buffer = EventBuffer()
        self._started = False
        self._start = b""
        self._foreign: bytearray | None = None
        self._whole_units: Units | None = None
        self.first_output = False
        self.error: UpstreamError | None = None

    @property
    def opening(self) -> Units | None:
        """See `protocol.dialect.StreamRelay`; this dialect says nothing of the input at the start."""
        return None

    @property
    def complete(self) -> bool:
        """See `StreamRelay`."""
        return self.error is None and self._facts.done

    @property
    def units(self) -> Units | None:
        """See `StreamRelay`."""
        return self._whole_units or self._facts.units

    def output_tokens_counted(self) -> int:
        """Return 0: images and sound have no tokens that could be counted here, and texts are paid by their sound."""
        return 0

    def receive(self, chunk: bytes) -> bytes:
        """See `StreamRelay`."""
        if self.error is not None:
            return b""
        if not self._started:
            chunk = self._begin(chunk)
            if not chunk:
                return b""
        try:
            block = self._buffer.receive(chunk)
        except FaultError as error:
            self.error = invalid_answer(error.fault.message)
            return b""
        return self._relay(block) if block else b""

    def finish(self) -> bytes:
        """See `StreamRelay`. A last event without its blank line counts if it can be read."""
        if self.error is not None:
            return b""
        if not self._started:
            return self._finish_whole(bytes(self._foreign) if self._foreign is not None else self._start)
        rest = self._buffer.finish()
        data = parse_event(rest).data
        if data is None or not (data == b"[DONE]" or _is_json(data)):
            # Nobody can read the beginning of an event; `complete` tells whether the stream was cut in it.
            return leading_line_ends(rest)
        return self._relay(rest.rstrip(b"\r\n") + b"\n\n")

    def _begin(self, chunk: bytes) -> bytes:
        """Look at the first bytes, whatever the content type says; returns them once they are known to be events."""
        if self._foreign is None:
            self._start += chunk
            line = self._start[:_START_BYTES_MAX].lstrip(_BEFORE_FIRST_LINE)
            if line.startswith(_FIELDS):
                self._started = True
                start, self._start = self._start, b""
                return start
            if len(self._start) <= _START_BYTES_MAX and any(field.startswith(line) for field in _FIELDS):
                return b""
            chunk, self._start = self._start, b""
            self._foreign = bytearray()
        self._foreign += chunk
        if len(self._foreign) > limits.UPSTREAM_ANSWER_BYTES_MAX:
            self.error = invalid_answer(_TOO_LARGE)
            self._foreign = bytearray()
        return b""

    def _finish_whole(self, body: bytes) -> bytes:
        """Pass on a body that is no event stream, if the endpoint takes it for an answer."""
        self._foreign = None
        if not body:
            return b""
        answer, shown = self._read_whole(body)
        self.error = answer.error
        if self.error is not None:
            return b""
        self._whole_units = answer.units
        self._facts.done = self.first_output = True
        return shown

    def _relay(self, block: bytes) -> bytes:
        events = split_events(block)
        for index, event in enumerate(events):
            self._read_event(event)
            if self.error is not None:
                return b"".join(events[:index]) + leading_line_ends(event)
        return block

    def _read_event(self, event: bytes) -> None:
        if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2 and b"\r" not in event:
            data, name = event[6:-2], ""
        else:
            parsed = parse_event(event)
            data, name = parsed.data or b"", parsed.event
        if not data or data == b"[DONE]":
            return
        try:
            members = read_media_event(data)
        except ValueError:
            self.error = invalid_answer(_BROKEN_EVENT)
            return
        if members is None:
            return
        if members.failed or name == "error":
            self.error = read_upstream_error(200, {}, data, 0)
            return
        self._facts.take(_kind(members) or name, members)
        self.first_output = self._facts.first_output


def read_media_event(data: bytes) -> MediaEvent | None:
    """Return what matters of an event's data, or None for JSON that is not an object.

    Raises:
        ValueError: not JSON, not UTF-8, or nested too deeply.
    """
    if not is_utf8(data):
        # What the decoder skips it does not check.
        raise ValueError("not UTF-8")
    try:
        try:
            return _decode_event(data)
        except msgspec.ValidationError:
            # No object, but is it JSON? This looks at all of it and builds nothing.
            _decode_raw(data)
            return None
        except msgspec.DecodeError:
            cleaned = without_lone_surrogates(data)
            if cleaned is data:
                raise
            return read_media_event(cleaned)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError("not JSON") from error


def has_content(value: msgspec.Raw) -> bool:
    """Return whether a member is there and says something. The value may be large and is not copied."""
    return len(memoryview(value)) > 4 or bytes(value) not in _NOTHING


def is_utf8(data: bytes) -> bool:
    """Return whether bytes are UTF-8, step by step: decoding tens of MiB at once takes up to four times as much."""
    if data.isascii():
        return True
    decode = codecs.getincrementaldecoder("utf-8")().decode
    view = memoryview(data)
    try:
        for start in range(0, len(data), _UTF8_STEP_BYTES):
            decode(view[start : start + _UTF8_STEP_BYTES])
        decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _kind(event: MediaEvent) -> str:
    try:
        return _decode_text(event.type)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _is_json(data: bytes) -> bool:
    try:
        read_media_event(data)
    except ValueError:
        return False
    return True


_decode_event = msgspec.json.Decoder(MediaEvent).decode
_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode
_decode_text = msgspec.json.Decoder(str).decode
