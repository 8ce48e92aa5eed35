"""One connection of the load generator; used by `bench.load`."""

import asyncio
import socket
import time
from typing import Protocol, cast

from bench.answers import AnswerError, AnswerReader


class Run(Protocol):
    """What a connection tells.

    Attributes:
        events: server-sent events seen.
        answering: answers begun and not ended.
    """

    events: int
    answering: int

    def answered(self, connection: "Connection", now_ns: int) -> None:
        """A request was answered as it should be."""

    def lost(self, connection: "Connection", reason: str) -> None:
        """A request failed, and its connection with it."""


class Connection(asyncio.Protocol):
    """One connection that carries one request at a time.

    Args:
        run: told of every answer.
        events: see `bench.answers.AnswerReader`.

    Attributes:
        busy: whether an answer is awaited.
        began_ns: when the request of the answer counts as begun.
        first_ns: when its first byte came; 0 before.
        gap_ns: its longest silence so far.
    """

    def __init__(self, run: Run, events: int) -> None:
        self._run = run
        self._reader = AnswerReader(events)
        self._transport: asyncio.Transport | None = None
        self._counted = 0
        self._last_ns = 0
        self.busy = False
        self.began_ns = 0
        self.first_ns = 0
        self.gap_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's do not derive from it
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, wire: bytes, began_ns: int) -> None:
        """Send a request that counts from ``began_ns`` on."""
        self.busy = True
        self.began_ns = began_ns
        self.first_ns = self.gap_ns = self._counted = 0
        if self._transport is None:
            self._fail("connection closed")
        else:
            self._transport.write(wire)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        now_ns = time.perf_counter_ns()
        if not self.busy:
            self._fail("bytes without a request")
            return
        if not self.first_ns:
            self.first_ns = now_ns
            self._run.answering += 1
        elif now_ns - self._last_ns > self.gap_ns:
            self.gap_ns = now_ns - self._last_ns
        self._last_ns = now_ns
        try:
            whole = self._reader.feed(data)
        except AnswerError as error:
            self._fail(str(error))
            return
        seen = self._reader.seen
        self._run.events += seen - self._counted
        self._counted = seen
        if whole:
            self.busy = False
            self._run.answered(self, now_ns)

    def connection_lost(self, _error: Exception | None) -> None:
        """Called by the event loop."""
        self._transport = None
        if self.busy:
            self._fail("connection closed")

    def _fail(self, reason: str) -> None:
        self.busy = False
        if self._transport is not None:
            self._transport.abort()
        self._run.lost(self, reason)

    def close(self) -> None:
        """End it; a request under way is a failure."""
        if self.busy:
            self._fail("not answered in time")
        elif self._transport is not None:
            self._transport.close()
