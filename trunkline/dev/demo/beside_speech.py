"""The demo upstream's voice: bytes that begin as sound of the wanted format does, streamed in pieces. Pure.

Source: OpenAI API reference, "Create speech".
"""

import base64
import functools
import hashlib
import struct
from typing import Annotated, ClassVar

import msgspec

from trunkline.dev.demo import openai
from trunkline.dev.demo.beside import (
    Endpoint,
    JSONBody,
    bare,
    failing_event,
    missing,
    one_of,
    product,
    token_usage,
)
from trunkline.dev.demo.completion import Plan, Product
from trunkline.dev.demo.counts import Usage
from trunkline.dev.demo.request import Asked, RequestError
from trunkline.dev.demo.script import ScriptError
from trunkline.runtime.http_exchange import Request

PIECES = 6
PIECE_BYTES = 16 * 1024
CHARACTERS_MAX = 4096
TOKENS_PER_WORD = 10

_WITHOUT_EVENTS = frozenset({"tts-1", "tts-1-hd"})
_PLACEHOLDER = 0xFFFFFFFF
"""A length in the header of a WAV that is not known when its first bytes are sent."""

_WAV = (
    struct.pack("<4sI4s", b"RIFF", _PLACEHOLDER, b"WAVE")
    + struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 24_000, 48_000, 2, 16)
    + struct.pack("<4sI", b"data", _PLACEHOLDER)
)
_FORMATS: dict[str, tuple[bytes, bytes]] = {
    "mp3": (b"audio/mpeg", b"\xff\xf3\xe4\xc4"),
    "opus": (b"audio/ogg", b"OggS\x00\x02"),
    "aac": (b"audio/aac", b"\xff\xf1\x50\x80"),
    "flac": (b"audio/flac", b"fLaC\x00\x00\x00\x22"),
    "wav": (b"audio/wav", _WAV),
    "pcm": (b"audio/pcm", b""),
}
"""Content type and first bytes."""

_STREAM_FORMATS = frozenset({"audio", "sse"})


class _Voice(msgspec.Struct, forbid_unknown_fields=True):
    id: str


class _Body(JSONBody):
    input: str = ""
    voice: str | _Voice | None = None
    response_format: str = "mp3"
    stream_format: str = "audio"
    instructions: str | None = None
    speed: Annotated[float, msgspec.Meta(ge=0.25, le=4)] = 1.0


_decode = msgspec.json.Decoder(_Body).decode


def sound(text: str, response_format: str, pieces: int = PIECES, piece_bytes: int = PIECE_BYTES) -> list[bytes]:
    """Return a text's sound in pieces."""
    start = _FORMATS[response_format][1]
    filler = hashlib.sha256(text.encode(errors="surrogatepass")).digest()
    whole = (start + filler * (pieces * piece_bytes // len(filler) + 1))[: pieces * piece_bytes]
    return [whole[at : at + piece_bytes] for at in range(0, len(whole), piece_bytes)]


class Speech(Endpoint):
    """``POST /v1/audio/speech``."""

    def read(self, request: Request) -> Asked:
        """See `Dialect`."""
        body = _decode(request.body)
        model = self.model(body.model)
        if not body.input:
            raise missing("input")
        if body.voice is None:
            raise missing("voice")
        if len(body.input) > CHARACTERS_MAX:
            raise RequestError(f"'input' has at most {CHARACTERS_MAX} characters.", param="input")
        one_of(body.response_format, frozenset(_FORMATS), "response_format")
        one_of(body.stream_format, _STREAM_FORMATS, "stream_format")
        if body.stream_format == "audio":
            made = Product(Usage(characters=len(body.input)), reported=False, pieces=PIECES)
            speech = functools.partial(SoundSpeech, text=body.input, response_format=body.response_format)
            return product(model, speech, made, stream=True, script=body.trunkline_demo)
        if bare(model) in _WITHOUT_EVENTS:
            raise RequestError(f"'stream_format' sse is not supported for {bare(model)}.", param="stream_format")
        words = len(body.input.split())
        made = Product(Usage(words, words * TOKENS_PER_WORD), pieces=PIECES)
        events = functools.partial(SoundEvents, text=body.input, response_format=body.response_format)
        return product(model, events, made, stream=True, script=body.trunkline_demo)


class SoundSpeech:
    """See `Speech`. The bytes of the sound; there is no place in them for usage or an error.

    Args:
        plan: of the answer.
        text: to speak.
        response_format: of the sound.

    Raises:
        ScriptError: an error is asked for in the middle.
    """

    id_header: ClassVar[bytes] = b"x-request-id"
    told: ClassVar[int] = 0
    broken: ClassVar[bytes] = b""

    def __init__(self, plan: Plan, *, text: str, response_format: str) -> None:
        if plan.script.error_mid_stream is not None:
            raise ScriptError("A sound has no place for an error.")
        self._pieces = sound(text, response_format, plan.chunks, plan.script.chunk_bytes or PIECE_BYTES)
        self.stream_headers = b"content-type: %b\r\n" % _FORMATS[response_format][0]

    def opening(self) -> bytes:
        """Return nothing."""
        return b""

    def event(self, number: int) -> bytes:
        """Return a piece of the sound."""
        return self._pieces[number]

    def closing(self) -> bytes:
        """Return nothing."""
        return b""

    def failing(self) -> bytes:
        """Return nothing."""
        return b""

    def whole(self) -> bytes:
        """Return all of it."""
        return b"".join(self._pieces)


class SoundEvents:
    """See `Speech`. The sound in events, of which the last one has the usage.

    Args:
        plan: of the answer.
        text: to speak.
        response_format: of the sound.
    """

    stream_headers: ClassVar[bytes] = openai.EVENT_STREAM
    id_header: ClassVar[bytes] = b"x-request-id"
    told: ClassVar[int] = 0
    broken: ClassVar[bytes] = b'data: {"type":"speech.audio.delta","audio":"\n\n'

    def __init__(self, plan: Plan, *, text: str, response_format: str) -> None:
        self._plan = plan
        self._pieces = sound(text, response_format, plan.chunks, plan.script.chunk_bytes or PIECE_BYTES)

    def opening(self) -> bytes:
        """Return nothing."""
        return b""

    def event(self, number: int) -> bytes:
        """Return a piece of the sound."""
        return _event({"type": "speech.audio.delta", "audio": base64.b64encode(self._pieces[number]).decode()})

    def closing(self) -> bytes:
        """Return the event that has the usage."""
        report = {} if self._plan.script.no_usage else {"usage": token_usage(self._plan.total)}
        return _event({"type": "speech.audio.done", **report})

    def failing(self) -> bytes:
        """See `Speech`."""
        return failing_event()

    def whole(self) -> bytes:
        """Return nothing: this is the stream."""
        return b""


def _event(members: dict[str, object]) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode(members)
