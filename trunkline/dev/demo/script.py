"""What the demo upstream is told to do with a request. Pure; used by `dev.demo.upstream`.

A chat request carries its script in the field `FIELD` at the top of its body, which passes through the gateway like any
field it does not know, and so do OpenAI's endpoints beside it, in JSON or in a form; the other dialects refuse unknown
fields, as their providers do. In every dialect a model name may carry one, as a query
(``demo?status=429&retry_after=2``), so that the same request meets different behaviour on different channels; and
``POST /script`` sets one for a credential.
"""

from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl

import msgspec

FIELD = "trunkline_demo"
"""The body's field that holds a `Script`."""

CHUNKS_MAX = 1_000_000
CHUNK_BYTES_MAX = 256 * 1024
ANSWER_BYTES_MAX = 1024 * 1024 * 1024
"""Bounds on what a script may ask for: more than any test needs, and less than fills a machine's memory, since a
stream is made as it is read."""

WHOLE_BYTES_MAX = 64 * 1024 * 1024
"""An answer that is not streamed is made in one piece."""

TEXT_CHARACTERS_MAX = 1024 * 1024
"""Of each text in a script; far more than any test needs."""

GOLDEN_RATIO = 0.6180339887498949
"""Multiples of it, without their whole part, are spread evenly over any range."""

TOOL_CALLS_MAX = 128
TOKENS_MAX = 1_000_000_000


class ScriptError(Exception):
    """The script cannot be followed; the message says why."""


class Finish(StrEnum):
    """Why an answer ended; each dialect has its own word for it."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    FILTER = "filter"


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How to answer. What is left out is a whole, quick, well-formed answer.

    A chunk is a piece of whatever is answered: a word of text, of reasoning or of a refusal, a few characters of a
    call's arguments, or a piece of sound; of text each is one token unless ``chunk_bytes`` says otherwise. Reasoning
    comes first, then text, then calls.

    Attributes:
        chunks: chunks of text in a stream, or their equal in a whole answer; 0 is the demo sentence.
        chunk_bytes: bytes of content in each chunk; 0 is one word.
        delay_ms: before each chunk; a whole answer waits as long as all its chunks would.
        first_delay_ms: before the head of the answer.
        status: of an error answer; 200 is none.
        share: part of the requests that all of this is for; the others are answered as if there were no script.
        retry_after: seconds, in the header of an error answer.
        cut_after: the connection is closed after so many chunks.
        stall_after: nothing more comes after so many chunks.
        broken_chunk_after: a chunk that is not JSON comes after so many; then the stream goes on.
        never_answer: not even a head comes.
        no_usage: usage is not reported, even if asked for.
        headers: further header fields of the answer.
        tag: names the request in what ``GET /counts`` says of aborted ones, and has its answer listed by
            ``GET /answers``.
        text: of the answer, exactly; None is the demo sentence, or nothing beside a call.
        reasoning: comes before the answer, with the proof that its dialect has for it. Responses has one only where
            the request includes ``reasoning.encrypted_content``.
        refusal: words of a refusal, instead of text and calls: a refusal of chat and Responses, Anthropic's
            ``stop_details`` and Gemini's ``finishMessage``.
        tool: name of a tool that the answer calls, whether the request offers it or not.
        tool_calls: how many calls of it, side by side.
        arguments: source text of each call's arguments; None is the least that the tool's schema asks for.
        finish: why the answer ends; None is what its content says.
        cached_tokens: so many further tokens of prompt were read from a cache.
        reasoning_tokens: reported as such; None is the words of ``reasoning``.
        error_mid_stream: an error event ends the answer after so many chunks; a whole answer is an error of status
            500.
    """

    chunks: int = 0
    chunk_bytes: int = 0
    delay_ms: float = 0.0
    first_delay_ms: float = 0.0
    status: int = 200
    share: float = 1.0
    retry_after: float | None = None
    cut_after: int | None = None
    stall_after: int | None = None
    broken_chunk_after: int | None = None
    never_answer: bool = False
    no_usage: bool = False
    headers: dict[str, str] = {}
    tag: str = ""
    text: str | None = None
    reasoning: str = ""
    refusal: str = ""
    tool: str = ""
    tool_calls: int = 1
    arguments: str | None = None
    finish: Finish | None = None
    cached_tokens: int = 0
    reasoning_tokens: int | None = None
    error_mid_stream: int | None = None

    @property
    def plain(self) -> bool:
        """Whether the answer is text and nothing else, in so many chunks."""
        return self.text is None and not (self.reasoning or self.refusal or self.tool)

    def header_lines(self) -> bytes:
        """Return the further header fields as lines."""
        return "".join(f"{name}: {value}\r\n" for name, value in self.headers.items()).encode("ascii")


PLAIN = Script()
"""The script of a request that brings none."""


def from_model(model: str) -> tuple[str, Script | None]:
    """Split a model name into its bare name and the script in its query.

    Raises:
        ScriptError: the query is no script.
    """
    name, mark, query = model.partition("?")
    if not mark:
        return model, None
    try:
        return name, msgspec.convert(
            dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)), Script, strict=False
        )
    except (ValueError, msgspec.ValidationError) as error:
        raise ScriptError(f"The model name's script is not understood: {error}") from error


def merged(*layers: Script | None) -> Script:
    """Return one script; a field of a later layer counts where it is not at its default."""
    fields: dict[str, Any] = {}
    for layer in layers:
        if layer is not None:
            fields.update(msgspec.to_builtins(layer))
    return check(msgspec.convert(fields, Script)) if fields else PLAIN


def check(script: Script) -> Script:
    """Return ``script`` if it is within bounds.

    Raises:
        ScriptError: it is not.
    """
    if not (0 <= script.chunks <= CHUNKS_MAX and 0 <= script.chunk_bytes <= CHUNK_BYTES_MAX):
        raise ScriptError(f"chunks is at most {CHUNKS_MAX} and chunk_bytes at most {CHUNK_BYTES_MAX}.")
    if script.chunks * script.chunk_bytes > ANSWER_BYTES_MAX:
        raise ScriptError(f"An answer has at most {ANSWER_BYTES_MAX} bytes.")
    if script.delay_ms < 0 or script.first_delay_ms < 0:
        raise ScriptError("A delay is not negative.")
    if not 0 <= script.share <= 1:
        raise ScriptError("share is between 0 and 1.")
    if not 100 <= script.status <= 599:
        raise ScriptError("status is an HTTP status.")
    if not (0 <= script.cached_tokens <= TOKENS_MAX and 0 <= (script.reasoning_tokens or 0) <= TOKENS_MAX):
        raise ScriptError(f"cached_tokens and reasoning_tokens are at most {TOKENS_MAX}.")
    if not 1 <= script.tool_calls <= TOOL_CALLS_MAX:
        raise ScriptError(f"tool_calls is at least 1 and at most {TOOL_CALLS_MAX}.")
    if any(len(text or "") > TEXT_CHARACTERS_MAX for text in (script.text, script.arguments, script.reasoning)):
        raise ScriptError(f"A text has at most {TEXT_CHARACTERS_MAX} characters.")
    if not all(_header_safe(name) and _header_safe(value) for name, value in script.headers.items()):
        raise ScriptError("A header's name and value are printable ASCII.")
    return script


def shared(wanted: Script, number: int) -> Script:
    """Return a script for the request of a number, or none: spread evenly, but in no simple pattern."""
    return wanted if wanted.share >= 1.0 or number * GOLDEN_RATIO % 1.0 < wanted.share else PLAIN


def _header_safe(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable()
