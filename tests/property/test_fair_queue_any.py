"""Whatever jobs come, go, are refused and run out of time: everybody's turn comes, and nobody gets more than his."""

from collections import Counter, defaultdict
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from trunkline.policy.fair_queue import TURNS_IN_ROW, FairQueue, Ticket

WAIT_S = 8.0


class Job(NamedTuple):
    number: int
    account: int
    priority: int


class Books:
    """A queue, and a plain record of who waits in it."""

    def __init__(self) -> None:
        self.queue: FairQueue[Job] = FairQueue(WAIT_S)
        self.now = 0.0
        self.joined = 0
        self.waiting: dict[tuple[int, int], list[Ticket[Job]]] = defaultdict(list)
        self.offered: list[Ticket[Job]] = []
        self.served: list[Job] = []
        self.over: list[Job] = []

    def join(self, account: int, priority: int) -> Ticket[Job]:
        self.joined += 1
        ticket = self.queue.join(Job(self.joined, account, priority), account, priority, self.now)
        self.waiting[priority, account].append(ticket)
        return ticket

    def all_waiting(self) -> list[Ticket[Job]]:
        return [ticket for line in self.waiting.values() for ticket in line]

    def take(self) -> Ticket[Job] | None:
        ticket = self.queue.take()
        if ticket is not None:
            line = self.waiting[ticket.priority, ticket.account]
            assert line.pop(0) is ticket  # first come, first served within an account
            self.offered.append(ticket)
        return ticket

    def settle(self, *, got_in: bool) -> None:
        if self.offered:
            ticket = self.offered.pop(0)
            if got_in:
                self.queue.leave(ticket)
                self.served.append(ticket.job)
            else:
                self.queue.put_back(ticket)
                self.waiting[ticket.priority, ticket.account].insert(0, ticket)

    def leave(self, index: int) -> None:
        everybody = self.all_waiting()
        if everybody:
            ticket = everybody[index % len(everybody)]
            self.waiting[ticket.priority, ticket.account].remove(ticket)
            self.queue.leave(ticket)
            self.over.append(ticket.job)

    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        late = self.queue.late(self.now)
        assert set(late) == {ticket for ticket in self.all_waiting() if ticket.since + WAIT_S <= self.now}
        for ticket in late:
            self.waiting[ticket.priority, ticket.account].remove(ticket)
            self.queue.leave(ticket)
            self.over.append(ticket.job)

    def check(self) -> None:
        assert len(self.queue) == len(self.all_waiting())
        assert self.queue.empty == (not self.all_waiting() and not self.offered)
        assert len(self.served) + len(self.over) + len(self.all_waiting()) + len(self.offered) == self.joined


ACTIONS = st.one_of(
    st.tuples(st.just("join"), st.integers(0, 5), st.sampled_from([-1, 0, 0, 7])),
    st.tuples(st.just("take"), st.just(0), st.just(0)),
    st.tuples(st.just("got in"), st.just(0), st.just(0)),
    st.tuples(st.just("refused"), st.just(0), st.just(0)),
    st.tuples(st.just("leave"), st.integers(0, 30), st.just(0)),
    st.tuples(st.just("time"), st.integers(1, 5), st.just(0)),
)


@given(st.lists(ACTIONS, max_size=150))
def test_every_job_is_served_or_over_once_and_in_the_order_of_its_account(
    actions: list[tuple[str, int, int]],
) -> None:
    books = Books()
    for action, number, priority in actions:
        match action:
            case "join":
                books.join(number, priority)
            case "take":
                books.take()
            case "got in" | "refused":
                books.settle(got_in=action == "got in")
            case "leave":
                books.leave(number)
            case "time":
                books.time_passes(number)
        books.check()
    while books.take() is not None or books.offered:
        books.settle(got_in=True)
    books.check()
    assert books.queue.empty
    assert sorted(job.number for job in books.served + books.over) == list(range(1, books.joined + 1))


TRAFFIC = st.lists(
    st.one_of(st.none(), st.tuples(st.integers(0, 5), st.sampled_from([-1, 0, 0, 7]))), min_size=10, max_size=200
)
"""Who joins, in order; None: somebody's turn comes."""


@given(TRAFFIC)
def test_while_an_account_waits_no_other_of_its_priority_has_two_turns(
    traffic: list[tuple[int, int] | None],
) -> None:
    books = Books()
    passed: dict[tuple[int, int], Counter[int]] = {}
    for event in traffic + [None] * len(traffic):
        if event is not None:
            books.join(*event)
            passed.setdefault((event[1], event[0]), Counter())
            continue
        ticket = books.take()
        if ticket is None:
            continue
        passed.pop((ticket.priority, ticket.account))
        if books.waiting[ticket.priority, ticket.account]:
            passed[ticket.priority, ticket.account] = Counter()
        for (priority, _), turns in passed.items():
            if priority == ticket.priority:
                turns[ticket.account] += 1
        assert all(max(turns.values(), default=0) <= 1 for turns in passed.values())


@given(TRAFFIC)
def test_the_highest_goes_first_and_the_lower_ones_have_every_fourth_turn(
    traffic: list[tuple[int, int] | None],
) -> None:
    books = Books()
    row = dict.fromkeys((-1, 0, 7), 0)  # turns of a priority while a lower one waited
    for event in traffic + [None] * len(traffic):
        if event is not None:
            books.join(*event)
            continue
        waiting = {ticket.priority for ticket in books.all_waiting()}
        ticket = books.take()
        if ticket is None:
            continue
        lower = {priority for priority in waiting if priority < ticket.priority}
        row[ticket.priority] = row[ticket.priority] + 1 if lower else 0
        assert row[ticket.priority] <= TURNS_IN_ROW
        for priority in waiting:
            if priority > ticket.priority:
                assert row[priority] == TURNS_IN_ROW  # it has had its turns
                row[priority] = 0


@given(TRAFFIC, st.integers(0, 5), st.sampled_from([-1, 0, 7]))
def test_the_turns_foretold_are_an_upper_bound(
    traffic: list[tuple[int, int] | None], account: int, priority: int
) -> None:
    books = Books()
    for event in traffic:
        if event is None:
            books.take()
        else:
            books.join(*event)
    foretold = books.queue.turns_of(account, priority)
    mine = books.join(account, priority)
    assert foretold <= len(books.queue)
    turns = 1
    while books.take() is not mine:
        turns += 1
    # A lower priority may be due just now, and each higher one may have turns left of those before.
    assert turns <= foretold + 2 * (TURNS_IN_ROW + 1)
