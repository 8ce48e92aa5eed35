"""Courses of events for a job at its dispatcher: what is asked of it, and which frames it sends."""

from collections.abc import Callable

import msgspec
import pytest

from tests.support.job_scripts import HEAD, USAGE, DispatchScript, DispatchStep
from trunkline.bus import frames
from trunkline.bus.dispatch_job import DispatchJob, DispatchState, IllegalDispatchError
from trunkline.bus.frames import Credit, Frame, FrameError, Kind
from trunkline.bus.messages import End, Fail
from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault

KIB = 1024
PART = limits.DATA_BYTES_MAX
WINDOW = limits.CREDIT_WINDOW_BYTES
STEP = limits.CREDIT_STEP_BYTES
BODY = limits.BODY_WINDOW_BYTES
END = End(USAGE, 7)


def accept(job: DispatchJob) -> list[bytes]:
    return job.accept()


def cancel(job: DispatchJob) -> None:
    job.cancel()


def void(job: DispatchJob) -> None:
    job.cancel(void=True)


def left() -> DispatchScript:
    return answering() >> cancel


def take_body(job: DispatchJob) -> None:
    job.take_body()


def head(data: bytes = b"") -> DispatchStep:
    return lambda job: job.head(HEAD, data)


def data(part: bytes) -> DispatchStep:
    return lambda job: job.data(part)


def end(part: bytes = b"") -> DispatchStep:
    return lambda job: job.end(END, part)


def whole(part: bytes) -> DispatchStep:
    return lambda job: job.whole(HEAD, END, part)


def fail(job: DispatchJob) -> list[bytes]:
    return job.fail(Fail(Fault(ErrorType.UPSTREAM_CUT, "")))


def credit(total: int, *, sync: bool = False, expects: int = 0) -> DispatchStep:
    return lambda job: job.receive_credit(Credit(total, expects, sync))


def body(seq: int, part: bytes) -> DispatchStep:
    def step(job: DispatchJob) -> list[bytes]:
        return job.receive_body(Frame(1, Kind.BODY, 0, job.job, seq, part))

    return step


def calling(*, window: int = 1000) -> DispatchScript:
    return DispatchScript(window=window)


def receiving() -> DispatchScript:
    return DispatchScript(b"hello world", part=b"hello")


def answering(*, window: int = 1000) -> DispatchScript:
    script = calling(window=window) >> accept << f"ACCEPTED 0.0 d1 {5 + BODY}"
    return script >> head(b"ab") << "HEAD 0.1 200 b'ab'"


def closing() -> DispatchScript:
    script = answering(window=4) >> end(b"cdef") << "DATA 0.2 b'cd'"
    assert script.job.state is DispatchState.CLOSING
    return script


def ended() -> DispatchScript:
    return answering() >> end() << "END 0.2 usage 7 b''"


# --- the good courses ------------------------------------------------------------------------------------------


def test_a_streamed_answer() -> None:
    script = answering() >> data(b"cd") << "DATA 0.2 b'cd'" >> end(b"ef") << "END 0.3 usage 7 b'ef'"
    script.done()
    assert script.job.state is DispatchState.ENDED


def test_accepting_is_said_once_and_not_behind_an_answer() -> None:
    script = calling() >> accept << f"ACCEPTED 0.0 d1 {5 + BODY}" >> accept
    script >> head() << "HEAD 0.1 200 b''" >> accept
    script.done()
    script = calling() >> head(b"ab") << "HEAD 0.0 200 b'ab'" >> accept
    script.done()
    script = calling() >> cancel >> accept
    script.done()


def test_an_answer_in_one_piece() -> None:
    script = calling() >> whole(b"{}") << "WHOLE 0.0 200 usage 7 b'{}'"
    script.done()
    assert script.job.state is DispatchState.ENDED


def test_a_piece_beyond_the_credit_goes_in_several() -> None:
    script = calling(window=3) >> whole(b"{1234}") << "HEAD 0.0 200 b''" << "DATA 0.1 b'{12'"
    script >> credit(100) << "DATA 0.2 b'34}'" << "END 0.3 usage 7 b''"
    script.done()


def test_a_piece_beyond_a_frame_goes_in_several() -> None:
    script = calling(window=1 << 30) >> whole(bytes(PART + 1)) << "HEAD 0.0 200 b''"
    script << f"DATA 0.1 {PART} bytes" << r"DATA 0.2 b'\x00'" << "END 0.3 usage 7 b''"
    script.done()


def test_the_head_carries_no_more_than_a_frame() -> None:
    script = calling(window=1 << 30) >> head(bytes(PART)) << f"HEAD 0.0 200 {PART} bytes"
    script.done()
    script = calling(window=1 << 30) >> head(bytes(PART + 30)) << "HEAD 0.0 200 b''"
    script << f"DATA 0.1 {PART} bytes" << "DATA 0.2 30 bytes"
    script.done()


# --- credit ----------------------------------------------------------------------------------------------------


def test_without_credit_nothing_leaves() -> None:
    script = answering(window=4)
    assert script.job.room == 2
    script >> data(b"cdef") << "DATA 0.2 b'cd'"
    assert script.job.room == -2
    script >> data(b"gh")
    assert script.job.room == -4
    script >> credit(6) << "DATA 0.3 b'ef'"
    assert script.job.room == -2
    script >> credit(100) << "DATA 0.4 b'gh'"
    assert script.job.room == 92
    script.done()


def test_the_head_itself_keeps_within_the_credit() -> None:
    script = calling(window=1) >> head(b"abc") << "HEAD 0.0 200 b''" << "DATA 0.1 b'a'" >> credit(3) << "DATA 0.2 b'bc'"
    script.done()
    script = calling(window=0) >> head(b"abc") << "HEAD 0.0 200 b''" >> credit(3) << "DATA 0.1 b'abc'"
    script.done()


def test_an_older_or_repeated_credit_changes_nothing() -> None:
    script = answering(window=10) >> credit(5) >> credit(10) >> credit(20) >> credit(15)
    assert script.job.room == 18
    script.done()


def test_the_end_waits_for_the_credit_of_what_stands_before_it() -> None:
    script = closing() >> credit(5) << "DATA 0.3 b'e'" >> credit(5) >> credit(6) << "DATA 0.4 b'f'"
    script << "END 0.5 usage 7 b''"
    script.done()
    assert script.job.state is DispatchState.ENDED


def test_an_end_that_needs_no_credit_does_not_wait() -> None:
    script = answering(window=2) >> end() << "END 0.2 usage 7 b''"
    script.done()


def test_much_pending_data_leaves_in_frames_of_bounded_size() -> None:
    script = answering(window=2) >> data(bytes(PART)) >> end(bytes(PART))
    script >> credit(2 + PART // 2) << f"DATA 0.2 {PART // 2} bytes"
    script >> credit(1 << 30) << f"DATA 0.3 {PART} bytes" << f"DATA 0.4 {PART // 2} bytes" << "END 0.5 usage 7 b''"
    script.done()


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_stream_is_split_between_its_events(line_end: bytes) -> None:
    event = b"data: " + bytes(50 * KIB) + 2 * line_end
    size = len(event)
    script = answering(window=WINDOW) >> data(5 * event) << f"DATA 0.2 {5 * size} bytes"
    script >> data(3 * event)
    script >> credit(WINDOW + STEP) << f"DATA 0.3 {size} bytes" >> credit(WINDOW + STEP + 100)
    script >> credit(2 * WINDOW) << f"DATA 0.4 {2 * size} bytes"
    script.done()


def test_an_event_larger_than_a_window_is_split_when_the_window_is_open() -> None:
    script = answering(window=WINDOW) >> data(b"data: " + bytes(2 * WINDOW)) << f"DATA 0.2 {WINDOW - 2} bytes"
    script >> credit(WINDOW + STEP) >> credit(2 * WINDOW - STEP)
    script >> credit(2 * WINDOW - STEP + 1) << f"DATA 0.3 {WINDOW - STEP + 1} bytes"
    script.done()


def test_what_is_no_stream_is_split_anywhere() -> None:
    script = answering(window=WINDOW)
    script.job.envelope = msgspec.structs.replace(script.job.envelope, stream=False)
    script >> data(bytes(2 * WINDOW)) << f"DATA 0.2 {WINDOW - 2} bytes" >> credit(WINDOW + 50) << "DATA 0.3 50 bytes"
    script.done()


# --- questions -------------------------------------------------------------------------------------------------


def test_a_question_is_answered_with_a_number() -> None:
    script = calling() >> accept << f"ACCEPTED 0.0 d1 {5 + BODY}" >> credit(1000, sync=True) << "DATA 0.1 b''"
    script >> head() << "HEAD 0.2 200 b''" >> credit(1000, sync=True) << "DATA 0.3 b''"
    script >> credit(2000, sync=True) << "DATA 0.4 b''"
    script.done()


def test_what_a_question_releases_is_answer_enough() -> None:
    script = answering(window=2) >> data(b"cd") >> credit(3, sync=True) << "DATA 0.2 b'c'"
    script >> credit(3, sync=True) << "DATA 0.3 b''" >> credit(4, sync=True) << "DATA 0.4 b'd'"
    script.done()


def test_a_question_while_the_body_comes_is_answered_with_what_is_here() -> None:
    script = receiving() >> accept << f"ACCEPTED 0.0 d1 {5 + BODY}"
    script >> credit(1000, sync=True) << f"CREDIT 0 {5 + BODY} expects 1 sync" << "DATA 0.1 b''"
    script >> body(1, b" w") << f"CREDIT 0 {7 + BODY} expects 2"
    script >> credit(1000, sync=True) << f"CREDIT 0 {7 + BODY} expects 2 sync" << "DATA 0.2 b''"
    script.done()


# --- a body in parts -------------------------------------------------------------------------------------------


def test_a_body_is_put_together() -> None:
    script = receiving() >> body(1, b" w") << f"CREDIT 0 {7 + BODY} expects 2" >> body(2, b"orld")
    script.done()
    assert script.job.state is DispatchState.CALLING
    assert script.job.take_body() == b"hello world"
    script >> body(2, b"orld") >> body(3, b"more")
    script.done()


def test_a_copy_of_a_part_is_not_put_in_twice() -> None:
    script = receiving() >> body(1, b" w") << f"CREDIT 0 {7 + BODY} expects 2" >> body(1, b" w") >> body(2, b"orld")
    assert script.job.take_body() == b"hello world"


def test_an_empty_body_is_whole_at_once() -> None:
    script = DispatchScript(b"")
    assert script.job.state is DispatchState.CALLING
    assert script.job.take_body() == b""


def test_a_missing_part_is_an_error() -> None:
    with pytest.raises(FrameError, match="BODY frame 2 where 1 was expected"):
        receiving() >> body(2, b"orld")


def test_more_than_was_announced_is_an_error() -> None:
    with pytest.raises(FrameError, match="more request body than the envelope announced"):
        receiving() >> body(1, b" world!")
    with pytest.raises(FrameError, match="more request body than the envelope announced"):
        DispatchScript(b"hello", part=b"hello!")


# --- bad ends --------------------------------------------------------------------------------------------------


STATES = [
    # how it begins, and what a failure of the upstream is told with
    (receiving, "FAIL 0.0 upstream_cut"),
    (calling, "FAIL 0.0 upstream_cut"),
    (answering, "FAIL 0.2 upstream_cut"),
    (closing, "FAIL 0.3 upstream_cut, usage 7"),
]


@pytest.mark.parametrize(("begin", "failed"), STATES)
def test_a_failure_ends_every_state_and_drops_what_waits(begin: Callable[[], DispatchScript], failed: str) -> None:
    script = begin() >> fail << failed >> fail >> credit(1 << 30, sync=True) >> cancel
    script.done()
    assert script.job.state is DispatchState.ENDED


@pytest.mark.parametrize(("begin", "failed"), STATES)
def test_after_a_cancel_nothing_leaves_but_a_last_word(begin: Callable[[], DispatchScript], failed: str) -> None:
    script = begin() >> cancel >> credit(1 << 30, sync=True) >> accept >> body(1, b" w") >> cancel
    script.done()
    assert script.job.state is DispatchState.LEFT
    assert script.job.room <= 1000
    script >> fail << failed >> fail >> cancel
    script.done()
    assert script.job.state is DispatchState.ENDED


@pytest.mark.parametrize("begin", [receiving, calling, answering, closing, ended])
def test_after_a_void_cancel_no_frame_leaves(begin: Callable[[], DispatchScript]) -> None:
    script = begin() >> void >> fail >> credit(1 << 30, sync=True) >> accept >> body(1, b" w") >> cancel >> fail
    script.done()
    assert script.job.state is DispatchState.ENDED
    script = begin() >> cancel >> void >> fail
    script.done()
    assert script.job.state is DispatchState.ENDED


# --- what must not be ------------------------------------------------------------------------------------------

_ALLOWED = {
    "receiving": set[str](),
    "calling": {"take_body", "head", "whole"},
    "answering": {"data", "end"},
    "closing": set[str](),
    "left": set[str](),
    "ended": set[str](),
}
_BEGIN = {
    "receiving": receiving,
    "calling": calling,
    "answering": answering,
    "closing": closing,
    "left": left,
    "ended": ended,
}
_STEPS: dict[str, DispatchStep] = {
    "take_body": take_body,
    "head": head(),
    "whole": whole(b"x"),
    "data": data(b"x"),
    "end": end(),
}


@pytest.mark.parametrize("state", _BEGIN)
@pytest.mark.parametrize("given", _STEPS)
def test_each_input_in_each_state(state: str, given: str) -> None:
    script = _BEGIN[state]()
    assert script.job.state.value == state
    if given in _ALLOWED[state]:
        _STEPS[given](script.job)
        return
    with pytest.raises(IllegalDispatchError) as caught:
        _STEPS[given](script.job)
    assert str(caught.value) == f"{given} in state {state}"
    assert script.job.state.value == state


def test_a_frame_says_which_offer_it_belongs_to() -> None:
    opened = calling().job.envelope
    job = DispatchJob("d2", calling().job.job, 513, opened, b"hello", version=1)
    assert frames.decode(job.accept()[0])[:5] == (1, Kind.ACCEPTED, 513, job.job, 0)
