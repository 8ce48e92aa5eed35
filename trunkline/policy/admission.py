"""Which jobs of a lane wait for room at dispatchers, for how long, and what those are told that may not. Pure.

A lane has a `LaneAdmission` only while jobs wait. Order and bounds are `policy.fair_queue`'s. What is told is the time
at which a place would have come up for the job, from the rate at which this edge's jobs of the lane have got in of late
(`EntryRate`) and what waits before it. Refused jobs stand in a line of their own, on paper (`RetryLine`): the first is
told to come when its account's next turn is due, the next one a turn later. So they do not all come back together, and
what a client is told is true for a burst. Under a load that stays too high it is often too short: who comes back may
find the place taken by somebody new, since nothing tells the two apart.
"""

import math
from collections import OrderedDict, deque
from typing import Generic, NamedTuple, TypeVar

from trunkline.policy.fair_queue import FairQueue, Refusal, Ticket

WAIT_S = 10.0
"""Default for how long a job may wait. Long enough for a burst to pass, and half of what impatient clients give a
request before its first byte; nothing can be sent to a client meanwhile, because a head that has left cannot become an
error."""

RATE_WINDOW_S = 5.0
"""Time in which an old entry comes to count 1/e: some multiple of the time that typical jobs take."""

ENTRIES_SURE = 10.0
"""Entries in the window from which on the rate is good enough to refuse by: it is off by a third then."""

NO_CHANCE_FACTOR = 1.5
"""A job that would wait so many times too long is refused at once: what the rate may be off by, so that no job is
refused that had a chance, and the queue holds enough for every room that comes up."""

RETRY_AFTER_MIN_S = 0.5
RETRY_AFTER_MAX_S = 60.0
"""Official SDKs take no word that is longer: they fall back to their own short waits."""

RETRIES_PER_ACCOUNT_MAX = 10_000
"""Refused jobs that are remembered of an account: those of a minute at 160 a second."""

RETRY_LINES_MAX = 10_000
"""Accounts whose refused jobs are remembered; past it the one refused longest ago is forgotten."""

J = TypeVar("J")


class EntryRate:
    """How fast jobs get in, while some wait: an exponential average over that time alone."""

    __slots__ = ("_age_s", "_entries", "_seen")

    def __init__(self) -> None:
        self._entries = 0.0
        self._age_s = 0.0
        self._seen = 0.0

    def resume(self, now: float) -> None:
        """Jobs begin to wait again: the time since the last call counts for nothing."""
        self._seen = now

    def entered(self, now: float) -> None:
        """A job got in."""
        self._pass(now)
        self._entries += 1.0

    def _pass(self, now: float) -> None:
        elapsed_s = max(0.0, now - self._seen)
        self._entries *= math.exp(-elapsed_s / RATE_WINDOW_S)
        self._age_s += elapsed_s
        self._seen = now

    def sure(self, now: float) -> bool:
        """Whether enough got in of late to rely on it."""
        self._pass(now)
        return self._entries >= ENTRIES_SURE

    def per_s(self, now: float) -> float | None:
        """Return jobs a second; None if nothing is known yet."""
        self._pass(now)
        share = 1.0 - math.exp(-self._age_s / RATE_WINDOW_S)  # of the window that has been seen at all
        if self._entries < 1e-3 or share < 1e-3:
            return None
        return self._entries / (RATE_WINDOW_S * share)


class RetryLine:
    """When the refused jobs of each account were told to come back."""

    def __init__(self) -> None:
        self._told: OrderedDict[int, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        """Accounts with jobs that are still to come back, and some with none any more."""
        return len(self._told)

    def stand(self, account: int, first_s: float, each_s: float, now: float) -> float:
        """Put a refused job behind the account's others; returns after how many seconds it should come.

        Args:
            account: whose.
            first_s: after how many seconds a job that came now would have its turn.
            each_s: seconds between two turns of the account.
            now: monotonic seconds.
        """
        times = self._told.pop(account, None) or deque(maxlen=RETRIES_PER_ACCOUNT_MAX)
        while times and times[0] <= now:
            times.popleft()
        wait_s = min(max(first_s + len(times) * each_s, RETRY_AFTER_MIN_S), RETRY_AFTER_MAX_S)
        times.append(now + wait_s)
        self._told[account] = times
        while len(self._told) > RETRY_LINES_MAX or next(iter(self._told.values()))[-1] <= now:
            self._told.popitem(last=False)
        return wait_s


class Refused(NamedTuple):
    """A job that may not wait.

    Attributes:
        why: the reason.
        retry_after_s: when it has a chance.
    """

    why: Refusal
    retry_after_s: float


class LaneAdmission(Generic[J]):
    """One lane of one edge.

    Args:
        wait_s: how long a job may wait.
    """

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self.queue: FairQueue[J] = FairQueue(wait_s)
        self._rate = EntryRate()
        self._retries = RetryLine()

    def resume(self, now: float) -> None:
        """Jobs begin to wait, after a time in which none did."""
        self._rate.resume(now)

    def join(self, job: J, account: int, priority: int, now: float) -> Ticket[J] | Refused:
        """Let a job wait, if it may."""
        why = self.queue.full_for(account, priority) or self._hopeless(account, priority, now)
        if why is not None:
            return self._refused(why, account, priority, now)
        return self.queue.join(job, account, priority, now)

    def _hopeless(self, account: int, priority: int, now: float) -> Refusal | None:
        if not self._rate.sure(now):
            return None
        wait_s = self._seconds(self.queue.turns_of(account, priority), now)
        return Refusal.NO_CHANCE if wait_s is not None and wait_s > NO_CHANCE_FACTOR * self._wait_s else None

    def entered(self, ticket: Ticket[J], now: float) -> None:
        """A job got in."""
        self.queue.leave(ticket)
        self._rate.entered(now)

    def take_late(self, now: float) -> list[tuple[Ticket[J], Refused]]:
        """Take out the jobs that have waited long enough, with what to tell them."""
        late = self.queue.late(now)
        for ticket in late:
            self.queue.leave(ticket)  # all of them first: none stands before another one any more
        return [(ticket, self.refuse_late(ticket, now)) for ticket in late]

    def refuse_late(self, ticket: Ticket[J], now: float) -> Refused:
        """Return what to tell a job that has left the queue because its time is over."""
        return self._refused(Refusal.LATE, ticket.account, ticket.priority, now)

    def _refused(self, why: Refusal, account: int, priority: int, now: float) -> Refused:
        first_s = self._seconds(self.queue.turns_of(account, priority), now)
        each_s = self._seconds(self.queue.turn_every(account, priority), now)
        if first_s is None or each_s is None:
            return Refused(why, self._wait_s)  # nobody knows; by then those that wait now are through or refused
        return Refused(why, self._retries.stand(account, first_s, each_s, now))

    def _seconds(self, turns: int, now: float) -> float | None:
        """Return how long some turns take; None where no rate is known yet."""
        per_s = self._rate.per_s(now)
        return None if per_s is None else turns / per_s
