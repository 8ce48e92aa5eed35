"""A collector of traces: takes OTLP over HTTP, keeps what it gets, and can be away. Runs in threads of its own."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

KINDS = {
    trace_pb2.Span.SPAN_KIND_INTERNAL: "internal",
    trace_pb2.Span.SPAN_KIND_SERVER: "server",
    trace_pb2.Span.SPAN_KIND_CLIENT: "client",
    trace_pb2.Span.SPAN_KIND_CONSUMER: "consumer",
}


class ReceivedSpan(NamedTuple):
    """A span as it came; ids are hexadecimal.

    Attributes:
        service: the ``service.name`` of who sent it.
        parent: empty for a root.
        links: trace and span ids.
        events: names, in their order.
        failed: whether its status is an error.
        seconds: how long it took.
    """

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent: str
    attributes: dict[str, Any]
    links: list[tuple[str, str]]
    events: list[str]
    failed: bool
    seconds: float


class TraceCollector:
    """What is known from outside.

    Attributes:
        url: its base URL.
        away: it refuses whatever comes, with a 503.
        refused: batches that it has refused.
        spans: all that came.
        bodies: what came, as it was encoded.
        headers: of the last request, names in lower case.
    """

    def __init__(self) -> None:
        self.url = ""
        self.away = False
        self.refused = 0
        self.spans: list[ReceivedSpan] = []
        self.bodies: list[bytes] = []
        self.headers: dict[str, str] = {}

    def of_request(self, request_id: str) -> list[ReceivedSpan]:
        """Return all spans of a request's trace, the edge's first; empty while the edge's is not there."""
        roots = [span for span in self.spans if span.attributes.get("trunkline.request_id") == request_id]
        if not roots:
            return []
        return roots + [span for span in list(self.spans) if span.trace_id == roots[0].trace_id and span not in roots]

    def take(self, body: bytes) -> None:
        """Keep a request's spans."""
        request = ExportTraceServiceRequest.FromString(body)
        self.bodies.append(body)
        for resource_spans in request.resource_spans:
            service = _attributes(resource_spans.resource.attributes)["service.name"]
            for scope_spans in resource_spans.scope_spans:
                self.spans += [_received(service, span) for span in scope_spans.spans]


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair) for pair in pairs}


def _value(pair: KeyValue) -> Any:
    kind = pair.value.WhichOneof("value")
    if kind == "array_value":
        return [item.string_value for item in pair.value.array_value.values]
    return None if kind is None else getattr(pair.value, kind)


def _received(service: str, span: trace_pb2.Span) -> ReceivedSpan:
    return ReceivedSpan(
        service=service,
        name=span.name,
        kind=KINDS[span.kind],
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        attributes=_attributes(span.attributes),
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        events=[event.name for event in span.events],
        failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, collector: TraceCollector, *arguments: Any) -> None:
        self._collector = collector
        super().__init__(*arguments)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing on standard error."""

    def do_POST(self) -> None:
        """Take a batch."""
        collector = self._collector
        body = self.rfile.read(int(self.headers["content-length"]))
        if collector.away:
            collector.refused += 1
            self._answer(503)
            return
        assert self.path == "/v1/traces"
        collector.headers = {name.lower(): value for name, value in self.headers.items()}
        collector.take(gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body)
        self._answer(200)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()


@contextmanager
def running_collector() -> Iterator[TraceCollector]:
    """Run one for the length of the block."""
    collector = TraceCollector()
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *arguments: _Handler(collector, *arguments))
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
