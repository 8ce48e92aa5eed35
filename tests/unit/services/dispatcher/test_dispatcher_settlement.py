"""What health hears of an attempt when it is booked."""

from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from services.dispatcher.answers import AnswerFacts
from services.dispatcher.attempt import Attempt, AttemptResult
from services.dispatcher.job_entry import JobEntry
from services.dispatcher.metrics import DispatcherMetrics
from services.dispatcher.outcome_outbox import OutcomeOutbox
from services.dispatcher.settlement import Settlement
from tests.support.job_scripts import JOB, envelope
from tests.support.manual_clock import ManualClock
from trunkline.bus.messages import AttemptOutcome, UsageEvent
from trunkline.bus.snapshots import ChannelSnapshot
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.usage import Units, Usage, UsageSource
from trunkline.policy.routing import Candidate
from trunkline.protocol.upstream_error import MODEL_DENIED
from trunkline.runtime.usage_outbox import UsageOutbox

FACTS = AnswerFacts(Usage(Units(input=5, output=9), UsageSource.REPORTED), output=True)
CANDIDATE = Candidate(
    ChannelSnapshot(1, "main", "openai", "https://provider.example/v1", (), {"m": "own"}),
    None,
    "default",
    "own",
    last_resort=False,
    model="m",
)


class Kept(list[AttemptOutcome | UsageEvent]):
    """An outbox that keeps what is added."""

    def add(self, told: AttemptOutcome | UsageEvent) -> int:
        self.append(told)
        return len(self)


def heard(fault: Fault | None, *, stream: bool) -> list[AttemptOutcome | UsageEvent]:
    """Return what health hears of an attempt that began to answer after 0.2 s and ended after 1 s."""
    outcomes, clock = Kept(), ManualClock()
    settlement = Settlement(
        cast("UsageOutbox", Kept()),
        cast("OutcomeOutbox", outcomes),
        clock=clock,
        metrics=DispatcherMetrics(CollectorRegistry()),
    )
    offered = msgspec.structs.replace(envelope(body_bytes=2, credit=1), stream=stream)
    entry = SimpleNamespace(machine=SimpleNamespace(envelope=offered, job=JOB))
    attempt = SimpleNamespace(
        candidate=CANDIDATE,
        passage=SimpleNamespace(variant=None),
        number=0,
        status=200,
        started_ms=0,
        began=clock.now() - 1.0,
        first_output_at=clock.now() - 0.8,
        rest_of=None,
        span=None,
    )
    settlement.book(cast("JobEntry", entry), cast("Attempt", attempt), AttemptResult(fault), FACTS, charged=True)
    return outcomes


@pytest.mark.parametrize("stream", [False, True])
def test_an_outcome_says_whether_it_was_a_stream(stream: bool) -> None:
    assert heard(None, stream=stream) == [AttemptOutcome(1, 0, "m", None, 200, 200, 9, 1000, stream=stream)]


def test_a_denied_model_is_told_as_such() -> None:
    [outcome] = heard(Fault(ErrorType.UPSTREAM_ERROR, "No.", code=MODEL_DENIED), stream=True)
    assert outcome == AttemptOutcome(1, 0, "m", ErrorType.UPSTREAM_ERROR, 200, 200, 9, 1000, denied=True, stream=True)


@pytest.mark.parametrize("error", [ErrorType.CLIENT_GONE, ErrorType.GATEWAY_OUTRUN])
def test_ends_that_are_not_the_channels_are_not_told(error: ErrorType) -> None:
    assert heard(Fault(error, "Gone."), stream=True) == []
