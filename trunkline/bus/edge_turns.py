"""Which edges hear of a full dispatcher's room, in turn. Pure.

Jobs that find all dispatchers full wait at their edges (`policy.fair_queue`). A dispatcher knows which edges those are:
it has refused them something, an offer said that more waits behind it, or a beat did. When one of its jobs ends it
tells the edge whose turn it is, which then offers a job by name. So each room that comes up is used after one round
trip, and no edge waits for ever beside one that has more jobs under way; without this, the edge whose job had ended
would always be the first to know.

Edges of the dispatcher's own region are told first, and those of others of what these leave: each region has room of
its own, and what comes from afar is what that did not suffice for.

What was told counts as taken until the offers are here, or `PROMISE_S` is over. It is not kept free: an offer of
another edge that comes in between is taken, and the edge that was told is refused, and told again.
"""

from typing import NamedTuple

PROMISE_S = 0.05
"""How long an edge has to make use of what it was told: many times what its offers take to come."""

PROMISE_FAR_S = 0.4
"""The same of an edge in another region: twice the round trip between continents and some more."""


class _Promise(NamedTuple):
    jobs: int
    until: float


class EdgeTurns:
    """The edges at which jobs wait for room here."""

    def __init__(self) -> None:
        self._near: dict[str, int] = {}  # in the order of their turns
        self._far: dict[str, int] = {}
        self._promised: dict[str, _Promise] = {}

    def __len__(self) -> int:
        """Edges that wait to be told."""
        return len(self._near) + len(self._far)

    def waits(self, edge: str, jobs: int, *, far: bool = False) -> None:
        """Note that at least so many jobs wait at an edge, which may be ``far``. It keeps its turn if it has one."""
        wanted = self._far if far else self._near
        wanted[edge] = max(jobs, wanted.get(edge, 0))

    def offered(self, edge: str) -> None:
        """An edge has offered a job: one that it was told of, if it was told of any."""
        promise = self._promised.get(edge)
        if promise is not None:
            if promise.jobs > 1:
                self._promised[edge] = promise._replace(jobs=promise.jobs - 1)
            else:
                del self._promised[edge]

    def forget(self, edge: str) -> None:
        """An edge is gone for good."""
        self._near.pop(edge, None)
        self._far.pop(edge, None)
        self._promised.pop(edge, None)

    def share(self, room: int, now: float) -> list[tuple[str, int]]:
        """Return which edges to tell of the room there is, and of how much.

        None gets less than another of its region, unless it wants no more. Each is told once, until it says again that
        jobs wait.

        Args:
            room: jobs that could be taken now.
            now: monotonic seconds.
        """
        for edge in [edge for edge, promise in self._promised.items() if promise.until <= now]:
            del self._promised[edge]
        free = room - sum(promise.jobs for promise in self._promised.values())
        told = self._share_among(self._near, free, now + PROMISE_S)
        return told + self._share_among(self._far, free - sum(jobs for _, jobs in told), now + PROMISE_FAR_S)

    def _share_among(self, wanted: dict[str, int], free: int, until: float) -> list[tuple[str, int]]:
        told = []
        while free > 0 and wanted:
            edge = next(iter(wanted))
            jobs = min(max(1, free // len(wanted)), wanted.pop(edge))
            earlier = self._promised.get(edge)
            self._promised[edge] = _Promise(jobs + (0 if earlier is None else earlier.jobs), until)
            free -= jobs
            told.append((edge, jobs))
        return told
