"""Writes how much a model is to think (DIALECTS section 2.5). Called by the request's writer."""

import msgspec

from trunkline.protocol.anthropic.models_table import ModelTraits, ThinkingStyle
from trunkline.protocol.fidelity import Crossing, Feature
from trunkline.protocol.model import Effort, Thinking
from trunkline.protocol.names import ANTHROPIC

BUDGET_MIN = 1024
"""Anthropic refuses less."""

_BUDGETS = {
    Effort.MINIMAL: 1024,
    Effort.LOW: 2048,
    Effort.MEDIUM: 8192,
    Effort.HIGH: 16_384,
    Effort.XHIGH: 32_768,
}
_EFFORT_OF_OPEN = Effort.HIGH
"""How much a model thinks that decides by itself, where it cannot be told to."""

_LEVELS = list(Effort)


class ThinkingPlan(msgspec.Struct, frozen=True):
    """What is written.

    Attributes:
        config: ``thinking``; None for nothing.
        effort: ``output_config.effort``; None for nothing.
    """

    config: dict[str, object] | None = None
    effort: Effort | None = None

    @property
    def on(self) -> bool:
        """Whether the model is told to think, and takes no temperature then."""
        return self.config is not None and self.config["type"] != "disabled"

    @property
    def manual(self) -> bool:
        """Whether it is told how long, and takes no demand for a call then."""
        return self.config is not None and self.config["type"] == "enabled"


def plan_thinking(
    wish: Thinking, crossing: Crossing, traits: ModelTraits, max_tokens: int, *, budget_barred: bool
) -> ThinkingPlan:
    """Return how a model is told what the client wishes.

    Args:
        wish: of the client.
        crossing: told of what is lost.
        traits: of the model.
        max_tokens: as written; thinking counts towards it.
        budget_barred: thinking by a budget is impossible here: the history's last calls have no proof, or a call is
            demanded that must be.
    """
    if wish.effort is None and wish.budget is None and not wish.adaptive:
        shown = wish.show is not None and traits.thinks_unasked
        return ThinkingPlan(_adaptive(wish)) if shown else ThinkingPlan()
    if wish.effort is Effort.NONE or wish.budget == 0:
        return _off(crossing, traits)
    if traits.thinking is ThinkingStyle.NONE:
        crossing.lose(Feature.EFFORT)
        return ThinkingPlan()
    by_budget = traits.thinking is ThinkingStyle.BUDGET or (
        traits.thinking is ThinkingStyle.BOTH and wish.effort is None and (wish.budget or 0) > 0
    )
    if by_budget and not budget_barred:
        return _by_budget(wish, crossing, traits, max_tokens)
    if traits.thinking is ThinkingStyle.BUDGET:
        crossing.lose(Feature.EFFORT)
        return ThinkingPlan()
    return _by_level(wish, crossing, traits)


def _off(crossing: Crossing, traits: ModelTraits) -> ThinkingPlan:
    if traits.thinking is ThinkingStyle.NONE:
        return ThinkingPlan()
    if traits.can_stop_thinking:
        return ThinkingPlan({"type": "disabled"})
    crossing.lose(Feature.EFFORT)
    return ThinkingPlan(effort=traits.efforts[0])


def _by_budget(wish: Thinking, crossing: Crossing, traits: ModelTraits, max_tokens: int) -> ThinkingPlan:
    if max_tokens <= BUDGET_MIN:
        # There is no room for the shortest thinking.
        crossing.lose(Feature.EFFORT)
        return ThinkingPlan()
    if wish.budget is not None and wish.budget > 0:
        budget = min(max(wish.budget, BUDGET_MIN), max_tokens - 1)
        if budget != wish.budget:
            crossing.lose(Feature.EFFORT)
    else:
        crossing.lose(Feature.EFFORT)
        level = _BUDGETS.get(wish.effort or _EFFORT_OF_OPEN, traits.max_output)
        # A bound that the client chose is to hold an answer, too.
        budget = max(min(level, max_tokens * 3 // 4), BUDGET_MIN)
    config: dict[str, object] = {"type": "enabled", "budget_tokens": budget}
    if wish.show is False:
        config["display"] = "omitted"
    return ThinkingPlan(config)


def _by_level(wish: Thinking, crossing: Crossing, traits: ModelTraits) -> ThinkingPlan:
    wanted = wish.effort
    if wanted is None and wish.budget is not None and wish.budget > 0:
        crossing.lose(Feature.EFFORT)
        wanted = _level_of(wish.budget)
    effort = None if wanted is None else _nearest(wanted, traits.efforts)
    if effort is not wanted:
        crossing.lose(Feature.EFFORT)
    if crossing.client == ANTHROPIC and not wish.adaptive and wish.budget is None:
        # To its own clients a level says how much to write, and nothing about thinking.
        return ThinkingPlan(effort=effort)
    return ThinkingPlan(_adaptive(wish), effort)


def _adaptive(wish: Thinking) -> dict[str, object]:
    config: dict[str, object] = {"type": "adaptive"}
    if wish.show is not None:
        config["display"] = "summarized" if wish.show else "omitted"
    return config


def _level_of(budget: int) -> Effort:
    if budget <= 1024:
        return Effort.LOW
    if budget <= 8192:
        return Effort.MEDIUM
    return Effort.HIGH if budget <= 24_576 else Effort.XHIGH


def _nearest(wanted: Effort, known: tuple[Effort, ...]) -> Effort:
    """Return the highest level that is not above the wanted one, or the lowest that there is."""
    rank = _LEVELS.index(wanted)
    return max((level for level in known if _LEVELS.index(level) <= rank), key=_LEVELS.index, default=known[0])
