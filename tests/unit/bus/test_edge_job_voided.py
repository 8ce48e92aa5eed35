"""When a job's edge has given up an offer that may have been answered all the same."""

import msgspec
import pytest

from tests.support.job_scripts import JOB, envelope
from tests.support.usage_events import usage_event
from trunkline.bus import frames, messages
from trunkline.bus.edge_commands import Abort, Command, Reoffer, Settle
from trunkline.bus.edge_job import EdgeJob, EdgeState
from trunkline.bus.frames import Kind
from trunkline.bus.messages import Accepted, Fail, Head
from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault

FAULT = Fault(ErrorType.UPSTREAM_TIMEOUT, "late")
BEGUN = frames.join_parts(
    messages.encode(Head(200, "text/event-stream", 0, 1, "main", "d1", usage=usage_event())), b"a"
)
BUSY = Fail(Fault(ErrorType.GATEWAY_BUSY, "full"), elsewhere=True, dispatcher="d1")


@pytest.fixture
def job() -> EdgeJob:
    job = EdgeJob(JOB, envelope(), b"hello", 0.0)
    job.offer(0.0, 1)
    return job


def receive(job: EdgeJob, kind: Kind, seq: int, payload: bytes) -> tuple[Command, ...]:
    return job.receive(frames.decode(frames.encode(1, kind, 0, JOB, seq, payload)), 0.1)


def accept(job: EdgeJob) -> None:
    receive(job, Kind.ACCEPTED, 0, messages.encode(Accepted("d1", 0)))


def test_an_offer_that_was_not_accepted_in_time_may_be_answered(job: EdgeJob) -> None:
    job.tick(limits.ACCEPT_TIMEOUT_S)
    assert job.voided


def test_a_dispatcher_that_is_lost_may_have_answered(job: EdgeJob) -> None:
    accept(job)
    job.dispatcher_lost("d1")
    assert job.voided


def test_a_frame_that_is_lost_may_have_been_the_answer(job: EdgeJob) -> None:
    receive(job, Kind.END, 1, b"")
    assert job.voided


def test_a_job_that_is_given_up_while_a_dispatcher_has_it_may_be_answered(job: EdgeJob) -> None:
    accept(job)
    job.give_up(FAULT)
    assert job.voided


def test_what_was_told_in_a_frame_that_was_lost_may_be_an_answer(job: EdgeJob) -> None:
    receive(job, Kind.FAIL, 0, messages.encode(Fail(FAULT, dispatcher="d1", unknown=True)))
    assert job.voided


def test_where_nobody_listens_nothing_is_answered(job: EdgeJob) -> None:
    [*_, reoffer] = job.no_responders()
    assert isinstance(reoffer, Reoffer)
    job.give_up(reoffer.fault)
    assert not job.voided


def test_who_has_no_room_answers_nothing(job: EdgeJob) -> None:
    receive(job, Kind.FAIL, 0, messages.encode(BUSY))
    job.wait()
    job.give_up(FAULT)
    assert not job.voided


def test_a_failure_is_an_answer(job: EdgeJob) -> None:
    receive(job, Kind.FAIL, 0, messages.encode(Fail(FAULT, dispatcher="d1")))
    assert not job.voided


def test_one_who_leaves_voids_nothing(job: EdgeJob) -> None:
    accept(job)
    job.client_gone()
    assert not job.voided


def test_a_stream_that_has_begun_is_paid_as_far_as_it_came(job: EdgeJob) -> None:
    receive(job, Kind.HEAD, 0, BEGUN)
    job.dispatcher_lost("d1")
    assert job.started
    assert not job.voided
    assert not job.worthless


def test_the_beginning_of_any_other_answer_is_worth_nothing() -> None:
    for lose in (
        lambda job: job.dispatcher_lost("d1"),
        lambda job: job.give_up(FAULT),
        lambda job: receive(job, Kind.END, 3, b""),
        lambda job: receive(job, Kind.FAIL, 1, messages.encode(Fail(FAULT, dispatcher="d1", unknown=True))),
    ):
        job = EdgeJob(JOB, msgspec.structs.replace(envelope(), stream=False), b"hello", 0.0)
        job.offer(0.0, 1)
        receive(job, Kind.HEAD, 0, BEGUN)
        assert job.started
        assert not job.voided
        lose(job)
        assert job.voided
        assert job.worthless
        assert job.state is EdgeState.ENDED


@pytest.mark.parametrize(
    "kind", [ErrorType.GATEWAY_SHUTTING_DOWN, ErrorType.GATEWAY_INTERNAL, ErrorType.UPSTREAM_TIMEOUT]
)
@pytest.mark.parametrize("stream", [True, False])
def test_what_the_gateway_breaks_off_is_paid_if_it_is_of_use(kind: ErrorType, stream: bool) -> None:
    """A client whose own slowness has cost its answer the deadline pays for it."""
    job = EdgeJob(JOB, msgspec.structs.replace(envelope(), stream=stream), b"hello", 0.0)
    job.offer(0.0, 1)
    receive(job, Kind.HEAD, 0, BEGUN)
    usage = usage_event()
    fail = Fail(Fault(kind, "broken off"), usage=usage, usage_no=7, dispatcher="d1")
    settle, abort = receive(job, Kind.FAIL, 1, messages.encode(fail))
    assert isinstance(abort, Abort)
    free = not stream and kind is not ErrorType.UPSTREAM_TIMEOUT
    assert settle == (Settle() if free else Settle(usage, 7))
    assert job.voided is free
