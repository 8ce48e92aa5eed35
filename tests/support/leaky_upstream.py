"""An upstream without discretion: whatever it got, a credential included, it repeats in answers, errors and headers.

It runs in threads of the test's own process. The upstream's model name says how it behaves.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

STATUSES = (400, 401, 403, 404, 422, 429, 500, 503)
BEHAVIOURS = ("good", "held", "html", "cut", "broken", "in_band", "no_json", *(f"status_{code}" for code in STATUSES))
"""``held`` begins a stream and goes on when `LeakyUpstream.release` is set."""

HELD_TIMEOUT_S = 30.0


class LeakyUpstream:
    """What is known from outside.

    Args:
        answer: what its model says.

    Attributes:
        url: base URL for a channel.
        begun: set when a held stream has begun.
        release: lets held streams end.
    """

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.begun = Event()
        self.release = Event()
        self.url = ""


@contextmanager
def running_leaky_upstream(answer: str) -> Iterator[LeakyUpstream]:
    """Run one for the length of the block."""
    upstream = LeakyUpstream(answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *arguments: _Handler(upstream, *arguments))
    server.daemon_threads = True
    upstream.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield upstream
    finally:
        upstream.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, upstream: LeakyUpstream, *arguments: Any) -> None:
        self._upstream = upstream
        super().__init__(*arguments)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing on standard error."""

    def do_GET(self) -> None:
        """Answer a probe."""
        self._send(200, "application/json", b'{"object":"list","data":[]}')

    def do_POST(self) -> None:
        """Answer a chat request."""
        body = self.rfile.read(int(self.headers["content-length"]))
        asked = json.loads(body)
        behaviour: str = asked["model"]
        credential = self.headers["authorization"].removeprefix("Bearer ")
        echo = f"{credential} sent {body.decode()} and was told {self._upstream.answer}"
        if behaviour.startswith("status_"):
            error = {
                "message": f"Invalid: {echo}",
                "type": "invalid_request_error",
                "code": credential,
                "param": credential,
            }
            self._send(
                int(behaviour.removeprefix("status_")), "application/json", json.dumps({"error": error}).encode()
            )
        elif behaviour in {"html", "no_json"}:
            self._send(200, "text/html", f"{'<html>' if behaviour == 'html' else ''}{echo}".encode())
        elif asked.get("stream"):
            self._stream(behaviour, echo)
        elif behaviour == "cut":
            self._send(200, "application/json", self._whole(asked)[:-20], length=10_000)
        elif behaviour == "broken":
            self._send(200, "application/json", self._whole(asked)[:-20])
        else:
            self._send(200, "application/json", self._whole(asked))

    def _whole(self, asked: dict[str, Any]) -> bytes:
        message = {"role": "assistant", "content": self._upstream.answer}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
        return json.dumps({"id": "1", "model": asked["model"], "choices": choices, "usage": usage}).encode()

    def _stream(self, behaviour: str, echo: str) -> None:
        self._head(200, "text/event-stream")
        self.end_headers()
        self._event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": self._upstream.answer}}]})
        if behaviour == "held":
            self._upstream.begun.set()
            self._upstream.release.wait(HELD_TIMEOUT_S)
        if behaviour == "broken":
            self.wfile.write(f'data: {{"{echo}\n\n'.encode())
        elif behaviour == "in_band":
            self._event({"error": {"message": echo, "type": "server_error"}})
        elif behaviour != "cut":
            self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, data: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())

    def _head(self, status: int, content_type: str) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("connection", "close")

    def _send(self, status: int, content_type: str, body: bytes, *, length: int = 0) -> None:
        self._head(status, content_type)
        self.send_header("content-length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)
