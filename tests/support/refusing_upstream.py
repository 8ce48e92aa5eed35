"""A provider that refuses every chat, each base URL for a reason of its own; its list of models answers."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOO_LONG, FILTERED, DENIED = "too-long", "filtered", "denied"

_ERRORS = {
    TOO_LONG: {
        "message": "This model's maximum context length is 10 tokens, but your messages have 20.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    },
    FILTERED: {
        "message": "The response was filtered due to the prompt triggering the content management policy.",
        "type": "invalid_request_error",
        "param": "prompt",
        "code": "content_filter",
    },
    DENIED: {
        "message": "The model `model` does not exist or you do not have access to it.",
        "type": "invalid_request_error",
        "param": None,
        "code": "model_not_found",
    },
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200, {"object": "list", "data": []})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        reason = self.path.split("/")[1]
        self._answer(404 if reason == DENIED else 400, {"error": _ERRORS[reason]})

    def _answer(self, status: int, told: object) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def refusing_upstream() -> Iterator[str]:
    """Run one for the length of the block; gives its URL, to which a base URL adds a slash and the reason."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
