"""How fast a channel serves its models, over all dispatchers: made by health of their outcomes, published with weights.

A dispatcher that has seen too little of late takes these in place of its own (`policy.figures`). Pure: `now` is
monotonic seconds and an argument.
"""

from trunkline.bus.messages import AttemptOutcome
from trunkline.bus.snapshots import ModelFigures
from trunkline.policy.figures import Ewma

HALF_LIFE_S = 30.0
"""Twice a dispatcher's own: it counts where there is little traffic."""

MODELS_MAX = 64
"""Models of a channel that have figures, those used last: 4 KB of an entry that is written every few seconds."""

WRITING_MS_MIN = 50
"""From the first output to the end. What takes less came at once, and is too short to tell a speed from."""


class _Means:
    __slots__ = ("first_token_ms", "tokens_per_s")

    def __init__(self) -> None:
        self.first_token_ms = Ewma(HALF_LIFE_S)
        self.tokens_per_s = Ewma(HALF_LIFE_S)


class ChannelFigures:
    """The figures of one channel."""

    __slots__ = ("_models",)

    def __init__(self) -> None:
        self._models: dict[str, _Means] = {}

    def receive(self, outcome: AttemptOutcome, now: float) -> None:
        """Take an attempt that succeeded. A whole answer's first output is its end, and says nothing."""
        if not outcome.stream or not outcome.first_token_ms:
            return
        # Put back at the end: the first is the one that was used longest ago.
        means = self._models.pop(outcome.model, None) or _Means()
        self._models[outcome.model] = means
        if len(self._models) > MODELS_MAX:
            del self._models[next(iter(self._models))]
        means.first_token_ms.add(outcome.first_token_ms, now)
        writing_ms = outcome.duration_ms - outcome.first_token_ms
        if outcome.output_tokens > 1 and writing_ms >= WRITING_MS_MIN:
            means.tokens_per_s.add((outcome.output_tokens - 1) * 1000 / writing_ms, now)

    def figures(self, now: float) -> dict[str, ModelFigures]:
        """Return what is known of the models that were used of late."""
        found: dict[str, ModelFigures] = {}
        for model, means in self._models.items():
            first_token_ms = means.first_token_ms.mean(now)
            if first_token_ms is not None:
                tokens_per_s = means.tokens_per_s.mean(now)
                found[model] = ModelFigures(round(first_token_ms), round(tokens_per_s or 0))
        return found
