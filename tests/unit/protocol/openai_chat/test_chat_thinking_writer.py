"""A wish for thinking in the field that a vendor has for it."""

from typing import Any

import pytest

from trunkline.protocol.fidelity import Crossing
from trunkline.protocol.model import Effort, Thinking
from trunkline.protocol.names import ANTHROPIC, OPENAI_CHAT
from trunkline.protocol.openai_chat.thinking_writer import write_thinking
from trunkline.protocol.vendor import ThinkingField, VendorOptions

DEGRADED = "degraded=reasoning_effort"
LEVELS = (Effort.LOW, Effort.HIGH, Effort.MAX)


def written(thinking: Thinking, **options: Any) -> tuple[dict[str, object], str]:
    crossing = Crossing(ANTHROPIC, OPENAI_CHAT)
    body: dict[str, object] = {}
    write_thinking(body, thinking, crossing, VendorOptions(**options))
    return body, crossing.header()


@pytest.mark.parametrize("field", ThinkingField)
def test_who_wishes_nothing_says_nothing(field: ThinkingField) -> None:
    assert written(Thinking(), thinking_field=field) == ({}, "")


@pytest.mark.parametrize(
    ("thinking", "level", "header"),
    [
        (Thinking(Effort.LOW), "low", ""),
        (Thinking(Effort.MEDIUM), "low", DEGRADED),
        (Thinking(Effort.XHIGH), "high", DEGRADED),
        (Thinking(Effort.MINIMAL), "low", DEGRADED),
        # It cannot be turned off.
        (Thinking(Effort.NONE), "low", DEGRADED),
        (Thinking(budget=20_000), "high", DEGRADED),
    ],
)
def test_a_level_that_is_not_known_is_the_nearest_below(thinking: Thinking, level: str, header: str) -> None:
    # In whichever order they are configured.
    for levels in (LEVELS, LEVELS[::-1]):
        assert written(thinking, efforts=levels) == ({"reasoning_effort": level}, header)


def test_none_is_a_level_only_for_who_asks_for_it() -> None:
    levels = (Effort.NONE, Effort.HIGH)
    assert written(Thinking(Effort.NONE), efforts=levels)[0] == {"reasoning_effort": "none"}
    assert written(Thinking(Effort.LOW), efforts=levels)[0] == {"reasoning_effort": "high"}
    assert written(Thinking(Effort.LOW), efforts=(Effort.NONE,))[0] == {"reasoning_effort": "none"}


@pytest.mark.parametrize(
    ("thinking", "switch", "level", "header"),
    [
        (Thinking(Effort.MAX), "enabled", "max", ""),
        (Thinking(budget=2048), "enabled", "low", DEGRADED),
        (Thinking(adaptive=True), "enabled", None, ""),
        (Thinking(budget=-1), "enabled", None, ""),
        (Thinking(Effort.NONE), "disabled", None, ""),
        (Thinking(budget=0), "disabled", None, ""),
    ],
)
def test_a_switch_with_levels_beside_it(thinking: Thinking, switch: str, level: str | None, header: str) -> None:
    body: dict[str, object] = {"thinking": {"type": switch}}
    options = {"thinking_field": ThinkingField.THINKING, "efforts": LEVELS}
    assert written(thinking, **options) == (body if level is None else {**body, "reasoning_effort": level}, header)


@pytest.mark.parametrize("field", [ThinkingField.THINKING, ThinkingField.TEMPLATE])
def test_a_switch_alone_does_not_say_how_much(field: ThinkingField) -> None:
    on = {
        ThinkingField.THINKING: {"thinking": {"type": "enabled"}},
        ThinkingField.TEMPLATE: {"chat_template_kwargs": {"enable_thinking": True}},
    }
    assert written(Thinking(Effort.HIGH), thinking_field=field) == (on[field], DEGRADED)
    assert written(Thinking(budget=2048), thinking_field=field) == (on[field], DEGRADED)
    assert written(Thinking(adaptive=True), thinking_field=field) == (on[field], "")
    assert written(Thinking(Effort.NONE), thinking_field=field)[1] == ""


@pytest.mark.parametrize(
    ("thinking", "body", "header"),
    [
        (Thinking(budget=2048), {"enable_thinking": True, "thinking_budget": 2048}, ""),
        (Thinking(Effort.MEDIUM), {"enable_thinking": True, "thinking_budget": 8192}, DEGRADED),
        (Thinking(Effort.MAX), {"enable_thinking": True}, DEGRADED),
        (Thinking(adaptive=True), {"enable_thinking": True}, ""),
        (Thinking(Effort.NONE), {"enable_thinking": False}, ""),
    ],
)
def test_a_switch_with_a_budget(thinking: Thinking, body: dict[str, object], header: str) -> None:
    assert written(thinking, thinking_field=ThinkingField.ENABLE) == (body, header)


@pytest.mark.parametrize(
    ("thinking", "body"),
    [
        (Thinking(Effort.HIGH), {"effort": "high"}),
        (Thinking(budget=2048), {"max_tokens": 2048}),
        (Thinking(Effort.LOW, budget=2048), {"effort": "low"}),
        (Thinking(adaptive=True), {"enabled": True}),
        (Thinking(Effort.NONE), {"enabled": False}),
        (Thinking(Effort.HIGH, show=False), {"effort": "high", "exclude": True}),
        (Thinking(Effort.HIGH, show=True), {"effort": "high"}),
        (Thinking(show=False), {"exclude": True}),
    ],
)
def test_an_object_says_all_of_it(thinking: Thinking, body: dict[str, object]) -> None:
    assert written(thinking, thinking_field=ThinkingField.REASONING) == ({"reasoning": body}, "")


def test_elsewhere_there_is_no_word_for_showing_it() -> None:
    for field in set(ThinkingField) - {ThinkingField.REASONING}:
        assert written(Thinking(show=True), thinking_field=field) == ({}, "dropped=reasoning_summary")
