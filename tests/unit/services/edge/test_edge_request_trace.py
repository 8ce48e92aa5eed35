"""What a span at the edge says of a request, and what it leaves out."""

import io
import json
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from services.edge.client_job import ClientJob
from services.edge.request_log import RequestLog
from services.edge.request_trace import end_span, event
from services.edge.routing_wishes import choose_model
from tests.support.edge_jobs import edge_job, models
from tests.support.manual_clock import ManualClock
from tests.support.spans import KeptSpans, attributes
from trunkline.bus.snapshots import ModelSnapshot
from trunkline.protocol.dialect import ClientRequest
from trunkline.runtime.logging import LineLog

KNOWN = models(ModelSnapshot("small", ("default",), free=True, lane="eu"))


def traced(kept: KeptSpans, asked: ClientRequest, **fields: Any) -> ClientJob:
    client = edge_job(KNOWN, asked)
    client.span = kept.tracer.request("")
    for name, value in fields.items():
        setattr(client, name, value)
    return client


def ended(kept: KeptSpans, client: ClientJob, route: str = "chat_completions") -> dict[str, Any]:
    assert client.span is not None
    end_span(client, client.span, route)
    return dict(attributes(kept.only()))


def test_a_stream_that_was_answered() -> None:
    kept = KeptSpans()
    client = traced(
        kept,
        ClientRequest("small", stream=True, max_output=9),
        begun=1.0,
        first_byte=1.5,
        status=200,
        outcome="ok",
        channel="main",
        served="other",
        offers=2,
    )
    choose_model(client, KNOWN)
    assert ended(kept, client) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "small",
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.response.model": "other",
        "gen_ai.response.time_to_first_chunk": 0.5,
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "trunkline.account": 7,
        "trunkline.channel": "main",
        "trunkline.key": 1,
        "trunkline.lane": "eu",
        "trunkline.offers": 2,
        "trunkline.outcome": "ok",
        "trunkline.request_id": client.request_id,
        "trunkline.route": "chat_completions",
    }
    assert kept.only().name == "chat small"


def test_a_model_that_was_not_found_is_not_named() -> None:
    kept = KeptSpans()
    client = traced(kept, ClientRequest("small", stream=False), status=404)
    client.asked = ClientRequest("typed by a client", stream=False)
    del client.model  # the step that finds it has failed
    client.outcome = "client_model_not_found"
    told = ended(kept, client)
    assert "typed" not in str(told)
    assert (kept.only().name, told["error.type"]) == ("chat", "client_model_not_found")
    assert kept.only().status.status_code is StatusCode.UNSET


def test_a_method_that_is_not_known_is_not_named() -> None:
    kept = KeptSpans()
    client = traced(kept, ClientRequest("small", stream=False), status=405, outcome="client_method_not_allowed")
    client.exchange.request = client.exchange.request._replace(method="TYPED")
    assert ended(kept, client)["http.request.method"] == "_OTHER"


def test_a_fault_of_the_gateway_is_an_error() -> None:
    kept = KeptSpans()
    client = traced(kept, ClientRequest("small", stream=False), status=503, outcome="gateway_no_dispatcher")
    ended(kept, client)
    assert kept.only().status.status_code is StatusCode.ERROR


def test_events_are_told_to_a_span_and_to_nobody_else() -> None:
    kept = KeptSpans()
    client = traced(kept, ClientRequest("small", stream=False), outcome="ok")
    event(client, "trunkline.step.waits", {"trunkline.step": "hold"})
    ended(kept, client)
    assert [(found.name, dict(found.attributes or {})) for found in kept.only().events] == [
        ("trunkline.step.waits", {"trunkline.step": "hold"})
    ]
    client.span = None
    event(client, "trunkline.step.over")


@pytest.mark.parametrize("sampled", [False, True])
def test_the_line_of_log_names_the_trace_of_a_sampled_request(sampled: bool) -> None:
    written, clock = io.BytesIO(), ManualClock()
    lines = LineLog(clock, written)
    client = traced(KeptSpans(ratio=float(sampled)), ClientRequest("small", stream=False), offers=1)
    RequestLog(lines, "edge-1", clock).write(client, "chat_completions", 1.0)
    lines.flush()
    line = json.loads(written.getvalue())
    assert line.get("trace_id") == (client.span.trace_id if client.span is not None else None)
    assert ("trace_id" in line) == sampled
