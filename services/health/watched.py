"""One channel as health sees it: its breaker, its denied models, its figures, and the counts since the last sample.

Made and asked by `judge`.
"""

import math

from trunkline.bus.messages import AttemptOutcome, HealthSample
from trunkline.bus.snapshots import ChannelSnapshot, ChannelState
from trunkline.policy.breaker import CHANNEL_FAULTS, Breaker, Verdict
from trunkline.policy.ejection_cap import Ejection
from trunkline.policy.health_figures import ChannelFigures
from trunkline.policy.model_access import ModelRefusals

MODELS_COUNTED_MAX = 100
"""Models of a channel that get a sample of their own in one interval; the rest count for the channel only."""


class _Tally:
    """What was counted in an interval."""

    __slots__ = ("failures", "first_token_ms", "first_tokens", "successes")

    def __init__(self) -> None:
        self.successes = 0
        self.failures = 0
        self.first_token_ms = 0
        self.first_tokens = 0

    def add(self, *, passed: bool, first_token_ms: int = 0) -> None:
        """Count an attempt or a probe; ``first_token_ms`` of streams, 0 for everything else."""
        if not passed:
            self.failures += 1
            return
        self.successes += 1
        if first_token_ms > 0:
            self.first_tokens += 1
            self.first_token_ms += first_token_ms

    def sample(self, channel: int, model: str, at_ms: int, verdict: Verdict) -> HealthSample:
        return HealthSample(
            channel=channel,
            model=model,
            at_ms=at_ms,
            state=verdict.state.value,
            weight=verdict.weight,
            successes=self.successes,
            failures=self.failures,
            first_token_ms=round(self.first_token_ms / self.first_tokens) if self.first_tokens else 0,
            first_tokens=self.first_tokens,
        )


class Watched:
    """One channel.

    Args:
        channel: as configured.
        breaker: its judgement.
        refusals: its denied models.
        inherited: the breaker's state was found in the bucket.

    Attributes:
        figures: how fast it is.
        probed_at: monotonic seconds of the last probe's end.
    """

    __slots__ = ("_models", "_whole", "breaker", "channel", "figures", "inherited", "probed_at", "refusals")

    def __init__(
        self, channel: ChannelSnapshot, breaker: Breaker, refusals: ModelRefusals, *, inherited: bool = False
    ) -> None:
        self.channel = channel
        self.breaker = breaker
        self.refusals = refusals
        self.inherited = inherited
        self.figures = ChannelFigures()
        self.probed_at = -math.inf
        self._whole = _Tally()
        self._models: dict[str, _Tally] = {}

    def count_attempt(self, outcome: AttemptOutcome) -> None:
        """Count an attempt; what is nobody's fault here counts for nothing."""
        passed = outcome.error is None
        if not (passed or outcome.denied or outcome.error in CHANNEL_FAULTS):
            return
        first_token_ms = outcome.first_token_ms if outcome.stream else 0
        if not outcome.denied:
            self._whole.add(passed=passed, first_token_ms=first_token_ms)
        model = self._models.get(outcome.model)
        if model is None:
            if outcome.model not in self.channel.models or len(self._models) >= MODELS_COUNTED_MAX:
                return
            model = self._models[outcome.model] = _Tally()
        model.add(passed=passed, first_token_ms=first_token_ms)

    @property
    def ejection(self) -> Ejection | None:
        """What the breaker wishes. What was found in the bucket stood there with its proof, if it needed one."""
        if self.breaker.state is not ChannelState.EJECTED:
            return None
        return Ejection(self.channel.id, self.breaker.since, self.inherited or self.breaker.proven)

    def count_probe(self, *, passed: bool, now: float) -> None:
        """Count a probe: for the channel as a whole, since most probes ask no model."""
        self.inherited = False
        self.probed_at = now
        self._whole.add(passed=passed)

    def samples(self, at_ms: int, verdict: Verdict) -> list[HealthSample]:
        """Return the interval that ends now, the channel's first and then those of its models, and begin a new one."""
        whole, models = self._whole, self._models
        self._whole, self._models = _Tally(), {}
        return [
            whole.sample(self.channel.id, "", at_ms, verdict),
            *(tally.sample(self.channel.id, model, at_ms, verdict) for model, tally in models.items()),
        ]
