"""How much a model is to think, in the field that a chat provider has for it (DIALECTS sections 2.5 and 6).

OpenAI says it by a level; its look-alikes by a switch, a budget, an object, or words for the chat template. Called by
`request_writer`.
"""

from trunkline.protocol.fidelity import Crossing, Feature
from trunkline.protocol.model import Effort, Thinking
from trunkline.protocol.openai_chat.losses import lose
from trunkline.protocol.vendor import ThinkingField, VendorOptions

_ORDER = tuple(Effort)

_LEVELS = ((0, Effort.NONE), (1024, Effort.LOW), (8192, Effort.MEDIUM), (24_576, Effort.HIGH))
"""Up to so many tokens a level stands for a budget (DIALECTS section 2.5); above all of them it is xhigh."""

_BUDGETS = {
    Effort.MINIMAL: 1024,
    Effort.LOW: 2048,
    Effort.MEDIUM: 8192,
    Effort.HIGH: 16_384,
    Effort.XHIGH: 32_768,
}
"""Tokens for a level (DIALECTS section 2.5); above all of them the model decides."""


def write_thinking(body: dict[str, object], thinking: Thinking, crossing: Crossing, options: VendorOptions) -> None:
    """Add what a request says about thinking to its body; nothing where it says nothing.

    Args:
        body: gets the field.
        thinking: the wish.
        crossing: told of what is not carried as it is.
        options: of the channel.
    """
    wish = _Wish(thinking, crossing, options)
    match options.thinking_field:
        case ThinkingField.EFFORT:
            wish.put_level(body)
        case ThinkingField.THINKING:
            if wish.said:
                body["thinking"] = {"type": "enabled" if wish.on else "disabled"}
                wish.put_level_beside(body)
        case ThinkingField.ENABLE:
            if wish.said:
                body["enable_thinking"] = wish.on
                if budget := wish.budget():
                    body["thinking_budget"] = budget
        case ThinkingField.REASONING:
            if reasoning := wish.object():
                body["reasoning"] = reasoning
        case ThinkingField.TEMPLATE:
            if wish.said:
                body["chat_template_kwargs"] = {"enable_thinking": wish.on}
                wish.leave_depth()
    if thinking.show is not None and options.thinking_field is not ThinkingField.REASONING:
        lose(crossing, Feature.SHOW_REASONING)


class _Wish:
    """What is wished, asked for in each provider's terms.

    Attributes:
        said: whether the request says anything about it.
        on: whether the model is to think.
    """

    def __init__(self, thinking: Thinking, crossing: Crossing, options: VendorOptions) -> None:
        self._thinking = thinking
        self._crossing = crossing
        self._known = options.efforts
        self.said = thinking.effort is not None or thinking.budget is not None or thinking.adaptive
        self.on = self.said and thinking.effort is not Effort.NONE and thinking.budget != 0

    def put_level(self, body: dict[str, object]) -> None:
        """Say a level, where there is one."""
        level = self._level()
        if level is not None:
            body["reasoning_effort"] = level.value

    def put_level_beside(self, body: dict[str, object]) -> None:
        """Say a level beside a switch, where the provider knows levels."""
        if self.on and self._known:
            self.put_level(body)
        else:
            self.leave_depth()

    def leave_depth(self) -> None:
        """There is no place to say how much."""
        if self.on and (self._thinking.effort is not None or (self._thinking.budget or 0) > 0):
            lose(self._crossing, Feature.EFFORT)

    def budget(self) -> int:
        """Return how many tokens; 0 leaves it to the model."""
        if not self.on:
            return 0
        if self._thinking.effort is None:
            return max(0, self._thinking.budget or 0)
        lose(self._crossing, Feature.EFFORT)
        return _BUDGETS.get(self._thinking.effort, 0)

    def object(self) -> dict[str, object]:
        """Return OpenRouter's object; empty for no wish."""
        said: dict[str, object] = {}
        if self.said and not self.on:
            said["enabled"] = False
        elif self._thinking.effort is None and (self._thinking.budget or 0) > 0:
            said["max_tokens"] = self._thinking.budget
        elif (level := self._level()) is not None:
            said["effort"] = level.value
        elif self.on:
            said["enabled"] = True
        if self._thinking.show is False:
            said["exclude"] = True
        return said

    def _level(self) -> Effort | None:
        """Return the level that is asked for, also by a budget, as far as the models know it."""
        effort = self._thinking.effort
        budget = self._thinking.budget
        if effort is None and budget is not None and budget >= 0:
            effort = next((level for most, level in _LEVELS if budget <= most), Effort.XHIGH)
            lose(self._crossing, Feature.EFFORT)
        if effort is None or not self._known or effort in self._known:
            return effort
        lose(self._crossing, Feature.EFFORT)
        levels = [level for level in sorted(self._known, key=_ORDER.index) if level is not Effort.NONE]
        lower = [level for level in levels if _ORDER.index(level) < _ORDER.index(effort)]
        # Not to think at all is no low level of thinking: who wants some, or cannot have none, gets the least.
        return lower[-1] if lower else next(iter(levels), Effort.NONE)
