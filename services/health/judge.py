"""What health makes of each channel: one breaker, one list of denied models and one tally per enabled channel.

A breaker judges its channel alone; how many may be out at a time is seen here, over all (`policy.ejection_cap`).
Pure but for its log lines; `app` feeds it and the publishers read it.
Time is an argument: ``now`` in monotonic seconds, ``at_ms`` in Unix milliseconds.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import structlog

from services.health.watched import Watched
from trunkline.bus.messages import AttemptOutcome, HealthSample, OutcomeBatch
from trunkline.bus.snapshots import ChannelSnapshot, ChannelState, ChannelWeight, ModelAccess
from trunkline.policy.breaker import PROBING_WEIGHT, Breaker, Verdict
from trunkline.policy.ejection_cap import Pool, pools_of, spared
from trunkline.policy.model_access import ModelRefusals, closed_models, unchanged_models

log = structlog.get_logger()

OnVerdict = Callable[[int], None]
"""Called with a channel's id when its verdict or its denied models changed, it came, or it went."""

SPARED = Verdict(ChannelState.PROBING, PROBING_WEIGHT, "kept in: too many are out, and no probe has failed")
"""Of a channel that its breaker ejects and that stays; see `policy.ejection_cap`."""


class Standing(NamedTuple):
    """One channel, for metrics.

    Attributes:
        name: of the channel.
        verdict: that stands.
        ejections: how often its breaker has ejected it.
        spared: it stays although its breaker ejects it.
        refused: models that it denies.
    """

    name: str
    verdict: Verdict
    ejections: int
    spared: bool
    refused: tuple[str, ...]


class Judge:
    """All channels.

    Args:
        published: weights found in the bucket at the start, so that a restart does not let an ejected channel in.
        on_verdict: see `OnVerdict`.

    Attributes:
        unknown_outcomes: outcomes of channels that are not (or no longer) configured.
        access_changes: how often something changed of what decides which models are closed.
    """

    def __init__(self, published: dict[int, ChannelWeight], on_verdict: OnVerdict) -> None:
        self._published = published
        self._on_verdict = on_verdict
        self._watched: dict[int, Watched] = {}
        self._pools: dict[int, tuple[Pool, ...]] | None = None
        self._spared: frozenset[int] = frozenset()
        self._unsettled = False
        self.unknown_outcomes = 0
        self.access_changes = 0

    # --- channels ----------------------------------------------------------------------------------------------

    def put(self, channel: ChannelSnapshot, now: float) -> None:
        """Take a new or changed channel. One that is off is not judged; one that moved is judged anew."""
        watched = self._watched.get(channel.id)
        if not channel.enabled:
            self.remove(channel.id)
            return
        if watched is None:
            published = self._published.pop(channel.id, ChannelWeight(channel.id, ChannelState.SERVING, 1.0, 0))
            refused = [model for model in published.refused if model in channel.models]
            breaker = Breaker(now, published.state)
            self._watched[channel.id] = Watched(channel, breaker, ModelRefusals(refused, now), inherited=True)
            self._on_verdict(channel.id)
        else:
            before, watched.channel = watched.channel, channel
            if (channel.base_url, channel.dialect) != (before.base_url, before.dialect):
                watched.breaker = Breaker(now)
                self._on_verdict(channel.id)
            if watched.refusals.keep(unchanged_models(before, channel)):
                self._on_verdict(channel.id)
        self._regroup()

    def remove(self, channel: int) -> None:
        """Drop a channel that was deleted or turned off."""
        self._published.pop(channel, None)
        if self._watched.pop(channel, None) is not None:
            self._on_verdict(channel)
            self._regroup()

    def channels(self) -> list[ChannelSnapshot]:
        """Return the channels that are judged."""
        return [watched.channel for watched in self._watched.values()]

    # --- what is heard of them ---------------------------------------------------------------------------------

    def receive_outcomes(self, batch: OutcomeBatch, now: float) -> None:
        """Take what dispatchers saw."""
        for outcome in batch.outcomes:
            watched = self._watched.get(outcome.channel)
            if watched is None:
                self.unknown_outcomes += 1
            else:
                self._receive_outcome(watched, outcome, now)
        self._settle()

    def _receive_outcome(self, watched: Watched, outcome: AttemptOutcome, now: float) -> None:
        watched.count_attempt(outcome)
        if outcome.denied:
            self._receive_model(watched, outcome.model, allowed=False, now=now)
            return
        if outcome.error is None:
            watched.figures.receive(outcome, now)
            self._receive_model(watched, outcome.model, allowed=True, now=now)
        self._take(watched, watched.breaker.receive_outcome(outcome.error, now))

    def receive_probe(self, channel: int, *, passed: bool, now: float) -> None:
        """Take the result of one probe; of a channel deleted meanwhile it is void."""
        watched = self._watched.get(channel)
        if watched is None:
            return
        watched.count_probe(passed=passed, now=now)
        self._take(watched, watched.breaker.receive_probe(passed=passed, now=now))
        # Proof may have come or gone although the verdict is the same.
        self._unsettled |= watched.breaker.state is ChannelState.EJECTED
        self._settle()

    def receive_model(self, channel: int, model: str, *, allowed: bool, now: float) -> None:
        """Take what a probe found out of one model."""
        watched = self._watched.get(channel)
        if watched is not None:
            self._receive_model(watched, model, allowed=allowed, now=now)
            self._settle()

    def _receive_model(self, watched: Watched, model: str, *, allowed: bool, now: float) -> None:
        refusals = watched.refusals
        if allowed:
            changed = refusals.receive_success(model)
        else:
            changed = model in watched.channel.models and refusals.receive_denial(model, now)
        if changed:
            self._refusals_changed(watched)

    def tick(self, now: float) -> None:
        """Let time pass for all channels."""
        for watched in self._watched.values():
            self._take(watched, watched.breaker.tick(now))
            if watched.refusals.tick(now):
                self._refusals_changed(watched)
        self._settle()

    # --- what follows from it ----------------------------------------------------------------------------------

    def _take(self, watched: Watched, verdict: Verdict | None) -> None:
        if verdict is None:
            return
        log.info(
            "channel_judged",
            channel=watched.channel.name,
            state=verdict.state.value,
            weight=verdict.weight,
            reason=verdict.reason,
        )
        watched.inherited = False
        self._unsettled = True
        self._on_verdict(watched.channel.id)

    def _refusals_changed(self, watched: Watched) -> None:
        log.info("models_refused", channel=watched.channel.name, models=watched.refusals.refused)
        self._on_verdict(watched.channel.id)
        self._regroup()

    def _regroup(self) -> None:
        """Who serves what has changed."""
        self._pools = None
        self._unsettled = True
        self.access_changes += 1

    def _settle(self) -> None:
        """See who stays although its breaker ejects it."""
        if not self._unsettled:
            return
        self._unsettled = False
        if self._pools is None:
            self._pools = pools_of(self.channels(), self.refused)
        before = self._spared
        ejections = [watched.ejection for watched in self._watched.values()]
        self._spared = spared(self._pools, [ejection for ejection in ejections if ejection is not None])
        for channel in before ^ self._spared:
            self._on_verdict(channel)

    # --- what stands -------------------------------------------------------------------------------------------

    def verdict(self, channel: int) -> Verdict | None:
        """Return what stands for a channel, None if it is not judged."""
        watched = self._watched.get(channel)
        if watched is None:
            return None
        return SPARED if channel in self._spared else watched.breaker.verdict

    def weight(self, channel: int, version: int, now: float) -> ChannelWeight | None:
        """Return what is published of a channel, None if it is not judged."""
        watched, verdict = self._watched.get(channel), self.verdict(channel)
        if watched is None or verdict is None:
            return None
        return ChannelWeight(
            channel=channel,
            state=verdict.state,
            weight=verdict.weight,
            version=version,
            reason=verdict.reason,
            refused=watched.refusals.refused,
            figures=watched.figures.figures(now),
        )

    def refused(self, channel: int) -> tuple[str, ...]:
        """Return the models that a channel is not let use."""
        watched = self._watched.get(channel)
        return () if watched is None else watched.refusals.refused

    def closed(self) -> dict[str, ModelAccess]:
        """Return the models that some groups cannot use through any channel, by name."""
        return closed_models((watched.channel, watched.refusals.refused) for watched in self._watched.values())

    def suspect(self, channel: int) -> bool:
        """Return whether the channel's next probe should come soon."""
        watched = self._watched.get(channel)
        if watched is None:
            return False
        # A channel that attempts have ejected is asked at once: others may have to stay until there is proof.
        ejection = watched.ejection
        return watched.breaker.suspect or (ejection is not None and watched.probed_at < ejection.since)

    def in_doubt(self, channel: int) -> bool:
        """Return whether the channel's next probe decides something."""
        watched = self._watched.get(channel)
        return watched is not None and (watched.breaker.suspect or watched.breaker.state is ChannelState.EJECTED)

    def due_model(self, channel: int, now: float) -> str | None:
        """Return a denied model that is to be asked now; each only once."""
        watched = self._watched.get(channel)
        return None if watched is None else watched.refusals.due(now)

    def standings(self) -> Iterator[Standing]:
        """Yield what metrics show of each channel."""
        for channel, watched in self._watched.items():
            verdict = SPARED if channel in self._spared else watched.breaker.verdict
            yield Standing(
                watched.channel.name,
                verdict,
                watched.breaker.ejections,
                channel in self._spared,
                watched.refusals.refused,
            )

    def channels_of_models(self) -> dict[str, int]:
        """Return how many channels take jobs of each model now; 0 of those that nobody serves."""
        serving: dict[str, int] = {}
        for number, watched in self._watched.items():
            channel, verdict = watched.channel, self.verdict(number)
            out = channel.drained or channel.weight <= 0 or verdict is None or verdict.state is ChannelState.EJECTED
            for model in channel.models:
                serves = not out and model not in watched.refusals.refused
                serving[model] = serving.get(model, 0) + serves
        return serving

    def samples(self, at_ms: int) -> list[HealthSample]:
        """Return each channel's interval and begin the next one: those of whole channels first, then of models."""
        samples: list[HealthSample] = []
        of_models: list[HealthSample] = []
        for channel, watched in self._watched.items():
            verdict = SPARED if channel in self._spared else watched.breaker.verdict
            whole, *models = watched.samples(at_ms, verdict)
            samples.append(whole)
            of_models += models
        return samples + of_models
