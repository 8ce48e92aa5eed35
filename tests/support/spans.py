"""A tracer whose spans stay in memory, as they would be exported."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from trunkline.runtime.otel import OTelTracer


class KeptSpans:
    """A tracer and what it has made.

    Args:
        ratio: see `runtime.otel.OTelTracer`.
        trust: see there.
    """

    def __init__(self, *, ratio: float = 1.0, trust: bool = False) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracer = OTelTracer(
            SimpleSpanProcessor(self._exporter), role="edge", process="edge-1", ratio=ratio, trust=trust
        )

    @property
    def ended(self) -> list[ReadableSpan]:
        """The spans that have ended, in that order."""
        return list(self._exporter.get_finished_spans())

    def only(self) -> ReadableSpan:
        """Return the one span that has ended."""
        [span] = self.ended
        return span


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    """Return the attributes of a span."""
    return dict(span.attributes or {})
