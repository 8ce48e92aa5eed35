"""The channels that have a model, as a dispatcher would hold them: who is asked in which order, and who is not. Pure.

Made by `explaining` for one question.
"""

from collections.abc import Mapping
from typing import NamedTuple

from trunkline.bus.snapshots import ChannelSnapshot, ChannelState, ChannelWeight, ModelSnapshot, Strategy
from trunkline.policy.admin_explain import LeftOut, RouteCandidate, RouteFigures, RouteLeftOut, RouteQuestion
from trunkline.policy.credentials import CredentialStates
from trunkline.policy.pools import Entry, Tier
from trunkline.policy.routing import RoutingTable
from trunkline.policy.strategies import EASE_OF_JOBS, SCORES, Look
from trunkline.protocol import registry
from trunkline.protocol.fidelity import TABLE, Feature, Mark

NOW = 0.0
"""Everything is known of the same moment, so that any will do for the functions that ask for one."""

MOSTLY = 0.5
"""A tier that recovers is asked in its turn by fewer jobs; below this share it is listed where most find it: last."""


class Site(NamedTuple):
    """What the console knows.

    Attributes:
        channels: all of them.
        weights: what health has published, by channel.
        refused: ids of the credentials that their providers refuse; None if that is not known.
        models: those that the question is about, by name: the model and what may take over from it.
        closed: groups through which no provider lets the gateway use the model.
    """

    channels: Mapping[int, ChannelSnapshot]
    weights: Mapping[int, ChannelWeight]
    refused: frozenset[int] | None
    models: Mapping[str, ModelSnapshot]
    closed: tuple[str, ...] = ()


class RouteView:
    """The channels of a question.

    Args:
        question, site: see there.
        strategy: that holds.
        groups: that the key may use.
    """

    def __init__(self, question: RouteQuestion, site: Site, strategy: Strategy, groups: tuple[str, ...]) -> None:
        self._question = question
        self._site = site
        self._strategy = strategy
        self._groups = groups
        self._table = RoutingTable()
        self._credentials = CredentialStates()
        self._serving = [channel for channel in site.channels.values() if question.model in channel.models]
        for channel in self._serving:
            if channel.dialect in registry.UPSTREAMS:
                self._table.put(channel)
            for credential in channel.credentials:
                if site.refused is not None and credential.id in site.refused:
                    self._credentials.set_aside(channel.id, credential, "refused by the provider", NOW)
            if (weight := site.weights.get(channel.id)) is not None:
                self._table.set_weight(weight)

    def candidates(self, groups: tuple[str, ...]) -> list[RouteCandidate]:
        """Return the channels that would be asked, in their order."""
        pool = self._table.pool(self._question.model, groups, self._strategy)
        if pool is None:
            return []
        tiers = [(number, tier) for number, tier in enumerate(pool.tiers, 1) if tier.live]
        tiers.sort(key=lambda item: (item[1].share < MOSTLY, item[0]))
        return [candidate for number, tier in tiers for candidate in self._of_tier(number, tier)]

    def _of_tier(self, number: int, tier: Tier) -> list[RouteCandidate]:
        entries = [entry for entry in tier.live if self._why_left_out(entry.channel) is None]
        score = SCORES.get(self._strategy)
        look = Look(self._table.figures, self._credentials, self._question.model, self._question.stream, NOW)
        scores = None if score is None or not entries else score(entries, look, EASE_OF_JOBS)
        weights = {entry.channel.id: weight for entry, weight in zip(tier.live, tier.weights, strict=True)}
        total = sum(weights[entry.channel.id] for entry in entries)
        found = [
            (
                (0.0 if scores is None else scores[index], -weights[entry.channel.id], entry.channel.name),
                self._candidate(
                    entry,
                    (number, min(tier.share, 1.0)),
                    share=weights[entry.channel.id] / total if scores is None else None,
                    score=None if scores is None else scores[index],
                ),
            )
            for index, entry in enumerate(entries)
        ]
        return [candidate for _, candidate in sorted(found, key=lambda item: item[0])]

    def _candidate(
        self, entry: Entry, tier: tuple[int, float], *, share: float | None, score: float | None
    ) -> RouteCandidate:
        channel, weight = entry.channel, self._site.weights.get(entry.channel.id)
        figures = None if weight is None else weight.figures.get(self._question.model)
        marks = self._marks(channel)
        return RouteCandidate(
            tier=tier[0],
            turn=round(tier[1], 3),
            channel=channel.name,
            dialect=channel.dialect,
            group=entry.group,
            upstream_model=channel.models[self._question.model],
            priority=channel.priority,
            weight=channel.weight,
            state=ChannelState.SERVING if weight is None else weight.state,
            health=1.0 if weight is None else round(weight.weight, 3),
            credentials=len(channel.credentials),
            credentials_refused=len(self._refused_of(channel)),
            translated=None if self._question.dialect is None else self._crosses(channel),
            lost=tuple(need for need, mark in marks.items() if mark is not Mark.LOSSLESS),
            figures=RouteFigures(
                share=None if share is None else round(share, 4),
                score=None if score is None else round(score, 6),
                first_token_ms=(figures.first_token_ms or None) if figures is not None else None,
                tokens_per_s=(figures.tokens_per_s or None) if figures is not None else None,
                cost_nano=channel.costs.get(self._question.model),
            ),
        )

    def refusal(self, groups: tuple[str, ...]) -> str:
        """Return what a client would be told where nobody can be asked."""
        needs = [channel for channel in self._serving if self._why_left_out(channel) == LeftOut.NEED]
        if needs:
            return "No channel that serves this model can be told what the request needs."
        plan = self._table.plan(
            self._question.model, groups, self._credentials, lambda: 0.0, strategy=self._strategy, now=NOW
        )
        return plan.refusal(NOW).message

    # --- who is left out ---------------------------------------------------------------------------------------

    def left_out(self) -> list[RouteLeftOut]:
        """Return the channels that have the model and would not be asked, by name."""
        found = [
            RouteLeftOut(channel.name, why, self._sentence(channel, why), self._names(channel, why))
            for channel in self._serving
            if (why := self._why_left_out(channel)) is not None
        ]
        return sorted(found, key=lambda left: left.channel)

    def _why_left_out(self, channel: ChannelSnapshot) -> LeftOut | None:
        weight = self._site.weights.get(channel.id)
        if not channel.enabled:
            return LeftOut.OFF
        if channel.drained:
            return LeftOut.DRAINED
        if channel.dialect not in registry.UPSTREAMS:
            return LeftOut.UNREADABLE
        if not set(channel.groups) & set(self._groups):
            return LeftOut.GROUP
        if weight is not None and weight.weight <= 0:
            return LeftOut.EJECTED
        if weight is not None and self._question.model in weight.refused:
            return LeftOut.MODEL_REFUSED
        if channel.credentials and len(self._refused_of(channel)) == len(channel.credentials):
            return LeftOut.CREDENTIALS_REFUSED
        return LeftOut.NEED if Mark.REFUSED in self._marks(channel).values() else None

    def _sentence(self, channel: ChannelSnapshot, why: LeftOut) -> str:
        match why:
            case LeftOut.OFF:
                return "It is switched off. Enable it."
            case LeftOut.DRAINED:
                return "It is drained and takes no new job. Undrain it."
            case LeftOut.UNREADABLE:
                return f"Its dialect {channel.dialect!r} is not known to this version."
            case LeftOut.GROUP:
                return f"It is in {_listed(self._names(channel, why))}, and the key may use {_listed(self._groups)}."
            case LeftOut.EJECTED:
                reason = "".join(f": {name}" for name in self._names(channel, why))
                return f"Health has ejected it{reason}. It is probed and comes back by itself."
            case LeftOut.MODEL_REFUSED:
                return "Its provider does not let the gateway use this model. Ask the provider, or take it off the map."
            case LeftOut.CREDENTIALS_REFUSED:
                return "Its provider refuses all of its credentials. Add one that is valid."
            case LeftOut.NEED:
                return f"Its dialect cannot carry {_listed(self._names(channel, why))}."

    def _names(self, channel: ChannelSnapshot, why: LeftOut) -> tuple[str, ...]:
        match why:
            case LeftOut.GROUP:
                return channel.groups
            case LeftOut.EJECTED:
                reason = self._site.weights[channel.id].reason
                return (reason,) if reason else ()
            case LeftOut.NEED:
                return tuple(need.value for need, mark in self._marks(channel).items() if mark is Mark.REFUSED)
            case _:
                return ()

    def _refused_of(self, channel: ChannelSnapshot) -> list[int]:
        refused = self._site.refused or frozenset()
        return [credential.id for credential in channel.credentials if credential.id in refused]

    def _crosses(self, channel: ChannelSnapshot) -> bool:
        return registry.UPSTREAMS[channel.dialect].name != self._question.dialect

    def _marks(self, channel: ChannelSnapshot) -> dict[Feature, Mark]:
        """Return what becomes of the needs on the way to a channel; nothing changes within one dialect."""
        if self._question.dialect is None or not self._crosses(channel):
            return {}
        target = registry.UPSTREAMS[channel.dialect].name
        return {need: TABLE[need].marks.get(target, Mark.LOSSLESS) for need in self._question.needs}


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
