"""Speech made from a text: ``/audio/speech``. The sound passes as it comes, nothing of it is kept or decoded.

A raw sound says nothing of its cost, so the characters of the text count; only the form with events
(``stream_format: sse``) tells tokens (DIALECTS section 7).
"""

import re
from typing import ClassVar

import msgspec

from trunkline.core import limits
from trunkline.core.usage import Units
from trunkline.protocol.body import BodyReader
from trunkline.protocol.dialect import ClientRequest, WholeAnswer
from trunkline.protocol.endpoint import EndpointCall, Provider
from trunkline.protocol.endpoints.asked_units import asked_speech
from trunkline.protocol.endpoints.input_count import count_members
from trunkline.protocol.endpoints.media_stream import MediaEvent, MediaStreamRelay, has_content
from trunkline.protocol.endpoints.provider_call import JSON, openai_call
from trunkline.protocol.event_relay import NO_STREAM
from trunkline.protocol.json_span import without_lone_surrogates
from trunkline.protocol.routing_wish import WishFields, read_wish
from trunkline.protocol.splice import prepare_body
from trunkline.protocol.upstream_error import UpstreamError, invalid_answer, read_upstream_error
from trunkline.protocol.usage_report import count_of, report_of

_NO_SOUND = "The provider's answer is not sound."

_EVENTS = "sse"

_OBJECT_START = re.compile(rb"[ \t\r\n]*+\[?+[ \t\r\n]*+(?:\Z|\{[ \t\r\n]*+(?:\Z|[\"}]))")
"""JSON with an object first, also in a list, or as much as has come of its beginning."""
_PAGE_STARTS = (b"<!doctype html", b"<html")
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_START_BYTES_MAX = 64


class _Fields(WishFields):
    """What is read of a request."""

    model: str | msgspec.UnsetType = msgspec.UNSET
    input: msgspec.Raw = msgspec.Raw()
    stream_format: str | None = None


_READER = BodyReader(
    _Fields,
    {
        "model": "`model` must be a string naming a model, such as one that GET /v1/models lists.",
        "input": "`input` must be a string with the text to speak.",
        "stream_format": '`stream_format` must be "audio" or "sse".',
    },
    example="a JSON object with `model`, `input` and `voice`",
    large=("input",),
)


class Speech:
    """See `endpoint.Endpoint`."""

    name = "audio_speech"

    def read_head(self, body: bytes, content_type: str) -> ClientRequest:
        """See `Endpoint`."""
        fields = _READER.read(body)
        characters = _characters(fields)
        if not characters:
            raise _READER.bad_field("input")
        events = fields.stream_format == _EVENTS
        return ClientRequest(
            model=_READER.model(fields.model),
            stream=True,
            raw=not events,
            beside=asked_speech(characters, reported=events),
            wish=read_wish(fields),
        )

    def open(self, body: bytes, content_type: str, provider: Provider) -> EndpointCall:
        """See `Endpoint`."""
        fields = _READER.read(body)
        characters = _characters(fields)
        events = fields.stream_format == _EVENTS
        return EndpointCall(
            body=prepare_body(body, upstream_model=provider.model).ruled(provider.rules),
            content_type=JSON,
            call=openai_call(provider, "/audio/speech", "speech"),
            stream=MediaStreamRelay(SpeechFacts(characters), _read_no_events) if events else SoundRelay(characters),
        )

    def count_input(self, body: bytes) -> int:
        """Return the tokens of the text."""
        return count_members(body, ("input",))


def _characters(fields: _Fields) -> int:
    """Return the number of characters to speak; 0 if the input is no text."""
    try:
        return len(_decode_text(without_lone_surrogates(bytes(fields.input))))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0


_decode_text = msgspec.json.Decoder(str).decode


class SoundRelay:
    """See `dialect.StreamRelay`. Any byte is output, and the end of the body a good end. Never raises.

    A provider may say with status 200 that it failed: what looks like JSON or an HTML page is kept until its end.

    Args:
        characters: of the text, which are what is paid.
    """

    __slots__ = ("_characters", "_held", "error", "finish_reason", "first_output")

    open_ended: ClassVar[bool] = True

    def __init__(self, characters: int) -> None:
        self._characters = characters
        self._held: bytearray | None = bytearray()
        self.finish_reason = ""
        self.first_output = False
        self.error: UpstreamError | None = None

    @property
    def opening(self) -> Units | None:
        """See `protocol.dialect.StreamRelay`; this dialect says nothing of the input at the start."""
        return None

    @property
    def complete(self) -> bool:
        """See `StreamRelay`."""
        return self.first_output and self.error is None

    @property
    def units(self) -> Units | None:
        """See `StreamRelay`."""
        return Units(characters=self._characters) if self.first_output else None

    def output_tokens_counted(self) -> int:
        """Return 0: sound has no tokens that could be counted here."""
        return 0

    def receive(self, chunk: bytes) -> bytes:
        """See `StreamRelay`."""
        held = self._held
        if held is None:
            return chunk if self.error is None else b""
        if not chunk:
            return b""
        looked_at = len(held)
        held += chunk
        binary = _BINARY.search(held, looked_at, limits.UPSTREAM_ERROR_BYTES_MAX)
        if binary is None and _may_be_words(bytes(held[:_START_BYTES_MAX])):
            if len(held) > limits.UPSTREAM_ERROR_BYTES_MAX:
                # Sound has zeros and other control bytes long before.
                self.error = invalid_answer(_NO_SOUND)
                self._held = None
            return b""
        self._held = None
        self.first_output = True
        return bytes(held)

    def finish(self) -> bytes:
        """See `StreamRelay`."""
        held, self._held = self._held, None
        if held:
            self.error = _words_error(bytes(held), _NO_SOUND)
        return b""


def _may_be_words(start: bytes) -> bool:
    """Return whether the first bytes are, or may become, those of JSON or of an HTML page."""
    if _OBJECT_START.match(start):
        return True
    lowered = start.lstrip(b" \t\r\n").lower()
    return any(page.startswith(lowered) or lowered.startswith(page) for page in _PAGE_STARTS)


def _words_error(body: bytes, otherwise: str) -> UpstreamError:
    """Return the error that a body is which should have been sound."""
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return invalid_answer(otherwise)
    return read_upstream_error(200, {}, body, 0)


def _read_no_events(body: bytes) -> tuple[WholeAnswer, bytes]:
    """Read a whole answer to a client that asked for events: nothing that it could use."""
    return WholeAnswer(None, 0, _words_error(body, NO_STREAM)), b""


class SpeechFacts:
    """See `media_stream.EventFacts`, for ``speech.audio.delta`` and ``.done``.

    Args:
        characters: of the text; what is paid where the provider reports no tokens, or was cut before it could.
    """

    __slots__ = ("_characters", "_tokens", "done", "first_output")

    def __init__(self, characters: int) -> None:
        self._characters = characters
        self._tokens: Units | None = None
        self.first_output = False
        self.done = False

    def take(self, kind: str, event: MediaEvent) -> None:
        """See `EventFacts`."""
        if has_content(event.audio):
            self.first_output = True
        if kind == "speech.audio.done":
            self.first_output = self.done = True
        if not has_content(event.usage):
            return
        report = report_of(event.usage)
        output = count_of(report, "output_tokens")
        if output:
            self._tokens = Units(input=count_of(report, "input_tokens") or 0, output_audio=output)

    @property
    def units(self) -> Units | None:
        """See `EventFacts`."""
        if self._tokens is not None:
            return self._tokens
        return Units(characters=self._characters) if self.first_output else None
