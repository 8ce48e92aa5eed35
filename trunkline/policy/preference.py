"""Which of several members of different weight something prefers: the same one always, as long as it is there.

Weighted rendezvous hashing. Every member draws ``log(u) / weight`` with a ``u`` that a seed and the member determine,
and the largest draw wins: over all seeds each member wins by its weight, and when one goes or comes only the seeds that
it had, or now has, change sides (Thaler and Ravishankar 1998; with weights, Schindelhauer and Schomaker 2005).

Asking every member would take 0.3 ms at a thousand, so beyond `GROUP_MEMBERS_MAX` members stand in groups, by a hash of
their own, and those in groups again; a group draws with the sum of its members' weights. Then more seeds than
the member's own change sides: 0.16 % beside its 0.1 % at a thousand members, and most once, as groups come to be.
"""

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from trunkline.core.hashing import mix64

GROUP_MEMBERS_MAX = 16
"""Members or groups that are asked at a time: 5 µs. Nearly every model has fewer channels, and every channel fewer
credentials, so that for them nothing changes sides without need."""

PICKS_MAX = 4
"""Picks that are worth the time. Where half of the weight is away, one in 16 has found nothing by then."""

POINTS_PER_WEIGHT = 0.16
"""Points of a member on a ring: sixteen at the usual weight of 100. A thousand such take 0.25 MB and 5 ms to place."""

POINTS_MAX = 256
"""Points of one member, so that a great weight does not fill the memory."""

_GROUP_BITS = 4
_LOG_MAX = math.log(2.0**64)


class _Lot(NamedTuple):
    """A member or a group.

    Attributes:
        salt: of its own.
        share: one divided by the weight: what a draw is multiplied by.
        inner: the member's index, or the group's lots.
    """

    salt: int
    share: float
    inner: int | list["_Lot"]


class Preference:
    """Members, and whom seeds prefer among them.

    Args:
        members: identity, unique and below 2⁶⁴, and weight of each; one of weight 0 or less is never preferred.
    """

    __slots__ = ("_lots",)

    def __init__(self, members: Iterable[tuple[int, float]]) -> None:
        lots = [
            _Lot(mix64(identity), 1 / weight, index) for index, (identity, weight) in enumerate(members) if weight > 0
        ]
        self._lots = _grouped(lots, 64 - _GROUP_BITS)

    def picks(self, seed: int) -> Iterator[int]:
        """Yield the index of the preferred member, and then of those to take in its place; some may come again.

        Where a pick is passed over with some chance, the next one is as good as a new seed: what is taken in the end is
        shared by weight times the chance of being taken.

        Args:
            seed: below 2⁶⁴.
        """
        if self._lots:
            for step in range(PICKS_MAX):
                yield self._pick(mix64(seed + step))

    def _pick(self, seed: int) -> int:
        lots, log = self._lots, math.log
        while True:
            salt, share, inner = lots[0]
            if len(lots) > 1:
                best = -math.inf
                for salt, share, candidate in lots:
                    # `mix64` without its last step, which only changes lower bits: a call costs as much again.
                    mixed = seed ^ salt
                    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
                    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
                    drawn = (log(mixed + 0.5) - _LOG_MAX) * share
                    if drawn > best:
                        best, inner = drawn, candidate
            if isinstance(inner, int):
                return inner
            lots = inner


class Ring:
    """Members on a ring, for several draws at once: each takes who comes next behind a point that a seed determines.

    A member has points by its weight, so that when one goes or comes only the draws that fell on it, or now do, change
    (Karger et al. 1997). A draw is one bisection, where `Preference` asks members in turn; in return shares follow
    the weights only roughly, by a quarter or so.

    Args:
        members: identity, unique and below 2⁶⁴, and weight of each; one of weight 0 or less is never drawn.
    """

    __slots__ = ("_members", "_points")

    def __init__(self, members: Iterable[tuple[int, float]]) -> None:
        placed = sorted(
            (mix64(mix64(identity) + step), index)
            for index, (identity, weight) in enumerate(members)
            for step in range(min(math.ceil(weight * POINTS_PER_WEIGHT), POINTS_MAX))
        )
        self._points = array("Q", [point for point, _ in placed])
        self._members = array("L", [index for _, index in placed])

    def draws(self, seed: int, count: int) -> Iterator[int]:
        """Yield the index of so many members, some perhaps more than once.

        Args:
            seed: below 2⁶⁴.
            count: of draws.
        """
        points, members = self._points, self._members
        if points:
            for step in range(count):
                yield members[bisect_right(points, mix64(seed + step)) % len(points)]


def _grouped(lots: list[_Lot], shift: int) -> list[_Lot]:
    """Return lots as one that may be asked at a time; ``shift`` is of the bits of their salts that part them."""
    if len(lots) <= GROUP_MEMBERS_MAX:
        return lots
    groups: dict[int, list[_Lot]] = {}
    for lot in lots:
        groups.setdefault(lot.salt >> shift & (1 << _GROUP_BITS) - 1, []).append(lot)
    return [
        # Its salt must not be a member's nor that of a group around it: both would draw the same.
        _Lot(
            mix64(~(shift << _GROUP_BITS | number)),
            1 / math.fsum(1 / lot.share for lot in group),
            _grouped(group, shift - _GROUP_BITS),
        )
        for number, group in groups.items()
    ]
