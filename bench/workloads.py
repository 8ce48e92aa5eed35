"""The requests that are sent, and how many: orders for the generator. Pure."""

import json

import msgspec

from bench.orders import Order, Pace
from bench.stack import MODEL

PATH = "/v1/chat/completions"
CONNECTIONS = 32
CHUNK_BYTES = 16
CHUNK_PACE_S = 0.01
STREAM_CHUNKS = 100
REQUESTS_MAX = 1_000_000
"""Of one run: its time is meant to end it."""

FRAMING_EVENTS = 3
"""Events of a stream beside its content chunks: the role, the finish reason, ``[DONE]``."""

MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant. Answer briefly, and say so if you do not know."},
    {"role": "user", "content": "Why is the sky blue at noon and red in the evening? Two sentences are enough."},
]


class Effort(msgspec.Struct, frozen=True):
    """How much is measured.

    Attributes:
        idle_s: how long the idle stack is watched.
        warm_s, run_s: length of a load before and while it is measured.
        rounds: of latency, gateway and upstream in turn.
        round_s: length of a load in a round.
        held: numbers of open streams.
        hold_s: how long they are watched while all are open.
        starts: warm starts.
        patience_s: how long to wait for other processes of the machine to become calm, on each stack.
        events, draws: usage events settled, and draws of allowances decided.
    """

    idle_s: float
    warm_s: float
    run_s: float
    rounds: int
    round_s: float
    held: tuple[int, ...]
    hold_s: float
    starts: int
    patience_s: float
    events: int = 100_000
    draws: int = 10_000


QUICK = Effort(
    idle_s=1.0,
    warm_s=0.5,
    run_s=1.5,
    rounds=1,
    round_s=0.7,
    held=(1000,),
    hold_s=3.0,
    starts=1,
    patience_s=0.0,
    events=10_000,
    draws=1000,
)
FULL = Effort(
    idle_s=8.0,
    warm_s=3.0,
    run_s=8.0,
    rounds=5,
    round_s=2.0,
    held=(1000, 10_000),
    hold_s=20.0,
    starts=3,
    patience_s=60.0,
)


def _body(*, stream: bool, chunks: int, pace_s: float) -> str:
    body: dict[str, object] = {"model": MODEL, "messages": MESSAGES}
    if stream:
        body["stream"] = True
        script = {"chunks": chunks, "chunk_bytes": CHUNK_BYTES, "delay_ms": pace_s * 1000}
        body["trunkline_demo"] = {name: value for name, value in script.items() if value}
    return json.dumps(body)


def plain(connections: int, seconds: float, *, rate_per_s: float = 0.0, requests_max: int = REQUESTS_MAX) -> Order:
    """Return requests with whole answers, as fast as they are answered or at a rate."""
    return Order(
        port=0,
        path=PATH,
        keys=(),
        body=_body(stream=False, chunks=0, pace_s=0.0),
        events=0,
        pace=Pace.OPEN if rate_per_s else Pace.CLOSED,
        connections=connections,
        requests_max=requests_max,
        seconds_max=seconds,
        rate_per_s=rate_per_s,
    )


def stream(connections: int, seconds: float, *, chunks: int = STREAM_CHUNKS, pace_s: float = CHUNK_PACE_S) -> Order:
    """Return requests with streamed answers, one after the other on each connection."""
    return msgspec.structs.replace(
        plain(connections, seconds),
        body=_body(stream=True, chunks=chunks, pace_s=pace_s),
        events=chunks + FRAMING_EVENTS,
        grace_s=10.0 + chunks * pace_s,
    )


def hold(streams: int, begun_per_s: float, hold_s: float, pace_s: float) -> Order:
    """Return streams that are all open together for ``hold_s`` and a little more, and then end by themselves."""
    ramp_s = streams / begun_per_s
    chunks = int((ramp_s + hold_s) * 1.1 / pace_s) + 4
    return msgspec.structs.replace(
        stream(streams, ramp_s + chunks * pace_s, chunks=chunks, pace_s=pace_s),
        pace=Pace.HOLD,
        requests_max=streams,
        rate_per_s=begun_per_s,
        grace_s=30.0 + chunks * pace_s / 2,
    )


def to_gateway(order: Order, port: int, keys: tuple[str, ...]) -> Order:
    """Address an order to the gateway."""
    return msgspec.structs.replace(order, port=port, keys=keys)


def to_upstream(order: Order, port: int) -> Order:
    """Address an order to the upstream, which has its own name for the model."""
    named = order.body.replace(f'"model": "{MODEL}"', '"model": "demo"')
    return msgspec.structs.replace(order, port=port, keys=("sk-direct",), body=named)


def content_chunks(events: int, answered: int) -> int:
    """Return how many content chunks were among so many events of whole answers."""
    return max(0, events - FRAMING_EVENTS * answered)
