"""Models that a channel's provider lists and does not let the gateway use. Kept by health, per channel and model.

A denial ("no such model", "your key has no access") says nothing of the channel's other models, so it is no matter of
the breaker. A few of them with no success between, and the model is refused: no job for it goes to the channel. It ends
with a success: of a probe, which is made every few minutes, or of an attempt that was under way. Some models cannot be
probed (they make images, or the day's paid probes are spent): so after an hour the next attempt decides. Pure.
"""

from collections.abc import Collection, Iterable

from trunkline.bus.snapshots import ChannelSnapshot, ModelAccess

DENIALS_MIN = 3
"""With no success between: one may come of a provider that is changing its list, two of a replica that lags."""

RECHECK_S_MIN = 120.0
"""Until the first probe of a refused model. Access is granted by people, who then look whether it works."""

RECHECK_S_MAX = 1800.0
"""Longest time between two such probes; it doubles with each."""

LIFT_S = 3600.0
"""After this long one attempt is let decide, whatever probes said: one client's retry an hour is what it costs."""


class _Mark:
    """One model's record; ``refused_at`` is None while it is only under suspicion."""

    __slots__ = ("denials", "recheck_at", "refused_at", "wait_s")

    def __init__(self) -> None:
        self.denials = 0
        self.refused_at: float | None = None
        self.recheck_at = 0.0
        self.wait_s = RECHECK_S_MIN

    def refuse(self, now: float) -> None:
        self.refused_at = now
        self.recheck_at = now + self.wait_s


class ModelRefusals:
    """The refused models of one channel. Its methods return whether `refused` has changed.

    Args:
        refused: those that were published last, which a successor takes up.
        now: monotonic seconds.
    """

    __slots__ = ("_marks", "refused")

    def __init__(self, refused: Iterable[str], now: float) -> None:
        self._marks: dict[str, _Mark] = {}
        for model in refused:
            mark = self._marks[model] = _Mark()
            mark.refuse(now)
        self.refused = self._sorted()

    def receive_denial(self, model: str, now: float) -> bool:
        """The provider said that the model is not there, or not for us. Models are those that are configured."""
        mark = self._marks.setdefault(model, _Mark())
        mark.denials += 1
        if mark.refused_at is not None or mark.denials < DENIALS_MIN:
            return False
        mark.refuse(now)
        return self._changed()

    def receive_success(self, model: str) -> bool:
        """The model answered."""
        return self._marks.pop(model, None) is not None and self._changed()

    def keep(self, models: Collection[str]) -> bool:
        """Forget all but some models: the others are gone, or are called something else now."""
        for model in self._marks.keys() - set(models):
            del self._marks[model]
        return self._changed()

    def due(self, now: float) -> str | None:
        """Return a model that is to be probed now, and arrange for its next probe."""
        for model, mark in self._marks.items():
            if mark.refused_at is not None and mark.recheck_at <= now:
                mark.wait_s = min(mark.wait_s * 2, RECHECK_S_MAX)
                mark.recheck_at = now + mark.wait_s
                return model
        return None

    def tick(self, now: float) -> bool:
        """Let time pass: what was refused for long is open for an attempt, and one more denial shuts it again."""
        if not self._marks:
            return False
        for mark in self._marks.values():
            if mark.refused_at is not None and now - mark.refused_at >= LIFT_S:
                mark.refused_at = None
                mark.denials = DENIALS_MIN - 1
        return self._changed()

    def _changed(self) -> bool:
        before, self.refused = self.refused, self._sorted()
        return before != self.refused

    def _sorted(self) -> tuple[str, ...]:
        return tuple(sorted(model for model, mark in self._marks.items() if mark.refused_at is not None))


def unchanged_models(before: ChannelSnapshot, after: ChannelSnapshot) -> Collection[str]:
    """Return the models of which what was found out before still holds after a channel was changed."""
    same = (before.base_url, before.dialect, before.credentials, before.options) == (
        after.base_url,
        after.dialect,
        after.credentials,
        after.options,
    )
    return {model for model, name in after.models.items() if before.models.get(model) == name} if same else ()


def closed_models(channels: Iterable[tuple[ChannelSnapshot, Collection[str]]]) -> dict[str, ModelAccess]:
    """Return the models that some groups cannot use through any of their channels, by name.

    Args:
        channels: the enabled ones, each with its refused models.
    """
    known = list(channels)
    names = {model for _, refused in known for model in refused}
    closed: dict[str, ModelAccess] = {}
    for name in names:
        groups: set[str] = set()
        served: set[str] = set()
        for channel, refused in known:
            if name in channel.models:
                (groups if name in refused else served).update(channel.groups)
        if groups - served:
            closed[name] = ModelAccess(name, tuple(sorted(groups - served)))
    return closed
