"""Spans on their way to a collector that is slow, away, or broken."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tests.support.stack import until
from trunkline.runtime import span_queue
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.span_queue import BATCH_SPANS, SPANS_MAX, SpanQueue

WITHIN_S = 10.0


class Exporter(SpanExporter):
    """Takes spans once it may."""

    def __init__(self, *, held: bool = False) -> None:
        self.batches: list[int] = []
        self.answer: SpanExportResult | Exception = SpanExportResult.SUCCESS
        self.may = threading.Event()
        self.begun = threading.Event()
        if not held:
            self.may.set()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.begun.set()
        assert self.may.wait(WITHIN_S)
        self.batches.append(len(spans))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def shutdown(self) -> None:
        self.may.set()


class Log:
    """What is logged, with what all lines of the context have."""

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def warning(self, event: str, **fields: object) -> None:
        self.lines.append({"event": event, **structlog.contextvars.get_contextvars(), **fields})


def span() -> ReadableSpan:
    return cast("ReadableSpan", object())


@contextmanager
def running(exporter: Exporter) -> Iterator[SpanQueue]:
    queue = SpanQueue(exporter, SystemClock())
    try:
        yield queue
    finally:
        queue.shutdown()


def test_what_is_left_is_sent_when_it_stops() -> None:
    exporter = Exporter()
    with running(exporter) as queue:
        for _ in range(3):
            queue.on_end(span())
    assert (sum(exporter.batches), queue.exported, queue.dropped) == (3, 3, 0)
    queue.on_end(span())
    assert queue.dropped == 1


def test_many_are_sent_at_once_and_in_bounded_batches() -> None:
    exporter = Exporter(held=True)
    with running(exporter) as queue:
        for _ in range(BATCH_SPANS):
            queue.on_end(span())
        assert exporter.begun.wait(WITHIN_S)
        for _ in range(BATCH_SPANS * 2 + 1):
            queue.on_end(span())
        exporter.may.set()
    assert exporter.batches == [BATCH_SPANS] * 3 + [1]


def test_what_does_not_fit_is_let_go_and_nothing_waits() -> None:
    exporter = Exporter(held=True)
    with running(exporter) as queue:
        for _ in range(BATCH_SPANS):
            queue.on_end(span())
        assert exporter.begun.wait(WITHIN_S)
        for _ in range(SPANS_MAX + 5):
            queue.on_end(span())
        assert queue.dropped == 5
        exporter.may.set()
    assert queue.exported == BATCH_SPANS + SPANS_MAX


@pytest.mark.parametrize("answer", [SpanExportResult.FAILURE, RuntimeError("secret words of a collector")])
def test_what_is_not_taken_is_let_go_and_told_once(
    answer: SpanExportResult | Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    monkeypatch.setattr(span_queue, "log", log)
    exporter = Exporter()
    exporter.answer = answer
    with structlog.contextvars.bound_contextvars(role="edge"), running(exporter) as queue:
        for _ in range(BATCH_SPANS * 2):
            queue.on_end(span())
        until(lambda: queue.dropped == BATCH_SPANS * 2, WITHIN_S, "all are let go")
        exporter.answer = SpanExportResult.SUCCESS
        queue.on_end(span())
    assert queue.exported == 1
    [told] = log.lines
    assert told == {"event": "spans_dropped", "role": "edge", "dropped": told["dropped"], "exported": 0}
    assert told["dropped"] in {BATCH_SPANS, BATCH_SPANS * 2}  # of the first batch, or of both


def test_a_stop_does_not_wait_for_a_collector_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_queue, "FLUSH_TIMEOUT_S", 0.05)
    exporter = Exporter(held=True)
    with running(exporter) as queue:
        queue.on_end(span())
    assert exporter.may.is_set()  # by its shutdown, which ends its waiting
