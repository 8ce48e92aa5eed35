"""One small HTTP request to a part of the stack: readiness checks and the admin API. Not for the data path."""

import asyncio
from typing import NamedTuple
from urllib.parse import urlsplit

ANSWER_BYTES_MAX = 16 * 1024 * 1024
"""The longest is a configuration's list of changes."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class CallError(Exception):
    """Nobody answered, or not in HTTP."""


async def call(
    method: str,
    url: str,
    *,
    body: bytes = b"",
    bearer: str = "",
    timeout_s: float = 5.0,
) -> Answer:
    """Make a request over a connection of its own.

    It speaks HTTP/1.0, so the answer is what comes until the connection ends, without a transfer coding.

    Raises:
        CallError: see there.
    """
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.0", f"host: {parts.netloc}"]
    if bearer:
        lines.append(f"authorization: Bearer {bearer}")
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    head = "\r\n".join([*lines, "", ""]).encode()
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                writer.write(head + body)
                answer = await _read_all(reader)
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        raise CallError(f"{url} does not answer: {type(error).__name__}") from error
    status_line, _, rest = answer.partition(b"\r\n")
    words = status_line.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise CallError(f"{url} does not answer in HTTP")
    return Answer(int(words[1]), rest.partition(b"\r\n\r\n")[2])


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := await reader.read(65536):
        size += len(part)
        if size > ANSWER_BYTES_MAX:
            raise CallError(f"an answer is larger than {ANSWER_BYTES_MAX} bytes")
        parts.append(part)
    return b"".join(parts)
