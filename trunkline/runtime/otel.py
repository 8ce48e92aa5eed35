"""`runtime.tracer.Tracer` by OpenTelemetry's SDK. Imported only where a collector is named.

Whether a request is traced is decided here, before a span is made, so the SDK samples all that it is given. Times are
the SDK's own: those of the machine.
"""

import asyncio
import importlib.metadata
import logging
import random
import sys
import time
from collections.abc import Mapping, Sequence

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as SDKSpan

from trunkline.core.trace_context import TraceContext, read_traceparent, write_traceparent
from trunkline.policy.trace_sampling import begin_trace
from trunkline.runtime.metrics import ReadCounter
from trunkline.runtime.process import Process
from trunkline.runtime.span_queue import EXPORT_TIMEOUT_S, SpanQueue
from trunkline.runtime.tracer import Attributes, SettledEvent, is_error

LINKS_MAX = 128
"""Events of one settlement that get a span, and a link from the transaction's: a transaction has thousands at most,
and a span with more links than that is cut by most back ends."""

SWITCH_INTERVAL_S = 0.0005
"""How long the thread that encodes spans may keep the event loop waiting for the interpreter's lock. By Python's own
5 ms each wake-up of the loop takes that much longer while there are spans to send."""

_SCOPE = "trunkline"
_ERROR = Status(StatusCode.ERROR)
_NO_PARENT = Context()


def connect(process: Process, url: str, headers: Mapping[str, str], *, ratio: float, trust: bool) -> "OTelTracer":
    """Return a tracer whose spans go to a collector. Nothing is sent yet, and none need be there.

    Args:
        process: whose spans they are; how many were sent, and let go, is among its metrics.
        url: of the collector's endpoint for traces.
        headers: for the collector.
        ratio: see `policy.trace_sampling.begin_trace`.
        trust: see there.
    """
    # It logs each batch that fails, with the collector's words; the queue counts them, and says so now and then.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    exporter = OTLPSpanExporter(url, headers=headers, timeout=EXPORT_TIMEOUT_S, compression=Compression.Gzip)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    queue = SpanQueue(exporter, process.clock)
    for name, text, read in (
        ("trunkline_trace_spans_exported", "Spans that the collector has taken.", lambda: queue.exported),
        ("trunkline_trace_spans_dropped", "Spans let go: it took none, or too many waited.", lambda: queue.dropped),
    ):
        process.registry.register(ReadCounter(name, text, read))
    return OTelTracer(queue, role=process.role, process=process.id, ratio=ratio, trust=trust)


class OTelSpan:
    """See `runtime.tracing.Span`.

    Args:
        span: the SDK's.
    """

    __slots__ = ("_span", "exemplar", "trace_id", "traceparent")

    def __init__(self, span: SDKSpan) -> None:
        context = span.get_span_context()
        self._span = span
        self.traceparent = write_traceparent(TraceContext(context.trace_id, context.span_id, sampled=True))
        self.trace_id = f"{context.trace_id:032x}"
        self.exemplar = {"trace_id": self.trace_id}

    def event(self, name: str, attributes: Attributes | None = None) -> None:
        """See `Span.event`."""
        self._span.add_event(name, attributes)

    def end(self, outcome: str, attributes: Attributes, *, name: str = "") -> None:
        """See `Span.end`."""
        span = self._span
        if name:
            span.update_name(name)
        span.set_attributes({**attributes, "trunkline.outcome": outcome})
        if outcome != "ok":
            span.set_attribute("error.type", outcome)
        if is_error(outcome):
            span.set_status(_ERROR)
        span.end()


class OTelTracer:
    """See `runtime.tracing.Tracer`.

    Args:
        queue: takes spans that have ended.
        role, process: whose spans they are.
        ratio, trust: see `policy.trace_sampling.begin_trace`.
    """

    on = True

    def __init__(
        self, queue: SpanProcessor, *, role: str, process: str, ratio: float = 0.0, trust: bool = False
    ) -> None:
        self._ratio = ratio
        self._trust = trust
        self._queue = queue
        version = importlib.metadata.version("trunkline")
        resource = Resource.create(
            {
                "service.name": f"trunkline-{role}",
                "service.namespace": "trunkline",
                "service.instance.id": process,
                "service.version": version,
            }
        )
        provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False)
        provider.add_span_processor(queue)
        self._tracer = provider.get_tracer(_SCOPE, version)

    def request(self, traceparent: str) -> OTelSpan | None:
        """See `Tracer.request`."""
        draw = random.random()  # noqa: S311 - chance, no secret
        start = begin_trace(traceparent, ratio=self._ratio, trust=self._trust, draw=draw)
        if start is None:
            return None
        links = [] if start.link is None else [Link(_span_context(start.link))]
        return OTelSpan(self._tracer.start_span("request", _child_of(start.parent), SpanKind.SERVER, links=links))

    def call(self, name: str, parent: str, attributes: Attributes) -> OTelSpan | None:
        """See `Tracer.call`."""
        context = read_traceparent(parent)
        if context is None or not context.sampled:
            return None
        return OTelSpan(self._tracer.start_span(name, _child_of(context), SpanKind.CLIENT, attributes))

    def settled(self, events: Sequence[SettledEvent], attributes: Attributes, seconds: float) -> None:
        """See `Tracer.settled`."""
        ended_ns = time.time_ns()
        began_ns = ended_ns - round(seconds * 1e9)
        read = [(read_traceparent(event.parent), event.attributes) for event in events[:LINKS_MAX]]
        parents = [(context, booked) for context, booked in read if context is not None and context.sampled]
        if not parents:
            return
        links = [Link(_span_context(context)) for context, _ in parents]
        batch = self._tracer.start_span("settle", _NO_PARENT, SpanKind.INTERNAL, attributes, links, began_ns)
        to_batch = [Link(batch.get_span_context())]
        for context, booked in parents:
            span = self._tracer.start_span("book", _child_of(context), SpanKind.CONSUMER, booked, to_batch, began_ns)
            span.end(ended_ns)
        batch.end(ended_ns)

    async def close(self) -> None:
        """Send what is left, within `span_queue.FLUSH_TIMEOUT_S`."""
        await asyncio.to_thread(self._queue.shutdown)


def _span_context(context: TraceContext) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if context.sampled else TraceFlags.DEFAULT)
    return SpanContext(context.trace_id, context.span_id, is_remote=True, trace_flags=flags)


def _child_of(context: TraceContext | None) -> Context:
    return _NO_PARENT if context is None else set_span_in_context(NonRecordingSpan(_span_context(context)), _NO_PARENT)
