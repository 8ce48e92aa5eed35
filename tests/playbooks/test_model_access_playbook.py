"""Courses of events for the models of a channel: what is denied when, and what is refused then."""

import dataclasses

import pytest

from trunkline.bus.snapshots import ChannelSnapshot, ModelAccess, SealedCredential
from trunkline.policy.model_access import (
    LIFT_S,
    RECHECK_S_MAX,
    RECHECK_S_MIN,
    ModelRefusals,
    closed_models,
    unchanged_models,
)


@dataclasses.dataclass
class Playbook:
    """Feeds the record of one channel; each step says which models are refused after it, if that changes."""

    refusals: ModelRefusals = dataclasses.field(default_factory=lambda: ModelRefusals((), 0.0))

    def denied(self, at: float, model: str, out: tuple[str, ...] | None = None) -> "Playbook":
        return self._check(self.refusals.receive_denial(model, at), out)

    def answers(self, model: str, out: tuple[str, ...] | None = None) -> "Playbook":
        return self._check(self.refusals.receive_success(model), out)

    def tick(self, at: float, out: tuple[str, ...] | None = None) -> "Playbook":
        return self._check(self.refusals.tick(at), out)

    def asks(self, at: float, model: str | None) -> "Playbook":
        assert self.refusals.due(at) == model
        return self

    def refuse(self, at: float, model: str) -> "Playbook":
        return self.denied(at, model).denied(at, model).denied(at, model, (model,))

    def _check(self, changed: bool, out: tuple[str, ...] | None) -> "Playbook":
        assert changed is (out is not None)
        if out is not None:
            assert self.refusals.refused == out
        return self


def test_three_denials_with_no_success_between_refuse_a_model() -> None:
    play = Playbook().denied(0.0, "m").denied(1.0, "m").answers("m").denied(2.0, "m").denied(3.0, "m")
    play.denied(4.0, "n").denied(5.0, "m", ("m",)).denied(6.0, "m")
    play.denied(7.0, "n").denied(8.0, "n", ("m", "n"))


def test_a_success_ends_it_and_three_more_denials_begin_it_again() -> None:
    play = Playbook().refuse(0.0, "m").answers("m", ()).answers("m")
    play.denied(1.0, "m").denied(1.0, "m").denied(1.0, "m", ("m",))


def test_it_is_asked_for_ever_more_seldom() -> None:
    play, now, wait_s = Playbook().refuse(0.0, "m"), 0.0, RECHECK_S_MIN
    for _ in range(6):
        play.asks(now + wait_s - 0.1, None).asks(now + wait_s, "m").asks(now + wait_s, None)
        now += wait_s
        wait_s = min(wait_s * 2, RECHECK_S_MAX)
    assert wait_s == RECHECK_S_MAX


def test_nobody_asks_for_what_is_only_suspected() -> None:
    Playbook().denied(0.0, "m").denied(0.0, "m").asks(10 * RECHECK_S_MAX, None)


def test_after_an_hour_one_attempt_decides() -> None:
    play = Playbook().refuse(0.0, "m").tick(LIFT_S - 0.1).tick(LIFT_S, ()).tick(LIFT_S + 1)
    play.denied(LIFT_S + 2, "m", ("m",)).tick(LIFT_S + 3).tick(2 * LIFT_S + 2, ()).answers("m")


def test_a_successor_takes_up_what_was_published_and_asks_for_it() -> None:
    play = Playbook(ModelRefusals(("m", "n"), 100.0))
    assert play.refusals.refused == ("m", "n")
    play.asks(100.0 + RECHECK_S_MIN, "m").asks(100.0 + RECHECK_S_MIN, "n").asks(100.0 + RECHECK_S_MIN, None)


def test_models_that_go_are_forgotten() -> None:
    refusals = Playbook().refuse(0.0, "m").denied(0.0, "n").denied(0.0, "n").refusals
    assert refusals.keep({"n", "m"}) is False
    assert refusals.keep({"n"}) is True
    assert refusals.refused == ()
    assert refusals.receive_denial("n", 1.0) is True


def channel(number: int = 1, groups: tuple[str, ...] = ("default",), models: str = "m") -> ChannelSnapshot:
    return ChannelSnapshot(
        number, str(number), "openai", "http://test", (), {model: model for model in models.split()}, groups
    )


@pytest.mark.parametrize(
    ("after", "kept"),
    [
        ({}, {"m", "n"}),
        ({"name": "other", "priority": 3}, {"m", "n"}),
        ({"models": {"m": "m2", "n": "n", "o": "o"}}, {"n"}),
        ({"credentials": (SealedCredential(1, 1, b"nonce", b"sealed"),)}, set()),
        ({"base_url": "http://elsewhere"}, set()),
    ],
)
def test_what_holds_after_a_change(after: dict[str, object], kept: set[str]) -> None:
    before = ChannelSnapshot(1, "c", "openai", "http://test", (), {"m": "m", "n": "n"})
    changed = ChannelSnapshot(
        **({"id": 1, "name": "c", "dialect": "openai", "base_url": "http://test"} | after),  # type: ignore[arg-type] - fields by name
        **{name: value for name, value in {"credentials": (), "models": before.models}.items() if name not in after},  # type: ignore[arg-type] - as above
    )
    assert set(unchanged_models(before, changed)) == kept


def test_a_model_is_closed_to_the_groups_of_which_every_channel_refuses_it() -> None:
    channels = [
        (channel(1, ("a", "b"), "m n"), ("m",)),
        (channel(2, ("b", "c"), "m"), ("m",)),
        (channel(3, ("c", "d"), "m n"), ()),
    ]
    assert closed_models(channels) == {"m": ModelAccess("m", ("a", "b"))}


def test_a_model_that_another_channel_serves_is_closed_to_nobody() -> None:
    assert closed_models([(channel(1), ("m",)), (channel(2), ())]) == {}
    assert closed_models([(channel(1), ()), (channel(2), ())]) == {}
    assert closed_models([(channel(1), ("m",)), (channel(2, models="n"), ())]) == {"m": ModelAccess("m", ("default",))}
