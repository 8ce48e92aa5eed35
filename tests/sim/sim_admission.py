"""A fleet under overload, as far as admission goes: edges with queues, dispatchers with places, messages between them.

The decisions are those of `policy.admission` and `bus.edge_turns`; the shells of both ends are written anew here, as
short as they can be, so that tens of thousands of jobs take a second.
"""

import heapq
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from trunkline.bus.edge_turns import EdgeTurns
from trunkline.policy.admission import LaneAdmission, Refused
from trunkline.policy.fair_queue import Ticket

SERVICE_S = 0.1
"""How long a job takes, on average."""

MESSAGE_S = 0.0005
LOOK_S = 0.05
BEAT_S = 1.0
BACK_OFF_S = 0.05
"""How soon a client asks again that does not wait to be asked."""


class Client(NamedTuple):
    """Somebody who keeps some requests under way, all the time.

    Attributes:
        account, priority: whose.
        edge: where it asks.
        under_way: requests at a time.
        obedient: waits as long as it is told after a refusal; else comes back at once.
        once: each request is the last of its kind: a burst.
    """

    account: int
    edge: int = 0
    under_way: int = 1
    priority: int = 0
    obedient: bool = True
    once: bool = False


class Job(NamedTuple):
    client: Client
    asked_at: float


class World:
    """Edges, dispatchers and clients.

    Args:
        clients: who asks.
        edges: how many there are.
        dispatchers: how many there are, with ``places`` each.
        wait_s: how long a job may wait.
        service_s: how long it takes, on average.
        seed: of service times.

    Attributes:
        served: jobs that ended, by account.
        waits_s: how long each job took to get in, by account.
        refused: by account.
        retries_s: of obedient clients: what each refused job was told, and how long it was from there until it got in.
    """

    def __init__(
        self,
        clients: list[Client],
        *,
        edges: int = 1,
        dispatchers: int = 2,
        places: int = 5,
        wait_s: float = 10.0,
        service_s: float = SERVICE_S,
        seed: int = 1,
    ) -> None:
        self.now = 0.0
        self.served: Counter[int] = Counter()
        self.waits_s: dict[int, list[float]] = defaultdict(list)
        self.refused: Counter[int] = Counter()
        self.retries_s: list[tuple[float, float]] = []
        self._service_s = service_s
        self._random = random.Random(seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order: Iterator[int] = itertools.count()
        self._lanes = [LaneAdmission[Job](wait_s) for _ in range(edges)]
        self._turns = [EdgeTurns() for _ in range(dispatchers)]
        self._room = [places] * dispatchers
        self._told: dict[Job, tuple[float, float]] = {}
        for client in clients:
            for _ in range(client.under_way):
                self._after(self._random.random() * 0.01, partial(self._ask, client))
        for edge in range(edges):
            self._after(LOOK_S, partial(self._look, edge))
            self._after(BEAT_S * self._random.random(), partial(self._beat, edge))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, call = heapq.heappop(self._events)
            call()
        self.now = end

    def _after(self, seconds: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), call))

    # --- edges -------------------------------------------------------------------------------------------------

    def _ask(self, client: Client, told: tuple[float, float] | None = None) -> None:
        job = Job(client, self.now + self._random.random() * 1e-9)
        if told is not None:
            self._told[job] = told
        if len(self._lanes[client.edge].queue):
            self._wait(job)
        else:
            untried = self._near(client.edge)
            self._random.shuffle(untried)
            self._after(MESSAGE_S, partial(self._offered, job, None, untried, 0))

    def _near(self, _edge: int) -> list[int]:
        """Return the dispatchers that an edge asks first."""
        return list(range(len(self._room)))

    def _way_s(self, _edge: int, _dispatcher: int) -> float:
        """Return how long a message takes."""
        return MESSAGE_S

    def _is_far(self, _edge: int, _dispatcher: int) -> bool:
        return False

    def _wait(self, job: Job) -> None:
        lane = self._lanes[job.client.edge]
        if lane.queue.empty:
            lane.resume(self.now)
        joined = lane.join(job, job.client.account, job.client.priority, self.now)
        if isinstance(joined, Refused):
            self._refuse(job, joined)

    def _refuse(self, job: Job, refused: Refused) -> None:
        client = job.client
        self.refused[client.account] += 1
        told = self._told.pop(job, None) or (self.now, refused.retry_after_s)
        if client.obedient:
            self._after(refused.retry_after_s, partial(self._ask, client, told))
        else:
            self._after(BACK_OFF_S, partial(self._ask, client))

    def _look(self, edge: int) -> None:
        for ticket, refused in self._lanes[edge].take_late(self.now):
            self._refuse(ticket.job, refused)
        self._after(LOOK_S, partial(self._look, edge))

    def _beat(self, edge: int) -> None:
        if len(self._lanes[edge].queue):
            for dispatcher, turns in enumerate(self._turns):
                turns.waits(str(edge), 1, far=self._is_far(edge, dispatcher))
                self._share(dispatcher)
        self._after(BEAT_S, partial(self._beat, edge))

    def _room_heard(self, edge: int, dispatcher: int, jobs: int) -> None:
        queue = self._lanes[edge].queue
        tickets = [ticket for ticket in (queue.take() for _ in range(jobs)) if ticket is not None]
        for ticket in tickets:
            waiting = len(queue) if ticket is tickets[-1] else 0
            self._after(
                self._way_s(edge, dispatcher),
                partial(self._offered, ticket.job, ticket, [dispatcher], waiting),
            )

    # --- dispatchers -------------------------------------------------------------------------------------------

    def _offered(self, job: Job, ticket: Ticket[Job] | None, untried: list[int], waiting: int) -> None:
        dispatcher, edge = untried.pop(0), job.client.edge
        turns = self._turns[dispatcher]
        turns.offered(str(edge))
        way_s, far = self._way_s(edge, dispatcher), self._is_far(edge, dispatcher)
        if self._room[dispatcher] > 0:
            self._room[dispatcher] -= 1
            self._got_in(job, ticket, dispatcher)
            service_s = self._service_s * (0.5 + self._random.random())
            self._after(service_s, partial(self._served, job, dispatcher))
            if waiting:
                turns.waits(str(edge), waiting, far=far)
                self._share(dispatcher)
            return
        turns.waits(str(edge), waiting + 1, far=far)
        if untried:
            self._after(2 * way_s, partial(self._offered, job, ticket, untried, waiting))
        elif ticket is None:
            self._after(way_s, partial(self._refused_by_all, job, dispatcher))
        else:
            self._after(way_s, partial(self._lanes[edge].queue.put_back, ticket))

    def _refused_by_all(self, job: Job, _last: int) -> None:
        self._wait(job)

    def _got_in(self, job: Job, ticket: Ticket[Job] | None, _dispatcher: int) -> None:
        told = self._told.pop(job, None)
        if told is not None:
            self.retries_s.append((told[1], self.now - told[0]))
        self.waits_s[job.client.account].append(self.now - job.asked_at)
        if ticket is not None:
            self._lanes[job.client.edge].entered(ticket, self.now)

    def _served(self, job: Job, dispatcher: int) -> None:
        self._room[dispatcher] += 1
        self.served[job.client.account] += 1
        self._share(dispatcher)
        if not job.client.once:
            self._after(0.0, partial(self._ask, job.client))

    def _share(self, dispatcher: int) -> None:
        for edge, jobs in self._turns[dispatcher].share(self._room[dispatcher], self.now):
            self._after(self._way_s(int(edge), dispatcher), partial(self._room_heard, int(edge), dispatcher, jobs))
