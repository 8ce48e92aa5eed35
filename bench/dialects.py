"""What translating between dialects costs beside passing on within one. Called by `bench.__main__`.

In this process, without sockets or services: what the dispatcher does with each request, answer and chunk, and nothing
else. CPU time, in rounds in which all pairs take turns, so that a disturbance does not fall on one of them alone.
"""

import json
import time
from collections.abc import Callable
from typing import NamedTuple

from bench.figures import middle
from bench.results import Translation, Translations
from bench.speed import Speed
from bench.stack import MODEL
from bench.workloads import CHUNK_BYTES, MESSAGES, STREAM_CHUNKS
from trunkline.core.usage import Units
from trunkline.protocol import names, registry
from trunkline.protocol.dialect import AnswerFrame
from trunkline.protocol.events import Event, Finish, FinishReason, MessageEnd, MessageStart, TextDelta, UsageReport
from trunkline.protocol.fidelity import Crossing
from trunkline.protocol.meter import AnswerMeter
from trunkline.protocol.vendor import DEFAULTS

UPSTREAM_MODEL = "demo"
ANSWER = "Air scatters blue light more than red; low in the evening, the sun's light has lost most of its blue. "
UPSTREAM_OF = {registry.UPSTREAMS[upstream].name: upstream for upstream in reversed(names.UPSTREAMS)}
"""A channel's dialect, by the dialect that it speaks."""

FRAME = AnswerFrame(id="0123456789abcdef", model=MODEL, created=1_700_000_000, input_estimate=40)

Work = Callable[[], bytes]
"""Does one thing; returns what the client gets, so that a test can see that it was done."""


class Amount(NamedTuple):
    """How much is measured.

    Attributes:
        rounds: of which the median counts.
        requests: of each pair in a round.
        streams: of each pair in a round, with `STREAM_CHUNKS` chunks each.
    """

    rounds: int
    requests: int
    streams: int


FULL = Amount(rounds=15, requests=300, streams=8)
QUICK = Amount(rounds=3, requests=50, streams=2)


def request_body(dialect: str) -> bytes:
    """Return the benchmark's request in a dialect."""
    system, user = (message["content"] for message in MESSAGES)
    bodies: dict[str, dict[str, object]] = {
        names.OPENAI_CHAT: {"model": MODEL, "messages": MESSAGES},
        names.OPENAI_RESPONSES: {"model": MODEL, "instructions": system, "input": MESSAGES[1:]},
        names.ANTHROPIC: {"model": MODEL, "max_tokens": 1024, "system": system, "messages": MESSAGES[1:]},
        names.GEMINI: {
            "systemInstruction": {"parts": [{"text": system}]},
            "contents": [{"role": "user", "parts": [{"text": user}]}],
        },
    }
    return json.dumps(bodies[dialect]).encode()


def _said(texts: list[str]) -> list[Event]:
    units = Units(input=40, output=len(texts))
    said: list[Event] = [MessageStart("abc", Units(input=40))]
    said += [TextDelta(text) for text in texts]
    return [*said, UsageReport(units), Finish(FinishReason.STOP), MessageEnd()]


def answer_body(dialect: str) -> bytes:
    """Return an upstream's whole answer in a dialect."""
    return registry.CLIENTS[dialect].write_answer(_said([ANSWER]), _upstream_frame())


def stream_chunks(dialect: str) -> list[bytes]:
    """Return an upstream's stream in a dialect: a chunk for each piece of text, and those that open and end it."""
    text = ANSWER * (STREAM_CHUNKS * CHUNK_BYTES // len(ANSWER) + 1)
    pieces = [text[at * CHUNK_BYTES : (at + 1) * CHUNK_BYTES] for at in range(STREAM_CHUNKS)]
    writer = registry.CLIENTS[dialect].event_writer(_upstream_frame())
    return [chunk for event in _said(pieces) if (chunk := writer.write(event))]


def _upstream_frame() -> AnswerFrame:
    return AnswerFrame(id="fedcba9876543210", model=UPSTREAM_MODEL, created=1_700_000_000, wants_usage=True)


def request_across(client_name: str, upstream_name: str) -> Work:
    """Return a request's way there and its answer's way back, translated."""
    client, upstream = registry.CLIENTS[client_name], registry.UPSTREAMS[UPSTREAM_OF[upstream_name]]
    body, answer = request_body(client_name), answer_body(upstream_name)

    def work() -> bytes:
        request = client.read_request(body, stream=False)
        written = upstream.write_request(request, Crossing(client.name, upstream.name), UPSTREAM_MODEL, DEFAULTS)
        return client.write_answer(upstream.read_answer(answer, written, DEFAULTS), FRAME)

    return work


def request_within(name: str) -> Work:
    """Return the same within one dialect: bytes with another model's name."""
    relay = registry.RELAYS[name]
    body, answer = request_body(name), answer_body(name)

    def work() -> bytes:
        relay.prepare(body, upstream_model=UPSTREAM_MODEL, ask_usage=False, rules=None)
        relay.read_whole(answer)
        return relay.rename(answer, MODEL)

    return work


def stream_across(client_name: str, upstream_name: str) -> Work:
    """Return a stream's way back, translated; its tokens are counted beside, as a relay does it."""
    client, upstream = registry.CLIENTS[client_name], registry.UPSTREAMS[UPSTREAM_OF[upstream_name]]
    request = client.read_request(request_body(client_name), stream=True)
    written = upstream.write_request(request, Crossing(client.name, upstream.name), UPSTREAM_MODEL, DEFAULTS)
    chunks = stream_chunks(upstream_name)

    def work() -> bytes:
        reader, writer, meter = upstream.event_reader(written, DEFAULTS), client.event_writer(FRAME), AnswerMeter()
        out = []
        for chunk in chunks:
            for event in reader.receive(chunk):
                meter.take(event)
                out.append(writer.write(event))
        for event in reader.finish():
            meter.take(event)
            out.append(writer.write(event))
        return b"".join(out)

    return work


def stream_within(name: str) -> Work:
    """Return the same within one dialect: each event's model renamed, usage read beside."""
    dialect, chunks = registry.RELAYS[name], stream_chunks(name)

    def work() -> bytes:
        relay = dialect.relay(public_model=MODEL, hide_usage=True, array=False, options=DEFAULTS)
        out = [relay.receive(chunk) for chunk in chunks]
        return b"".join([*out, relay.finish()])

    return work


class _Pair:
    """One pair's work, and what it took in each round."""

    def __init__(self, client: str, upstream: str) -> None:
        self.client, self.upstream = client, upstream
        across = client != upstream
        self._request = request_across(client, upstream) if across else request_within(client)
        self._stream = stream_across(client, upstream) if across else stream_within(client)
        self._request_us: list[float] = []
        self._chunk_us: list[float] = []

    def warm(self) -> None:
        """Fill caches; the first stream of all loads the tokenizer."""
        self._request()
        self._stream()

    def measure(self, amount: Amount) -> None:
        """Measure one round."""
        self._request_us.append(_cpu_us(self._request, amount.requests))
        self._chunk_us.append(_cpu_us(self._stream, amount.streams) / STREAM_CHUNKS)

    def found(self) -> Translation:
        """Return what the rounds say."""
        return Translation(
            client=self.client,
            upstream=self.upstream,
            request_us=middle(self._request_us),
            request_best_us=min(self._request_us),
            chunk_us=middle(self._chunk_us),
            chunk_best_us=min(self._chunk_us),
        )


def _cpu_us(work: Work, times: int) -> float:
    """Return CPU microseconds for each of so many times."""
    begun_ns = time.process_time_ns()
    for _ in range(times):
        work()
    return (time.process_time_ns() - begun_ns) / 1000 / times


def measure(amount: Amount) -> Translations:
    """Measure each pair of a client's and an upstream's dialect; the same twice is the way without translation."""
    pairs = [_Pair(client, upstream) for client in names.CONVERSATIONAL for upstream in names.CONVERSATIONAL]
    for pair in pairs:
        pair.warm()
    speed = Speed()
    slowed = []
    for _ in range(amount.rounds):
        for pair in pairs:
            pair.measure(amount)
        slowed.append(speed.slowed())
    return Translations(pairs=[pair.found() for pair in pairs], rounds=amount.rounds, slowed=middle(slowed))
