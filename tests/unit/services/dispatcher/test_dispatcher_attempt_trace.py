"""What a span says of an upstream call, and what is sent to the provider."""

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from opentelemetry.trace import StatusCode
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from services.dispatcher.answers import AnswerFacts
from services.dispatcher.attempt import Attempt, AttemptResult
from services.dispatcher.attempt_trace import AttemptTraces
from services.dispatcher.course import Course
from services.dispatcher.job_entry import JobEntry
from services.dispatcher.metrics import DispatcherMetrics
from services.dispatcher.outcome_outbox import OutcomeOutbox
from services.dispatcher.settlement import Settlement
from tests.support.job_scripts import JOB, envelope
from tests.support.manual_clock import ManualClock
from tests.support.spans import KeptSpans, attributes
from trunkline.bus.messages import Envelope, UsageEvent
from trunkline.bus.snapshots import ChannelSnapshot, SealedCredential
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.trace_context import read_traceparent
from trunkline.core.usage import Units, Usage, UsageSource
from trunkline.policy.routing import Candidate
from trunkline.runtime.tracer import NO_TRACER
from trunkline.runtime.usage_outbox import UsageOutbox

PARENT = f"00-{0xABC:032x}-{0xDEF:016x}-01"
CLIENTS = f"00-{0x123:032x}-{0x456:016x}-01"
FACTS = AnswerFacts(
    Usage(Units(input=5, cache_read=2, output=9), UsageSource.REPORTED), output=True, finish_reason="SAFETY"
)
CREDENTIAL = SealedCredential(31, 1, b"sealed secret", b"nonce")
CHANNEL = ChannelSnapshot(1, "main", "anthropic", "https://api.anthropic.com/v1", (CREDENTIAL,), {"m": "own"})
CANDIDATE = Candidate(CHANNEL, CREDENTIAL, "vip", "own", last_resort=False, model="m")
FAULT = Fault(ErrorType.UPSTREAM_OVERLOADED, "Words of a provider.")


class Rig:
    """One attempt of a job whose request is traced."""

    def __init__(self, trace: str = PARENT) -> None:
        self.kept = KeptSpans(ratio=0)
        self.clock = ManualClock()
        self.offered: Envelope = msgspec.structs.replace(
            envelope(body_bytes=2, credit=1), trace=trace, traceparent=CLIENTS, max_output=40
        )
        self.entry = SimpleNamespace(machine=SimpleNamespace(envelope=self.offered, job=JOB), attempts=1)
        self.course = SimpleNamespace(entry=self.entry, envelope=self.offered, fault=None)
        self.attempt = SimpleNamespace(
            entry=self.entry,
            candidate=CANDIDATE,
            passage=SimpleNamespace(variant=None),
            number=16,
            status=200,
            started_ms=0,
            began=self.clock.now() - 1.0,
            first_output_at=self.clock.now() - 0.75,
            committed=True,
            rest_of=None,
            span=None,
        )

    def begin(self, *, went_on: Fault | None = None, traces: AttemptTraces | None = None) -> None:
        made = traces or AttemptTraces(self.kept.tracer)
        self.attempt.span = made.begin(cast("Course", self.course), cast("Attempt", self.attempt), went_on)

    def end(self, result: AttemptResult) -> tuple[UsageEvent, str]:
        """Return the usage event, and the metrics in OpenMetrics."""
        registry = CollectorRegistry()
        settlement = Settlement(
            cast("UsageOutbox", None),
            cast("OutcomeOutbox", SimpleNamespace(add=lambda _: None)),
            clock=self.clock,
            metrics=DispatcherMetrics(registry),
        )
        entry, attempt = cast("JobEntry", self.entry), cast("Attempt", self.attempt)
        event = settlement.note(entry, attempt, result, FACTS, charged=True)
        return event, generate_latest(registry).decode()


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_good_call(rig: Rig) -> None:
    rig.begin()
    event, metrics = rig.end(AttemptResult(None))
    made = rig.kept.only()
    assert made.parent is not None
    assert (made.name, made.context.trace_id, made.parent.span_id) == ("chat own", 0xABC, 0xDEF)
    assert read_traceparent(event.trace) == (0xABC, made.context.span_id, True)
    assert attributes(made) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.max_tokens": 40,
        "gen_ai.request.model": "own",
        "gen_ai.request.stream": True,
        "gen_ai.response.finish_reasons": ("safety",),
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.cache_read.input_tokens": 2,
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 9,
        "http.response.status_code": 200,
        "server.address": "api.anthropic.com",
        "server.port": 443,
        "trunkline.account": 1,
        "trunkline.attempt": 16,
        "trunkline.attempt.kind": "first",
        "trunkline.channel": "main",
        "trunkline.charged": True,
        "trunkline.credential": 31,
        "trunkline.group": "vip",
        "trunkline.key": 1,
        "trunkline.model": "m",
        "trunkline.outcome": "ok",
        "trunkline.usage.source": "reported",
    }
    assert f'# {{trace_id="{0xABC:032x}"}} 0.25' in metrics


def test_a_failed_call_has_our_word_and_not_the_providers(rig: Rig) -> None:
    rig.begin()
    rig.end(AttemptResult(FAULT))
    made = rig.kept.only()
    assert (made.status.status_code, made.status.description) == (StatusCode.ERROR, None)
    assert attributes(made)["error.type"] == "upstream_overloaded"
    assert "Words" not in made.to_json()


@pytest.mark.parametrize(
    ("course", "went_on", "kind", "why"),
    [
        ({}, None, "first", None),
        ({"fault": FAULT}, None, "retry", "upstream_overloaded"),
        ({"envelope": envelope()}, None, "fallback", None),
        ({}, FAULT, "continuation", "upstream_overloaded"),
    ],
)
def test_why_a_call_is_made(
    rig: Rig, course: dict[str, Any], went_on: Fault | None, kind: str, why: str | None
) -> None:
    for name, value in course.items():
        setattr(rig.course, name, value)
    rig.begin(went_on=went_on)
    rig.end(AttemptResult(None))
    told = attributes(rig.kept.only())
    assert (told["trunkline.attempt.kind"], told.get("trunkline.attempt.why")) == (kind, why)


def test_a_second_call_beside_the_first_is_a_hedge(rig: Rig) -> None:
    rig.entry.attempts = 2
    rig.begin()
    rig.end(AttemptResult(None))
    assert attributes(rig.kept.only())["trunkline.attempt.kind"] == "hedge"


def test_without_a_span_the_usage_names_the_edges(rig: Rig) -> None:
    rig.begin(traces=AttemptTraces(NO_TRACER))
    event, metrics = rig.end(AttemptResult(None))
    assert (event.trace, rig.kept.ended) == (PARENT, [])
    assert "trace_id" not in metrics


def test_a_provider_gets_the_clients_own_trace_unless_it_may_have_ours(rig: Rig) -> None:
    attempt = cast("Attempt", rig.attempt)
    ours = AttemptTraces(rig.kept.tracer, upstream=True)
    assert ours.sent(attempt) == CLIENTS
    rig.begin()
    assert AttemptTraces(rig.kept.tracer).sent(attempt) == CLIENTS
    assert ours.sent(attempt) == rig.attempt.span.traceparent
