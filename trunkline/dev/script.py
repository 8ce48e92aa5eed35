"""What the demo upstream is told to do with a request. Pure; used by `dev.upstream`.

A request carries its script in the field `FIELD` at the top of its body, which passes through the gateway like any
field it does not know. A model name may carry one too, as a query (``demo?status=429&retry_after=2``), so that the
same request meets different behaviour on different channels; and ``POST /script`` sets one for a credential.
"""

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


class ScriptError(Exception):
    """The script cannot be followed; the message says why."""


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How to answer. What is left out is a whole, quick, well-formed answer.

    Attributes:
        chunks: content chunks of a stream, or their equal in a whole answer; 0 is the demo sentence.
        chunk_bytes: bytes of content in each chunk; 0 is one word.
        delay_ms: before each chunk; a whole answer waits as long as all its chunks would.
        first_delay_ms: before the head of the answer.
        status: of an error answer; 200 is none.
        retry_after: seconds, in the header of an error answer.
        cut_after: the connection is closed after so many chunks.
        stall_after: nothing more comes after so many chunks.
        broken_chunk_after: a chunk that is not JSON comes after so many; then the stream goes on.
        never_answer: not even a head comes.
        no_usage: usage is not reported, even if asked for.
        headers: further header fields of the answer.
        tag: names the request in what ``GET /counts`` says of aborted ones.
    """

    chunks: int = 0
    chunk_bytes: int = 0
    delay_ms: float = 0.0
    first_delay_ms: float = 0.0
    status: int = 200
    retry_after: float | None = None
    cut_after: int | None = None
    stall_after: int | None = None
    broken_chunk_after: int | None = None
    never_answer: bool = False
    no_usage: bool = False
    headers: dict[str, str] = {}
    tag: str = ""


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
        return name, msgspec.convert(dict(parse_qsl(query, strict_parsing=True)), Script, strict=False)
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
    if not 100 <= script.status <= 599:
        raise ScriptError("status is an HTTP status.")
    if not all(_header_safe(name) and _header_safe(value) for name, value in script.headers.items()):
        raise ScriptError("A header's name and value are printable ASCII.")
    return script


def _header_safe(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable()
