"""A provider that fails in the ways of `support.fault_table`: the first segment of a base URL's path says how.

It runs in threads of the test's own process and writes to its sockets by hand, since no server would send this.
"""

import contextlib
import email.utils
import json
import socket
import socketserver
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Mapping

from tests.support.fault_answers import IN_TIME, LAST, STREAM, WHOLE, Act, Steps, answer, chunked_head, piece, plain
from tests.support.fault_table import FAULTS, REFUSES_CONNECTIONS
from trunkline.runtime.clock import SystemClock

HEALTHY = "healthy"
MODEL = "faulty"
"""What its model is called."""

RETRY_AFTER_S = 7
HELD_S_MAX = 30.0

_LISTING = answer(200, b'{"object":"list","data":[]}')
_GOOD_STREAM: Steps = (chunked_head(), piece(STREAM), LAST)


class FaultyUpstream:
    """A running one.

    Attributes:
        attempts: requests for an answer, by credential without its ``sk-``.
    """

    def __init__(self) -> None:
        self.attempts: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self._server = _Server(self)
        self._refusing = _Server(self)
        self._silent = _Server(self)

    def base_url(self, name: str) -> str:
        """Return the base URL of a channel that fails in a certain way, or of a `HEALTHY` one."""
        if name == REFUSES_CONNECTIONS:
            server = self._refusing
        else:
            # Where no answer comes, no connection is kept that a next request is lost on.
            server = self._silent if name in {"resets", "hangs-up"} else self._server
        return f"http://127.0.0.1:{server.port}/{name}"

    def refuse(self) -> None:
        """From here on, connections of the channel `REFUSES_CONNECTIONS` are refused."""
        self._refusing.stop()

    def stop(self) -> None:
        """End it."""
        self.stopped.set()
        for server in (self._server, self._refusing, self._silent):
            server.stop()

    def script(self, name: str, *, streamed: bool) -> Steps:
        """Return what is done with a request."""
        if name == HEALTHY:
            return _GOOD_STREAM if streamed else plain(WHOLE)
        fault = FAULTS[name]
        return (fault.stream if streamed else fault.plain) or ()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, upstream: FaultyUpstream) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.port: int = self.server_address[1]
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        """Listen no more. Once more is fine."""
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
            self.server_close()


class _Handler(socketserver.StreamRequestHandler):
    server: _Server
    request: socket.socket
    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Called for each connection."""
        with contextlib.suppress(OSError):
            while self._serve():
                pass

    def _serve(self) -> bool:
        line = self.rfile.readline()
        if not line:
            return False
        method, path, _ = line.split(b" ", 2)
        headers = {}
        while line := self.rfile.readline().strip():
            name, _, value = line.partition(b":")
            headers[name.lower().decode()] = value.strip().decode()
        body = self.rfile.read(int(headers.get("content-length", 0)))
        if method != b"POST":
            self.request.sendall(_LISTING)
            return True
        return self._answer(path.split(b"/")[1].decode(), headers, json.loads(body))

    def _answer(self, name: str, headers: Mapping[str, str], asked: Mapping[str, object]) -> bool:
        upstream = self.server.upstream
        with upstream.lock:
            upstream.attempts[headers["authorization"].removeprefix("Bearer sk-")] += 1
        for step in upstream.script(name, streamed=bool(asked.get("stream"))):
            if isinstance(step, bytes):
                self.request.sendall(step.replace(IN_TIME, _date(RETRY_AFTER_S)))
            elif isinstance(step, float):
                if self.server.upstream.stopped.wait(step):
                    return False
            else:
                self._end(step)
                return False
        return True

    def _end(self, act: Act) -> None:
        if act is Act.HOLD:
            self.request.settimeout(HELD_S_MAX)
            self.request.recv(1)
        elif act is Act.RESET:
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.request.close()


def _date(ahead_s: int) -> bytes:
    return email.utils.formatdate(SystemClock().wall_ms() / 1000 + ahead_s, usegmt=True).encode()


@contextlib.contextmanager
def faulty_upstream() -> Iterator[FaultyUpstream]:
    """Run one for the length of the block."""
    upstream = FaultyUpstream()
    try:
        yield upstream
    finally:
        upstream.stop()
