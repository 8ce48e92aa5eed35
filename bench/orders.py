"""What passes between the benchmark and its load generator: one order in, progress and one outcome out."""

from enum import StrEnum

import msgspec


class Pace(StrEnum):
    """When requests are sent."""

    CLOSED = "closed"
    """Each connection sends the next request as soon as the last one is answered."""

    OPEN = "open"
    """At fixed times, whether earlier ones are answered or not; a request that waits for a connection has begun."""

    HOLD = "hold"
    """One request on each connection, begun a few at a time: streams that stay open together."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the generator.

    Attributes:
        port, path: where requests go, on the loopback.
        keys: API keys that requests take in turn.
        body: of every request, JSON.
        events: server-sent events of an answer, with ``[DONE]``; 0 expects a whole answer.
        pace: see there.
        connections: at the same time.
        requests_max, seconds_max: no request is begun after either.
        grace_s: how long after `seconds_max` answers may take.
        rate_per_s: of an open pace, requests; of a hold, connections begun.
    """

    port: int
    path: str
    keys: tuple[str, ...]
    body: str
    events: int
    pace: Pace
    connections: int
    requests_max: int
    seconds_max: float
    grace_s: float = 10.0
    rate_per_s: float = 0.0


class Progress(msgspec.Struct, frozen=True, tag=True):
    """How a hold is going on.

    Attributes:
        at: monotonic seconds of the machine.
        answering: requests whose answer has begun and not ended.
        ended, failed: requests.
        events: server-sent events seen so far.
    """

    at: float
    answering: int
    ended: int
    failed: int
    events: int


class Timing(msgspec.Struct, frozen=True):
    """How a set of times is spread, in microseconds."""

    p50_us: float
    p99_us: float
    max_us: float


class Outcome(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What came of a run.

    Attributes:
        answered: requests with a whole and right answer.
        failures: how often by reason; empty is what must be.
        events: server-sent events seen.
        elapsed_s: from the first request to the last answer.
        cpu_s: of the generator, for all of the run.
        whole: times from a request's beginning to the end of its answer.
        first: to the answer's first byte.
        gap: the longest silence within each answer.
        late: of an open pace: how late the generator itself was.
    """

    answered: int
    failures: dict[str, int]
    events: int
    elapsed_s: float
    cpu_s: float
    whole: Timing
    first: Timing
    gap: Timing
    late: Timing


def wires(order: Order) -> list[bytes]:
    """Return the requests of an order as they are written, one for each key."""
    body = order.body.encode()
    return [
        (
            f"POST {order.path} HTTP/1.1\r\nhost: 127.0.0.1:{order.port}\r\nuser-agent: trunkline-bench\r\n"
            f"accept: */*\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode("latin-1")
        + body
        for key in order.keys
    ]
