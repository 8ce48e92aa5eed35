"""Clients of the simulated gateway: each sends one request, reads at its own pace, and may leave.

A client is the `Wire` of its `Exchange`. What it got is read once it has ended, as strictly as an SDK would.
"""

import asyncio
import dataclasses
import json
from enum import Enum

from trunkline.runtime.http_exchange import Exchange, Request
from trunkline.runtime.http_server import WRITE_HIGH_WATER_BYTES

READ_INTERVAL_S = 0.05


class Outcome(Enum):
    """How a request ended for its client."""

    FULL = "full answer"
    ERROR = "error response"
    IN_BAND = "in-band error"
    CUT = "cut connection"
    LEFT = "left by itself"
    EDGE_DIED = "edge died"
    HANGS = "hangs"
    WRONG = "wrong"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a client does.

    Attributes:
        tag: names it in the request's content.
        at_s: when it sends its request.
        stream: whether it wants a stream.
        wants_usage: whether it asks for the usage chunk.
        padding: bytes that make the request larger.
        bytes_per_s: how fast it reads; None for at once.
        leaves_after_s: when it goes, counted from ``at_s``; None if it stays.
    """

    tag: str
    at_s: float
    stream: bool
    wants_usage: bool
    padding: int
    bytes_per_s: int | None
    leaves_after_s: float | None

    def request(self, secret: str) -> Request:
        content: dict[str, object] = {
            "model": "public",
            "messages": [{"role": "user", "content": self.tag}],
            "padding": "x" * self.padding,
        }
        if self.stream:
            content["stream"] = True
        if self.wants_usage:
            content["stream_options"] = {"include_usage": True}
        headers = {"authorization": f"Bearer {secret}"}
        return Request("POST", "/v1/chat/completions", "", headers, json.dumps(content).encode(), "127.0.0.1")


class Client:
    """One client.

    Attributes:
        job: id that the edge gave its request.
        answer: text that the model said to it, as far as it came.
        edge_died: its edge is dead, whether it had its answer by then or not.
        ends: how often its exchange was ended by the gateway.
    """

    def __init__(self, plan: Plan, secret: str) -> None:
        self.plan = plan
        self.exchange = Exchange(self, plan.request(secret), keep_alive=True, chunked=True)
        self.job = b""
        self.ends = 0
        self.left = False
        self.edge_died = False
        self.answer = ""
        self.problem = ""
        self._received: list[bytes] = []
        self._waiting_bytes = 0
        self._reading = False
        self._kept_alive = False

    @property
    def done(self) -> bool:
        return bool(self.ends) or self.left or self.edge_died

    @property
    def wire(self) -> bytes:
        """All that it got."""
        return b"".join(self._received)

    # --- the wire ----------------------------------------------------------------------------------------------

    def write(self, wire: bytes) -> bool:
        assert not self.ends, "written after the end"
        self._received.append(wire)
        if self.plan.bytes_per_s is None:
            return False
        self._waiting_bytes += len(wire)
        if not self._reading:
            self._reading = True
            asyncio.get_running_loop().call_later(READ_INTERVAL_S, self._read)
        return self._waiting_bytes > WRITE_HIGH_WATER_BYTES

    def _read(self) -> None:
        self._reading = False
        rate = self.plan.bytes_per_s or 0
        self._waiting_bytes = max(0, self._waiting_bytes - round(rate * READ_INTERVAL_S))
        if self._waiting_bytes:
            self._reading = True
            asyncio.get_running_loop().call_later(READ_INTERVAL_S, self._read)
        if self._waiting_bytes <= WRITE_HIGH_WATER_BYTES // 4 and not self.edge_died:
            self.exchange.drained()

    def date_line(self) -> bytes:
        return b""

    @property
    def draining(self) -> bool:
        """See `runtime.http_exchange.Wire`."""
        return False

    def answer_begun(self) -> None:
        """See `runtime.http_exchange.Wire`."""

    def exchange_ended(self, *, keep_alive: bool) -> None:
        self.ends += 1
        self._kept_alive = keep_alive

    def cut(self) -> None:
        raise AssertionError("only clients of HTTP/1.0 are cut")

    def leave(self) -> None:
        if not self.done:
            self.left = True
            self.exchange.gone()

    # --- what it got -------------------------------------------------------------------------------------------

    def outcome(self) -> Outcome:
        """Return how it ended. A wrong answer says why in ``problem``."""
        try:
            outcome = self._read_answer()
        except (ValueError, KeyError, IndexError, AssertionError) as error:
            self.problem = repr(error)
            outcome = Outcome.WRONG
        if self.left:
            return Outcome.LEFT
        if not self.ends:
            return Outcome.EDGE_DIED if self.edge_died else Outcome.HANGS
        assert self.ends == 1
        return outcome

    def _read_answer(self) -> Outcome:
        wire = self.wire
        if not wire:
            return Outcome.CUT
        head, _, rest = wire.partition(b"\r\n\r\n")
        status = int(head.split(b" ")[1])
        lines = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n")[1:])
        assert len(lines["x-request-id"]) == 36
        if "content-length" in lines:
            assert len(rest) == int(lines["content-length"])
            return self._read_json(status, rest)
        assert status == 200
        body, whole = _dechunk(rest)
        if not self.plan.stream:
            return self._read_json(status, body) if whole else Outcome.CUT
        return self._read_events(body, whole=whole)

    def _read_json(self, status: int, body: bytes) -> Outcome:
        answer = json.loads(body)
        if status != 200:
            assert answer["error"]["message"]
            assert answer["error"]["type"]
            return Outcome.ERROR
        assert answer["model"] == "public"
        self.answer = answer["choices"][0]["message"]["content"]
        return Outcome.FULL

    def _read_events(self, body: bytes, *, whole: bool) -> Outcome:
        *events, rest = body.split(b"\n\n")
        datas = [event.removeprefix(b"data: ") for event in events if event]
        assert not (whole and rest), "ends inside an event"
        usages = 0
        for position, data in enumerate(datas):
            last = position == len(datas) - 1
            if data == b"[DONE]":
                assert whole
                assert usages == 0 or self.plan.wants_usage
                assert last
                return Outcome.FULL
            chunk = json.loads(data)
            if "error" in chunk:
                assert last
                assert whole
                return Outcome.IN_BAND
            assert chunk["model"] == "public"
            usages += "usage" in chunk
            self.answer += "".join(choice["delta"].get("content", "") for choice in chunk["choices"])
        assert not whole, "a stream that ends without saying so"
        return Outcome.CUT


def _dechunk(wire: bytes) -> tuple[bytes, bool]:
    """Return a chunked body as far as it came, and whether its end did."""
    body = b""
    while wire:
        line, _, wire = wire.partition(b"\r\n")
        size = int(line, 16)
        if size == 0:
            assert wire == b"\r\n"
            return body, True
        body += wire[:size]
        assert wire[size : size + 2] == b"\r\n"
        wire = wire[size + 2 :]
    return body, False
