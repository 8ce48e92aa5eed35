"""Spans on their way to a collector: a bounded queue, and a thread that sends what is in it.

In place of the SDK's `BatchSpanProcessor`, which does the same but tells nobody how much it has dropped. A span is let
go where the queue is full, or where the collector has not taken its batch in time; nothing waits for either.
"""

import contextvars
import threading
from collections import deque

import structlog
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from trunkline.core.clock import Clock

log = structlog.get_logger()

SPANS_MAX = 4096
"""Spans that wait, of about 3 KiB each: a few seconds of a busy process that traces every request."""

BATCH_SPANS = 64
"""Spans sent at once. To encode one takes 40 µs, in which the event loop may have to wait for the
interpreter's lock."""

INTERVAL_S = 1.0
"""How long a span waits for company."""

EXPORT_TIMEOUT_S = 5.0
"""For a collector to take a batch, tries included; those that come meanwhile wait in the queue as far as it goes."""

FLUSH_TIMEOUT_S = 2.0
"""For what is left when a process stops; like the other waits of a stop it stands behind the grace time."""

WARNING_INTERVAL_S = 60.0
"""Between two lines of log about spans that were let go."""


class SpanQueue(SpanProcessor):
    """Sends spans.

    Args:
        exporter: to the collector; it may block, and fail.
        clock: of the process.

    Attributes:
        exported: spans that the collector has taken.
    """

    def __init__(self, exporter: SpanExporter, clock: Clock) -> None:
        self._exporter = exporter
        self._clock = clock
        self._waiting: deque[ReadableSpan] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._overflowed = 0
        self._failed = 0
        self._warned = 0
        self._warned_at = float("-inf")
        self.exported = 0
        # Log lines of the thread are to say whose they are, as all others do.
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._run,), name="span_queue", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Spans that were let go."""
        return self._overflowed + self._failed

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """See `SpanProcessor`."""

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span. Called in the event loop: it waits for nothing."""
        if len(self._waiting) >= SPANS_MAX or self._stopping:
            self._overflowed += 1
            return
        self._waiting.append(span)
        if len(self._waiting) >= BATCH_SPANS and not self._wake.is_set():
            self._wake.set()

    def shutdown(self) -> None:
        """Send what is left, as far as that is possible in `FLUSH_TIMEOUT_S`. Blocks for as long."""
        self._stopping = True
        self._wake.set()
        self._thread.join(FLUSH_TIMEOUT_S)
        self._exporter.shutdown()  # ends a wait for a collector that is away

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """See `SpanProcessor`. Nobody calls it here: `shutdown` flushes."""
        return not self._waiting

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(INTERVAL_S)
            self._wake.clear()
            self._send_all()
        self._send_all()  # what came between the last look and the stop

    def _send_all(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_SPANS))]
            if self._send(batch):
                self.exported += len(batch)
            else:
                self._failed += len(batch)
            self._warn()

    def _send(self, batch: list[ReadableSpan]) -> bool:
        try:
            return self._exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception:
            return False  # counted and logged as any other failure: the thread must live as long as the process

    def _warn(self) -> None:
        now, dropped = self._clock.now(), self.dropped
        if dropped > self._warned and now - self._warned_at >= WARNING_INTERVAL_S:
            log.warning("spans_dropped", dropped=dropped - self._warned, exported=self.exported)
            self._warned, self._warned_at = dropped, now
