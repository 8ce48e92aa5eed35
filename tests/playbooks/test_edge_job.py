"""Courses of events for a job at its edge: what comes in, and what is commanded."""

from collections.abc import Callable

import pytest

from tests.support.job_scripts import (
    EdgeScript,
    EdgeStep,
    accepted,
    answering,
    at,
    body_credit,
    busy,
    data,
    drained,
    end,
    fail,
    frame,
    give_up,
    gone,
    head,
    lost,
    nobody,
    offer,
    offered,
    taken,
    unheard,
    whole,
)
from trunkline.bus.edge_job import EdgeState, IllegalInputError
from trunkline.bus.frames import FrameError, Kind
from trunkline.core import limits
from trunkline.core.errors import ErrorType

Begin = Callable[[], EdgeScript]

KIB = 1024
PART = limits.DATA_BYTES_MAX
STEP = limits.CREDIT_STEP_BYTES
WINDOW = limits.CREDIT_WINDOW_BYTES


# --- the good courses ------------------------------------------------------------------------------------------


def test_a_streamed_answer() -> None:
    script = answering() >> data(2, b"cd") << "write b'cd'" >> data(3, b"ef") << "write b'ef'"
    script >> end(4, b"gh") << "write b'gh'" << "settle, usage 7" << "finish"
    script.done()
    assert script.job.state is EdgeState.ENDED


def test_the_last_frame_may_be_empty_and_so_may_the_head() -> None:
    script = (
        taken() >> head(1) << "start 200" >> data(2, b"cd") << "write b'cd'" >> end(3) << "settle, usage 7" << "finish"
    )
    script.done()


def test_a_fast_answer_needs_no_accepted() -> None:
    script = offered() >> head(0, b"ab") << "start 200" << "write b'ab'"
    assert script.job.dispatcher == "d1"
    script >> end(1) << "settle, usage 7" << "finish"
    script.done()


def test_an_answer_in_one_piece() -> None:
    script = offered() >> whole(0, b"{}") << "start 200" << "write b'{}'" << "settle, usage 7" << "finish"
    script.done()
    script = taken() >> whole(1, b"{}") << "start 200" << "write b'{}'" << "settle, usage 7" << "finish"
    script.done()


def test_after_the_end_nothing_is_commanded_any_more() -> None:
    script = offered() >> whole(0, b"") << "start 200" << "settle, usage 7" << "finish"
    for step in (end(1), data(1, b"x"), gone(), lost("d1"), nobody(), give_up(), at(99999.0), drained(9), busy("d2")):
        script >> step
    script.done()


def test_a_failure_of_the_upstream() -> None:
    script = taken() >> fail(1, ErrorType.UPSTREAM_TIMEOUT) << "settle, nothing" << "abort, upstream_timeout"
    script.done()
    script = answering() >> fail(2, ErrorType.UPSTREAM_CUT, usage=True)
    script << "settle, usage 7" << "abort, upstream_cut"
    script.done()
    script = offered() >> fail(0, ErrorType.GATEWAY_NO_CHANNEL) << "settle, nothing" << "abort, gateway_no_channel"
    script.done()
    assert script.job.dispatcher == "d1"


# --- copies, gaps, late ones -----------------------------------------------------------------------------------


def test_copies_change_nothing() -> None:
    script = answering() >> accepted(0) >> head(1, b"ab") >> data(2, b"cd") << "write b'cd'" >> data(2, b"cd")
    script >> end(3) << "settle, usage 7" << "finish" >> end(3)
    script.done()


def test_frames_of_another_offer_are_stale() -> None:
    script = (
        taken() >> head(1, b"x", offer_no=1) >> data(7, b"x", offer_no=65535) >> body_credit(1 << 30, 1, offer_no=1)
    )
    script >> head(1, b"ab") << "start 200" << "write b'ab'"
    script.done()


def test_a_gap_before_the_first_byte_is_offered_again_and_not_paid() -> None:
    script = taken() >> data(2, b"cd") << "d1 <- CANCEL 0 void" << "reoffer, gateway_frame_lost"
    script >> offer("d2") << "d2 <- OPEN 1 b'hello', 600 s left, answer wanted"
    script >> head(1, b"of the first offer") >> end(3)
    script >> accepted(by="d2", offer_no=1) >> whole(1, b"{}", offer_no=1)
    script << "start 200" << "write b'{}'" << "settle, usage 7" << "finish"
    script.done()
    assert script.job.tried == {"d1"}


def test_a_gap_in_front_of_everything_is_withdrawn_from_all() -> None:
    script = offered() >> head(1, b"ab") << "withdraw 0 void" << "reoffer, gateway_frame_lost"
    script.done()
    assert script.job.tried == set()


def test_a_gap_after_the_first_byte_ends_the_job_and_is_paid() -> None:
    script = answering() >> data(3, b"ef") << "d1 <- CANCEL 0" << "abort, gateway_frame_lost"
    script >> fail(4, ErrorType.CLIENT_GONE, usage=True) << "settle, usage 7"
    script.done()


def test_a_gap_in_an_answer_that_is_no_stream_is_not_paid() -> None:
    script = EdgeScript(stream=False) >> offer() << "lane <- OPEN 0 b'hello', 600 s left, answer wanted"
    script >> accepted() >> head(1, b"ab") << "start 200" << "write b'ab'"
    script >> data(3, b"ef") << "d1 <- CANCEL 0 void" << "settle, nothing" << "abort, gateway_frame_lost"
    script.done()


def test_an_answer_that_is_no_stream_is_not_paid_when_its_edge_stops() -> None:
    script = EdgeScript(stream=False) >> offer() << "lane <- OPEN 0 b'hello', 600 s left, answer wanted"
    script >> accepted() >> head(1, b"ab") << "start 200" << "write b'ab'"
    script >> give_up()
    script << "d1 <- CANCEL 0 void" << "settle, nothing" << "abort, gateway_shutting_down"
    script.done()


def test_a_lost_end_is_found_by_asking() -> None:
    script = answering() >> at(4.9) >> at(5.0) << "d1 <- CREDIT 0 1000 expects 2 sync, answer wanted" >> at(9.9)
    script >> at(10.0) << "d1 <- CREDIT 0 1000 expects 2 sync, answer wanted"
    script >> fail(2, ErrorType.GATEWAY_FRAME_LOST, unknown=True) << "settle, lost" << "abort, gateway_frame_lost"
    script.done()


def test_lost_data_is_found_by_the_number_of_the_answer_to_the_question() -> None:
    script = answering() >> at(5.0) << "d1 <- CREDIT 0 1000 expects 2 sync, answer wanted"
    script >> data(3, b"") << "d1 <- CANCEL 0" << "abort, gateway_frame_lost"
    script.done()


def test_a_sign_of_life_is_written_to_nobody_and_counts() -> None:
    script = answering() >> at(5.0) << "d1 <- CREDIT 0 1000 expects 2 sync, answer wanted"
    script >> data(2, b"") >> at(9.0) >> data(3, b"cd") << "write b'cd'" >> at(13.9)
    script >> at(14.0) << "d1 <- CREDIT 0 1000 expects 4 sync, answer wanted"
    script.done()


# --- the client leaves -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "settled"),
    [
        (fail(0, ErrorType.CLIENT_GONE, usage=True), "settle, usage 7"),
        (fail(3, ErrorType.CLIENT_GONE), "settle, nothing"),
        (busy("d1"), "settle, nothing"),
        (nobody(), "settle, nothing"),
        (whole(0, b"{}"), "settle, usage 7"),
        (unheard(), "settle, lost"),
    ],
)
def test_the_client_leaves_while_offered(word: EdgeStep, settled: str) -> None:
    script = offered() >> gone() << "withdraw 0" << "forget" >> gone()
    script >> word << settled >> word >> unheard()
    script.done()
    assert script.job.state is EdgeState.ENDED


@pytest.mark.parametrize("begin", [taken, answering])
@pytest.mark.parametrize(
    ("word", "settled"),
    [
        (fail(2, ErrorType.CLIENT_GONE, usage=True), "settle, usage 7"),
        (fail(9, ErrorType.UPSTREAM_CUT), "settle, nothing"),
        (fail(2, ErrorType.GATEWAY_FRAME_LOST, unknown=True), "settle, lost"),
        (end(7), "settle, usage 7"),
        (lost("d1"), "settle, lost"),
        (unheard(), "settle, lost"),
    ],
)
def test_the_client_leaves_later_and_pays_for_what_was_made(begin: Begin, word: EdgeStep, settled: str) -> None:
    script = begin() >> gone() << "d1 <- CANCEL 0" << "forget"
    assert script.job.state is EdgeState.SETTLING
    for step in (
        gone(),
        lost("d2"),
        nobody(),
        give_up(),
        at(99999.0),
        drained(9),
        data(8, b"late"),
        head(9),
        accepted(9),
    ):
        script >> step
    script >> fail(2, ErrorType.CLIENT_GONE, usage=True, offer_no=1)
    script.done()
    script >> word << settled >> word >> unheard()
    script.done()
    assert script.job.state is EdgeState.ENDED


def test_a_job_under_way_has_been_heard() -> None:
    for begin in (offered, taken, answering):
        begin().__rshift__(unheard()).done()


def test_the_edge_stops() -> None:
    script = taken() >> give_up() << "d1 <- CANCEL 0 void" << "settle, nothing" << "abort, gateway_shutting_down"
    script >> give_up()
    script.done()
    script = answering() >> give_up() << "d1 <- CANCEL 0" << "abort, gateway_shutting_down" >> give_up()
    script >> end(2) << "settle, usage 7"
    script.done()


# --- credit ----------------------------------------------------------------------------------------------------


def test_credit_is_granted_in_steps_of_what_was_drained() -> None:
    script = answering(window=WINDOW) >> data(2, bytes(WINDOW - 2)) << f"write {WINDOW - 2} bytes"
    script >> drained(STEP - 1) >> drained(1) << f"d1 <- CREDIT 0 {WINDOW + STEP} expects 3"
    script >> drained(10) >> data(3, bytes(STEP)) << f"write {STEP} bytes"
    script >> drained(WINDOW - 10) << f"d1 <- CREDIT 0 {2 * WINDOW + STEP} expects 4"
    script.done()


def test_credit_is_neither_granted_before_the_answer_nor_after_its_end() -> None:
    taken().__rshift__(drained(STEP)).done()
    script = answering(window=WINDOW) >> end(2) << "settle, usage 7" << "finish" >> drained(STEP)
    script.done()


def test_more_than_was_granted_is_a_breach_that_ends_the_job() -> None:
    script = answering() >> data(2, bytes(998)) << "write 998 bytes"
    script >> data(3, b"x") << "d1 <- CANCEL 0" << "abort, gateway_internal"
    script.done()
    script = answering() >> end(2, bytes(999)) << "d1 <- CANCEL 0" << "abort, gateway_internal"
    script >> unheard() << "settle, lost"
    script.done()


# --- a body in parts -------------------------------------------------------------------------------------------


def large(body_bytes: int) -> EdgeScript:
    script = EdgeScript(bytes(body_bytes)) >> offer()
    return script << f"lane <- OPEN 0 {512 * KIB} bytes, 600 s left, answer wanted"


def test_a_large_body_follows_as_credit_allows() -> None:
    script = large(2048 * KIB) >> accepted(body_credit=1024 * KIB)
    script << f"d1 <- BODY 0.1 {PART} bytes" << f"d1 <- BODY 0.2 {PART} bytes"
    script >> body_credit(1024 * KIB, 2) >> body_credit(1100 * KIB, 3) << f"d1 <- BODY 0.3 {76 * KIB} bytes"
    script >> body_credit(1 << 40, 4) << f"d1 <- BODY 0.4 {PART} bytes" << f"d1 <- BODY 0.5 {PART} bytes"
    script << f"d1 <- BODY 0.6 {PART} bytes" << f"d1 <- BODY 0.7 {180 * KIB} bytes"
    script >> body_credit(1 << 41, 8) >> head(1, b"ab") << "start 200" << "write b'ab'"
    script.done()


def test_a_lost_part_is_found_by_asking_and_the_job_offered_again() -> None:
    script = large(600 * KIB) >> accepted() << f"d1 <- BODY 0.1 {88 * KIB} bytes"
    script >> at(5.0) << "d1 <- CREDIT 0 1000 expects 1 sync, answer wanted"
    script >> body_credit(1 << 20, 1, sync=True) << "d1 <- CANCEL 0 void" << "reoffer, gateway_frame_lost"
    script.done()


def test_a_lost_credit_for_the_body_is_made_good_by_asking() -> None:
    script = large(1024 * KIB) >> accepted(body_credit=768 * KIB) << f"d1 <- BODY 0.1 {PART} bytes"
    script >> at(5.0) << "d1 <- CREDIT 0 1000 expects 1 sync, answer wanted"
    script >> body_credit(1 << 21, 2, sync=True) << f"d1 <- BODY 0.2 {PART} bytes"
    script >> body_credit(1 << 21, 3, sync=True)
    script.done()


def test_a_body_is_sent_from_its_beginning_in_each_offer() -> None:
    script = large(600 * KIB) >> accepted() << f"d1 <- BODY 0.1 {88 * KIB} bytes"
    script >> lost("d1") << "d1 <- CANCEL 0 void" << "reoffer, gateway_dispatcher_lost"
    script >> offer("d2") << f"d2 <- OPEN 1 {512 * KIB} bytes, 600 s left, answer wanted"
    script >> accepted(by="d2", offer_no=1) << f"d2 <- BODY 1.1 {88 * KIB} bytes"
    script.done()


# --- what must not be ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begin", "step", "says"),
    [
        (offered, data(0, b"x"), "DATA in state offered"),
        (offered, end(0), "END in state offered"),
        (taken, data(1, b"x"), "DATA in state accepted"),
        (taken, end(1), "END in state accepted"),
        (taken, accepted(1), "ACCEPTED in state accepted"),
        (taken, offer(), "offer in state accepted"),
        (answering, accepted(2), "ACCEPTED in state answering"),
        (answering, head(2), "HEAD in state answering"),
        (answering, whole(2, b""), "HEAD in state answering"),
        (answering, offer(), "offer in state answering"),
    ],
)
def test_an_illegal_input_names_state_and_input(begin: Begin, step: EdgeStep, says: str) -> None:
    script = begin()
    with pytest.raises(IllegalInputError, match=says):
        script >> step


@pytest.mark.parametrize("kind", [Kind.OPEN, Kind.CANCEL, Kind.BODY])
def test_frames_for_dispatchers_are_refused(kind: Kind) -> None:
    with pytest.raises(FrameError, match=f"a {kind.name} frame towards an edge"):
        taken() >> frame(kind, 1)


@pytest.mark.parametrize("kind", [Kind.ACCEPTED, Kind.HEAD, Kind.WHOLE, Kind.FAIL, Kind.END, Kind.CREDIT])
@pytest.mark.parametrize("payload", [b"", b"\xff" * 30, b"\0\0\0\1\xc0", b"\0\0\0\2\x91\xc0"])
def test_unreadable_payloads_raise_only_documented_errors(kind: Kind, payload: bytes) -> None:
    script = offered() if kind in {Kind.ACCEPTED, Kind.HEAD, Kind.WHOLE} else answering()
    seq = 0 if script.job.state is EdgeState.OFFERED else 2
    with pytest.raises((FrameError, ValueError)):
        script >> frame(kind, seq, payload)
    script >> give_up()
    assert script.job.state in {EdgeState.SETTLING, EdgeState.ENDED}


@pytest.mark.parametrize("kind", [Kind.WHOLE, Kind.FAIL, Kind.END])
@pytest.mark.parametrize("payload", [b"", b"\xff" * 30, b"\0\0\0\1\xc0", b"\0\0\0\2\x91\xc0"])
def test_an_unreadable_last_word_is_as_good_as_none(kind: Kind, payload: bytes) -> None:
    script = answering() >> gone() << "d1 <- CANCEL 0" << "forget"
    with pytest.raises((FrameError, ValueError)):
        script >> frame(kind, 2, payload)
    script >> give_up() >> unheard() << "settle, lost"
    script.done()
