"""How a wish for thinking is written for each family of models."""

import pytest

from trunkline.protocol.fidelity import Crossing
from trunkline.protocol.gemini.request_wire import ThinkingConfig
from trunkline.protocol.gemini.thinking import facts_of, written_thinking
from trunkline.protocol.model import Effort, Thinking
from trunkline.protocol.names import GEMINI, OPENAI_CHAT

E = Effort


def write(model: str, thinking: Thinking, max_output: int | None = None) -> tuple[ThinkingConfig | None, bool]:
    crossing = Crossing(OPENAI_CHAT, GEMINI)
    config = written_thinking(thinking, facts_of(model), max_output, crossing)
    return config, crossing.header() == "degraded=reasoning_effort"


@pytest.mark.parametrize(
    ("model", "thinking", "level", "degraded"),
    [
        ("gemini-3-flash", Thinking(E.MINIMAL), "MINIMAL", False),
        ("gemini-3-flash-preview", Thinking(E.MEDIUM), "MEDIUM", False),
        ("models/gemini-3-pro", Thinking(E.HIGH), "HIGH", False),
        ("gemini-3-pro", Thinking(E.MEDIUM), "LOW", True),
        ("gemini-3-pro", Thinking(E.NONE), "LOW", True),
        ("gemini-3-pro", Thinking(E.MAX), "HIGH", True),
        ("gemini-4-ultra", Thinking(E.MINIMAL), "LOW", True),
        ("gemini-flash-latest", Thinking(E.MEDIUM), "MEDIUM", False),
        ("gemini-3-flash", Thinking(budget=1024), "LOW", True),
        ("gemini-3-flash", Thinking(budget=8192), "MEDIUM", True),
        ("gemini-3-flash", Thinking(budget=24577), "HIGH", True),
        ("gemini-3-flash", Thinking(budget=0), "MINIMAL", True),
    ],
)
def test_models_with_levels_get_a_level_and_never_a_budget(
    model: str, thinking: Thinking, level: str, degraded: bool
) -> None:
    assert write(model, thinking) == (ThinkingConfig(thinking_level=level), degraded)


@pytest.mark.parametrize(
    ("model", "thinking", "max_output", "budget", "degraded"),
    [
        ("gemini-2.5-flash", Thinking(budget=5000), None, 5000, False),
        ("gemini-2.5-flash", Thinking(budget=-1), None, -1, False),
        ("gemini-2.5-flash", Thinking(E.NONE), None, 0, False),
        ("gemini-2.5-flash", Thinking(budget=0), None, 0, False),
        ("gemini-2.5-flash", Thinking(E.MINIMAL), None, 1024, True),
        ("gemini-2.5-flash", Thinking(E.LOW), None, 2048, True),
        ("gemini-2.5-flash", Thinking(E.MEDIUM), None, 8192, True),
        ("gemini-2.5-flash", Thinking(E.HIGH), None, 16384, True),
        ("gemini-2.5-flash", Thinking(E.XHIGH), None, 24576, True),
        ("gemini-2.5-pro", Thinking(E.MAX), None, 32768, True),
        ("gemini-2.5-pro", Thinking(E.NONE), None, 128, True),
        ("gemini-2.5-pro", Thinking(budget=1), None, 128, True),
        ("gemini-2.5-flash-lite", Thinking(budget=100), None, 512, True),
        ("gemini-2.5-pro", Thinking(budget=9000), 4000, 3999, True),
        ("gemini-2.5-pro", Thinking(E.HIGH), 20000, 16384, True),
    ],
)
def test_models_with_budgets_get_a_budget_within_their_bounds(
    model: str, thinking: Thinking, max_output: int | None, budget: int, degraded: bool
) -> None:
    assert write(model, thinking, max_output) == (ThinkingConfig(thinking_budget=budget), degraded)


@pytest.mark.parametrize("model", ["gemini-3-pro", "gemini-2.5-flash"])
def test_a_model_that_may_decide_is_told_nothing(model: str) -> None:
    assert write(model, Thinking()) == (None, False)
    assert write(model, Thinking(adaptive=True)) == (None, False)
    assert write(model, Thinking(show=True)) == (ThinkingConfig(include_thoughts=True), False)
    assert write(model, Thinking(show=False)) == (ThinkingConfig(include_thoughts=False), False)


def test_no_level_is_written_for_a_wish_that_leaves_it_open() -> None:
    assert write("gemini-3-pro", Thinking(budget=-1)) == (None, False)


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemini-1.5-pro", "gemma-3", "gemini-2.5-flash-image"])
def test_a_model_that_does_not_think_is_not_asked_to(model: str) -> None:
    assert write(model, Thinking(show=True)) == (None, False)
    assert write(model, Thinking(E.NONE)) == (None, False)
    assert write(model, Thinking(budget=0)) == (None, False)
    assert write(model, Thinking(E.LOW)) == (None, True)
    assert write(model, Thinking(budget=5)) == (None, True)
    assert write(model, Thinking(adaptive=True)) == (None, True)
