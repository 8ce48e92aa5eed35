"""The fleet of `sim_admission` in two regions: an edge and some dispatchers in each, and an ocean between them.

The decisions are those of `policy.leaving`; what an edge knows of rooms elsewhere is as old as the last beats.
"""

from collections import Counter
from functools import partial

from tests.sim.sim_admission import BEAT_S, Client, Job, World
from trunkline.policy.fair_queue import Ticket
from trunkline.policy.leaving import Leaving

OCEAN_S = 0.04

SERVICE_S = 1.0
"""Of a short answer. A place that comes up for a job of the other region is idle for a round trip, a twelfth of it."""

HOME, ABROAD = 0, 1


class Regions(World):
    """Edge 0 and the first half of the dispatchers are at home, edge 1 and the other half abroad.

    Attributes:
        crossed: jobs that got in on the other side, by the region of their edge.
    """

    def __init__(self, clients: list[Client], *, dispatchers: int, places: int, seed: int = 1) -> None:
        self.crossed: Counter[int] = Counter()
        self._half = dispatchers // 2
        self._leaving = [Leaving(), Leaving()]
        self._shown = [places] * dispatchers
        super().__init__(clients, edges=2, dispatchers=dispatchers, places=places, service_s=SERVICE_S, seed=seed)
        for dispatcher in range(dispatchers):
            self._after(BEAT_S * self._random.random(), partial(self._beat_of_dispatcher, dispatcher))

    def _beat_of_dispatcher(self, dispatcher: int) -> None:
        self._shown[dispatcher] = self._room[dispatcher]
        self._after(BEAT_S, partial(self._beat_of_dispatcher, dispatcher))

    def _is_far(self, edge: int, dispatcher: int) -> bool:
        return (dispatcher >= self._half) is not (edge == ABROAD)

    def _way_s(self, edge: int, dispatcher: int) -> float:
        return OCEAN_S if self._is_far(edge, dispatcher) else super()._way_s(edge, dispatcher)

    def _near(self, edge: int) -> list[int]:
        return [each for each in super()._near(edge) if not self._is_far(edge, each)]

    def _most_room_far(self, edge: int) -> int | None:
        far = [each for each in range(len(self._room)) if self._is_far(edge, each) and self._shown[each] > 0]
        return max(far, key=self._shown.__getitem__, default=None)

    def _since(self, edge: int) -> float:
        since = self._lanes[edge].queue.since
        return self.now if since is None else since

    def _refused_by_all(self, job: Job, last: int) -> None:
        edge = job.client.edge
        chosen = self._most_room_far(edge)
        may = self._leaving[edge].allowed(self._since(edge), self.now)
        if chosen is None or self._is_far(edge, last) or not may:
            self._wait(job)
            return
        self._leaving[edge].left(self.now)
        self._after(OCEAN_S, partial(self._offered, job, None, [chosen], 0))

    def _look(self, edge: int) -> None:
        super()._look(edge)
        chosen = self._most_room_far(edge)
        waits = len(self._lanes[edge].queue) > 0
        if waits and chosen is not None and self._leaving[edge].scout(self._since(edge), self.now):
            super()._room_heard(edge, chosen, 1)

    def _room_heard(self, edge: int, dispatcher: int, jobs: int) -> None:
        if not self._is_far(edge, dispatcher) or self._leaving[edge].allowed(self._since(edge), self.now):
            super()._room_heard(edge, dispatcher, jobs)

    def _got_in(self, job: Job, ticket: Ticket[Job] | None, dispatcher: int) -> None:
        super()._got_in(job, ticket, dispatcher)
        if self._is_far(job.client.edge, dispatcher):
            self.crossed[job.client.edge] += 1
            if ticket is not None:
                self._leaving[job.client.edge].left(self.now)
