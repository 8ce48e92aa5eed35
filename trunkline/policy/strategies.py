"""The strategies: pure functions that put the channels of a pool in order, over snapshots and live figures.

``priority`` and ``cost`` rank channels by what is configured, and share by weight among equals. ``latency``,
``throughput`` and ``least-busy`` compare what is known of the moment: the lowest score goes first. They look at all of
up to `EXAMINED_MAX` channels, else at `DRAWN_MAX` drawn by weight, so that a plan over a thousand costs no more; what
is under way makes a channel look worse, so that dispatchers which all see the same best one do not all run there.

In every strategy but ``priority``, channels of a negative priority are the reserve: asked when nobody else is left.
"""

import math
from collections.abc import Callable, Iterator

import msgspec

from trunkline.bus.snapshots import ChannelSnapshot, Strategy
from trunkline.core.hashing import fraction, mix64
from trunkline.policy.affinity import draws
from trunkline.policy.credentials import CredentialStates
from trunkline.policy.figures import LiveFigures
from trunkline.policy.pools import Draw, Entry, Pool, Rank, Tier

EXAMINED_MAX = 8
"""Channels compared for one job, if there are no more: about 1 µs each."""

DRAWN_MAX = 6
"""Channels compared where there are more: the best of six drawn ones is among the best seventh, and of a thousand
channels each that is looked at costs 2 µs, since it is in no cache."""

BAND_MIN, BAND_MAX = 1.25, 1.75
"""A conversation stays where it is while that is not worse than the best by more than this: its cache saves half of the
time to the first token. Each has a bound of its own between these, so that a channel which wavers about one of them
does not move all of its conversations to and fro."""

EASE_OF_JOBS = 1.0
EASE_OF_CONVERSATIONS = 16.0
"""Attempts that wait at a channel and make it look twice as slow. With few at a time their number is mostly chance, and
a conversation that followed it would be elsewhere with every other request."""

SPARED_FROM = 32
"""Attempts under way on a channel at one dispatcher, below which no conversation avoids it."""

SPARED_FACTOR = 2.0
"""A channel with more than so many times the others' attempts, by weight, is spared by conversations."""


class Look(msgspec.Struct, frozen=True):
    """What scores are made of.

    Attributes:
        figures: what is known of channels.
        credentials: what is known of their credentials.
        model: public name.
        stream: whether the job is one.
        now: monotonic seconds.
    """

    figures: LiveFigures
    credentials: CredentialStates
    model: str
    stream: bool
    now: float

    def wait_s(self, channel: ChannelSnapshot) -> float:
        """Return how long until one of a channel's credentials can be used; infinite if none will."""
        free_at = self.credentials.free_at(channel, self.now, channel.models[self.model])
        return math.inf if free_at is None else free_at - self.now


Score = Callable[[list[Entry], Look, float], list[float]]
"""Scores channels against each other; lower is better. The last argument is one of the two kinds of ease above."""


def by_priority(channel: ChannelSnapshot) -> tuple[float, ...]:
    """Rank of ``priority``."""
    return (-channel.priority,)


def by_reserve(channel: ChannelSnapshot) -> tuple[float, ...]:
    """Rank of the strategies that compare figures: all alike but for the reserve."""
    return (1.0 if channel.priority < 0 else 0.0,)


def rank_of(strategy: Strategy, model: str) -> Rank:
    """Return a strategy's ranking for a model."""
    if strategy is Strategy.PRIORITY:
        return by_priority
    if strategy is Strategy.COST:
        return lambda channel: (*by_reserve(channel), float(channel.costs.get(model, math.inf)))
    return by_reserve


def _latency(entries: list[Entry], look: Look, ease: float) -> list[float]:
    """The expected time to an answer, with the wait for a credential, and longer by those who wait for one already."""
    known, waiting = [], []
    for entry in entries:
        channel = look.figures.channel(entry.channel.id)
        record = None if channel is None else channel.models.get(look.model)
        known.append(None if record is None else record.expected_s(look.now, stream=look.stream))
        waiting.append(0 if channel is None else channel.waiting)
    hoped = min((seconds for seconds in known if seconds is not None), default=1.0)
    return [
        look.wait_s(entry.channel) + (hoped if seconds is None else seconds) * (1 + before / ease)
        for entry, seconds, before in zip(entries, known, waiting, strict=True)
    ]


def _throughput(entries: list[Entry], look: Look, ease: float) -> list[float]:
    """The time for a token, longer by the attempts that are under way beside it."""
    known, waiting = [], []
    for entry in entries:
        channel = look.figures.channel(entry.channel.id)
        record = None if channel is None else channel.models.get(look.model)
        speed = None if record is None else record.speed(look.now)
        known.append(None if speed is None else 1 / speed)
        waiting.append(0 if channel is None else channel.waiting)
    hoped = min((seconds for seconds in known if seconds is not None), default=1.0)
    return [
        (math.inf if look.wait_s(entry.channel) else hoped if seconds is None else seconds) * (1 + before / ease)
        for entry, seconds, before in zip(entries, known, waiting, strict=True)
    ]


def _least_busy(entries: list[Entry], look: Look, ease: float) -> list[float]:
    """Attempts under way, by weight; with ease as if there were some more everywhere."""
    scores = []
    more = (ease - 1) * len(entries) / sum(entry.channel.weight for entry in entries)
    for entry in entries:
        channel = look.figures.channel(entry.channel.id)
        busy = 1 if channel is None else channel.in_flight + 1
        scores.append(math.inf if look.wait_s(entry.channel) else busy / entry.channel.weight + more)
    return scores


SCORES: dict[Strategy, Score] = {
    Strategy.LATENCY: _latency,
    Strategy.THROUGHPUT: _throughput,
    Strategy.LEAST_BUSY: _least_busy,
}


def by_score(tier: Tier, score: Score, look: Look, draw: Draw, affinity: int) -> Iterator[Entry]:
    """Yield a tier's live entries in the order of a strategy that compares.

    Args:
        tier: with live entries.
        score: of the strategy.
        look: what it is made of.
        draw: randomness.
        affinity: of a conversation, which keeps its channel while that is not much worse than the best; 0 for none.
    """
    examined = _of_conversation(tier, affinity) if affinity else _drawn(tier, draw)
    scores = score(examined, look, EASE_OF_CONVERSATIONS if affinity else EASE_OF_JOBS)
    # By score; equal ones in the order in which they were drawn.
    order = sorted(range(len(examined)), key=scores.__getitem__)
    if affinity:
        bound = scores[order[0]] * (BAND_MIN + (BAND_MAX - BAND_MIN) * fraction(mix64(mix64(affinity))))
        kept = next(index for index in range(len(examined)) if scores[index] <= bound)
        order.remove(kept)
        order.insert(0, kept)
    for index in order:
        yield examined[index]
    offered = {entry.channel.id for entry in examined}
    for entry in tier.shuffled(draw):
        if entry.channel.id not in offered:
            yield entry


def _drawn(tier: Tier, draw: Draw) -> list[Entry]:
    """Return the channels that are compared for one job, each once; there is at least one."""
    if len(tier.live) <= EXAMINED_MAX:
        drawn = list(tier.live) if len(tier.live) == 1 else list(tier.shuffled(draw))
    else:
        drawn = list({entry.channel.id: entry for entry in (tier.drawn(draw) for _ in range(DRAWN_MAX))}.values())
    # One that recovers is compared only as often as its health says, else it would get everything as the unknown one.
    healthy = [entry for entry in drawn if (health := tier.health_of(entry)) >= 1.0 or draw() < health]
    return healthy or drawn


def _of_conversation(tier: Tier, affinity: int) -> list[Entry]:
    """Return the channels that are compared for a conversation, the preferred ones first: the same ones each time.

    The trouble of one of them moves no other.
    """
    drawn = tier.of_conversation(affinity, EXAMINED_MAX, DRAWN_MAX)
    healthy = [
        entry
        for entry in drawn
        if (health := tier.health_of(entry)) >= 1.0 or fraction(mix64(affinity ^ mix64(entry.channel.id))) < health
    ]
    return healthy or drawn or [tier.live[0]]


def spared(figures: LiveFigures, tier: Tier, entry: Entry) -> bool:
    """Return whether a channel has so much to do, against the others of its tier, that conversations avoid it."""
    mine = figures.channel(entry.channel.id)
    if mine is None or mine.in_flight < SPARED_FROM or len(tier.live) < 2:
        return False
    busy = weight = 0.0
    for other in tier.live[: EXAMINED_MAX + 1]:
        if other is entry:
            continue
        record = figures.channel(other.channel.id)
        busy += 0 if record is None else record.in_flight
        weight += other.channel.weight
    return mine.in_flight / entry.channel.weight > SPARED_FACTOR * busy / weight


def walk(
    pool: Pool, strategy: Strategy, draw: Draw, *, affinity: int, look: Look | None, figures: LiveFigures
) -> Iterator[Entry]:
    """Yield a pool's live entries in the order of a plan.

    It knows no plan: one that held an iterator which holds the plan would stay until the cycle collector finds the two,
    and a plan is made for every job.

    Args:
        pool: of the job's model and groups.
        strategy: of the plan.
        draw: randomness.
        affinity: of the job's conversation, in place of randomness; 0 for none.
        look: what scores are made of, where the strategy compares.
        figures: what channels have to do.
    """
    steady = draws(affinity) if affinity else draw
    score = SCORES.get(strategy)

    def avoided(tier: Tier, entry: Entry) -> bool:
        return spared(figures, tier, entry)

    for tier in pool.in_turn(steady):
        if look is not None and score is not None:
            yield from by_score(tier, score, look, draw, affinity)
        elif affinity:
            yield from tier.preferred(affinity, steady, avoided)
        else:
            yield from tier.shuffled(steady)
