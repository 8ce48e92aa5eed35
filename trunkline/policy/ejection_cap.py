"""How many of the channels that serve a model may be ejected on attempts alone. Asked by health's judge.

Attempts fail for reasons that are not the channel's, too: a client whose requests bring every provider down, a model
that is configured wrongly everywhere. Ejecting all channels then makes a failure of some requests one of all. So of the
channels that serve a model through a group at most half are ejected on attempts alone; one that would exceed it stays,
at the weight of a channel on trial. A probe that fails is proof, since no client had a part in it: what it confirms
may be ejected without a bound. What attempts have ejected is probed at once, so that a true outage is told from the
rest within a second or two. A model's only channel may go: without it the model fails either way, and sooner. Pure.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from trunkline.bus.snapshots import ChannelSnapshot

UNPROVEN_SHARE = 0.5
"""Part of a pool's channels that may be ejected without proof; at least one."""

Pool = frozenset[int]
"""Channels that serve one model through one group."""


class Ejection(NamedTuple):
    """A breaker's wish.

    Attributes:
        channel: its id.
        since: monotonic seconds.
        proven: its last probe failed.
    """

    channel: int
    since: float
    proven: bool


def pools_of(
    channels: Iterable[ChannelSnapshot], refused: Callable[[int], Collection[str]]
) -> dict[int, tuple[Pool, ...]]:
    """Return the pools that each channel belongs to, each once. One that takes no new jobs belongs to none.

    Args:
        channels: all enabled ones.
        refused: the models that a channel is not let use.
    """
    members: dict[tuple[str, str], list[int]] = defaultdict(list)
    for channel in channels:
        if channel.drained or channel.weight <= 0:
            continue
        unusable = refused(channel.id)
        for model in channel.models:
            if model not in unusable:
                for group in channel.groups:
                    members[model, group].append(channel.id)
    pools: dict[int, list[Pool]] = defaultdict(list)
    for pool in {frozenset(ids) for ids in members.values()}:
        for channel_id in pool:
            pools[channel_id].append(pool)
    return {channel_id: tuple(found) for channel_id, found in pools.items()}


def spared(pools: dict[int, tuple[Pool, ...]], ejections: Iterable[Ejection]) -> frozenset[int]:
    """Return the channels that stay although their breakers eject them.

    Those that were ejected first stay out: so nobody changes places while nothing changes.

    Args:
        pools: see `pools_of`.
        ejections: all that stand.
    """
    out: dict[Pool, int] = defaultdict(int)
    kept: set[int] = set()
    for ejection in sorted(ejections, key=lambda each: (not each.proven, each.since, each.channel)):
        mine = pools.get(ejection.channel, ())
        if ejection.proven or all(out[pool] < max(1, int(len(pool) * UNPROVEN_SHARE)) for pool in mine):
            for pool in mine:
                out[pool] += 1
        else:
            kept.add(ejection.channel)
    return frozenset(kept)
