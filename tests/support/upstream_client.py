"""The demo upstream without sockets or time: requests go straight in, and the clock moves when a test says so."""

import msgspec

from trunkline.core.clock import Timer
from trunkline.dev.demo.upstream import Upstream
from trunkline.runtime.http_exchange import Exchange, Request

WALL_MS = 1_700_000_000_000


class HandTimer:
    """A call that waits for its time."""

    def __init__(self, at: float, callback: object) -> None:
        self.at = at
        self.callback = callback

    def cancel(self) -> None:
        """See `core.clock.Timer`."""
        self.callback = None


class HandClock:
    """A clock that stands still but for `advance`."""

    def __init__(self) -> None:
        self._now = 0.0
        self._timers: list[HandTimer] = []

    def now(self) -> float:
        """See `core.clock.Clock`."""
        return self._now

    def wall_ms(self) -> int:
        """See `core.clock.Clock`."""
        return WALL_MS + int(self._now * 1000)

    async def sleep(self, seconds: float) -> None:
        """See `core.clock.Clock`."""
        raise NotImplementedError("nothing here sleeps")

    def call_later(self, seconds: float, callback: object) -> Timer:
        """See `core.clock.Clock`."""
        timer = HandTimer(self._now + seconds, callback)
        self._timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass, and what is due happen in order."""
        end = self._now + seconds
        while due := sorted((t for t in self._timers if t.at <= end + 1e-9), key=lambda t: t.at):
            timer = due[0]
            self._timers.remove(timer)
            self._now = max(self._now, timer.at)
            if callable(timer.callback):
                timer.callback()
        self._now = end


class Client:
    """One connection's other end: keeps what was written.

    Attributes:
        received: all bytes.
        slow: whether it has stopped reading.
        ended: whether the answer has come to an end, whole or not.
    """

    def __init__(self) -> None:
        self.received = b""
        self.slow = False
        self.ended = False
        self.exchange: Exchange

    def write(self, wire: bytes) -> bool:
        """See `runtime.http_exchange.Wire`."""
        self.received += wire
        return self.slow

    def date_line(self) -> bytes:
        """See `runtime.http_exchange.Wire`."""
        return b""

    @property
    def draining(self) -> bool:
        """See `runtime.http_exchange.Wire`."""
        return False

    def answer_begun(self) -> None:
        """See `Wire`."""

    def exchange_ended(self, *, keep_alive: bool) -> None:
        """See `runtime.http_exchange.Wire`."""
        assert isinstance(keep_alive, bool)
        self.ended = True

    def cut(self) -> None:
        """See `runtime.http_exchange.Wire`."""

    def leave(self) -> None:
        """The client goes away."""
        self.exchange.gone()

    def read_on(self) -> None:
        """A slow client takes what was written, and reads again."""
        self.slow = False
        self.exchange.drained()

    @property
    def status(self) -> int:
        """Of the answer."""
        return int(self.received.split(b" ", 2)[1])

    @property
    def head(self) -> str:
        """Status line and header fields."""
        return self.received.partition(b"\r\n\r\n")[0].decode()

    @property
    def body(self) -> bytes:
        """Of a whole answer, or what has come of a streamed one, without its transfer coding."""
        head, _, rest = self.received.partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" not in head:
            return rest
        body = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            body, rest = body + rest[:length], rest[length + 2 :]
        return body

    @property
    def whole(self) -> bool:
        """Whether the answer came to its proper end."""
        if b"transfer-encoding: chunked" in self.received:
            return self.received.endswith(b"0\r\n\r\n")
        return self.ended

    @property
    def events(self) -> list[str]:
        """The data of a stream's events."""
        return [event.removeprefix("data: ") for event in self.body.decode().split("\n\n") if event]


class UpstreamClient:
    """Sends requests to a demo upstream.

    Attributes:
        clock: moves by hand.
        upstream: the one that is asked.
    """

    def __init__(self) -> None:
        self.clock = HandClock()
        self.upstream = Upstream(self.clock)

    def send(
        self, method: str, path: str, body: bytes = b"", *, credential: str = "sk-test", slow: bool = False
    ) -> Client:
        """Send a request; returns its client."""
        client = Client()
        client.slow = slow
        request = Request(method, path, "", {"authorization": f"Bearer {credential}"}, body, "127.0.0.1")
        client.exchange = Exchange(client, request, keep_alive=True, chunked=True)
        self.upstream.on_request(client.exchange)
        return client

    def chat(
        self,
        *,
        model: str = "demo",
        credential: str = "sk-test",
        slow: bool = False,
        stream: bool = False,
        script: dict[str, object] | None = None,
        **fields: object,
    ) -> Client:
        """Send a chat request of three words."""
        body: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": "one two three"}], **fields}
        if stream:
            body["stream"] = True
        if script is not None:
            body["trunkline_demo"] = script
        return self.send("POST", "/v1/chat/completions", msgspec.json.encode(body), credential=credential, slow=slow)
