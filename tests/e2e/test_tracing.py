"""Traces of real processes, as a collector gets them: one over edge, dispatcher and metering, and nothing secret."""

import base64
import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.support.leaky_upstream import running_leaky_upstream
from tests.support.live_stack import LiveStack, StackPlan
from tests.support.raw_http import RawClient, Response, exchange, request
from tests.support.servers import server_directory
from tests.support.stack import until
from tests.support.surface import SERVICES
from tests.support.trace_collector import ReceivedSpan, TraceCollector, running_collector
from trunkline.cli import http

EXPORTED_WITHIN_S = 20.0
"""Settlement comes 20 ms after its usage, and a span leaves its process a second after it has ended."""

RESTART_TIMEOUT_S = 20.0
ASKED = 40
"""Requests of which a half is traced: that none is, or all are, happens once in 10^12 times."""

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
COLLECTOR_KEY = f"planted-collector-key-{secrets.token_hex(6)}"
PLANTED = {name: f"planted-{name}-{secrets.token_hex(6)}" for name in ("prompt", "answer", "header", "model", "path")}
CREDENTIAL = f"planted-credential-{secrets.token_hex(6)}"


class Rig(NamedTuple):
    """A stack that traces; what decides on it is in files, which an edge reads when it starts."""

    stack: LiveStack
    collector: TraceCollector
    key: str
    ratio: Path
    trust: Path

    def chat(self, model: str, *headers: tuple[str, str], stream: bool = False) -> Response:
        """Ask, with planted words wherever a client can put one."""
        return exchange(self.stack.edges[0], self.wire(model, *headers, stream=stream))

    def wire(self, model: str, *headers: tuple[str, str], stream: bool = False) -> bytes:
        body = {
            "model": model,
            "stream": stream,
            "max_tokens": 77,
            "user": PLANTED["prompt"],
            "messages": [{"role": "user", "content": PLANTED["prompt"]}],
        }
        sent = [("authorization", f"Bearer {self.key}"), ("x-planted", PLANTED["header"]), *headers]
        return request("POST", "/v1/chat/completions", headers=sent, body=json.dumps(body).encode())

    def trace(self, request_id: str, spans: int) -> list[ReceivedSpan]:
        """Return the spans of a request once so many have come."""

        def look() -> list[ReceivedSpan]:
            found = self.collector.of_request(request_id)
            return found if len(found) >= spans else []

        found = until(look, EXPORTED_WITHIN_S, f"{spans} spans of a request have come")
        assert len(found) == spans
        return found

    def restart_edge(self, *, ratio: float, trust: bool = False) -> None:
        """Have the edge read its settings anew; what it had to send is with the collector then."""
        self.ratio.write_text(str(ratio))
        self.trust.write_text(str(trust))
        old = self.stack.signal("edge", number=15)
        until(lambda: self.stack.process("edge").pid != old, RESTART_TIMEOUT_S, "the edge is started again")
        until(self._serves, RESTART_TIMEOUT_S, "the edge serves again")

    def _serves(self) -> bool:
        try:
            return http.call("GET", f"{self.stack.process('edge').ops_url}/readyz").status == 200
        except Exception:
            return False


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    plan = StackPlan(edges=1, dispatchers=1)
    with (
        running_leaky_upstream(PLANTED["answer"]) as upstream,
        running_collector() as collector,
        server_directory("tracing") as directory,
    ):
        for name, model, behaviour, priority in (
            ("main", "good", "good", 0),
            ("broken", "moved", "status_500", 1),
            ("sound", "moved", "good", 0),
            ("slow", "held", "held", 0),
        ):
            plan.channel(
                name,
                model,
                base_url=upstream.url,
                models={model: behaviour},
                priority=priority,
                credentials=[CREDENTIAL],
            )
        key = plan.account("traced")
        ratio, trust = directory / "ratio", directory / "trust"
        ratio.write_text("1")
        trust.write_text("false")
        plan.environment |= {
            "TRUNKLINE_TRACE_URL": collector.url,
            "TRUNKLINE_TRACE_HEADERS": f"x-collector-key={COLLECTOR_KEY}",
            "TRUNKLINE_TRACE_RATIO_FILE": str(ratio),
            "TRUNKLINE_TRACE_TRUST_FILE": str(trust),
        }
        with plan.running() as stack:
            yield Rig(stack, collector, key, ratio, trust)


def by_name(spans: list[ReceivedSpan], name: str) -> ReceivedSpan:
    """Return the one span of a name."""
    [found] = [span for span in spans if span.name == name]
    return found


# --- one trace -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_one_trace_goes_from_the_edge_to_the_ledger(rig: Rig, *, stream: bool) -> None:
    answer = rig.chat("good", stream=stream)
    assert answer.status == 200
    edge, *others = rig.trace(answer.headers["x-request-id"], 3)
    attempt, book = by_name(others, "chat good"), by_name(others, "book")
    assert [span.service for span in (edge, attempt, book)] == [
        f"trunkline-{role}" for role in ("edge", "dispatcher", "metering")
    ]
    assert [span.kind for span in (edge, attempt, book)] == ["server", "client", "consumer"]
    assert [edge.parent, attempt.parent, book.parent] == ["", edge.span_id, attempt.span_id]
    assert not any(span.failed for span in (edge, attempt, book))
    assert edge.name == "chat good"
    assert edge.attributes == edge.attributes | {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "good",
        "gen_ai.response.model": "good",
        "gen_ai.request.stream": stream,
        "gen_ai.request.max_tokens": 77,
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "trunkline.channel": "main",
        "trunkline.lane": "default",
        "trunkline.outcome": "ok",
        "trunkline.route": "chat_completions",
    }
    assert attempt.attributes == attempt.attributes | {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "good",
        "gen_ai.response.finish_reasons": ["stop"],
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "trunkline.attempt.kind": "first",
        "trunkline.channel": "main",
        "trunkline.charged": True,
    }
    assert attempt.events == (["gen_ai.first_token"] if stream else [])
    assert ("gen_ai.response.time_to_first_chunk" in attempt.attributes) == stream
    # Its streams report nothing, and are counted.
    assert attempt.attributes["trunkline.usage.source"] == ("counted" if stream else "reported")
    for span in (attempt, book):
        used = [span.attributes[f"gen_ai.usage.{kind}_tokens"] for kind in ("input", "output")]
        assert min(used) > 0 if stream else used == [5, 7]
    assert edge.seconds >= attempt.seconds > 0

    def settled() -> ReceivedSpan | None:
        return next((span for span in rig.collector.spans if (span.trace_id, span.span_id) == book.links[0]), None)

    settle = until(settled, EXPORTED_WITHIN_S, "the settlement's span has come")
    assert (settle.name, settle.parent, settle.service) == ("settle", "", "trunkline-metering")
    assert (attempt.trace_id, attempt.span_id) in settle.links


def test_a_second_attempt_says_why_it_was_made(rig: Rig) -> None:
    answer = rig.chat("moved")
    assert answer.status == 200
    edge, *others = rig.trace(answer.headers["x-request-id"], 5)
    failed, made = sorted(
        (span for span in others if span.kind == "client"), key=lambda span: span.attributes["trunkline.attempt"]
    )
    assert {failed.parent, made.parent} == {edge.span_id}
    assert (failed.name, failed.failed, failed.attributes["error.type"]) == ("chat status_500", True, "upstream_error")
    assert failed.attributes["http.response.status_code"] == 500
    assert failed.attributes["trunkline.charged"] is False
    assert [span.attributes["trunkline.attempt.kind"] for span in (failed, made)] == ["first", "retry"]
    assert made.attributes["trunkline.attempt.why"] == "upstream_error"
    assert (made.failed, edge.failed, edge.attributes["trunkline.channel"]) == (False, False, "sound")
    booked = {span.parent for span in others if span.name == "book"}
    assert booked == {failed.span_id, made.span_id}


def test_a_client_that_leaves_is_no_error_of_ours(rig: Rig) -> None:
    with RawClient(rig.stack.edges[0]) as client:
        client.send(rig.wire("held", stream=True))
        head = until(client.receive_interim, EXPORTED_WITHIN_S, "the stream has begun")
    assert head == 200

    def left() -> str:
        found = [span for span in rig.collector.spans if span.attributes.get("trunkline.outcome") == "client_gone"]
        return next((span.attributes["trunkline.request_id"] for span in found if span.kind == "server"), "")

    edge, *others = rig.trace(until(left, EXPORTED_WITHIN_S, "its span has come"), 3)
    attempt, book = by_name(others, "chat held"), by_name(others, "book")
    assert [attempt.parent, book.parent] == [edge.span_id, attempt.span_id]
    assert [span.attributes["error.type"] for span in (edge, attempt)] == ["client_gone", "client_gone"]
    assert not edge.failed
    assert not attempt.failed
    assert book.attributes["trunkline.charged"] is True


def test_what_is_refused_is_traced_without_the_clients_words(rig: Rig) -> None:
    for path in (f"/{PLANTED['path']}", f"/v1/models/{PLANTED['path']}"):
        answer = exchange(rig.stack.edges[0], request("GET", path, headers=[("authorization", f"Bearer {rig.key}")]))
        [edge] = rig.trace(answer.headers["x-request-id"], 1)
        assert (answer.status, edge.attributes["http.response.status_code"], edge.failed) == (404, 404, False)
    answer = rig.chat(PLANTED["model"])
    [edge] = rig.trace(answer.headers["x-request-id"], 1)
    assert (edge.name, edge.attributes["error.type"]) == ("chat", "client_model_not_found")


# --- beside traces -------------------------------------------------------------------------------------------------


def test_histograms_lead_to_traces_for_who_asks_in_openmetrics(rig: Rig) -> None:
    answer = rig.chat("good", stream=True)
    trace_id = rig.trace(answer.headers["x-request-id"], 3)[0].trace_id
    for role, name in (
        ("edge", "trunkline_edge_request_seconds"),
        ("edge", "trunkline_edge_first_byte_seconds"),
        ("dispatcher", "trunkline_dispatcher_first_token_seconds"),
    ):
        url = f"{rig.stack.process(role).ops_url}/metrics"
        with http.opened("GET", url, headers={"accept": OPENMETRICS}) as asked:
            assert asked.headers["content-type"].startswith("application/openmetrics-text")
            text = asked.read().decode()
        found = re.findall(rf'^{name}_bucket\{{.*\}} [0-9.]+ # \{{trace_id="([0-9a-f]{{32}})"\}}', text, re.MULTILINE)
        assert trace_id in found
        assert text.endswith("# EOF\n")
        with http.opened("GET", url) as asked:
            assert asked.headers["content-type"].startswith("text/plain")
            classic = asked.read().decode()
        assert f"{name}_bucket" in classic
        assert "trace_id" not in classic


def test_every_ops_port_speaks_openmetrics(rig: Rig) -> None:
    for role in SERVICES:
        url = f"{rig.stack.process(role).ops_url}/metrics"
        text = http.call("GET", url, headers={"accept": OPENMETRICS}).body.decode()
        families = {family.name for family in text_string_to_metric_families(text)}
        assert "trunkline_bus_dropped" in families
        assert ("trunkline_trace_spans_exported" in families) == (role in {"edge", "dispatcher", "metering"})


def test_those_that_trace_know_the_collectors_key_and_no_others(rig: Rig) -> None:
    knowing = {
        role
        for role, entries in rig.stack.ready.processes.items()
        if COLLECTOR_KEY in "".join(Path(f"/proc/{entry.pid}/environ").read_text() for entry in entries)
    }
    assert knowing == {"edge", "dispatcher", "metering"}


def test_the_line_of_log_names_the_trace(rig: Rig) -> None:
    answer = rig.chat("good")
    request_id = answer.headers["x-request-id"]
    trace_id = rig.trace(request_id, 3)[0].trace_id

    def look() -> list[dict[str, object]]:
        lines = (rig.stack.logs / "data" / "logs" / "edge-1.log").read_text().splitlines()
        return [json.loads(line) for line in lines if request_id in line]

    [line] = until(look, EXPORTED_WITHIN_S, "the request is logged")
    assert line["trace_id"] == trace_id


# --- who is traced -------------------------------------------------------------------------------------------------

CLIENTS = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")


def test_a_clients_trace_is_a_link_where_it_is_not_trusted(rig: Rig) -> None:
    answer = rig.chat("good", ("traceparent", f"00-{CLIENTS[0]}-{CLIENTS[1]}-00"))
    edge, *_ = rig.trace(answer.headers["x-request-id"], 3)
    assert (edge.trace_id == CLIENTS[0], edge.parent, edge.links) == (False, "", [CLIENTS])


def test_a_trusted_client_decides_and_is_the_parent(rig: Rig) -> None:
    rig.restart_edge(ratio=0, trust=True)
    sampled = rig.chat("good", ("traceparent", f"00-{CLIENTS[0]}-{CLIENTS[1]}-01"))
    edge, *_ = rig.trace(sampled.headers["x-request-id"], 3)
    assert (edge.trace_id, edge.parent, edge.links) == (*CLIENTS, [])
    silent = [rig.chat("good") for _ in range(ASKED)]
    rig.restart_edge(ratio=1, trust=True)
    unsampled = rig.chat("good", ("traceparent", f"00-{CLIENTS[0]}-{CLIENTS[1]}-00"))
    rig.trace(rig.chat("good").headers["x-request-id"], 3)
    rig.restart_edge(ratio=0.5)
    for answer in (*silent, unsampled):
        assert answer.status == 200
        assert rig.collector.of_request(answer.headers["x-request-id"]) == []


def test_a_share_of_the_requests_is_traced_whatever_clients_want(rig: Rig) -> None:
    wanted = [rig.chat("good", ("traceparent", f"00-{CLIENTS[0]}-{CLIENTS[1]}-01")) for _ in range(ASKED)]
    rig.restart_edge(ratio=1)
    ids = [answer.headers["x-request-id"] for answer in wanted]
    traced = [request_id for request_id in ids if rig.collector.of_request(request_id)]
    assert 0 < len(traced) < ASKED
    for request_id in traced:
        rig.trace(request_id, 3)


# --- the collector -------------------------------------------------------------------------------------------------


def test_a_collector_that_is_away_changes_nothing_for_clients(rig: Rig) -> None:
    url = f"{rig.stack.process('edge').ops_url}/metrics"

    def dropped() -> float:
        found = re.search(rb"^trunkline_trace_spans_dropped_total (\S+)$", http.call("GET", url).body, re.MULTILINE)
        assert found is not None
        return float(found[1])

    assert dropped() == 0
    rig.collector.away = True
    try:
        assert {rig.chat("good").status for _ in range(ASKED)} == {200}
        until(lambda: dropped() >= 1, EXPORTED_WITHIN_S, "spans are let go")
        assert rig.collector.refused
        log = rig.stack.logs / "data" / "logs" / "edge-1.log"
        until(lambda: "spans_dropped" in log.read_text(), EXPORTED_WITHIN_S, "it is logged")
    finally:
        rig.collector.away = False
    rig.trace(rig.chat("good").headers["x-request-id"], 3)


def test_nothing_planted_was_exported(rig: Rig) -> None:
    """Last: it looks at all that the tests above have made the processes send."""
    assert rig.collector.headers["x-collector-key"] == COLLECTOR_KEY
    everything = b"".join(rig.collector.bodies)
    assert b"chat moved" in everything
    for secret in (*PLANTED.values(), CREDENTIAL, rig.key, COLLECTOR_KEY):
        for form in (secret, secret.encode().hex(), base64.b64encode(secret.encode()).decode().rstrip("=")):
            assert form.encode() not in everything, secret
    logs = b"".join(path.read_bytes() for path in (rig.stack.logs / "data" / "logs").iterdir())
    assert COLLECTOR_KEY.encode() not in logs
