"""Providers in memory, in place of `HTTPClientPool`: they answer, stall, cut, refuse and limit by a seeded script.

Each call reports as its input tokens its own running number, so that the books can tell which call was paid for.
"""

import asyncio
import dataclasses
import json
import random
from collections.abc import Callable
from enum import Enum

from trunkline.runtime.http_client import AnswerReceiver, Endpoint, HTTPClientError

LARGE_BYTES = 300 * 1024
"""More than a credit window, so that slow readers stop such answers."""

PIECE_BYTES = 8 * 1024


class Behaviour(Enum):
    """What an upstream makes of one call."""

    GOOD = "good"
    SLOW = "slow"
    LARGE = "large"
    UNREPORTED = "unreported"
    CUT = "cut"
    STALL = "stall"
    BROKEN = "broken"
    ERROR_EVENT = "error event"
    SILENT = "silent"
    LIMITED = "limited"
    FAILING = "failing"
    REFUSING = "refusing"
    HANGING_UP = "hanging up"


WEIGHTS = {
    Behaviour.GOOD: 50,
    Behaviour.SLOW: 12,
    Behaviour.LARGE: 6,
    Behaviour.UNREPORTED: 6,
    Behaviour.CUT: 5,
    Behaviour.STALL: 4,
    Behaviour.BROKEN: 2,
    Behaviour.ERROR_EVENT: 2,
    Behaviour.SILENT: 3,
    Behaviour.LIMITED: 4,
    Behaviour.FAILING: 5,
    Behaviour.REFUSING: 2,
    Behaviour.HANGING_UP: 4,
}
_NO_CONNECTION = 0.03
_STALE = 0.05


@dataclasses.dataclass
class Call:
    """One call, as the provider's own books have it.

    Attributes:
        number: running, over all providers; also the input tokens it reports.
        tag: which client's request it was.
        text: what the model says.
        output_tokens: what it reports as output.
        reported: it has sent its usage.
        whole: it has sent all of a good answer.
        closed: the connection was closed from the other side.
    """

    number: int
    tag: str
    stream: bool
    behaviour: Behaviour
    text: str = ""
    output_tokens: int = 0
    reported: bool = False
    whole: bool = False
    closed: bool = False


class Provider:
    """All upstreams of a simulation: what they were asked, and the decisions about it.

    Attributes:
        calls: every call so far.
        script: what to make of the next calls; when it is empty, chance decides.
        reliable: connections are always made, kept ones always good, and nothing arrives joined or torn.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.calls: list[Call] = []
        self.script: list[Behaviour] = []
        self.reliable = False

    def chance(self, probability: float) -> bool:
        """Return whether this happens."""
        return self.random.random() < probability and not self.reliable

    def begin(self, wire: bytes) -> Call:
        head, _, body = wire.partition(b"\r\n\r\n")
        assert b"content-length: %d" % len(body) in head
        request = json.loads(body)
        chosen = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        behaviour = self.script.pop(0) if self.script else chosen
        call = Call(len(self.calls) + 1, request["messages"][0]["content"], bool(request.get("stream")), behaviour)
        words = self.random.randrange(1, 12)
        call.text = "".join(f"w{call.number}.{index} " for index in range(words))
        if behaviour is Behaviour.LARGE:
            call.text += "x" * LARGE_BYTES
        call.output_tokens = words
        self.calls.append(call)
        return call

    def pieces(self, call: Call, model: str) -> list[bytes]:
        """Return the parts of a good body, in the order in which they are sent."""
        usage = {"prompt_tokens": call.number, "completion_tokens": call.output_tokens}
        if not call.stream:
            answer = {
                "object": "chat.completion",
                "model": model,
                "choices": [
                    {"index": 0, "message": {"role": "assistant", "content": call.text}, "finish_reason": "stop"}
                ],
            }
            body = json.dumps(answer if call.behaviour is Behaviour.UNREPORTED else answer | {"usage": usage}).encode()
            return [body[start : start + PIECE_BYTES] for start in range(0, len(body), PIECE_BYTES)]
        size = max(4, len(call.text) // 50)
        texts = [call.text[start : start + size] for start in range(0, len(call.text), size)]
        events = [_chunk(model, {"role": "assistant"})]
        events += [_chunk(model, {"content": text}) for text in texts]
        events.append(_chunk(model, {}, "stop"))
        if call.behaviour is not Behaviour.UNREPORTED:
            events.append(_event({"object": "chat.completion.chunk", "model": model, "choices": [], "usage": usage}))
        return [*events, b"data: [DONE]\n\n"]


def _chunk(model: str, delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _event({"object": "chat.completion.chunk", "model": model, "choices": [choice]})


def _event(data: object) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


class SimulatedConnection:
    """See `runtime.http_client.ClientConnection`."""

    def __init__(self, pool: "SimulatedPool", endpoint: Endpoint) -> None:
        self._pool = pool
        self._endpoint = endpoint
        self._random = pool.provider.random
        self._receiver: AnswerReceiver | None = None
        self._steps: list[Callable[[AnswerReceiver], None]] = []
        self._gap_s = 0.01
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None
        self.call: Call | None = None
        self.stale = False

    @property
    def busy(self) -> bool:
        """Whether an exchange is under way."""
        return self._receiver is not None

    def send(self, wire: bytes, receiver: AnswerReceiver) -> None:
        self._receiver = receiver
        if self.stale:
            self._steps = [lambda by: self._fail(by, unused=True)]
        else:
            self.call = self._pool.provider.begin(wire)
            self._gap_s = self._random.uniform(0.2, 1.5) if self.call.behaviour is Behaviour.SLOW else 0.01
            self._steps = self._script(self.call, json.loads(wire.partition(b"\r\n\r\n")[2])["model"])
        self._later()

    def _script(self, call: Call, model: str) -> list[Callable[[AnswerReceiver], None]]:
        head = {"content-type": "text/event-stream" if call.stream else "application/json", "x-request-id": "up"}
        match call.behaviour:
            case Behaviour.HANGING_UP:
                return [lambda by: self._fail(by, unused=True)]
            case Behaviour.SILENT:
                return []
            case Behaviour.LIMITED:
                return self._refusal(429, {"retry-after": "1"}, "rate_limit_exceeded")
            case Behaviour.FAILING:
                return self._refusal(500, {}, "server_error")
            case Behaviour.REFUSING:
                return self._refusal(400, {}, "invalid_request_error")
        pieces = self._provider_pieces(call, model)
        steps: list[Callable[[AnswerReceiver], None]] = [lambda by: by.on_head(200, head)]
        steps += [self._body_step(call, piece) for piece in pieces]
        if call.behaviour is Behaviour.STALL:
            return steps
        if call.behaviour is Behaviour.CUT:
            return [*steps, lambda by: self._fail(by, unused=False)]
        return [*steps, self._end]

    def _provider_pieces(self, call: Call, model: str) -> list[bytes]:
        pieces = self._pool.provider.pieces(call, model)
        kept = self._random.randrange(len(pieces))
        match call.behaviour:
            case Behaviour.CUT | Behaviour.STALL:
                return pieces[:kept]
            case Behaviour.BROKEN:
                return [*pieces[:kept], b'data: {"broken\n\n' if call.stream else b"}"]
            case Behaviour.ERROR_EVENT:
                return [*pieces[:kept], _event({"error": {"message": "no", "type": "server_error"}})]
        if self._pool.provider.chance(0.5):  # what is sent together arrives together
            joined = b"".join(pieces)
            size = self._random.randrange(1, len(joined) + 1)
            pieces = [
                joined[start : start + max(size, PIECE_BYTES)]
                for start in range(0, len(joined), max(size, PIECE_BYTES))
            ]
        return pieces

    def _refusal(self, status: int, headers: dict[str, str], kind: str) -> list[Callable[[AnswerReceiver], None]]:
        body = json.dumps({"error": {"message": "no", "type": kind}}).encode()
        return [lambda by: by.on_head(status, headers), lambda by: by.on_body(body), self._end]

    def _body_step(self, call: Call, piece: bytes) -> Callable[[AnswerReceiver], None]:
        def step(receiver: AnswerReceiver) -> None:
            call.reported = call.reported or b'"usage"' in piece
            receiver.on_body(piece)

        return step

    def _end(self, receiver: AnswerReceiver) -> None:
        if self.call is not None:
            self.call.whole = self.call.behaviour in {
                Behaviour.GOOD,
                Behaviour.SLOW,
                Behaviour.LARGE,
                Behaviour.UNREPORTED,
            }
        self._receiver = None
        self.stale = self._pool.provider.chance(_STALE)
        self._pool.idle.setdefault(self._endpoint, []).append(self)
        receiver.on_end()

    def _fail(self, receiver: AnswerReceiver, *, unused: bool) -> None:
        self._receiver = None
        self._pool.open.discard(self)
        receiver.on_error(HTTPClientError("cut", unused=unused))

    def _later(self) -> None:
        if self._steps and not self._paused and self._timer is None:
            gap_s = self._random.uniform(0.2, 1.8) * self._gap_s
            self._timer = asyncio.get_running_loop().call_later(gap_s, self._step)

    def _step(self) -> None:
        self._timer = None
        if self._receiver is not None and self._steps:
            self._steps.pop(0)(self._receiver)
            if self._receiver is not None:
                self._later()

    def pause(self) -> None:
        self._paused = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def resume(self) -> None:
        self._paused = False
        self._later()

    def cancel(self) -> None:
        self._receiver = None
        self._steps = []
        self.pause()
        if self.call is not None:
            self.call.closed = True
        self._pool.open.discard(self)


class SimulatedPool:
    """See `runtime.http_client.HTTPClientPool`."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.idle: dict[Endpoint, list[SimulatedConnection]] = {}
        self.open: set[SimulatedConnection] = set()

    def take_idle(self, endpoint: Endpoint) -> SimulatedConnection | None:
        waiting = self.idle.get(endpoint)
        return waiting.pop() if waiting else None

    async def connect(self, endpoint: Endpoint, timeout_s: float) -> SimulatedConnection:
        loop = asyncio.get_running_loop()
        made: asyncio.Future[None] = loop.create_future()
        never = self.provider.chance(_NO_CONNECTION)
        takes_s = timeout_s if never else self.provider.random.uniform(0.001, 0.3)
        loop.call_later(takes_s, lambda: None if made.done() else made.set_result(None))
        await made
        if never:
            raise HTTPClientError("the connection was not made in time", unused=True)
        connection = SimulatedConnection(self, endpoint)
        self.open.add(connection)
        return connection

    def kill(self) -> None:
        """The process is dead: its sockets are closed."""
        for connection in list(self.open):
            connection.cancel()
