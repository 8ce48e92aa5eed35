"""Who goes next when jobs wait for room: accounts in turn, priorities by weight. Pure.

Each account has a line of its own, first come, first served. Within a priority, accounts take turns of one job each:
round robin, which is what deficit round robin comes to when all jobs count the same, and how long a job will take
nobody knows before. Between priorities, the highest one that waits has `TURNS_IN_ROW` of every ``TURNS_IN_ROW + 1``
turns, and those below it share the rest by the same rule: with three priorities, 3/4, 3/16 and 1/16. So a higher one
goes first, and none starves.

Every operation takes the same time whatever the number of jobs and accounts; only the number of priorities counts, of
which there are as many as operators give to tiers.
"""

import bisect
from collections import OrderedDict
from enum import StrEnum
from typing import Generic, TypeVar

TURNS_IN_ROW = 3
"""Turns of a priority after which a lower one that waits has one. Enough for "goes first" to be felt, and one of four
keeps the lower ones alive."""

WAITING_MAX = 10_000
"""Jobs of one priority that wait in one lane: what lower ones send does not keep higher ones out. A hundred kilobytes
each with its connection and a typical body, and no more over all priorities and lanes than an edge has jobs."""

WAITING_PER_ACCOUNT_MAX = 1000
"""Of one account: a tenth of all, so that it takes ten accounts to fill the queue."""

J = TypeVar("J")


class Refusal(StrEnum):
    """Why a job may not wait, or not any longer."""

    ALL_FULL = "all_full"
    """Too many of its priority wait."""
    ACCOUNT_FULL = "account_full"
    """Too many of its account wait."""
    NO_CHANCE = "no_chance"
    """Its turn would come far too late."""
    LATE = "late"
    """Its turn did not come in time."""


class Ticket(Generic[J]):
    """A job's place in the queue; kept while the job is offered, so that a refusal does not cost it its place.

    Attributes:
        job: whatever the caller wants back.
        account, priority: whose.
        since: when it came, in monotonic seconds.
        deadline: until when it may wait.
        waiting: in its line, and not under offer.
        refusals: how often it came back from an offer.
    """

    __slots__ = ("account", "deadline", "job", "priority", "refusals", "since", "waiting")

    def __init__(self, job: J, account: int, priority: int, since: float, deadline: float) -> None:
        self.job = job
        self.account = account
        self.priority = priority
        self.since = since
        self.deadline = deadline
        self.waiting = True
        self.refusals = 0


class _Level(Generic[J]):
    """The lines of one priority, by account, in the order of their turns."""

    __slots__ = ("lines", "waiting")

    def __init__(self) -> None:
        self.lines: OrderedDict[int, OrderedDict[Ticket[J], None]] = OrderedDict()
        self.waiting = 0


class FairQueue(Generic[J]):
    """The jobs of one lane that wait for room.

    Args:
        wait_s: how long each may wait.
    """

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._levels: dict[int, _Level[J]] = {}
        self._order: list[int] = []  # of the levels' negated priorities: the highest priority first
        # Turns that each priority has had in a row while a lower one waited. Kept when its last job has gone: the next
        # one may come before the next turn, each time.
        self._rows: dict[int, int] = {}
        self._tickets: OrderedDict[Ticket[J], None] = OrderedDict()  # by deadline, since all wait equally long
        self._waiting = 0

    def __len__(self) -> int:
        """Jobs that wait, without those under offer."""
        return self._waiting

    @property
    def empty(self) -> bool:
        """Whether nobody waits or may come back."""
        return not self._tickets

    @property
    def since(self) -> float | None:
        """From when on the oldest of those that wait, or are under offer, has waited; None without any."""
        return next(iter(self._tickets)).since if self._tickets else None

    # --- come and go -------------------------------------------------------------------------------------------

    def full_for(self, account: int, priority: int) -> Refusal | None:
        """Return why a job of an account may not wait, None if it may."""
        level = self._levels.get(priority)
        if level is None:
            return None
        if level.waiting >= WAITING_MAX:
            return Refusal.ALL_FULL
        line = level.lines.get(account)
        if line is not None and len(line) >= WAITING_PER_ACCOUNT_MAX:
            return Refusal.ACCOUNT_FULL
        return None

    def join(self, job: J, account: int, priority: int, now: float) -> Ticket[J]:
        """Put a job at the end of its account's line. Call `leave` in the end, whatever becomes of it."""
        ticket = Ticket(job, account, priority, now, now + self._wait_s)
        self._tickets[ticket] = None
        self._line(ticket)[ticket] = None
        self._counted(ticket, 1)
        return ticket

    def take(self) -> Ticket[J] | None:
        """Return the job whose turn it is, to be offered; `put_back` it if it is refused."""
        last = len(self._order) - 1
        for index, negated in enumerate(self._order):
            row = self._rows.get(-negated, 0)
            if index < last and row >= TURNS_IN_ROW:
                self._rows[-negated] = 0
                continue
            self._rows[-negated] = row + 1 if index < last else 0
            return self._take_from(self._levels[-negated])
        return None

    def _take_from(self, level: _Level[J]) -> Ticket[J]:
        account, line = level.lines.popitem(last=False)
        ticket, _ = line.popitem(last=False)
        if line:
            level.lines[account] = line  # behind the others
        ticket.waiting = False
        self._counted(ticket, -1)
        return ticket

    def put_back(self, ticket: Ticket[J]) -> None:
        """The dispatcher had no room for it after all: to the front of its account's line, and of the turns.

        From the second time on its account's turn is over: there may be a reason, such as a body that is too large for
        the room there is, and the others are not to wait for that.
        """
        ticket.waiting = True
        ticket.refusals += 1
        line = self._line(ticket)
        line[ticket] = None
        line.move_to_end(ticket, last=False)
        if ticket.refusals == 1:
            self._levels[ticket.priority].lines.move_to_end(ticket.account, last=False)
        self._counted(ticket, 1)

    def leave(self, ticket: Ticket[J]) -> None:
        """A job got in, or is over."""
        del self._tickets[ticket]
        if not self._tickets:
            self._rows.clear()
        if not ticket.waiting:
            return
        ticket.waiting = False
        lines = self._levels[ticket.priority].lines
        line = lines[ticket.account]
        del line[ticket]
        if not line:
            del lines[ticket.account]
        self._counted(ticket, -1)

    def late(self, now: float) -> list[Ticket[J]]:
        """Return those that wait and may not any longer; they are still in it."""
        found = []
        for ticket in self._tickets:
            if ticket.deadline > now:
                break
            if ticket.waiting:
                found.append(ticket)
        return found

    def _line(self, ticket: Ticket[J]) -> OrderedDict[Ticket[J], None]:
        level = self._levels.get(ticket.priority)
        if level is None:
            level = self._levels[ticket.priority] = _Level()
            bisect.insort(self._order, -ticket.priority)
        line = level.lines.get(ticket.account)
        if line is None:
            line = level.lines[ticket.account] = OrderedDict()
        return line

    def _counted(self, ticket: Ticket[J], change: int) -> None:
        level = self._levels[ticket.priority]
        level.waiting += change
        self._waiting += change
        if not level.waiting:
            del self._levels[ticket.priority]
            self._order.remove(-ticket.priority)

    # --- outlook -----------------------------------------------------------------------------------------------

    def turns_of(self, account: int, priority: int) -> int:
        """Return how many turns it takes until a job that came now would have had its own, if nobody else came.

        An upper bound: each account of its priority is taken to have as many jobs before it as its own has.
        """
        level = self._levels.get(priority)
        turns = 1
        if level is not None:
            line = level.lines.get(account)
            before = 0 if line is None else len(line)
            accounts = len(level.lines) + (line is None)
            turns = min((before + 1) * accounts, level.waiting + 1)
        higher = lower = 0
        each = 1  # turns of all that come to one of its priority, at most
        for negated in self._order:
            if -negated > priority:
                higher += self._levels[-negated].waiting
                each *= TURNS_IN_ROW + 1
            elif -negated < priority:
                lower += self._levels[-negated].waiting
        total = turns + min(higher, turns * (each - 1))
        return total + min(lower, turns // TURNS_IN_ROW)

    def turn_every(self, account: int, priority: int) -> int:
        """Return how many turns pass between two of one account, once the higher priorities wait no more."""
        level = self._levels.get(priority)
        return 1 if level is None else len(level.lines) + (account not in level.lines)
