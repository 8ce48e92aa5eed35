"""What health makes of outcomes and probes, channel by channel."""

import msgspec
import pytest

from services.health.judge import SPARED, Judge
from services.health.watched import MODELS_COUNTED_MAX
from trunkline.bus.messages import AttemptOutcome, HealthSample, OutcomeBatch
from trunkline.bus.snapshots import ChannelSnapshot, ChannelState, ChannelWeight, ModelAccess
from trunkline.core.errors import ErrorType
from trunkline.policy import breaker
from trunkline.policy.model_access import RECHECK_S_MIN


def make_channel(number: int, base_url: str = "http://one.test", *, enabled: bool = True) -> ChannelSnapshot:
    return ChannelSnapshot(
        id=number,
        name=f"channel-{number}",
        dialect="openai",
        base_url=base_url,
        credentials=(),
        models={"m": "m"},
        enabled=enabled,
    )


def batch(channel: int, *errors: ErrorType | None, first_token_ms: int = 0, stream: bool = True) -> OutcomeBatch:
    return OutcomeBatch(
        "dispatcher-1",
        tuple(AttemptOutcome(channel, 1, "m", error, 200, first_token_ms, 0, 10, stream=stream) for error in errors),
    )


class Judged:
    """A judge and the channels whose verdicts it called out."""

    def __init__(self, published: dict[int, ChannelState] | None = None) -> None:
        self.called: list[int] = []
        weights = {number: ChannelWeight(number, state, 0.0, 5) for number, state in (published or {}).items()}
        self.judge = Judge(weights, self.called.append)

    def state(self, channel: int) -> ChannelState | None:
        verdict = self.judge.verdict(channel)
        return None if verdict is None else verdict.state


DYING = [ErrorType.UPSTREAM_UNREACHABLE] * breaker.FAST_VOLUME_MIN


def test_each_channel_has_its_own_breaker() -> None:
    judged = Judged()
    for number in (1, 2):
        judged.judge.put(make_channel(number), 0.0)
    judged.judge.receive_outcomes(batch(1, *DYING), 1.0)
    assert (judged.state(1), judged.state(2)) == (ChannelState.EJECTED, ChannelState.SERVING)
    assert judged.called == [1, 2, 1]
    judged.judge.tick(1.0 + breaker.EJECTION_S_MIN)
    assert judged.state(1) is ChannelState.PROBING
    assert judged.judge.suspect(1)
    assert not judged.judge.suspect(2)


def test_the_published_state_is_taken_up_once() -> None:
    judged = Judged({1: ChannelState.EJECTED, 2: ChannelState.EJECTED})
    judged.judge.put(make_channel(1), 0.0)
    assert judged.state(1) is ChannelState.EJECTED
    judged.judge.remove(1)
    judged.judge.put(make_channel(1), 0.0)
    assert judged.state(1) is ChannelState.SERVING
    judged.judge.remove(2)
    judged.judge.put(make_channel(2), 0.0)
    assert judged.state(2) is ChannelState.SERVING


def test_a_channel_that_moved_is_judged_anew_and_one_that_changed_otherwise_is_not() -> None:
    judged = Judged()
    judged.judge.put(make_channel(1), 0.0)
    judged.judge.receive_outcomes(batch(1, *DYING), 1.0)
    judged.judge.put(make_channel(1), 2.0)
    assert judged.state(1) is ChannelState.EJECTED
    judged.judge.put(make_channel(1, "http://two.test"), 3.0)
    assert judged.state(1) is ChannelState.SERVING
    assert judged.judge.channels()[0].base_url == "http://two.test"


@pytest.mark.parametrize("off", [True, False])
def test_a_channel_that_goes_or_is_off_is_not_judged(off: bool) -> None:
    judged = Judged()
    judged.judge.put(make_channel(1), 0.0)
    if off:
        judged.judge.put(make_channel(1, enabled=False), 1.0)
    else:
        judged.judge.remove(1)
    assert judged.state(1) is None
    assert judged.judge.channels() == []
    assert judged.called == [1, 1]
    judged.judge.receive_probe(1, passed=False, now=1.0)
    judged.judge.receive_outcomes(batch(1, None, None), 1.0)
    assert judged.judge.unknown_outcomes == 2
    assert not judged.judge.suspect(1)


def test_samples_count_attempts_and_probes_and_begin_anew() -> None:
    judged = Judged()
    judged.judge.put(make_channel(1), 0.0)
    judged.judge.receive_outcomes(batch(1, None, None, first_token_ms=100), 1.0)
    judged.judge.receive_outcomes(batch(1, None, first_token_ms=250), 1.0)
    judged.judge.receive_outcomes(batch(1, None, first_token_ms=9000, stream=False), 1.0)
    judged.judge.receive_outcomes(batch(1, None, ErrorType.UPSTREAM_CUT, ErrorType.CLIENT_GONE), 1.0)
    judged.judge.receive_outcomes(batch(1, ErrorType.UPSTREAM_RATE_LIMITED), 1.0)
    judged.judge.receive_probe(1, passed=True, now=1.0)
    judged.judge.receive_probe(1, passed=False, now=1.0)
    assert judged.judge.samples(10_000) == [
        HealthSample(1, "", 10_000, "serving", 1.0, 6, 2, 150, 3),
        HealthSample(1, "m", 10_000, "serving", 1.0, 5, 1, 150, 3),
    ]
    assert judged.judge.samples(20_000) == [HealthSample(1, "", 20_000, "serving", 1.0, 0, 0, 0)]


def test_standings_name_the_channels() -> None:
    judged = Judged()
    judged.judge.put(make_channel(1), 0.0)
    judged.judge.receive_outcomes(batch(1, *DYING), 1.0)
    (standing,) = judged.judge.standings()
    assert (standing.name, standing.verdict.weight, standing.ejections) == ("channel-1", 0.0, 1)
    assert (standing.spared, standing.refused) == (False, ())


def test_past_the_bound_attempts_count_for_their_channel_only() -> None:
    judged = Judged()
    models = [f"m{number}" for number in range(MODELS_COUNTED_MAX + 1)]
    judged.judge.put(msgspec.structs.replace(make_channel(1), models=dict.fromkeys(models, "m")), 0.0)
    outcomes = tuple(AttemptOutcome(1, 1, model, None, 200, 0, 0, 10) for model in models)
    judged.judge.receive_outcomes(OutcomeBatch("dispatcher-1", outcomes), 1.0)
    whole, *of_models = judged.judge.samples(10_000)
    assert whole.successes == MODELS_COUNTED_MAX + 1
    assert [sample.model for sample in of_models] == models[:-1]


# --- how many may be out ----------------------------------------------------------------------------------------------


def failing(*numbers: int) -> Judged:
    """Return a judge of channels whose attempts all fail, one channel after the other."""
    judged = Judged()
    for number in numbers:
        judged.judge.put(make_channel(number), 0.0)
    for number in numbers:
        judged.judge.receive_outcomes(batch(number, *DYING), float(number))
    return judged


def test_attempts_alone_never_eject_all_channels_of_a_model() -> None:
    judged = failing(1, 2, 3, 4)
    assert [judged.state(number) for number in (1, 2, 3, 4)] == [
        ChannelState.EJECTED,
        ChannelState.EJECTED,
        ChannelState.PROBING,
        ChannelState.PROBING,
    ]
    weight = judged.judge.weight(3, 9, 5.0)
    assert weight is not None
    assert (weight.weight, weight.reason) == (SPARED.weight, SPARED.reason)
    assert judged.judge.samples(10_000)[2].state == "probing"


def test_what_attempts_eject_is_probed_at_once_and_a_probe_that_fails_is_proof() -> None:
    judged = failing(1, 2)
    assert (judged.judge.suspect(1), judged.judge.suspect(2)) == (True, True)
    judged.judge.receive_probe(1, passed=False, now=2.4)
    judged.called.clear()
    judged.judge.receive_probe(2, passed=False, now=2.5)
    assert {judged.state(number) for number in (1, 2)} == {ChannelState.EJECTED}
    assert judged.called == [2]
    assert (judged.judge.suspect(1), judged.judge.suspect(2)) == (False, False)


def test_the_proof_against_one_is_none_against_another() -> None:
    judged = failing(1, 2)
    judged.judge.receive_probe(2, passed=False, now=2.5)
    assert (judged.state(1), judged.state(2)) == (ChannelState.PROBING, ChannelState.EJECTED)


def test_a_probe_that_passes_keeps_it_in_and_calms_the_schedule() -> None:
    judged = failing(1, 2)
    judged.judge.receive_probe(2, passed=True, now=2.5)
    assert judged.state(2) is ChannelState.PROBING
    assert not judged.judge.suspect(2)
    assert judged.judge.in_doubt(2)
    judged.judge.tick(2.0 + breaker.EJECTION_S_MIN)
    verdict = judged.judge.verdict(2)
    assert verdict is not None
    assert verdict.reason == "ejection is over"


def test_an_outage_of_all_ejects_all_once_probes_fail() -> None:
    judged = failing(1, 2, 3)
    for number in (1, 2, 3):
        judged.judge.receive_probe(number, passed=False, now=4.0)
    assert {judged.state(number) for number in (1, 2, 3)} == {ChannelState.EJECTED}


def test_one_that_was_kept_in_goes_when_the_others_serve_again() -> None:
    judged = failing(1, 2)
    judged.judge.tick(1.0 + breaker.EJECTION_S_MIN)
    assert (judged.state(1), judged.state(2)) == (ChannelState.PROBING, ChannelState.EJECTED)


def test_a_successor_keeps_out_what_was_out_although_it_has_no_proof_itself() -> None:
    judged = Judged({1: ChannelState.EJECTED, 2: ChannelState.EJECTED})
    for number in (1, 2):
        judged.judge.put(make_channel(number), 0.0)
    judged.judge.tick(0.1)
    assert {judged.state(number) for number in (1, 2)} == {ChannelState.EJECTED}
    judged.judge.receive_probe(2, passed=True, now=0.2)
    assert judged.state(2) is ChannelState.PROBING


def test_a_channel_that_is_drained_is_judged_and_is_no_help_to_others() -> None:
    judged = failing(1, 2)
    judged.judge.put(msgspec.structs.replace(make_channel(1), drained=True), 3.0)
    judged.judge.tick(3.1)
    assert {judged.state(number) for number in (1, 2)} == {ChannelState.EJECTED}


# --- models -----------------------------------------------------------------------------------------------------------


def denials(channel: int, count: int, model: str = "m") -> OutcomeBatch:
    outcome = AttemptOutcome(channel, 1, model, ErrorType.UPSTREAM_ERROR, 404, 0, 0, 10, denied=True)
    return OutcomeBatch("dispatcher-1", (outcome,) * count)


def test_denials_refuse_a_model_and_say_nothing_against_the_channel() -> None:
    judged = Judged()
    judged.judge.put(make_channel(1), 0.0)
    judged.called.clear()
    judged.judge.receive_outcomes(denials(1, 50), 1.0)
    assert judged.called == [1]
    assert judged.state(1) is ChannelState.SERVING
    assert judged.judge.refused(1) == ("m",)
    assert judged.judge.closed() == {"m": ModelAccess("m", ("default",))}
    assert judged.judge.samples(10_000) == [
        HealthSample(1, "", 10_000, "serving", 1.0, 0, 0, 0),
        HealthSample(1, "m", 10_000, "serving", 1.0, 0, 50, 0),
    ]


def test_a_success_or_a_probe_opens_a_refused_model_again() -> None:
    judged = Judged()
    judged.judge.put(make_channel(1), 0.0)
    judged.judge.receive_outcomes(denials(1, 3), 1.0)
    judged.judge.receive_outcomes(batch(1, None), 2.0)
    assert judged.judge.refused(1) == ()
    judged.judge.receive_outcomes(denials(1, 3), 3.0)
    changes = judged.judge.access_changes
    judged.judge.receive_model(1, "m", allowed=True, now=4.0)
    assert (judged.judge.refused(1), judged.judge.closed()) == ((), {})
    assert judged.judge.access_changes == changes + 1


def test_what_the_channel_does_not_have_is_neither_refused_nor_counted() -> None:
    judged = Judged()
    judged.judge.put(make_channel(1), 0.0)
    judged.judge.receive_outcomes(denials(1, 9, "other"), 1.0)
    assert judged.judge.refused(1) == ()
    assert [sample.model for sample in judged.judge.samples(10_000)] == [""]


def test_a_refused_model_is_asked_for_once_when_its_time_has_come() -> None:
    judged = Judged()
    judged.judge.put(make_channel(1), 0.0)
    judged.judge.receive_outcomes(denials(1, 3), 1.0)
    assert judged.judge.due_model(1, 1.0 + RECHECK_S_MIN - 0.1) is None
    assert judged.judge.due_model(1, 1.0 + RECHECK_S_MIN) == "m"
    assert judged.judge.due_model(1, 1.0 + RECHECK_S_MIN) is None


def test_a_changed_channel_is_asked_anew() -> None:
    judged = Judged()
    judged.judge.put(make_channel(1), 0.0)
    judged.judge.receive_outcomes(denials(1, 3), 1.0)
    judged.judge.put(msgspec.structs.replace(make_channel(1), priority=5), 2.0)
    assert judged.judge.refused(1) == ("m",)
    judged.judge.put(msgspec.structs.replace(make_channel(1), models={"m": "m-2"}), 3.0)
    assert judged.judge.refused(1) == ()


def test_a_successor_takes_up_the_refused_models_that_are_still_there() -> None:
    calls: list[int] = []
    published = ChannelWeight(1, ChannelState.SERVING, 1.0, 5, refused=("gone", "m"))
    judge = Judge({1: published}, calls.append)
    judge.put(make_channel(1), 0.0)
    assert judge.refused(1) == ("m",)
