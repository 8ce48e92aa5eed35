"""What health makes of outcomes: how soon and how fast a channel's models answer."""

import pytest

from trunkline.bus.messages import AttemptOutcome
from trunkline.bus.snapshots import ModelFigures
from trunkline.policy.health_figures import HALF_LIFE_S, MODELS_MAX, ChannelFigures


def outcome(
    model: str = "m", first_token_ms: int = 200, tokens: int = 101, duration_ms: int = 2200, *, stream: bool = True
) -> AttemptOutcome:
    return AttemptOutcome(1, 1, model, None, 200, first_token_ms, tokens, duration_ms, stream=stream)


def test_a_stream_has_both_figures() -> None:
    figures = ChannelFigures()
    figures.receive(outcome(), 0.0)
    assert figures.figures(0.0) == {"m": ModelFigures(200, 50)}


def test_what_is_older_than_a_half_life_counts_half() -> None:
    figures = ChannelFigures()
    figures.receive(outcome(first_token_ms=300, duration_ms=1300, tokens=101), 0.0)
    figures.receive(outcome(first_token_ms=600, duration_ms=1600, tokens=201), HALF_LIFE_S)
    assert figures.figures(HALF_LIFE_S) == {"m": ModelFigures(500, 167)}


@pytest.mark.parametrize("silent", [outcome(stream=False), outcome(first_token_ms=0)])
def test_whole_answers_and_streams_without_output_say_nothing(silent: AttemptOutcome) -> None:
    figures = ChannelFigures()
    figures.receive(silent, 0.0)
    assert figures.figures(0.0) == {}


@pytest.mark.parametrize("short", [outcome(tokens=1), outcome(duration_ms=200), outcome(duration_ms=249)])
def test_one_token_and_a_stream_that_came_at_once_have_no_speed(short: AttemptOutcome) -> None:
    figures = ChannelFigures()
    figures.receive(short, 0.0)
    assert figures.figures(0.0) == {"m": ModelFigures(200, 0)}


def test_a_model_that_nobody_asks_becomes_unknown() -> None:
    figures = ChannelFigures()
    figures.receive(outcome(), 0.0)
    assert figures.figures(2 * HALF_LIFE_S) == {"m": ModelFigures(200, 50)}
    assert figures.figures(2 * HALF_LIFE_S + 1) == {}


def test_those_used_last_are_kept() -> None:
    figures = ChannelFigures()
    for number in range(MODELS_MAX):
        figures.receive(outcome(f"m{number}"), 0.0)
    figures.receive(outcome("m0"), 0.0)
    figures.receive(outcome("new"), 0.0)
    found = figures.figures(0.0)
    assert len(found) == MODELS_MAX
    assert ("m0" in found, "m1" in found, "new" in found) == (True, False, True)
