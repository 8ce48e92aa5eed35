"""What Gemini models know of thinking, as data, and how a wish for it is written (DIALECTS section 2.5)."""

from typing import NamedTuple

from trunkline.protocol.fidelity import Crossing, Feature
from trunkline.protocol.gemini.request_wire import ThinkingConfig
from trunkline.protocol.model import Effort, Thinking

_ORDER = tuple(Effort)

_BUDGETS = {
    Effort.MINIMAL: 1024,
    Effort.LOW: 2048,
    Effort.MEDIUM: 8192,
    Effort.HIGH: 16384,
    Effort.XHIGH: 32768,
}
"""Tokens for a level, where a model has only budgets; ``max`` is the model's own limit."""

_LEVEL_BOUNDS = ((0, Effort.NONE), (1024, Effort.LOW), (8192, Effort.MEDIUM), (24576, Effort.HIGH))
"""Levels for a budget, by its upper bound; what is above is ``xhigh``."""


class ModelFacts(NamedTuple):
    """What differs between families of models.

    Attributes:
        prefix: how the names of the family begin; the first row that fits counts.
        levels: of thinking, in rising order; empty where it is set by a budget, or not at all.
        budget: the smallest and the largest budget; None where it is set by a level, or not at all.
        can_rest: a budget of 0 turns thinking off.
        signed: a function call of the current turn must have a signature.
        result_media: pictures may stand in a function's result.
    """

    prefix: str
    levels: tuple[Effort, ...] = ()
    budget: tuple[int, int] | None = None
    can_rest: bool = False
    signed: bool = False
    result_media: bool = False

    @property
    def thinks(self) -> bool:
        """Whether it thinks at all."""
        return bool(self.levels) or self.budget is not None


_LOW_TO_HIGH = (Effort.LOW, Effort.MEDIUM, Effort.HIGH)

_FAMILIES = (
    ModelFacts("gemini-1"),
    ModelFacts("gemini-2.0"),
    ModelFacts("gemini-2.5-pro", budget=(128, 32768)),
    ModelFacts("gemini-2.5-flash-lite", budget=(512, 24576), can_rest=True),
    ModelFacts("gemini-2.5-flash-image"),
    ModelFacts("gemini-2.5", budget=(1, 24576), can_rest=True),
    ModelFacts("gemini-robotics-er-1.5", budget=(1, 24576), can_rest=True),
    ModelFacts("gemini-3-pro", levels=(Effort.LOW, Effort.HIGH), signed=True, result_media=True),
    ModelFacts("gemini-3-flash", levels=(Effort.MINIMAL, *_LOW_TO_HIGH), signed=True, result_media=True),
    # Later ones, and names such as gemini-pro-latest.
    ModelFacts("gemini-", levels=_LOW_TO_HIGH, signed=True, result_media=True),
)

_UNKNOWN = ModelFacts("")


def facts_of(model: str) -> ModelFacts:
    """Return what is known of a model.

    Args:
        model: the provider's name for it; what stands before its last slash does not matter.
    """
    name = model.rpartition("/")[2].lower()
    return next((family for family in _FAMILIES if name.startswith(family.prefix)), _UNKNOWN)


def written_thinking(
    thinking: Thinking, facts: ModelFacts, max_output: int | None, crossing: Crossing
) -> ThinkingConfig | None:
    """Return the wish in the model's terms, None for none; what it has not exactly so is reported.

    Args:
        thinking: the wish.
        facts: of the model.
        max_output: bound on the answer, which a budget stays under.
        crossing: told of what is not carried as it is.
    """
    if not facts.thinks:
        if thinking.adaptive or thinking.effort not in {None, Effort.NONE} or thinking.budget not in {None, 0}:
            crossing.lose(Feature.EFFORT)
        return None
    level = budget = None
    if facts.levels:
        effort = _effort(thinking)
        if effort is not None:
            written = _nearest(effort, facts.levels)
            if written is not thinking.effort:
                crossing.lose(Feature.EFFORT)
            level = written.value.upper()
    else:
        wanted = _budget(thinking, facts)
        if wanted is not None:
            budget = _clamped(wanted, facts, max_output)
            if budget != thinking.budget and not (thinking.effort is Effort.NONE and budget == 0):
                crossing.lose(Feature.EFFORT)
    if level is None and budget is None and thinking.show is None:
        return None
    return ThinkingConfig(thinking.show, budget, level)


def _effort(thinking: Thinking) -> Effort | None:
    """Return the level that is asked for, also by a budget; None leaves it to the model."""
    if thinking.effort is not None or thinking.budget is None or thinking.budget < 0:
        return thinking.effort
    return next((level for bound, level in _LEVEL_BOUNDS if thinking.budget <= bound), Effort.XHIGH)


def _nearest(effort: Effort, levels: tuple[Effort, ...]) -> Effort:
    """Return the same level, else the nearest lower one, else the lowest."""
    rank = _ORDER.index(effort)
    lower = [level for level in levels if _ORDER.index(level) <= rank]
    return lower[-1] if lower else levels[0]


def _budget(thinking: Thinking, facts: ModelFacts) -> int | None:
    """Return the budget that is asked for, also by a level; None leaves it to the model."""
    if thinking.effort is None:
        return thinking.budget
    if thinking.effort is Effort.NONE:
        return 0
    _, largest = facts.budget or (0, 0)
    return _BUDGETS.get(thinking.effort, largest)


def _clamped(budget: int, facts: ModelFacts, max_output: int | None) -> int:
    smallest, largest = facts.budget or (0, 0)
    if budget < 0 or (budget == 0 and facts.can_rest):
        return budget
    if max_output is not None:
        largest = min(largest, max_output - 1)
    return max(smallest, min(budget, largest))
