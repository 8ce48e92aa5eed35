"""What a provider's connection carries, good and bad, as bytes and waits: the parts of `support.fault_table`."""

import gzip
import json
from enum import Enum, auto

PROMPT_TOKENS, COMPLETION_TOKENS = 11, 3
"""Of every answer that reports its usage."""

TEXT = "Yes, well."
IN_TIME = b"{in-7-s}"
"""Stands in a header for an HTTP date seven seconds ahead."""

BOMB_BYTES = 16 * 1024 * 1024
DEPTH = 100_000


class Act(Enum):
    """What is done with a connection, at the end of what is said."""

    CLOSE = auto()
    RESET = auto()
    HOLD = auto()
    """Nothing more, until the other side leaves."""


Step = bytes | float | Act
Steps = tuple[Step, ...]
"""Bytes to send, seconds to wait, and at the end what becomes of the connection; else it is kept."""


# --- bodies ----------------------------------------------------------------------------------------------------


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _usage() -> dict[str, int]:
    total = PROMPT_TOKENS + COMPLETION_TOKENS
    return {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS, "total_tokens": total}


def _object(kind: str, **members: object) -> dict[str, object]:
    return {"id": "faulty-1", "object": kind, "created": 1, "model": "faulty", **members}


def _whole(finish: str | None = "stop") -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": finish}
    return _json(_object("chat.completion", choices=[choice], usage=_usage()))


def event(value: object) -> bytes:
    """Return an event of a stream."""
    return b"data: %b\n\n" % _json(value)


def _chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    return event(
        _object("chat.completion.chunk", choices=[{"index": 0, "delta": delta, "finish_reason": finish}], usage=None)
    )


def error(message: str, kind: str = "server_error", code: str | None = None) -> dict[str, object]:
    """Return an error as OpenAI words it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


WHOLE = _whole()
NO_CHOICES = _json(_object("chat.completion", choices=[], usage=_usage()))
OPENING = _chunk({"role": "assistant", "content": ""})
WORDS = _chunk({"content": "Yes, "}) + _chunk({"content": "well."})
NO_CHOICE = event(_object("chat.completion.chunk", choices=[]))
FINISH = _chunk({}, "stop")
REPORT = event(_object("chat.completion.chunk", choices=[], usage=_usage()))
DONE = b"data: [DONE]\n\n"
BEGUN = OPENING + WORDS
STREAM = BEGUN + FINISH + REPORT + DONE
COMMENT = b": still at it\n\n"
HTML = b"<!doctype html><html><body><h1>Bad gateway</h1>cloud edge 17</body></html>"
BOMB = gzip.compress(bytes(BOMB_BYTES))
NESTED = b"[" * DEPTH + b"]" * DEPTH

# --- answers ---------------------------------------------------------------------------------------------------

JSON_TYPE, STREAM_TYPE = b"application/json", b"text/event-stream"


def answer(status: int, body: bytes, *lines: bytes, kind: bytes = JSON_TYPE, length: int | None = None) -> bytes:
    """Return an answer with its head; ``length`` is what it says of its body, where that is not true."""
    fields = [b"content-type: %b" % kind, b"content-length: %d" % (len(body) if length is None else length), *lines]
    return b"HTTP/1.1 %d Whatever\r\n%b\r\n\r\n%b" % (status, b"\r\n".join(fields), body)


def refusal(status: int, said: object, *lines: bytes) -> Steps:
    """Return an error answer."""
    return (answer(status, said if isinstance(said, bytes) else _json(said), *lines),)


def page(status: int) -> Steps:
    """Return an error answer of something between the gateway and the provider."""
    return (answer(status, HTML, kind=b"text/html"),)


def plain(body: bytes, *lines: bytes) -> tuple[bytes]:
    """Return a whole answer with such a body."""
    return (answer(200, body, *lines),)


def chunked_head(*lines: bytes, kind: bytes = STREAM_TYPE) -> bytes:
    """Return the head of an answer in chunks."""
    fields = [b"content-type: %b" % kind, b"transfer-encoding: chunked", *lines]
    return b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % b"\r\n".join(fields)


def piece(data: bytes) -> bytes:
    """Return a chunk of the transfer coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST = b"0\r\n\r\n"


def stream(*parts: Step) -> Steps:
    """Return a stream; each part that is bytes is a chunk. It ends well, unless an act ends it."""
    said = tuple(piece(part) if isinstance(part, bytes) else part for part in parts)
    ended = bool(parts) and isinstance(parts[-1], Act)
    return (chunked_head(), *said) if ended else (chunked_head(), *said, LAST)


def drip(part: bytes, times: int, every_s: float = 0.2) -> Steps:
    """Return the same bytes again and again."""
    return (part, every_s) * times


def letters(data: bytes, every_s: float) -> Steps:
    """Return bytes one by one."""
    return tuple(step for letter in data for step in (bytes([letter]), every_s))
