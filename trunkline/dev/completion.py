"""The demo upstream's answers: OpenAI chat completions, whole and streamed, made from few parts. Pure.

Field names and the order of a stream's chunks follow OpenAI's API reference, "Chat Completions" and "Streaming".
Tokens are words: easy to foretell in a test, and the same in what is reported and in what is counted.
"""

import functools
from typing import NamedTuple

import msgspec

from trunkline.dev.script import WHOLE_BYTES_MAX, Script, ScriptError

SENTENCE = (
    "Hello! This is the demo upstream of Trunkline. It knows nothing, but it answers at once, "
    "counts every token that it reports, and does what a test tells it to."
)
_WORDS = [f"{word} " for word in SENTENCE.split()]
_FILLER = "lorem ipsum dolor sit amet "

DONE = b"data: [DONE]\n\n"
BROKEN_CHUNK = b'data: {"id":"chatcmpl-broken","choices":[{"index":0,"delta":{"content":"\n\n'
_ROLE_DELTA = b'{"role":"assistant","content":""}'


class Part(msgspec.Struct):
    """One part of a message's content; what is not text counts nothing."""

    text: str | None = None


class Message(msgspec.Struct):
    """One message; only its text is looked at."""

    content: str | list[Part] | None = None


class StreamOptions(msgspec.Struct):
    """See OpenAI's reference."""

    include_usage: bool = False


class ChatBody(msgspec.Struct):
    """What is read of a request's body."""

    model: str
    messages: list[Message]
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    trunkline_demo: Script | None = None


class Chunk(NamedTuple):
    """Content of one chunk, ASCII that needs no escape in JSON."""

    text: bytes
    tokens: int


@functools.lru_cache(maxsize=64)
def filler(size: int) -> Chunk:
    """Return a chunk of ``size`` bytes."""
    text = (_FILLER * (size // len(_FILLER) + 1))[:size]
    return Chunk(text.encode(), len(text.split()))


_WORD_CHUNKS = [Chunk(word.encode(), 1) for word in _WORDS]


def chunk(script: Script, number: int) -> Chunk:
    """Return the content of a stream's chunk ``number``, from 0."""
    return filler(script.chunk_bytes) if script.chunk_bytes else _WORD_CHUNKS[number % len(_WORD_CHUNKS)]


def prompt_tokens(body: ChatBody) -> int:
    """Return how many words the messages have."""
    words = 0
    for message in body.messages:
        if isinstance(message.content, str):
            words += len(message.content.split())
        elif message.content is not None:
            words += sum(len(part.text.split()) for part in message.content if part.text)
    return words


class Plan(NamedTuple):
    """One answer, decided before its first byte.

    Attributes:
        chunks: how many content chunks it has.
        finish: ``stop`` or ``length``.
    """

    number: int
    created_s: int
    model: str
    script: Script
    chunks: int
    finish: bytes
    prompt_tokens: int
    include_usage: bool

    def tokens(self, chunks: int) -> int:
        """Return the tokens of the first ``chunks`` content chunks."""
        return chunks * filler(self.script.chunk_bytes).tokens if self.script.chunk_bytes else chunks

    def usage(self) -> bytes:
        """Return the usage of the whole answer as JSON."""
        completion = self.tokens(self.chunks)
        return b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}' % (
            self.prompt_tokens,
            completion,
            self.prompt_tokens + completion,
        )

    def whole(self) -> bytes:
        """Return the body of an answer that is not streamed.

        Raises:
            ScriptError: it would be larger than `WHOLE_BYTES_MAX`.
        """
        if self.chunks * (self.script.chunk_bytes or len(SENTENCE)) > WHOLE_BYTES_MAX:
            raise ScriptError(f"An answer that is not streamed has at most {WHOLE_BYTES_MAX} bytes.")
        content = filler(self.script.chunk_bytes).text * self.chunks if self.script.chunk_bytes else _words(self.chunks)
        usage = b"" if self.script.no_usage else b',"usage":' + self.usage()
        return (
            b'{"id":"chatcmpl-%d","object":"chat.completion","created":%d,"model":%b,"choices":[{"index":0,"message":'
            b'{"role":"assistant","content":"%b"},"logprobs":null,"finish_reason":"%b"}]%b}'
            % (self.number, self.created_s, _json_text(self.model), content, self.finish, usage)
        )

    def event_head(self) -> bytes:
        """Return what every event of the stream begins with."""
        return b'data: {"id":"chatcmpl-%d","object":"chat.completion.chunk","created":%d,"model":%b,' % (
            self.number,
            self.created_s,
            _json_text(self.model),
        )

    def opening(self, head: bytes) -> bytes:
        """Return the first event, which has the role."""
        return b'%b"choices":[{"index":0,"delta":%b,"finish_reason":null}]%b}\n\n' % (
            head,
            _ROLE_DELTA,
            self._no_usage_yet(),
        )

    def event(self, head: bytes, number: int) -> bytes:
        """Return the event of a content chunk."""
        return b'%b"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]%b}\n\n' % (
            head,
            chunk(self.script, number).text,
            self._no_usage_yet(),
        )

    def closing(self, head: bytes) -> bytes:
        """Return the events after the last content chunk."""
        finish = b'%b"choices":[{"index":0,"delta":{},"finish_reason":"%b"}]%b}\n\n' % (
            head,
            self.finish,
            self._no_usage_yet(),
        )
        if self.reports_usage:
            return b'%b%b"choices":[],"usage":%b}\n\n%b' % (finish, head, self.usage(), DONE)
        return finish + DONE

    @property
    def reports_usage(self) -> bool:
        """Whether a stream of this plan reports usage."""
        return self.include_usage and not self.script.no_usage

    def _no_usage_yet(self) -> bytes:
        # OpenAI puts "usage": null into every chunk of a stream that will report usage.
        return b',"usage":null' if self.reports_usage else b""


def plan(body: ChatBody, model: str, script: Script, *, number: int, now_ms: int) -> Plan:
    """Decide an answer.

    Args:
        body: the request.
        model: its bare name.
        script: what was asked for.
        number: of the request.
        now_ms: Unix time in milliseconds.
    """
    chunks = script.chunks or len(_WORD_CHUNKS)
    limit = body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens
    finish = b"stop"
    if limit is not None:
        fitting = limit // filler(script.chunk_bytes).tokens if script.chunk_bytes else limit
        if fitting < chunks:
            chunks, finish = max(fitting, 0), b"length"
    return Plan(
        number,
        now_ms // 1000,
        model,
        script,
        chunks,
        finish,
        prompt_tokens(body),
        body.stream_options is not None and body.stream_options.include_usage,
    )


@functools.lru_cache(maxsize=64)
def _words(count: int) -> bytes:
    rounds, rest = divmod(count, len(_WORDS))
    return ("".join(_WORDS) * rounds + "".join(_WORDS[:rest])).rstrip().encode()


@functools.lru_cache(maxsize=1024)
def _json_text(text: str) -> bytes:
    return msgspec.json.encode(text)


def error_body(status: int, message: str) -> bytes:
    """Return an error as OpenAI words it."""
    kind = _ERROR_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": None, "code": _CODES.get(status)}})


_ERROR_TYPES = {401: "authentication_error", 402: "insufficient_quota", 429: "rate_limit_error"}
_CODES = {401: "invalid_api_key", 402: "insufficient_quota", 404: "model_not_found", 429: "rate_limit_exceeded"}
