"""An upstream that treats its connections badly; the demo upstream is too well-behaved for that.

What it does is the first segment of the path, so one server has a base URL for each habit.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from enum import StrEnum

from tests.support.stream_server import stream_server
from trunkline.dev.demo.counts import ModelUsage, Usage

MODEL = "rude"
PROMPT_TOKENS, COMPLETION_TOKENS = 3, 2

_BODY = (
    b'{"id":"rude-1","object":"chat.completion","created":1,"model":"rude","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"Yes, well."},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}'
    % (PROMPT_TOKENS, COMPLETION_TOKENS, PROMPT_TOKENS + COMPLETION_TOKENS)
)
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)


class Habit(StrEnum):
    """How it treats a connection."""

    CLOSES_IDLE = "closes-idle"
    """It answers as if it kept the connection, and closes it at once."""
    CLOSES_ON_REUSE = "closes-on-reuse"
    """It keeps the connection until the next request has been written to it, and then closes it unanswered."""
    HANGS_UP = "hangs-up"
    """It closes every connection when a request has come."""
    BABBLES = "babbles"
    """It answers something that is not HTTP."""


class RudeUpstream:
    """A running one.

    Attributes:
        reported: usage by model, as the demo upstream counts it.
        connections: taken so far.
        asked: answers that were asked for, probes left out.
        closed_unanswered: requests that it closed the connection on.
    """

    def __init__(self) -> None:
        self.reported: dict[str, ModelUsage] = {}
        self.connections = 0
        self.asked = 0
        self.closed_unanswered = 0
        self.port = 0

    def base_url(self, habit: Habit) -> str:
        """Return the base URL of a channel."""
        return f"http://127.0.0.1:{self.port}/{habit.value}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        answered = 0
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.asked += head.startswith(b"POST ")
                await reader.readexactly(_content_length(head))
                habit = Habit(head.split(b" ", 2)[1].split(b"/")[1].decode())
                if habit is Habit.HANGS_UP or (habit is Habit.CLOSES_ON_REUSE and answered):
                    self.closed_unanswered += head.startswith(b"POST ")  # not probes, which health sends by itself
                    break
                if habit is Habit.BABBLES:
                    writer.write(b"Good day to you!\r\n\r\n")
                    break
                if head.startswith(b"POST "):  # the others are probes
                    self.reported.setdefault(MODEL, ModelUsage()).add(Usage(PROMPT_TOKENS, COMPLETION_TOKENS))
                writer.write(_ANSWER)
                answered += 1
                if habit is Habit.CLOSES_IDLE:
                    break


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


@contextlib.asynccontextmanager
async def rude_upstream() -> AsyncIterator[RudeUpstream]:
    """Run one for the length of the block."""
    upstream = RudeUpstream()
    async with stream_server(upstream.serve) as upstream.port:
        yield upstream
