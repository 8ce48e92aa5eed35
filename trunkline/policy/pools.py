"""The channels that serve a model through a list of groups, in tiers, ready to be drawn from.

A `Tier` has channels of equal rank. What it knows of weights is worked out when they change, so that a draw is one
bisection, whether there are ten channels or a thousand.
"""

import heapq
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator

import msgspec

from trunkline.bus.snapshots import ChannelSnapshot
from trunkline.core.hashing import fraction, mix64
from trunkline.policy.preference import Preference, Ring

Draw = Callable[[], float]
"""Returns a uniform random number, 0 ≤ x < 1."""

Rank = Callable[[ChannelSnapshot], tuple[float, ...]]
"""Orders channels, lower first. Channels of equal rank form a tier."""

Spared = Callable[["Tier", "Entry"], bool]
"""Says whether a channel has so much to do that a conversation had better go elsewhere for once."""


class Entry(msgspec.Struct, frozen=True):
    """A channel, and the group through which it is reached."""

    channel: ChannelSnapshot
    group: str


class Tier:
    """Channels of equal rank.

    Attributes:
        entries: all of them.
        healths: their health weights.
        live: those with a weight above 0.
        weights: theirs, as configured times health.
        cumulative: running sums of the weights, for a draw by bisection.
        share: the best health weight among them: what part of the jobs the tier deserves.
    """

    __slots__ = (
        "_health_of",
        "_preference",
        "_ring",
        "_salts",
        "cumulative",
        "entries",
        "healths",
        "live",
        "share",
        "weights",
    )

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self._salts = [mix64(entry.channel.id) for entry in entries]
        self._preference: Preference | None = None
        self._ring: Ring | None = None

    def weigh(self, factor: Callable[[int], float]) -> None:
        """Work out who is live. New lists: plans under way keep walking the old ones."""
        self.healths: list[float] = []
        self.live: list[Entry] = []
        self.weights: list[float] = []
        self.cumulative: list[float] = []
        self._health_of: dict[int, float] = {}
        self.share = total = 0.0
        for entry in self.entries:
            health = factor(entry.channel.id)
            weight = entry.channel.weight * health
            self.healths.append(health)
            if weight > 0:
                total += weight
                self.live.append(entry)
                self.weights.append(weight)
                self.cumulative.append(total)
                self.share = max(self.share, health)
                if health < 1.0:
                    self._health_of[entry.channel.id] = health

    def health_of(self, entry: Entry) -> float:
        """Return the health weight of a live entry."""
        return self._health_of.get(entry.channel.id, 1.0) if self._health_of else 1.0

    def drawn(self, draw: Draw) -> Entry:
        """Return a live entry by a weighted draw. There must be one."""
        # Rounding may bring the product up to the total.
        return self.live[min(bisect_right(self.cumulative, draw() * self.cumulative[-1]), len(self.live) - 1)]

    def shuffled(self, draw: Draw) -> Iterator[Entry]:
        """Yield live entries by weighted draws without putting back.

        The first is one bisection. The rest are ordered by exponential variates of rate ``weight``, which has the
        same distribution (Efraimidis and Spirakis) and stays cheap when a thousand credentials are cooling.
        """
        live, weights, cumulative = self.live, self.weights, self.cumulative
        if not live:
            return  # the last ones were ejected while a plan was under way
        first = min(bisect_right(cumulative, draw() * cumulative[-1]), len(live) - 1)
        yield live[first]
        rest = [(-math.log(1.0 - draw()) / weights[i], i) for i in range(len(live)) if i != first]
        heapq.heapify(rest)
        while rest:
            yield live[heapq.heappop(rest)[1]]

    def of_conversation(self, affinity: int, most: int, drawn: int) -> list[Entry]:
        """Return the live entries that a conversation would compare, the preferred one first: all of up to ``most``.

        Of more, those of so many draws by weight that it gets, some perhaps twice.

        The same ones each time, whoever else comes or goes.
        """
        entries, healths = self.entries, self.healths
        if len(entries) <= most:
            # By exponential variates as above, drawn from the conversation and the channel.
            lots = [
                (-math.log(1.0 - fraction(mix64(affinity ^ self._salts[index]))) / entry.channel.weight, index)
                for index, entry in enumerate(entries)
                if entry.channel.weight and healths[index] > 0
            ]
            return [entries[index] for _, index in sorted(lots)]
        if self._ring is None:
            self._ring = Ring((entry.channel.id, entry.channel.weight) for entry in entries)
        return [entries[place] for place in dict.fromkeys(self._ring.draws(affinity, drawn)) if healths[place] > 0]

    def picks(self, affinity: int) -> Iterator[Entry]:
        """Yield the few live entries that a conversation prefers, by weight; each once.

        One that is not at its full health takes only that share of the conversations that prefer it, so that in the end
        all are shared by weight times health. Those that it takes are the same ones each time, and as it recovers it
        takes others beside them.
        """
        entries, healths = self.entries, self.healths
        if self._preference is None:
            self._preference = Preference((entry.channel.id, entry.channel.weight) for entry in entries)
        offered: set[int] = set()
        for step, index in enumerate(self._preference.picks(affinity)):
            health, channel = healths[index], entries[index].channel.id
            if channel in offered or (health < 1.0 and fraction(mix64(affinity ^ (mix64(channel) + step))) >= health):
                continue
            offered.add(channel)
            yield entries[index]

    def preferred(self, affinity: int, draw: Draw, spared: Spared) -> Iterator[Entry]:
        """Yield live entries as a conversation prefers them, and by drawing where that finds nobody.

        One that is to be spared comes only after the others.
        """
        if len(self.live) == 1:  # as most models have it
            yield self.live[0]
            return
        offered: set[int] = set()
        for entry in self.picks(affinity):
            if not spared(self, entry):
                offered.add(entry.channel.id)
                yield entry
        for entry in self.shuffled(draw):
            if entry.channel.id not in offered:
                yield entry


class Pool:
    """All channels that serve a model through a list of groups, in tiers.

    Attributes:
        tiers: the first to be asked first.
        stale: weights have changed since they were worked out.
        last_resort: every channel is ejected, and these only by the dispatcher's own judgement.
    """

    __slots__ = ("last_resort", "stale", "tiers")

    def __init__(self, tiers: list[Tier]) -> None:
        self.tiers = tiers
        self.stale = True
        self.last_resort = False

    def weigh(self, factor: Callable[[int], float], health_factor: Callable[[int], float]) -> None:
        """Work out who is live: by both judgements, or by health's alone where nobody else is left."""
        self.stale = False
        self.last_resort = False
        for tier in self.tiers:
            tier.weigh(factor)
        if not any(tier.live for tier in self.tiers):
            self.last_resort = True
            for tier in self.tiers:
                tier.weigh(health_factor)

    def in_turn(self, draw: Draw) -> Iterator[Tier]:
        """Yield the tiers of a plan.

        One in which no channel is more than *probing* gets only that share of the jobs, the rest pass it over: else the
        only channel of a tier would get all traffic at once where a trickle is meant. Tiers passed over come last.
        """
        passed_over: list[Tier] = []
        for tier in self.tiers:
            if not tier.live:
                continue
            if tier.share < 1.0 and draw() >= tier.share:
                passed_over.append(tier)
            else:
                yield tier
        for tier in passed_over:
            if tier.live:  # still: weights may have changed since
                yield tier


def tiers_of(channels: dict[int, ChannelSnapshot], groups: tuple[str, ...], rank: Rank) -> list[Tier]:
    """Return the channels that a list of groups reaches, in tiers."""
    ranked: dict[tuple[float, ...], list[Entry]] = {}
    # In an order that does not depend on when which snapshot came: every dispatcher draws the same.
    for _, channel in sorted(channels.items()):
        group = next((group for group in groups if group in channel.groups), None)
        if group is not None:
            ranked.setdefault(rank(channel), []).append(Entry(channel, group))
    return [Tier(ranked[key]) for key in sorted(ranked)]
