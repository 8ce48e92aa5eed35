"""Relays an event stream of images, speech or transcripts: bytes through, and what the gateway must know read beside.

Each such endpoint has few kinds of events, of which one says that the answer is whole; a body that ends without it was
cut. Providers that cannot stream ignore the wish and answer whole: that is passed on, too, if it is an answer.
"""

from typing import Protocol

import msgspec

from trunkline.core import limits
from trunkline.core.usage import Units
from trunkline.protocol.endpoint import ReadWhole
from trunkline.protocol.endpoints.answer_form import AnswerForm
from trunkline.protocol.event_relay import EventRelay
from trunkline.protocol.lenient import read_leniently
from trunkline.protocol.sse import leading_line_ends, parse_event
from trunkline.protocol.upstream_error import BROKEN_EVENT, invalid_answer, read_upstream_error
from trunkline.protocol.utf8 import is_utf8

_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
"""What the first line of an event stream begins with. Sound, text and JSON do not."""
_BEFORE_FIRST_LINE = b"\r\n\xef\xbb\xbf"
_START_BYTES_MAX = 1024
"""What is looked at to tell events from a whole answer; blank lines before the first event are fewer."""
_NOTHING = frozenset({b"", b"null", b'""'})

_TOO_LARGE = "The provider sent an answer that is too large."


class MediaEvent(AnswerForm, gc=False):
    """The members of events that are looked at, whichever endpoint they belong to. None is built but the type.

    Attributes:
        usage: the report.
        text, delta: of a transcript.
        audio: a piece of sound in base64.
        b64_json, url: an image.
        size, quality: of the image.
    """

    usage: msgspec.Raw = msgspec.Raw()
    text: msgspec.Raw = msgspec.Raw()
    delta: msgspec.Raw = msgspec.Raw()
    audio: msgspec.Raw = msgspec.Raw()
    b64_json: msgspec.Raw = msgspec.Raw()
    url: msgspec.Raw = msgspec.Raw()
    size: msgspec.Raw = msgspec.Raw()
    quality: msgspec.Raw = msgspec.Raw()


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


class MediaStreamRelay(EventRelay):
    """See `EventRelay`. Counts no tokens: images and sound have none to be counted here, texts are paid by their sound.

    Args:
        facts: of the endpoint; fresh.
        read_whole: the endpoint's reader of a whole answer.
    """

    __slots__ = ("_facts", "_held", "_may_be_events", "_read_whole", "_whole_units")

    def __init__(self, facts: EventFacts, read_whole: ReadWhole) -> None:
        super().__init__(None, read_media_event)
        self._facts = facts
        self._read_whole = read_whole
        self._held: bytearray | None = bytearray()  # until it is known to be a stream
        self._may_be_events = True
        self._whole_units: Units | None = None

    @property
    def complete(self) -> bool:
        """See `StreamRelay`."""
        return self.error is None and self._facts.done

    def receive(self, chunk: bytes) -> bytes:
        """See `StreamRelay`."""
        if self._held is not None and self.error is None:
            chunk = self._begin(self._held, chunk)
        return super().receive(chunk) if chunk else b""

    def finish(self) -> bytes:
        """See `StreamRelay`."""
        if self._held is None or self.error is not None:
            return super().finish()
        body, self._held = bytes(self._held), None
        return self._finish_whole(body) if body else b""

    def _begin(self, held: bytearray, chunk: bytes) -> bytes:
        """Look at the first bytes, whatever the content type says; returns them once they are known to be events."""
        held += chunk
        if self._may_be_events:
            line = bytes(held[:_START_BYTES_MAX]).lstrip(_BEFORE_FIRST_LINE)
            if line.startswith(_FIELDS):
                self._held = None
                return chunk if len(chunk) == len(held) else bytes(held)
            self._may_be_events = len(held) <= _START_BYTES_MAX and any(field.startswith(line) for field in _FIELDS)
        if len(held) > limits.UPSTREAM_ANSWER_BYTES_MAX:
            self.error = invalid_answer(_TOO_LARGE)
            held.clear()
        return b""

    def _finish_whole(self, body: bytes) -> bytes:
        """Pass on a body that is no event stream, if the endpoint takes it for an answer."""
        answer, shown = self._read_whole(body)
        self.error = answer.error
        if self.error is not None:
            return b""
        self._whole_units = answer.units
        self._facts.done = self.first_output = True
        return shown

    def _relay_event(self, event: bytes) -> bytes:
        self._read_event(event)
        return event if self.error is None else leading_line_ends(event)

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
            self.error = invalid_answer(BROKEN_EVENT)
            return
        if members is None:
            return
        if members.failed or name == "error":
            self.error = read_upstream_error(200, {}, data, 0)
            return
        self._facts.take(_kind(members) or name, members)
        self.first_output = self._facts.first_output

    def _reported(self) -> Units | None:
        return self._whole_units or self._facts.units

    def _lacks_output(self, _units: Units) -> bool:
        """Return False: what is paid by the image, the second or the character has no output in tokens."""
        return False


def read_media_event(data: bytes) -> MediaEvent | None:
    """Return what matters of an event's data, or None for JSON that is not an object.

    Raises:
        ValueError: not JSON, not UTF-8, or nested too deeply.
    """
    if not is_utf8(data):
        raise ValueError("not UTF-8")
    try:
        return _decode_event(data)
    except (msgspec.DecodeError, RecursionError):
        return read_leniently(MediaEvent, data)


def has_content(value: msgspec.Raw) -> bool:
    """Return whether a member is there and says something. The value may be large and is not copied."""
    return len(memoryview(value)) > 4 or bytes(value) not in _NOTHING


def _kind(event: MediaEvent) -> str:
    try:
        return _decode_text(event.type)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


_decode_event = msgspec.json.Decoder(MediaEvent).decode
_decode_text = msgspec.json.Decoder(str).decode
