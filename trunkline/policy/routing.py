"""Which channel and credential each attempt of a job uses. Asked by the dispatcher for every job.

Pure: draws and `now` (monotonic seconds) are arguments. A `RoutingTable` holds the snapshots ready for choosing: per
model, list of groups and strategy one `pools.Pool`, built when first asked for after a change. A `Plan` is one job's
walk through a pool; it decides nothing before it is asked, so a plan whose first candidate answers costs one draw.

The order of a plan (docs/routing.md says it for operators):

1. Tiers by the strategy's rank, and within a tier by weighted draws, or by what the strategy compares.
2. After a fault of the credential, the next credential of the same channel; after any other, that channel's other
   credentials come after all other channels. A channel whose credentials are all tight comes after those with room.
3. Where nothing else is left, the credential that is free again in a moment. `Plan.again` begins anew, after a while.

A conversation's job draws from its affinity in place of chance, so that all its plans are the same plan, whichever
dispatcher makes it. Within a tier it first asks whom it prefers by the weights of the configuration, in which health
has no part: then no other channel's trouble moves it.

Ejected channels are left out. If nothing else is left, the plan is empty and `Plan.refusal` says so, unless the
ejection is only this dispatcher's own judgement: its view is narrow (its own network may be what fails), so then it
tries what health still holds for good and marks it as last resort.
"""

import math
from collections.abc import Iterator

import msgspec

from trunkline.bus.snapshots import ChannelSnapshot, ChannelWeight, SealedCredential, Strategy
from trunkline.core.errors import ErrorType, Fault
from trunkline.policy.breaker import EJECTION_S_MIN
from trunkline.policy.credentials import CREDENTIAL_FAULTS, NAMELESS, CredentialStates
from trunkline.policy.figures import LiveFigures
from trunkline.policy.pools import Draw, Entry, Pool, tiers_of
from trunkline.policy.retry import REPEATABLE, ROUNDS_MAX, RetryBudget, backoff_s
from trunkline.policy.strategies import SCORES, Look, rank_of, walk

EJECTED_RETRY_MS = int(EJECTION_S_MIN * 1000)
"""What a client is told when all channels are ejected: the shortest ejection. A guess at the next chance."""

POOLS_PER_MODEL_MAX = 256
"""Lists of groups and strategies that are held ready per model; a list costs some 20 KB at 1,000 channels. Keys of one
installation use a handful of lists; past the bound all are built anew as they are asked for."""

COOL_WAIT_S_MAX = 2.0
"""How long a job waits for a cooling credential; where it takes longer, the client is told when to come back."""

BET_WAIT_S_MAX = 0.2
"""How long the strategy ``latency`` waits for a credential although another channel could answer at once. It may be
limited again, and then that channel is asked all the same."""

WAIT_S_MIN = 0.001
"""One that is free again by the time that it is asked for is waited for a turn of the loop."""

DENIED_S = 5.0
"""How long a dispatcher leaves a model of a channel alone that its provider does not let it use: until health, which
wants to hear it three times, has said so for all. Each time costs one attempt, which goes elsewhere."""


class Candidate(msgspec.Struct, frozen=True):
    """One attempt to make.

    Attributes:
        channel: whom to call.
        credential: with what; None where the upstream wants none.
        group: through which the key reached the channel; its price multiplier applies.
        upstream_model: the channel's name for the model.
        last_resort: every channel is ejected, this one only by the dispatcher's own judgement.
        model: public name.
        wait_s: how long to wait before.
    """

    channel: ChannelSnapshot
    credential: SealedCredential | None
    group: str
    upstream_model: str
    last_resort: bool
    model: str = ""
    wait_s: float = 0.0


class _Model:
    """The channels that serve one model, and the pools made of them so far."""

    __slots__ = ("channels", "name", "pools")

    def __init__(self, name: str) -> None:
        self.name = name
        self.channels: dict[int, ChannelSnapshot] = {}
        self.pools: dict[tuple[tuple[str, ...], Strategy], Pool] = {}

    def pool(self, groups: tuple[str, ...], strategy: Strategy) -> Pool:
        pool = self.pools.get((groups, strategy))
        if pool is None:
            if len(self.pools) >= POOLS_PER_MODEL_MAX:
                self.pools.clear()
            pool = Pool(tiers_of(self.channels, groups, rank_of(strategy, self.name)))
            self.pools[groups, strategy] = pool
        return pool


class RoutingTable:
    """The snapshots of channels and weights, ready to plan with.

    Args:
        figures: what is known of the moment; of nothing without it.
    """

    def __init__(self, figures: LiveFigures | None = None) -> None:
        self.figures = LiveFigures() if figures is None else figures
        self._channels: dict[int, ChannelSnapshot] = {}
        self._models: dict[str, _Model] = {}
        self._health: dict[int, ChannelWeight] = {}
        self._own: dict[int, float] = {}
        self._budgets: dict[int, RetryBudget] = {}
        self._denied: dict[tuple[int, str], float] = {}
        self._refused: dict[int, tuple[str, ...]] = {}

    def put(self, channel: ChannelSnapshot) -> None:
        """Add a channel or replace it. One that is not enabled, or drained, serves nothing."""
        self._take_out(channel.id)
        self._channels[channel.id] = channel
        if _serves(channel):
            for name in channel.models:
                model = self._models.get(name)
                if model is None:
                    model = self._models[name] = _Model(name)
                model.channels[channel.id] = channel
                model.pools.clear()

    def remove(self, channel: int) -> None:
        """Drop a deleted channel. One that is not there is fine."""
        self._take_out(channel)
        self._own.pop(channel, None)
        self._budgets.pop(channel, None)
        self.figures.forget(channel)

    def _take_out(self, channel: int) -> None:
        known = self._channels.pop(channel, None)
        self._denied = {denied: until for denied, until in self._denied.items() if denied[0] != channel}
        if known is None or not _serves(known):
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
        self.figures.publish(weight.channel, weight.figures)
        if weight.refused:
            self._refused[weight.channel] = weight.refused
        else:
            self._refused.pop(weight.channel, None)
        if (1.0 if held is None else held.weight) != weight.weight:
            self._stale(weight.channel)
        return True

    def clear_weight(self, channel: int) -> None:
        """Health dropped its weight: the channel counts as serving again."""
        self._refused.pop(channel, None)
        if self._health.pop(channel, None) is not None:
            self._stale(channel)

    def set_own_weight(self, channel: int, weight: float) -> None:
        """Take this dispatcher's own judgement, 0 to 1. The smaller of the two weights counts."""
        if self._own.get(channel, 1.0) != weight:
            self._own[channel] = weight
            self._stale(channel)

    def deny(self, channel: int, model: str, now: float) -> None:
        """A channel's provider does not let us use a model of it."""
        if channel in self._channels:
            self._denied[channel, model] = now + DENIED_S

    def learn(self, channel: int, error: ErrorType | None, now: float) -> None:
        """Let an attempt's outcome count for how many retries the channel bears."""
        self.budget(channel).receive(error, now)

    def budget(self, channel: int) -> RetryBudget:
        """Return how many retries a channel bears."""
        budget = self._budgets.get(channel)
        if budget is None:
            budget = self._budgets[channel] = RetryBudget()
        return budget

    def _stale(self, channel: int) -> None:
        known = self._channels.get(channel)
        if known is None or not _serves(known):
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

    def usable(self, channel: int, model: str, now: float) -> bool:
        """Return whether a channel's provider lets us use a model, as far as is known."""
        if channel in self._refused and model in self._refused[channel]:
            return False
        return not self._denied or self._denied.get((channel, model), 0.0) <= now

    def channel(self, channel: int) -> ChannelSnapshot | None:
        """Return a channel by its id."""
        return self._channels.get(channel)

    def pool(self, model: str, groups: tuple[str, ...], strategy: Strategy) -> Pool | None:
        """Return the channels that could serve a model, with their present weights; None if there are none.

        Args:
            model: public model name.
            groups: the key's groups in order of preference.
            strategy: how channels are put in order.
        """
        known = self._models.get(model)
        pool = None if known is None else known.pool(groups, strategy)
        if pool is not None and pool.stale:
            pool.weigh(self.effective_weight, self.health_weight)
        return pool

    def plan(
        self,
        model: str,
        groups: tuple[str, ...],
        credentials: CredentialStates,
        draw: Draw,
        affinity: int = 0,
        *,
        strategy: Strategy = Strategy.PRIORITY,
        stream: bool = True,
        now: float = 0.0,
    ) -> "Plan":
        """Return a job's plan; nothing is decided before its first `Plan.next`.

        Args:
            model: public model name.
            groups: the key's groups in order of preference.
            credentials: what is known of credentials.
            draw: randomness.
            affinity: of the job's conversation, in place of randomness; 0 for none (`policy.affinity`).
            strategy: how channels are put in order.
            stream: whether the answer is to be one.
            now: monotonic seconds.
        """
        pool = self.pool(model, groups, strategy)
        score = SCORES.get(strategy)
        look = None if score is None else Look(self.figures, credentials, model, stream, now)
        return Plan(self, model, pool, credentials, draw, affinity=affinity, strategy=strategy, look=look)


def _serves(channel: ChannelSnapshot) -> bool:
    return channel.enabled and not channel.drained


class Plan:
    """One job's walk through its candidates. Made by `RoutingTable.plan`.

    Attributes:
        rounds: how often everybody was asked again.
    """

    __slots__ = (
        "_affinity",
        "_credentials",
        "_draw",
        "_last",
        "_later",
        "_left_out",
        "_look",
        "_model",
        "_pool",
        "_retries",
        "_strategy",
        "_table",
        "_tight",
        "_tried",
        "_untouched",
        "_waiting",
        "rounds",
    )

    def __init__(
        self,
        table: RoutingTable,
        model: str,
        pool: Pool | None,
        credentials: CredentialStates,
        draw: Draw,
        *,
        affinity: int,
        strategy: Strategy,
        look: Look | None,
    ) -> None:
        self._table = table
        self._model = model
        self._pool = pool
        self._credentials = credentials
        self._draw = draw
        self._affinity = affinity
        self._strategy = strategy
        self._look = look
        self._left_out: tuple[int, ...] = ()
        self._retries = False
        self._last: Entry | None = None
        self.rounds = 0
        self._begin_round()

    def _begin_round(self) -> None:
        self._untouched: Iterator[Entry] = iter(())
        if self._pool is not None:
            self._untouched = walk(
                self._pool,
                self._strategy,
                self._draw,
                affinity=self._affinity,
                look=self._look,
                figures=self._table.figures,
            )
        self._tight: list[Entry] = []
        self._later: list[Entry] = []
        self._waiting: list[Entry] = []
        self._tried: dict[int, set[int]] = {}

    def next(self, now: float, last_error: ErrorType | None = None) -> Candidate | None:
        """Return the next attempt, or None when nothing is left; then `refusal` says why.

        Never the same channel and credential twice, but in another round.

        Args:
            now: monotonic seconds.
            last_error: how the last attempt ended; None before one was made.
        """
        self._retries = self._retries or last_error is not None
        last, self._last = self._last, None
        if last is not None:
            if last_error in CREDENTIAL_FAULTS and (candidate := self._candidate(last, now)) is not None:
                return candidate
            self._later.append(last)
        for entry in self._untouched:
            if self._credentials.only_tight(entry.channel, now, entry.channel.models[self._model]):
                self._tight.append(entry)
            elif (candidate := self._candidate(entry, now)) is not None:
                return candidate
        for rest in (self._tight, self._later):
            while rest:
                if (candidate := self._candidate(rest.pop(0), now)) is not None:
                    return candidate
        return self._after_a_wait(now)

    def other(self, now: float) -> Candidate | None:
        """Return a second attempt to make beside the one under way, on another channel; None if none is left."""
        self._retries = True
        last = self._last
        for entry in self._untouched:
            if (candidate := self._candidate(entry, now)) is not None:
                if last is not None:
                    self._later.append(last)
                return candidate
        self._last = last
        return None

    def leave_out(self, channel: int) -> None:
        """The request does not fit a channel, which was not called: it is not asked again."""
        self._left_out = (*self._left_out, channel)

    def _candidate(self, entry: Entry, now: float, wait_s: float = 0.0) -> Candidate | None:
        channel, table = entry.channel, self._table
        if not self._live(channel.id) or not table.usable(channel.id, self._model, now):
            return None
        if channel.id in self._left_out or (self._retries and not table.budget(channel.id).allows(now)):
            return None
        tried = self._tried.get(channel.id)
        upstream_model = channel.models[self._model]
        choice = self._credentials.choose(
            channel,
            () if tried is None else tried,
            now,
            self._affinity,
            model=upstream_model,
            wait_s=wait_s,
        )
        if choice is None:
            if wait_s:
                return None
            if (candidate := self._bet(entry, now)) is not None:
                return candidate
            self._waiting.append(entry)
            return None
        credential = choice.credential
        identity = NAMELESS if credential is None else credential.id
        if tried is None:
            self._tried[channel.id] = {identity}
        else:
            tried.add(identity)
        self._last = entry
        last_resort = self._pool is not None and self._pool.last_resort
        return Candidate(channel, credential, entry.group, upstream_model, last_resort, self._model, wait_s)

    def _bet(self, entry: Entry, now: float) -> Candidate | None:
        """Return an attempt after a short wait, where the strategy takes that for the quickest."""
        free = self._free_at(entry, now) if self._strategy is Strategy.LATENCY else None
        if free is None or not 0.0 < free - now <= BET_WAIT_S_MAX:
            return None
        return self._candidate(entry, now, free - now)

    def _free_at(self, entry: Entry, now: float) -> float | None:
        tried = self._tried.get(entry.channel.id, ())
        return self._credentials.free_at(entry.channel, now, entry.channel.models[self._model], tried)

    def _after_a_wait(self, now: float) -> Candidate | None:
        """Return the attempt with the credential that is free first, where that is soon."""
        soonest: tuple[float, Entry] | None = None
        for entry in self._waiting:
            free = self._free_at(entry, now)
            if free is not None and free - now <= COOL_WAIT_S_MAX and (soonest is None or free < soonest[0]):
                soonest = (free, entry)
        if soonest is None:
            return None
        self._waiting.remove(soonest[1])
        return self._candidate(soonest[1], now, max(soonest[0] - now, WAIT_S_MIN))

    def again(self, now: float, last_error: ErrorType | None) -> Candidate | None:
        """Return the first attempt of another round, where what failed may have been a moment's trouble; else None.

        Args:
            now: monotonic seconds.
            last_error: how the last attempt ended.
        """
        if last_error not in REPEATABLE or self.rounds >= ROUNDS_MAX:
            return None
        self._begin_round()
        self._retries = True
        for entry in self._untouched:
            if (candidate := self._candidate(entry, now)) is not None:
                wait_s = candidate.wait_s + backoff_s(self.rounds, self._draw)
                self.rounds += 1
                return msgspec.structs.replace(candidate, wait_s=wait_s)
        return None

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
        outlooks = [self._credentials.outlook(channel, now, channel.models[self._model]) for channel in live]
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
