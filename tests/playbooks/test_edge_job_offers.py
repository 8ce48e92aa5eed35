"""Courses of events for a job at its edge: refusals, silence, dispatchers that are lost, and the wait for room."""

import pytest

from tests.support.job_scripts import (
    EdgeScript,
    accepted,
    answering,
    at,
    body_credit,
    busy,
    data,
    drained,
    give_up,
    gone,
    head,
    lost,
    nobody,
    offer,
    offered,
    taken,
    wait,
    whole,
)
from trunkline.bus import frames, messages
from trunkline.bus.edge_commands import Send
from trunkline.bus.edge_job import EdgeState, IllegalInputError
from trunkline.core import limits

# --- refusal, silence, loss ------------------------------------------------------------------------------------


def test_a_full_dispatcher_is_passed_over() -> None:
    script = offered() >> busy("d1") << "reoffer, gateway_busy, full"
    script >> offer("d2") << "d2 <- OPEN 1 b'hello', 600 s left, answer wanted"
    script >> busy("d2", offer_no=1) << "reoffer, gateway_busy, full"
    assert script.job.tried == {"d1", "d2"}
    script >> give_up() << "withdraw 1 void" << "settle, nothing" << "abort, gateway_shutting_down"
    script.done()


def test_silence_is_withdrawn_and_the_silent_one_not_asked_again() -> None:
    script = offered() >> at(0.99) >> at(1.0) << "withdraw 0 void" << "reoffer, gateway_busy"
    script >> offer("d2") << "d2 <- OPEN 1 b'hello', 599 s left, answer wanted"
    script >> at(2.99) >> at(3.0) << "withdraw 1 void" << "reoffer, gateway_busy"
    script.done()
    assert script.job.tried == {"d2"}


def test_dispatchers_are_told_how_long_each_offer_stands() -> None:
    script = EdgeScript()

    def told_ms(now: float) -> int:
        script.now = now
        (command,) = script.job.offer(now, 1)
        assert isinstance(command, Send)
        return messages.decode_envelope(frames.split_parts(frames.decode(command.frame).payload)[0]).patience_ms

    assert told_ms(0.0) == 1000
    script >> at(1.0) << "withdraw 0 void" << "reoffer, gateway_busy"
    assert told_ms(1.0) == 2000
    script >> at(3.0) << "withdraw 1 void" << "reoffer, gateway_busy"
    assert told_ms(3.0) == 2000
    script >> nobody() << "withdraw 2 void" << "reoffer, gateway_no_dispatcher"
    script.done()


def test_refusals_make_no_offer_stand_longer() -> None:
    script = offered() >> busy("d1") << "reoffer, gateway_busy, full"
    script >> offer("d2") << "d2 <- OPEN 1 b'hello', 600 s left, answer wanted"
    script >> at(0.99) >> at(1.0) << "withdraw 1 void" << "reoffer, gateway_busy, full"
    script.done()


def test_nobody_there_is_offered_elsewhere_at_once() -> None:
    script = offered() >> nobody() << "withdraw 0 void" << "reoffer, gateway_no_dispatcher"
    script >> offer("d2") << "d2 <- OPEN 1 b'hello', 600 s left, answer wanted"
    script >> nobody() << "withdraw 1 void" << "reoffer, gateway_no_dispatcher"
    script.done()
    assert script.job.tried == {"d2"}


def test_after_eight_offers_the_client_is_told() -> None:
    script = offered()
    for number in range(1, limits.OFFERS_MAX):
        script >> nobody() << f"withdraw {number - 1} void" << "reoffer, gateway_no_dispatcher"
        script >> offer() << f"lane <- OPEN {number} b'hello', 600 s left, answer wanted"
    script >> nobody() << "withdraw 7 void" << "settle, nothing" << "abort, gateway_no_dispatcher"
    script.done()


# --- waiting for room ------------------------------------------------------------------------------------------


def waiting() -> EdgeScript:
    return offered() >> busy("d1") << "reoffer, gateway_busy, full" >> wait() << "wait"


def test_after_eight_offers_that_found_no_room_a_job_waits() -> None:
    script = offered()
    for number in range(1, limits.OFFERS_MAX):
        script >> busy(f"d{number}", offer_no=number - 1) << "reoffer, gateway_busy, full"
        script >> offer() << f"lane <- OPEN {number} b'hello', 600 s left, answer wanted"
    script >> busy("d8", offer_no=7) << "wait"
    script.done()
    # It begins anew from there, and may be offered as often again.
    assert script.job.tried == set()
    script >> offer("d1") << "d1 <- OPEN 8 b'hello', 600 s left, answer wanted"
    script >> busy("d1", offer_no=8) << "reoffer, gateway_busy, full" >> wait() << "wait"
    script >> offer("d2") << "d2 <- OPEN 9 b'hello', 600 s left, answer wanted"
    script >> whole(0, b"{}", offer_no=9) << "start 200" << "write b'{}'" << "settle, usage 7" << "finish"
    script.done()


def test_a_job_may_wait_before_its_first_offer() -> None:
    script = EdgeScript() >> wait() << "wait"
    script >> at(1.0) >> at(5.0)  # nothing is expected of anybody
    script >> offer("d1") << "d1 <- OPEN 0 b'hello', 595 s left, answer wanted"
    script >> accepted() >> at(5.9) >> head(1, b"ab") << "start 200" << "write b'ab'"
    script.done()


def test_one_that_is_full_is_remembered_when_another_one_is_silent() -> None:
    script = offered() >> busy("d1") << "reoffer, gateway_busy, full"
    script >> offer("d2") << "d2 <- OPEN 1 b'hello', 600 s left, answer wanted"
    script >> at(1.0) << "withdraw 1 void" << "reoffer, gateway_busy, full" >> wait() << "wait"
    script >> offer("d2") << "d2 <- OPEN 2 b'hello', 599 s left, answer wanted"
    script >> at(2.99) >> at(3.0) << "withdraw 2 void" << "reoffer, gateway_busy"
    script.done()


def test_while_a_job_waits_nothing_is_heard_or_asked() -> None:
    script = waiting()
    for step in (head(0, b"x"), accepted(), nobody(), lost("d1"), busy("d1"), drained(9), body_credit(99, 1)):
        script >> step
    script.done()
    assert script.job.state is EdgeState.WAITING


def test_a_client_leaves_while_its_job_waits() -> None:
    script = waiting() >> gone() << "settle, nothing" << "forget"
    script.done()
    assert script.job.state is EdgeState.ENDED


def test_a_job_that_waited_long_enough_is_nobodys_to_withdraw() -> None:
    script = waiting() >> give_up() << "settle, nothing" << "abort, gateway_shutting_down" >> gone() >> at(9e9)
    script.done()


def test_the_deadline_counts_the_wait() -> None:
    script = EdgeScript(deadline_s=10.0) >> wait() << "wait" >> at(15.0)
    script >> at(15.1) << "settle, nothing" << "abort, upstream_timeout"
    script.done()


def test_only_an_offered_job_may_begin_to_wait() -> None:
    for script in (waiting(), taken(), answering()):
        with pytest.raises(IllegalInputError, match=f"wait in state {script.job.state.value}"):
            script >> wait()


def test_a_dispatcher_lost_before_the_first_byte() -> None:
    script = taken() >> lost("d9") >> lost("d1") << "d1 <- CANCEL 0 void" << "reoffer, gateway_dispatcher_lost"
    script.done()
    # Nobody listens just now: it may be about to reconnect. Its beats decide.
    script = taken() >> nobody()
    script.done()
    assert not script.job.tried


def test_a_dispatcher_lost_after_the_first_byte() -> None:
    script = answering() >> lost("d1") << "d1 <- CANCEL 0" << "abort, gateway_dispatcher_lost" << "settle, lost"
    script.done()
    script = answering() >> nobody()
    script.done()


def test_the_deadline_is_the_dispatchers_first_and_then_ours() -> None:
    script = EdgeScript(deadline_s=10.0) >> offer() << "lane <- OPEN 0 b'hello', 10 s left, answer wanted"
    script >> accepted() >> at(4.0) >> data(1, b"") >> at(8.0) >> data(2, b"") >> at(12.0) >> data(3, b"") >> at(15.0)
    script >> at(15.1) << "d1 <- CANCEL 0 void" << "settle, nothing" << "abort, upstream_timeout"
    script.done()


def test_later_offers_are_told_what_is_left_of_the_deadline() -> None:
    script = offered() >> at(1.0) << "withdraw 0 void" << "reoffer, gateway_busy"
    script.now = 700.0
    script >> offer("d2") << "d2 <- OPEN 1 b'hello', 0 s left, answer wanted"
    script.done()
