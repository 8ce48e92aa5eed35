"""The load generator: ``python -m bench.load``, a process of its own, driven by `bench.generator`.

One order comes on standard input as JSON; progress and the outcome leave on standard output, a line of JSON each.
Requests are bytes made beforehand, written by a bare protocol on uvloop, so that a request costs the generator far
less than it costs what is measured. Every answer is checked (`bench.answers`).
"""

import asyncio
import resource
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence

import msgspec
import uvloop

from bench.connection import Connection
from bench.figures import percentile
from bench.orders import Order, Outcome, Pace, Progress, Timing, wires

CONNECT_TIMEOUT_S = 10.0
CONNECTS_AT_ONCE = 100
FILES_SPARE = 200
"""File descriptors needed beside the connections."""

CONNECTIONS_PER_SOURCE = 10_000
"""Connections from one source address: well under the number of ephemeral ports."""

TICK_S = 0.001
"""Resolution of the loop's timers."""


class Run:
    """Carries an order out.

    Args:
        order: what to do.

    Attributes:
        events: server-sent events seen.
        answering: answers begun and not ended.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        self.events = 0
        self.answering = 0
        self._wires = wires(order)
        self._connections: set[Connection] = set()
        self._idle: list[Connection] = []
        self._due_ns: deque[int] = deque()
        self._sent = 0
        self._ended = 0
        self._failures: Counter[str] = Counter()
        self._whole_ns: list[int] = []
        self._first_ns: list[int] = []
        self._gap_ns: list[int] = []
        self._late_ns: list[int] = []
        self._began = 0.0
        self._all_begun = False
        self._done = asyncio.Event()

    # --- told by connections ---------------------------------------------------------------------------------------

    def answered(self, connection: Connection, now_ns: int) -> None:
        """A request was answered as it should be."""
        self._whole_ns.append(now_ns - connection.began_ns)
        self._first_ns.append(connection.first_ns - connection.began_ns)
        self._gap_ns.append(connection.gap_ns)
        self.answering -= 1
        self._ended += 1
        if self._due_ns:
            self._send(connection, self._due_ns.popleft())
        elif self.order.pace is Pace.CLOSED and not self._over():
            self._send(connection, now_ns)
        else:
            self._idle.append(connection)
            self._look_whether_done()

    def lost(self, connection: Connection, reason: str) -> None:
        """A request failed, and its connection with it."""
        self._failures[reason] += 1
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
            return
        self._ended += 1
        self.answering -= connection.first_ns > 0
        if not self._connections:
            self._due_ns.clear()
        self._look_whether_done()

    def _look_whether_done(self) -> None:
        begun = self._over() if self.order.pace is Pace.CLOSED else self._all_begun
        all_ended = begun and self._ended == self._sent and not self._due_ns
        none_left = not self._connections and self.order.pace is not Pace.HOLD
        if all_ended or none_left:
            self._done.set()

    def _over(self) -> bool:
        return self._sent >= self.order.requests_max or time.monotonic() - self._began >= self.order.seconds_max

    def _send(self, connection: Connection, began_ns: int) -> None:
        wire = self._wires[self._sent % len(self._wires)]
        self._sent += 1
        connection.send(wire, began_ns)

    # --- the run ---------------------------------------------------------------------------------------------------

    async def run(self) -> Outcome:
        """Return what came of it; bounded by the order's times."""
        order = self.order
        if order.pace is not Pace.HOLD:
            for first in range(0, order.connections, CONNECTS_AT_ONCE):
                await asyncio.gather(
                    *map(self._connect, range(first, min(first + CONNECTS_AT_ONCE, order.connections)))
                )
        begun_cpu_s, self._began = time.process_time(), time.monotonic()
        steps = {Pace.CLOSED: self._begin_all, Pace.OPEN: self._keep_rate, Pace.HOLD: self._ramp}
        progress = asyncio.get_running_loop().create_task(self._report())
        try:
            async with asyncio.timeout(order.seconds_max + order.grace_s):
                await steps[order.pace]()
                self._all_begun = True
                self._look_whether_done()
                await self._done.wait()
        except TimeoutError:
            self._failures["the run did not end in time"] += 1
        finally:
            progress.cancel()
        elapsed_s, cpu_s = time.monotonic() - self._began, time.process_time() - begun_cpu_s
        for connection in list(self._connections):
            connection.close()
        return self._outcome(elapsed_s, cpu_s)

    async def _connect(self, number: int) -> Connection | None:
        source = f"127.0.0.{2 + number // CONNECTIONS_PER_SOURCE}"
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, connection = await loop.create_connection(
                    lambda: Connection(self, self.order.events), "127.0.0.1", self.order.port, local_addr=(source, 0)
                )
        except (OSError, TimeoutError) as error:
            self._failures[f"no connection: {type(error).__name__}"] += 1
            return None
        self._connections.add(connection)
        self._idle.append(connection)
        return connection

    async def _begin_all(self) -> None:
        while self._idle and self._sent < self.order.requests_max:
            self._send(self._idle.pop(), time.perf_counter_ns())
        # From here on each answer begins the next request; nothing is left to begin unless one of them fails.
        await self._done.wait()

    async def _keep_rate(self) -> None:
        """Begin requests when they are due; what finds no idle connection waits, and its waiting counts."""
        interval_ns = int(1e9 / self.order.rate_per_s)
        due_ns = time.perf_counter_ns()
        while not self._over() and self._connections:
            await asyncio.sleep(TICK_S)
            now_ns = time.perf_counter_ns()
            while due_ns <= now_ns and self._sent + len(self._due_ns) < self.order.requests_max:
                # The loop's timers tick in milliseconds: a request counts from the tick, its lateness is shown.
                self._late_ns.append(now_ns - due_ns)
                due_ns += interval_ns
                if self._idle:
                    self._send(self._idle.pop(), now_ns)
                else:
                    self._due_ns.append(now_ns)

    async def _ramp(self) -> None:
        """Begin the held requests, a tenth of a second's share at a time."""
        share = max(1, min(CONNECTS_AT_ONCE, int(self.order.rate_per_s / 10)))
        for first in range(0, self.order.connections, share):
            begun = time.monotonic()
            numbers = range(first, min(first + share, self.order.connections))
            for connection in await asyncio.gather(*map(self._connect, numbers)):
                if connection is not None:
                    self._idle.remove(connection)
                    self._send(connection, time.perf_counter_ns())
            await asyncio.sleep(max(0.0, share / self.order.rate_per_s - (time.monotonic() - begun)))

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            failed = sum(self._failures.values())
            say(Progress(time.monotonic(), self.answering, self._ended, failed, self.events))

    def _outcome(self, elapsed_s: float, cpu_s: float) -> Outcome:
        return Outcome(
            answered=len(self._whole_ns),
            failures=dict(self._failures),
            events=self.events,
            elapsed_s=elapsed_s,
            cpu_s=cpu_s,
            whole=timing(self._whole_ns),
            first=timing(self._first_ns),
            gap=timing(self._gap_ns),
            late=timing(self._late_ns),
        )


def timing(times_ns: Sequence[int]) -> Timing:
    """Return how nanoseconds are spread."""
    ordered = sorted(times_ns)
    return Timing(percentile(ordered, 0.5) / 1e3, percentile(ordered, 0.99) / 1e3, percentile(ordered, 1.0) / 1e3)


def say(line: Progress | Outcome) -> None:
    """Write a line for the benchmark."""
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


def allow_files(wanted: int) -> None:
    """Raise the limit on open files for this process and those it starts.

    Raises:
        OSError: the system does not allow so many; the message says what does.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except (ValueError, OSError) as error:
        raise OSError(
            f"{wanted} open files are needed and {hard} are allowed: "
            "raise the limit (ulimit -n) or ask for fewer streams"
        ) from error


def main() -> None:
    """Entry point of the process."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    allow_files(order.connections + FILES_SPARE)
    say(uvloop.run(Run(order).run()))


if __name__ == "__main__":
    main()
