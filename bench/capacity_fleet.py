"""A fleet under a load, request by request: what its brokers carry, and how often its edges ask for allowances.

Only what follows from who talks to whom is simulated: which edge and dispatcher a request meets, at which node of NATS
each of them is, how long an answer takes, and when an edge's lease of an account is renewed. What each message costs is
measured elsewhere (`bench.capacity`). Seeded, and bounded by its seconds.
"""

import heapq
import itertools
import math
import random
from collections.abc import Sequence
from typing import Final, NamedTuple

from bench.capacity import Kind, Pace
from trunkline.core import limits

FRAME_BYTES: Final = 24
LINE_BYTES: Final = 60
"""Of a message on the wire beside its payload: NATS's line with a subject."""

ENVELOPE_BYTES: Final = 900
"""A small request with its envelope, as an edge publishes it."""

CHUNK_BYTES: Final = 230
"""An event of a stream as OpenAI writes them."""

ANSWER_BYTES: Final = 700
USAGE_BYTES: Final = 220
"""Of an attempt in a batch."""

BEAT_BYTES: Final = 160
ACCEPTED_AFTER_S: Final = 0.25
"""An answer that comes sooner needs no ACCEPTED (docs/bus-protocol.md)."""

RENEWED_AFTER_S: Final = limits.LEASE_MS / 2000
"""A lease is asked about again by the first job after half of its time (docs/allowances.md)."""


class Fleet(NamedTuple):
    """How many there are of everything.

    Attributes:
        edges, dispatchers, meterings: processes.
        nodes: of NATS.
        accounts: that have requests; the most active one has the largest part, and so on by rank (Zipf).
        sticky: an account's requests go to so many edges; 0 for all of them.
    """

    edges: int
    dispatchers: int
    meterings: int
    nodes: int
    accounts: int
    sticky: int = 0


class Seen(NamedTuple):
    """What came of it, per second.

    Attributes:
        requests: begun.
        in_flight: at the end of each second, the largest.
        node_messages: that each NATS node takes in and hands out to clients, all nodes' mean and the largest.
        node_bytes: the same.
        routed: messages that go from one node to another, of all messages.
        draws: reports of leases.
        draw_messages: they travel in.
        usage_messages: batches to JetStream.
        beats: messages that beats become.
    """

    requests: float
    in_flight: int
    node_messages: tuple[float, float]
    node_bytes: tuple[float, float]
    routed: float
    draws: float
    draw_messages: float
    usage_messages: float
    beats: float


class _Traffic:
    """Counts messages by node."""

    def __init__(self, nodes: int) -> None:
        self.messages = [0.0] * nodes
        self.bytes = [0.0] * nodes
        self.routed = 0.0
        self.all = 0.0

    def add(self, sender: int, receiver: int, size: int, count: float = 1.0) -> None:
        """A process at one node says something to a process at another one."""
        for node in (sender, receiver):
            self.messages[node] += count
            self.bytes[node] += count * (size + LINE_BYTES)
        self.all += count
        self.routed += count * (sender != receiver)


def simulate(kinds: Sequence[Kind], fleet: Fleet, pace: Pace, *, seconds: float, warm_s: float, seed: int) -> Seen:
    """Run a fleet for some seconds and return what was seen after the first ones.

    Args:
        kinds: of requests, at random moments.
        fleet: see there.
        pace: of answers.
        seconds: in all.
        warm_s: of them, not counted.
        seed: of all that chance decides.
    """
    return _Run(kinds, fleet, pace, random.Random(seed)).run(seconds, warm_s)


class _Run:
    def __init__(self, kinds: Sequence[Kind], fleet: Fleet, pace: Pace, draw: random.Random) -> None:
        self._kinds = list(kinds)
        self._weights = list(itertools.accumulate(kind.per_s for kind in kinds))
        self._fleet = fleet
        self._pace = pace
        self._draw = draw
        self._popular = list(itertools.accumulate(1 / rank for rank in range(1, fleet.accounts + 1)))
        self._traffic = _Traffic(fleet.nodes)
        self._reported: dict[tuple[int, int], float] = {}
        self._draws = 0
        self._draw_ticks: set[tuple[int, int]] = set()
        self._usage_ticks: set[tuple[int, int]] = set()

    def run(self, seconds: float, warm_s: float) -> Seen:
        rate = self._weights[-1]
        ends: list[float] = []
        now, requests, most = 0.0, 0, 0
        while (now := now + self._draw.expovariate(rate)) < seconds:
            counted = now >= warm_s
            while ends and ends[0] <= now:
                heapq.heappop(ends)
            heapq.heappush(ends, now + self._request(now, counted=counted))
            requests += counted
            most = max(most, len(ends))
        span = seconds - warm_s
        beats = self._beats(span)
        messages = [count / span for count in self._traffic.messages]
        sizes = [count / span for count in self._traffic.bytes]
        return Seen(
            requests / span,
            most,
            (sum(messages) / len(messages), max(messages)),
            (sum(sizes) / len(sizes), max(sizes)),
            self._traffic.routed / self._traffic.all,
            self._draws / span,
            len(self._draw_ticks) / span,
            len(self._usage_ticks) / span,
            beats,
        )

    def _request(self, now: float, *, counted: bool) -> float:
        """Count what a request says; return how long it takes."""
        fleet, draw = self._fleet, self._draw
        kind = draw.choices(self._kinds, cum_weights=self._weights)[0]
        account = draw.choices(range(fleet.accounts), cum_weights=self._popular)[0]
        edge = (
            (account * 7 + draw.randrange(fleet.sticky)) % fleet.edges if fleet.sticky else draw.randrange(fleet.edges)
        )
        dispatcher = draw.randrange(fleet.dispatchers)
        tokens = kind.output_tokens and max(1, round(draw.expovariate(1 / kind.output_tokens)))
        seconds = self._pace.seconds(tokens)
        renewed = self._reported.get((edge, account), -math.inf)
        if now - renewed >= RENEWED_AFTER_S:
            self._reported[edge, account] = now
            if counted:
                self._draws += 1
                # All that an edge has to ask in one turn of its loop, a millisecond or so, goes in one message.
                self._draw_ticks.add((edge, int(now * 1000)))
        if counted:
            self._usage_ticks.add((dispatcher, int((now + seconds) / limits.USAGE_BATCH_INTERVAL_S)))
            self._messages(edge % fleet.nodes, dispatcher % fleet.nodes, kind, tokens, seconds)
        return seconds

    def _messages(self, edge: int, dispatcher: int, kind: Kind, tokens: float, seconds: float) -> None:
        add = self._traffic.add
        add(edge, dispatcher, FRAME_BYTES + ENVELOPE_BYTES)
        if seconds > ACCEPTED_AFTER_S:
            add(dispatcher, edge, FRAME_BYTES)
        if self._draw.random() < kind.streamed:
            add(dispatcher, edge, FRAME_BYTES + CHUNK_BYTES, tokens)
            add(dispatcher, edge, FRAME_BYTES + USAGE_BYTES)
            add(edge, dispatcher, FRAME_BYTES, tokens * CHUNK_BYTES // limits.CREDIT_STEP_BYTES)
        else:
            add(dispatcher, edge, FRAME_BYTES + ANSWER_BYTES + USAGE_BYTES)

    def _beats(self, span: float) -> float:
        """Count beats: edges and dispatchers hear each other's, metering hears edges' and dispatchers'."""
        fleet = self._fleet
        processes = fleet.edges + fleet.dispatchers
        for number in range(processes):
            others = fleet.dispatchers if number < fleet.edges else fleet.edges
            for listener in range(others + fleet.meterings):
                self._traffic.add(number % fleet.nodes, listener % fleet.nodes, BEAT_BYTES, span)
        return fleet.edges * fleet.dispatchers * 2.0 + processes * fleet.meterings
