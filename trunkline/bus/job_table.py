"""A dispatcher's jobs, and its answer to each offer: take it, refuse it, or ignore it. Pure.

An offer is run at most once here: one already taken is ignored, one withdrawn before it came is remembered for a
while, and one that arrives too late is dropped, because its edge has offered it elsewhere by then.
"""

from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import Generic, Protocol, TypeVar

from trunkline.core import limits
from trunkline.core.ids import JobID

LATE_SHARE = 0.5
"""An offer older than this share of its edge's patience is dropped. What is left until the edge gives it up must carry
ACCEPTED back, which is sent at once where the way has taken long."""

_SKEW_WINDOW_S = 60.0


class Verdict(Enum):
    """What to do with an offer."""

    TAKE = "take"
    FULL = "full"
    DRAINING = "draining"
    DUPLICATE = "duplicate"
    WITHDRAWN = "withdrawn"
    LATE = "late"


class HasOffer(Protocol):
    """What the table needs of an entry."""

    @property
    def offer(self) -> int:
        """Number of the offer that was taken."""


E = TypeVar("E", bound=HasOffer)


class DelayGauge:
    """How late messages of one edge are. Both ends give their monotonic clocks, whose origins differ.

    The smallest difference between arrival and sending seen in the last minute or two stands for the clocks'
    difference plus the path; what a message exceeds it by is its delay.
    """

    __slots__ = ("_best", "_previous", "_since")

    def __init__(self) -> None:
        self._best: float | None = None
        self._previous: float | None = None
        self._since = 0.0

    def delay_s(self, sent_ms: int, arrived_ms: int, now: float) -> float:
        """Return the delay of a message, and learn from it. ``now`` is monotonic seconds."""
        difference = (arrived_ms - sent_ms) / 1000
        if self._best is None or now - self._since > _SKEW_WINDOW_S:
            self._previous, self._best, self._since = self._best, difference, now
        self._best = min(self._best, difference)
        floor = self._best if self._previous is None else min(self._best, self._previous)
        return difference - floor


class JobTable(Generic[E]):
    """The jobs in hand.

    Args:
        jobs_max: how many there may be.
        body_bytes_max: the sum of their request bodies.
    """

    def __init__(self, *, jobs_max: int, body_bytes_max: int) -> None:
        self._jobs_max = jobs_max
        self._body_bytes_max = body_bytes_max
        self._body_bytes = 0
        self._entries: dict[JobID, E] = {}
        self._withdrawn: dict[JobID, tuple[int, float]] = {}
        self._expiring: deque[tuple[float, JobID]] = deque()
        self._gauges: dict[str, DelayGauge] = {}
        self.draining = False

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def room(self) -> int:
        """Jobs that could be taken now."""
        return 0 if self.draining else self._jobs_max - len(self._entries)

    def entries(self) -> Iterator[E]:
        """The jobs in hand; a copy, so that they may end meanwhile."""
        return iter(list(self._entries.values()))

    def delay_s(self, edge: str, sent_ms: int, arrived_ms: int, now: float) -> float:
        """Return how late a message of an edge is; beats teach it, too."""
        gauge = self._gauges.get(edge)
        if gauge is None:
            gauge = self._gauges[edge] = DelayGauge()
        return gauge.delay_s(sent_ms, arrived_ms, now)

    def forget_edge(self, edge: str) -> None:
        """An edge is gone for good."""
        self._gauges.pop(edge, None)

    def judge(
        self, job: JobID, offer: int, body_bytes: int, *, delay_s: float, patience_s: float, now: float
    ) -> Verdict:
        """Decide on an offer. A higher offer of a job in hand replaces it: the caller ends the old one first.

        Args:
            job: its id.
            offer: its number.
            body_bytes: of the whole request.
            delay_s: that the offer was under way.
            patience_s: that its edge waits for an answer.
            now: monotonic seconds.
        """
        known = self._entries.get(job)
        if known is not None and known.offer >= offer:
            return Verdict.DUPLICATE
        withdrawn = self._withdrawn.get(job)
        if withdrawn is not None and offer <= withdrawn[0]:
            return Verdict.WITHDRAWN
        if delay_s > LATE_SHARE * patience_s:
            return Verdict.LATE
        if self.draining:
            return Verdict.DRAINING
        if self.room <= 0 or self._body_bytes + body_bytes > self._body_bytes_max:
            return Verdict.FULL
        return Verdict.TAKE

    def add(self, job: JobID, entry: E, body_bytes: int) -> None:
        """Keep a job that was taken."""
        self._entries[job] = entry
        self._body_bytes += body_bytes

    def get(self, job: JobID) -> E | None:
        """Return a job in hand."""
        return self._entries.get(job)

    def remove(self, job: JobID, entry: E, body_bytes: int, now: float) -> None:
        """Let a job go, unless a later offer has replaced it. It is remembered, so that a copy is not run again."""
        self._body_bytes -= body_bytes
        if self._entries.get(job) is entry:
            del self._entries[job]
        self._remember(job, entry.offer, now)

    def _remember(self, job: JobID, offer: int, now: float) -> None:
        known, until = self._withdrawn.get(job), now + limits.TOMBSTONE_S
        self._withdrawn[job] = (offer if known is None else max(offer, known[0]), until)
        self._expiring.append((until, job))

    def withdraw(self, job: JobID, offer: int, now: float) -> E | None:
        """Note that offers up to ``offer`` are void; returns the job if it is one of them and in hand."""
        entry = self._entries.get(job)
        if entry is not None and entry.offer <= offer:
            return entry
        self._remember(job, offer, now)
        return None

    def sweep(self, now: float) -> None:
        """Drop memories that have served. Call about once a second."""
        while self._expiring and self._expiring[0][0] <= now:
            job = self._expiring.popleft()[1]
            memory = self._withdrawn.get(job)
            if memory is not None and memory[1] <= now:  # else it was renewed meanwhile
                del self._withdrawn[job]
