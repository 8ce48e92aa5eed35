"""What health makes of outcomes and probes, channel by channel."""

import pytest

from services.health.judge import Judge
from trunkline.bus.messages import AttemptOutcome, HealthSample, OutcomeBatch
from trunkline.bus.snapshots import ChannelSnapshot, ChannelState
from trunkline.core.errors import ErrorType
from trunkline.policy import breaker


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


def batch(channel: int, *errors: ErrorType | None, first_token_ms: int = 0) -> OutcomeBatch:
    return OutcomeBatch(
        "dispatcher-1",
        tuple(AttemptOutcome(channel, 1, "m", error, 200, first_token_ms, 0, 10) for error in errors),
    )


class Judged:
    """A judge and the channels whose verdicts it called out."""

    def __init__(self, published: dict[int, ChannelState] | None = None) -> None:
        self.called: list[int] = []
        self.judge = Judge(published or {}, self.called.append)

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
    judged.judge.receive_outcomes(batch(1, None, ErrorType.UPSTREAM_CUT, ErrorType.CLIENT_GONE), 1.0)
    judged.judge.receive_outcomes(batch(1, ErrorType.UPSTREAM_RATE_LIMITED), 1.0)
    judged.judge.receive_probe(1, passed=True, now=1.0)
    judged.judge.receive_probe(1, passed=False, now=1.0)
    assert judged.judge.samples(10_000) == [HealthSample(1, "", 10_000, "serving", 1.0, 5, 2, 150)]
    assert judged.judge.samples(20_000) == [HealthSample(1, "", 20_000, "serving", 1.0, 0, 0, 0)]


def test_standings_name_the_channels() -> None:
    judged = Judged()
    judged.judge.put(make_channel(1), 0.0)
    judged.judge.receive_outcomes(batch(1, *DYING), 1.0)
    assert [(name, verdict.weight, ejections) for name, verdict, ejections in judged.judge.standings()] == [
        ("channel-1", 0.0, 1)
    ]
