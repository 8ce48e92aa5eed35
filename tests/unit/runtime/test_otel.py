"""Spans as OpenTelemetry's SDK makes them of what services tell."""

import sys
from types import SimpleNamespace
from typing import cast

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import CollectorRegistry

from tests.support.spans import KeptSpans, attributes
from tests.support.trace_collector import running_collector
from trunkline.core.trace_context import TraceContext, read_traceparent, write_traceparent
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.otel import LINKS_MAX, SWITCH_INTERVAL_S
from trunkline.runtime.process import Process
from trunkline.runtime.tracer import SettledEvent
from trunkline.runtime.tracing import TraceSettings, open_tracer

PARENT = TraceContext(0xABC, 0xDEF, sampled=True)


async def test_a_connected_tracer_counts_what_it_sends_and_lets_the_loop_go_first() -> None:
    registry, interval_s = CollectorRegistry(), sys.getswitchinterval()
    process = SimpleNamespace(role="edge", id="edge-1", clock=SystemClock(), registry=registry)
    with running_collector() as collector:
        settings = TraceSettings(trace_url=f"{collector.url}/", trace_headers="x-key=Basic%20a")
        try:
            async with open_tracer(cast("Process", process), settings, ratio=1.0) as tracer:
                assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL_S)
                span = tracer.request("")
                assert span is not None
                span.end("ok", {})
        finally:
            sys.setswitchinterval(interval_s)
    assert [(span.service, span.trace_id) for span in collector.spans] == [("trunkline-edge", span.trace_id)]
    assert collector.headers["x-key"] == "Basic a"
    assert registry.get_sample_value("trunkline_trace_spans_exported_total") == 1
    assert registry.get_sample_value("trunkline_trace_spans_dropped_total") == 0


def test_a_request_that_is_not_sampled_has_no_span() -> None:
    kept = KeptSpans(ratio=0)
    assert kept.tracer.request("") is None
    assert kept.tracer.request(write_traceparent(PARENT)) is None
    assert kept.ended == []


def test_a_request_is_a_root_with_its_client_as_a_link() -> None:
    kept = KeptSpans()
    span = kept.tracer.request(write_traceparent(PARENT))
    assert span is not None
    span.event("something", {"count": 1})
    span.end("ok", {"figure": 7}, name="chat small")
    made = kept.only()
    assert (made.name, made.kind, made.parent) == ("chat small", SpanKind.SERVER, None)
    assert attributes(made) == {"figure": 7, "trunkline.outcome": "ok"}
    assert made.status.status_code is StatusCode.UNSET
    assert [(event.name, dict(event.attributes or {})) for event in made.events] == [("something", {"count": 1})]
    assert [(link.context.trace_id, link.context.span_id) for link in made.links] == [(0xABC, 0xDEF)]
    assert made.resource.attributes["service.name"] == "trunkline-edge"
    assert made.resource.attributes["service.instance.id"] == "edge-1"
    assert read_traceparent(span.traceparent) == (made.context.trace_id, made.context.span_id, True)
    assert span.trace_id == f"{made.context.trace_id:032x}"
    assert span.exemplar == {"trace_id": span.trace_id}


def test_a_trusted_clients_span_is_the_parent() -> None:
    kept = KeptSpans(ratio=0, trust=True)
    span = kept.tracer.request(write_traceparent(PARENT))
    assert span is not None
    span.end("ok", {})
    made = kept.only()
    assert made.parent is not None
    assert (made.context.trace_id, made.parent.span_id, list(made.links)) == (0xABC, 0xDEF, [])


def test_a_call_is_a_child_and_its_error_a_word_of_ours() -> None:
    kept = KeptSpans()
    for outcome in ("upstream_error", "client_gone", "gateway_outrun", "policy_rate_limited"):
        span = kept.tracer.call("chat own", write_traceparent(PARENT), {"at": "begin"})
        assert span is not None
        span.end(outcome, {})
    assert [made.status.status_code for made in kept.ended] == [StatusCode.ERROR, *[StatusCode.UNSET] * 3]
    first = kept.ended[0]
    assert first.parent is not None
    assert (first.kind, first.context.trace_id, first.parent.span_id) == (SpanKind.CLIENT, 0xABC, 0xDEF)
    assert attributes(first) == {
        "at": "begin",
        "error.type": "upstream_error",
        "trunkline.outcome": "upstream_error",
    }
    assert first.status.description is None


def test_a_call_of_a_request_that_is_not_sampled_has_no_span() -> None:
    tracer = KeptSpans().tracer
    for parent in ("", "garbage", write_traceparent(PARENT._replace(sampled=False))):
        assert tracer.call("chat own", parent, {}) is None


def test_a_settlement_is_one_span_and_one_in_the_trace_of_each_event() -> None:
    kept = KeptSpans()
    events = [SettledEvent(write_traceparent(TraceContext(trace, 5, sampled=True)), {"no": trace}) for trace in (1, 2)]
    kept.tracer.settled([*events, SettledEvent("garbage", {})], {"events": 9}, 0.25)
    first, second, batch = kept.ended
    for made, trace in ((first, 1), (second, 2)):
        assert made.parent is not None
        assert (made.name, made.kind) == ("book", SpanKind.CONSUMER)
        assert (made.context.trace_id, made.parent.span_id, attributes(made)) == (trace, 5, {"no": trace})
        assert [link.context.span_id for link in made.links] == [batch.context.span_id]
    assert (batch.name, batch.parent, attributes(batch)) == ("settle", None, {"events": 9})
    assert [link.context.trace_id for link in batch.links] == [1, 2]
    assert batch.start_time is not None
    assert batch.end_time is not None
    assert batch.end_time - batch.start_time == 250_000_000


def test_spans_of_a_settlement_are_bounded() -> None:
    kept = KeptSpans()
    event = SettledEvent(write_traceparent(PARENT), {})
    kept.tracer.settled([event] * (LINKS_MAX * 3), {}, 0.1)
    assert len(kept.ended) == LINKS_MAX + 1
    assert len(kept.ended[-1].links) == LINKS_MAX


def test_a_settlement_of_nothing_traced_is_none() -> None:
    kept = KeptSpans()
    kept.tracer.settled([SettledEvent("garbage", {})], {}, 0.1)
    assert kept.ended == []
