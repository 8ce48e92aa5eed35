"""Courses of events for a breaker: what comes in at which second, and which verdict it gives."""

import dataclasses

from trunkline.bus.snapshots import ChannelState
from trunkline.core.errors import ErrorType
from trunkline.policy import breaker
from trunkline.policy.breaker import Breaker, Verdict

SERVING, EJECTED, PROBING = ChannelState.SERVING, ChannelState.EJECTED, ChannelState.PROBING
ERROR = ErrorType.UPSTREAM_ERROR


@dataclasses.dataclass
class Playbook:
    """Feeds one breaker; each step says what must come out of it: a state and weight, or nothing."""

    machine: Breaker = dataclasses.field(default_factory=lambda: Breaker(0.0))

    def attempt(self, at: float, error: ErrorType | None, out: tuple[ChannelState, float] | None = None) -> "Playbook":
        return self._check(self.machine.receive_outcome(error, at), out)

    def probe(self, at: float, passed: bool, out: tuple[ChannelState, float] | None = None) -> "Playbook":
        return self._check(self.machine.receive_probe(passed=passed, now=at), out)

    def tick(self, at: float, out: tuple[ChannelState, float] | None = None) -> "Playbook":
        return self._check(self.machine.tick(at), out)

    def die(self, at: float) -> "Playbook":
        for _ in range(breaker.FAST_VOLUME_MIN - 1):
            self.attempt(at, ERROR)
        return self.attempt(at, ERROR, (EJECTED, 0.0))

    def _check(self, verdict: Verdict | None, out: tuple[ChannelState, float] | None) -> "Playbook":
        assert (None if verdict is None else (verdict.state, verdict.weight)) == out
        return self


def test_dies_waits_is_tried_and_climbs_back() -> None:
    play = Playbook().die(1.0)
    play.tick(5.9).tick(6.0, (PROBING, 0.1))
    for at in (6.1, 6.2, 6.3, 6.4):
        play.attempt(at, None)
    play.attempt(7.0, None, (SERVING, 0.1))
    play.tick(8.9).tick(9.0, (SERVING, 0.28)).tick(9.1)
    play.tick(11.0, (SERVING, 0.46)).tick(13.0, (SERVING, 0.64)).tick(15.0, (SERVING, 0.82))
    play.tick(17.0, (SERVING, 1.0)).tick(99.0)


def test_one_error_ejects_in_no_state_but_two_end_the_trial() -> None:
    play = Playbook().attempt(0.0, ERROR).attempt(0.5, None)
    play.die(5.0).tick(10.0, (PROBING, 0.1))
    play.attempt(10.1, ERROR).attempt(10.2, None).attempt(10.3, ERROR, (EJECTED, 0.0))


def test_ejections_grow_to_their_bound_and_shrink_after_a_calm_time() -> None:
    play = Playbook()
    now = 1.0
    play.die(now)
    for seconds in (5, 10, 15, 15):
        play.tick(now + seconds - 0.01).tick(now + seconds, (PROBING, 0.1))
        now += seconds
        play.attempt(now, ERROR).attempt(now, ERROR, (EJECTED, 0.0))
    assert play.machine.ejections == 5
    now += 300
    play.tick(now, (PROBING, 0.1))
    for _ in range(4):
        play.attempt(now, None)
    play.attempt(now, None, (SERVING, 0.1))
    now += breaker.CALM_S
    play.tick(now, (SERVING, 1.0)).die(now)
    play.tick(now + 4.99).tick(now + 5, (PROBING, 0.1))


def test_a_relapse_soon_after_serving_again_waits_longer() -> None:
    play = Playbook().die(0.0).tick(5.0, (PROBING, 0.1))
    for _ in range(4):
        play.attempt(5.0, None)
    play.attempt(5.0, None, (SERVING, 0.1)).die(6.0)
    play.tick(15.9).tick(16.0, (PROBING, 0.1))


def test_probes_eject_a_channel_without_traffic_and_hold_it_out_until_one_passes() -> None:
    play = Playbook().probe(1.0, True).probe(2.0, False)
    assert play.machine.suspect
    play.probe(3.0, False).probe(4.0, False, (EJECTED, 0.0))
    assert not play.machine.suspect
    play.tick(9.0).probe(9.5, False).tick(500.0)
    play.probe(501.0, True, (PROBING, 0.1))
    for second in range(9):
        play.probe(502.0 + second, True)
    play.probe(511.0, True, (SERVING, 0.1))


def test_successful_attempts_outweigh_failing_probes() -> None:
    play = Playbook()
    for second in range(60):
        play.probe(second + 0.5, False)
        if second % 2:
            play.attempt(second + 0.6, None)
    assert play.machine.state is SERVING


def test_failing_attempts_outweigh_passing_probes() -> None:
    play = Playbook()
    for second in range(9):
        play.probe(float(second), True)
    play.die(9.0).probe(9.1, True).tick(14.0, (PROBING, 0.1))
    play.probe(14.1, True).attempt(14.2, ERROR).probe(14.3, True).attempt(14.4, ERROR, (EJECTED, 0.0))


def test_probes_alone_end_a_trial_both_ways() -> None:
    play = Playbook().die(0.0).tick(5.0, (PROBING, 0.1))
    assert play.machine.suspect
    play.probe(6.0, False).probe(7.0, False).probe(8.0, False, (EJECTED, 0.0))


def test_late_news_changes_nothing_while_ejected() -> None:
    play = Playbook().die(0.0)
    for _ in range(50):
        play.attempt(1.0, None).attempt(1.0, ERROR)
    play.tick(4.9).tick(5.0, (PROBING, 0.1))


def test_old_failures_are_forgotten_when_it_serves_again() -> None:
    play = Playbook().die(0.0).tick(5.0, (PROBING, 0.1))
    for _ in range(4):
        play.attempt(5.0, None)
    play.attempt(5.0, None, (SERVING, 0.1)).attempt(5.1, ERROR).attempt(5.2, ERROR)
    assert play.machine.state is SERVING


def test_it_can_be_ejected_while_its_weight_climbs() -> None:
    play = Playbook().die(0.0).tick(5.0, (PROBING, 0.1))
    for _ in range(4):
        play.attempt(5.0, None)
    play.attempt(5.0, None, (SERVING, 0.1)).tick(7.0, (SERVING, 0.28)).die(7.5)


def test_only_a_probe_that_fails_is_proof_and_one_that_passes_takes_it_back() -> None:
    play = Playbook().die(1.0)
    assert (play.machine.proven, play.machine.since) == (False, 1.0)
    play.probe(1.5, False)
    assert play.machine.proven
    play.tick(6.0).probe(7.0, True, (PROBING, 0.1))
    assert (play.machine.proven, play.machine.since) == (False, 7.0)
