"""Which channel and credential each attempt of a job uses. Asked by the dispatcher for every job.

Pure: draws and `now` (monotonic seconds) are arguments. A `RoutingTable` holds the snapshots ready for choosing: per
model and per list of groups one `_Pool` of tiers, built when first asked for after a change. A `Plan` is one job's
walk through a pool; it decides nothing before it is asked, so a plan whose first candidate answers costs one draw.

The order of a plan (docs/routing.md says it for operators):

1. Tiers by rank: by priority, the higher one first.
2. Within a tier a weighted draw by weight times health weight, without putting back.
3. A tier in which no channel is more than *probing* gets only that share of the jobs, the rest pass it over: else
   the only channel of a tier would get all traffic at once where a trickle is meant. Tiers passed over come last.
4. After a fault of the credential, the next credential of the same channel; after any other, that channel's other
   credentials come after all other channels.

A conversation's job draws from its affinity in place of chance, so that all its plans are the same plan, whichever
dispatcher makes it. Within a tier it first asks whom it prefers by the weights of the configuration, in which health
has no part: then no other channel's trouble moves it.

Ejected channels are left out. If nothing else is left, the plan is empty and `Plan.refusal` says so, unless the
ejection is only this dispatcher's own judgement: its view is narrow (its own network may be what fails), so then it
tries what health still holds for good and marks it as last resort.
"""

import heapq
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator

import msgspec

from trunkline.bus.snapshots import ChannelSnapshot, ChannelWeight, SealedCredential
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.hashing import fraction, mix64
from trunkline.policy.affinity import draws
from trunkline.policy.breaker import EJECTION_S_MIN
from trunkline.policy.credentials import CREDENTIAL_FAULTS, NAMELESS, Choice, CredentialStates
from trunkline.policy.preference import Preference

Draw = Callable[[], float]
"""Returns a uniform random number, 0 ≤ x < 1."""

Rank = Callable[[ChannelSnapshot], float]
"""A strategy: orders channels, lower first. Channels of equal rank form a tier and share by weight."""

EJECTED_RETRY_MS = int(EJECTION_S_MIN * 1000)
"""What a client is told when all channels are ejected: the shortest ejection. A guess at the next chance."""

POOLS_PER_MODEL_MAX = 256
"""Lists of groups that are held ready per model; a list costs some 20 KB at 1,000 channels. Keys of one
installation use a handful of lists; past the bound all are built anew as they are asked for."""


def by_priority(channel: ChannelSnapshot) -> float:
    """Rank of the strategy ``priority``."""
    return -channel.priority


class Candidate(msgspec.Struct, frozen=True):
    """One attempt to make.

    Attributes:
        channel: whom to call.
        credential: with what; None where the upstream wants none.
        group: through which the key reached the channel; its price multiplier applies.
        upstream_model: the channel's name for the model.
        last_resort: every channel is ejected, this one only by the dispatcher's own judgement.
    """

    channel: ChannelSnapshot
    credential: SealedCredential | None
    group: str
    upstream_model: str
    last_resort: bool


class _Entry(msgspec.Struct, frozen=True):
    channel: ChannelSnapshot
    group: str


class _Tier:
    """Channels of equal rank.

    Attributes:
        entries: all of them.
        healths: their health weights.
        live: those with a weight above 0.
        weights: theirs.
        cumulative: running sums of the weights, for a draw by bisection.
        share: the best health weight among them: what part of the jobs the tier deserves.
    """

    __slots__ = ("_preference", "cumulative", "entries", "healths", "live", "share", "weights")

    def __init__(self, entries: list[_Entry]) -> None:
        self.entries = entries
        self._preference: Preference | None = None

    def weigh(self, factor: Callable[[int], float]) -> None:
        """Work out who is live. New lists: plans under way keep walking the old ones."""
        self.healths: list[float] = []
        self.live: list[_Entry] = []
        self.weights: list[float] = []
        self.cumulative: list[float] = []
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

    def shuffled(self, draw: Draw) -> Iterator[_Entry]:
        """Yield live entries by weighted draws without putting back.

        The first is one bisection. The rest are ordered by exponential variates of rate ``weight``, which has the
        same distribution (Efraimidis and Spirakis) and stays cheap when a thousand credentials are cooling.
        """
        live, weights, cumulative = self.live, self.weights, self.cumulative
        # Rounding may bring the product up to the total.
        first = min(bisect_right(cumulative, draw() * cumulative[-1]), len(live) - 1)
        yield live[first]
        rest = [(-math.log(1.0 - draw()) / weights[i], i) for i in range(len(live)) if i != first]
        heapq.heapify(rest)
        while rest:
            yield live[heapq.heappop(rest)[1]]

    def preferred(self, affinity: int, draw: Draw) -> Iterator[_Entry]:
        """Yield live entries as a conversation prefers them: by weight, and by drawing where that finds nobody.

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
        for entry in self.shuffled(draw):
            if entry.channel.id not in offered:
                yield entry


class _Pool:
    """All channels that serve a model through a list of groups, in tiers."""

    __slots__ = ("last_resort", "stale", "tiers")

    def __init__(self, tiers: list[_Tier]) -> None:
        self.tiers = tiers
        self.stale = True
        self.last_resort = False

    def weigh(self, factor: Callable[[int], float], health_factor: Callable[[int], float]) -> None:
        self.stale = False
        self.last_resort = False
        for tier in self.tiers:
            tier.weigh(factor)
        if not any(tier.live for tier in self.tiers):
            self.last_resort = True
            for tier in self.tiers:
                tier.weigh(health_factor)


class _Model:
    """The channels that serve one model, and the pools made of them so far."""

    __slots__ = ("channels", "pools")

    def __init__(self) -> None:
        self.channels: dict[int, ChannelSnapshot] = {}
        self.pools: dict[tuple[str, ...], _Pool] = {}

    def pool(self, groups: tuple[str, ...], rank: Rank) -> _Pool:
        pool = self.pools.get(groups)
        if pool is None:
            if len(self.pools) >= POOLS_PER_MODEL_MAX:
                self.pools.clear()
            pool = self.pools[groups] = _Pool(self._tiers(groups, rank))
        return pool

    def _tiers(self, groups: tuple[str, ...], rank: Rank) -> list[_Tier]:
        ranked: dict[float, list[_Entry]] = {}
        # In an order that does not depend on when which snapshot came: every dispatcher draws the same.
        for _, channel in sorted(self.channels.items()):
            group = next((group for group in groups if group in channel.groups), None)
            if group is not None:
                ranked.setdefault(rank(channel), []).append(_Entry(channel, group))
        return [_Tier(ranked[key]) for key in sorted(ranked)]


class RoutingTable:
    """The snapshots of channels and weights, ready to plan with.

    Args:
        rank: the strategy.
    """

    def __init__(self, rank: Rank = by_priority) -> None:
        self._rank = rank
        self._channels: dict[int, ChannelSnapshot] = {}
        self._models: dict[str, _Model] = {}
        self._health: dict[int, ChannelWeight] = {}
        self._own: dict[int, float] = {}

    def put(self, channel: ChannelSnapshot) -> None:
        """Add a channel or replace it. One that is not enabled serves nothing."""
        self._take_out(channel.id)
        self._channels[channel.id] = channel
        if channel.enabled:
            for name in channel.models:
                model = self._models.setdefault(name, _Model())
                model.channels[channel.id] = channel
                model.pools.clear()

    def remove(self, channel: int) -> None:
        """Drop a deleted channel. One that is not there is fine."""
        self._take_out(channel)
        self._own.pop(channel, None)

    def _take_out(self, channel: int) -> None:
        known = self._channels.pop(channel, None)
        if known is None or not known.enabled:
            return
        for name in known.models:
            model = self._models[name]
            del model.channels[channel]
            model.pools.clear()
            if not model.channels:
                del self._models[name]

    def set_weight(self, weight: ChannelWeight) -> bool:
        """Take what health published; may come before its channel. Returns False if it is older than what is held."""
        held = self._health.get(weight.channel)
        if held is not None and weight.version < held.version:
            return False
        self._health[weight.channel] = weight
        if (1.0 if held is None else held.weight) != weight.weight:
            self._stale(weight.channel)
        return True

    def clear_weight(self, channel: int) -> None:
        """Health dropped its weight: the channel counts as serving again."""
        if self._health.pop(channel, None) is not None:
            self._stale(channel)

    def set_own_weight(self, channel: int, weight: float) -> None:
        """Take this dispatcher's own judgement, 0 to 1. The smaller of the two weights counts."""
        if self._own.get(channel, 1.0) != weight:
            self._own[channel] = weight
            self._stale(channel)

    def _stale(self, channel: int) -> None:
        known = self._channels.get(channel)
        if known is None or not known.enabled:
            return
        for name in known.models:
            for pool in self._models[name].pools.values():
                pool.stale = True

    def health_weight(self, channel: int) -> float:
        """What health says; 1 for a channel it has said nothing of."""
        weight = self._health.get(channel)
        return 1.0 if weight is None else weight.weight

    def effective_weight(self, channel: int) -> float:
        """The smaller of what health says and of the own judgement."""
        return min(self.health_weight(channel), self._own.get(channel, 1.0))

    def channel(self, channel: int) -> ChannelSnapshot | None:
        """Return a channel by its id."""
        return self._channels.get(channel)

    def plan(
        self, model: str, groups: tuple[str, ...], credentials: CredentialStates, draw: Draw, affinity: int = 0
    ) -> "Plan":
        """Return a job's plan; nothing is decided before its first `Plan.next`.

        Args:
            model: public model name.
            groups: the key's groups in order of preference.
            credentials: what is known of credentials.
            draw: randomness.
            affinity: of the job's conversation, in place of randomness; 0 for none (`policy.affinity`).
        """
        known = self._models.get(model)
        pool = None if known is None else known.pool(groups, self._rank)
        if pool is not None and pool.stale:
            pool.weigh(self.effective_weight, self.health_weight)
        return Plan(self, model, pool, credentials, draw, affinity=affinity)


class Plan:
    """One job's walk through its candidates. Made by `RoutingTable.plan`."""

    __slots__ = ("_affinity", "_credentials", "_last", "_later", "_model", "_pool", "_table", "_tried", "_untouched")

    def __init__(
        self,
        table: RoutingTable,
        model: str,
        pool: _Pool | None,
        credentials: CredentialStates,
        draw: Draw,
        *,
        affinity: int,
    ) -> None:
        self._table = table
        self._model = model
        self._pool = pool
        self._credentials = credentials
        self._affinity = affinity
        self._untouched: Iterator[_Entry] = iter(()) if pool is None else _walk(pool, draw, affinity)
        self._last: _Entry | None = None
        self._later: list[_Entry] = []
        self._tried: dict[int, set[int]] = {}

    def next(self, now: float, last_error: ErrorType | None = None) -> Candidate | None:
        """Return the next attempt, or None when nothing is left; then `refusal` says why.

        Never the same channel and credential twice.

        Args:
            now: monotonic seconds.
            last_error: how the attempt before ended.
        """
        last, self._last = self._last, None
        if last is not None:
            if last_error in CREDENTIAL_FAULTS and (candidate := self._candidate(last, now)) is not None:
                return candidate
            self._later.append(last)
        for entry in self._untouched:
            if (candidate := self._candidate(entry, now)) is not None:
                return candidate
        while self._later:
            if (candidate := self._candidate(self._later.pop(0), now)) is not None:
                return candidate
        return None

    def _candidate(self, entry: _Entry, now: float) -> Candidate | None:
        channel = entry.channel
        if not self._live(channel.id):
            return None
        tried = self._tried.get(channel.id)
        choice: Choice | None = self._credentials.choose(channel, () if tried is None else tried, now, self._affinity)
        if choice is None:
            return None
        credential = choice.credential
        identity = NAMELESS if credential is None else credential.id
        if tried is None:
            self._tried[channel.id] = {identity}
        else:
            tried.add(identity)
        self._last = entry
        last_resort = self._pool is not None and self._pool.last_resort
        return Candidate(channel, credential, entry.group, channel.models[self._model], last_resort)

    def _live(self, channel: int) -> bool:
        # Asked again at each step: the channel may have been ejected while the job was busy with another.
        table = self._table
        if self._pool is not None and self._pool.last_resort:
            return table.health_weight(channel) > 0
        return table.effective_weight(channel) > 0

    def refusal(self, now: float) -> Fault:
        """Return why there is no candidate (left), as a client may read it.

        After attempts that failed, the caller reports the last one's fault rather than this.
        """
        tiers = [] if self._pool is None else self._pool.tiers
        if not any(tier.entries for tier in tiers):
            return Fault(ErrorType.GATEWAY_NO_CHANNEL, "No channel serves this model for this API key.")
        live = [entry.channel for tier in tiers for entry in tier.live if self._live(entry.channel.id)]
        if not live:
            return Fault(
                ErrorType.GATEWAY_NO_CHANNEL,
                "Every channel that serves this model is failing now. Try again later.",
                retry_after_ms=EJECTED_RETRY_MS,
            )
        outlooks = [self._credentials.outlook(channel, now) for channel in live]
        if any(outlook.usable for outlook in outlooks):
            return Fault(ErrorType.GATEWAY_NO_CHANNEL, "Every channel that serves this model was tried.")
        cooling = [outlook.cooling_until for outlook in outlooks if outlook.cooling_until is not None]
        if cooling:
            return Fault(
                ErrorType.UPSTREAM_RATE_LIMITED,
                "Every provider of this model limits its rate now. Try again after the time stated.",
                retry_after_ms=max(1, math.ceil((min(cooling) - now) * 1000)),
            )
        return Fault(
            ErrorType.UPSTREAM_CREDENTIAL,
            "The providers of this model refuse the gateway's credentials. Tell the gateway's operator.",
        )


def _walk(pool: _Pool, draw: Draw, affinity: int) -> Iterator[_Entry]:
    """Yield a pool's live entries in the order of a plan."""
    if affinity:
        draw = draws(affinity)
    passed_over: list[_Tier] = []
    for tier in pool.tiers:
        if not tier.live:
            continue
        if tier.share < 1.0 and draw() >= tier.share:
            passed_over.append(tier)
        else:
            yield from tier.preferred(affinity, draw) if affinity else tier.shuffled(draw)
    for tier in passed_over:
        yield from tier.preferred(affinity, draw) if affinity else tier.shuffled(draw)
