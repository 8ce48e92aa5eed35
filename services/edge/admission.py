"""Jobs that wait at this edge because all dispatchers of their lane are full.

Nothing is asked of this while there is room: a job is offered at once, and a lane is known here only from the moment in
which one of its jobs was refused by everybody until the last one that waited has got in or is over. As long as it is,
further jobs of the lane wait behind those that are there, in the order of `policy.fair_queue`.

The queue is served when a dispatcher says that it has room (`bus.edge_turns`): then as many jobs as it says are offered
to it by name. Dispatchers are told each second, by the edge's beat, in which lanes jobs wait. So nothing that is lost
on the way stops the queue for longer, and no dispatcher with room is idle for longer than a message takes, save for
such a loss. One of the version before tells nobody: what its beats say counts where nothing else is heard.

Dispatchers of other regions are no part of that until `policy.leaving` says so.
"""

from collections.abc import Callable, Iterable

from services.edge.job_entry import JobEntry
from services.edge.metrics import EdgeMetrics
from trunkline.bus.fleet import Fleet
from trunkline.bus.messages import Beat, Room
from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType, Fault
from trunkline.policy.admission import LaneAdmission, Refused
from trunkline.policy.fair_queue import Refusal, Ticket
from trunkline.policy.leaving import Leaving

LOOK_S = 0.05
"""How often it is looked for jobs that have waited long enough: so much longer than allowed one may wait, and so much
later than it could one leaves its region."""

UNTOLD_S = 2.5
"""A dispatcher that tells of its room has done so by then: each second it hears that jobs wait, and looks for room."""

UNTOLD_JOBS_MAX = 16
"""Offered to one that does not, with each of its beats; each that it takes brings another. What it refuses has crossed
the bus in vain."""

_MESSAGES = {
    Refusal.ALL_FULL: "The gateway is overloaded, and too many requests wait already.",
    Refusal.ACCOUNT_FULL: "The gateway is overloaded, and too many requests of this account wait already.",
    Refusal.NO_CHANCE: "The gateway is overloaded, and there would be no room for this request in time.",
    Refusal.LATE: "The gateway is overloaded, and there was no room for this request in time.",
}

_NO_DISPATCHER = Fault(
    ErrorType.GATEWAY_NO_DISPATCHER, "No worker is available at the moment. Please retry.", retry_after_ms=2000
)


class Admission:
    """Keeps the jobs that wait.

    Args:
        wait_s: how long each may wait.
        clock, metrics: of the process.
        fleet: the living dispatchers.
        refuse: called with each job that has waited long enough, and what to tell its client.
        offer: called with jobs to offer to a dispatcher, as `take` returns them, and with its process id.
    """

    def __init__(
        self,
        wait_s: float,
        *,
        clock: Clock,
        metrics: EdgeMetrics,
        fleet: Fleet,
        refuse: Callable[[JobEntry, Fault], None],
        offer: Callable[[Iterable[tuple[JobEntry, int]], str], None],
    ) -> None:
        self._wait_s = wait_s
        self._clock = clock
        self._metrics = metrics
        self._fleet = fleet
        self._refuse = refuse
        self._offer = offer
        self._lanes: dict[str, LaneAdmission[JobEntry]] = {}
        self._rested: dict[str, LaneAdmission[JobEntry]] = {}  # what was learnt of lanes in which none waits now
        self._told_at: dict[str, float] = {}
        self._leaving: dict[str, Leaving] = {}
        self._looking = False

    def __contains__(self, lane: str) -> bool:
        """Whether jobs of a lane wait, so that others have to."""
        admission = self._lanes.get(lane)
        return admission is not None and len(admission.queue) > 0

    @property
    def lanes(self) -> tuple[str, ...]:
        """The lanes in which jobs wait."""
        return tuple(lane for lane in self._lanes if lane in self)

    @property
    def waiting(self) -> int:
        """Jobs that wait, over all lanes."""
        return sum(len(admission.queue) for admission in self._lanes.values())

    def wait(self, entry: JobEntry) -> Fault | None:
        """Let a job wait, or go on waiting; returns what to tell its client if it may not."""
        now = self._clock.now()
        ticket = entry.ticket
        if ticket is not None:
            return self._wait_on(entry.lane, ticket, now)
        lane = self._lanes.get(entry.lane) or self._opened(entry.lane, now)
        policy = entry.client.key.policy
        joined = lane.join(entry, policy.account, policy.priority, now)
        if isinstance(joined, Refused):
            self._close_if_empty(entry.lane)
            return self._fault(joined)
        entry.ticket = joined
        self._metrics.waiting.labels(entry.lane).inc()
        return None

    def _wait_on(self, lane: str, ticket: Ticket[JobEntry], now: float) -> Fault | None:
        """A job that was offered has been refused after all."""
        if ticket.deadline > now:
            self._lanes[lane].queue.put_back(ticket)
            return None
        self.over(ticket.job)
        return self._late(lane, self._learnt(lane).refuse_late(ticket, now))

    def take(self, room: Room) -> list[tuple[JobEntry, int]]:
        """Return the jobs to offer to a dispatcher that has room, and how many wait behind each, as far as it matters.

        It matters behind the last one: the dispatcher is not to speak again before it has all of them.
        """
        if self._fleet.is_far(room.dispatcher):
            leaving = tuple(lane for lane in room.lanes if self.may_leave(lane))
            return self._take(Room(room.dispatcher, room.jobs, leaving))
        self._told_at.update(dict.fromkeys(room.lanes, self._clock.now()))
        return self._take(room)

    def take_untold(self, beat: Beat) -> list[tuple[JobEntry, int]]:
        """Return the jobs to offer to a dispatcher whose beat shows room of which it does not tell, as `take`."""
        if beat.draining or not self._lanes or self._fleet.is_far(beat.process):
            return []
        return self._take(Room(beat.process, min(beat.room, UNTOLD_JOBS_MAX), self._untold(beat.lanes)))

    def take_next(self, dispatcher: str, lane: str) -> list[tuple[JobEntry, int]]:
        """Return the job to offer to a dispatcher that does not tell of its room, and has just taken one."""
        untold = () if self._fleet.is_far(dispatcher) else self._untold((lane,))
        return self._take(Room(dispatcher, 1, untold))

    def _untold(self, lanes: Iterable[str]) -> tuple[str, ...]:
        long_ago = self._clock.now() - UNTOLD_S
        return tuple(lane for lane in lanes if lane in self._lanes and self._told_at[lane] <= long_ago)

    def _take(self, room: Room) -> list[tuple[JobEntry, int]]:
        queues = [self._lanes[lane].queue for lane in room.lanes if lane in self._lanes]
        taken: list[Ticket[JobEntry]] = []
        while queues and len(taken) < room.jobs:
            queue = queues.pop(0)
            ticket = queue.take()
            if ticket is not None:
                taken.append(ticket)
                queues.append(queue)
        left = sum(len(queue) for queue in queues)
        return [(ticket.job, left if ticket is taken[-1] else 0) for ticket in taken]

    def got_in(self, entry: JobEntry) -> None:
        """A dispatcher has taken a job that waited."""
        ticket = self._without_ticket(entry)
        if ticket is not None:
            now = self._clock.now()
            self._metrics.wait_seconds.observe(now - ticket.since)
            if self._fleet.is_far(entry.machine.dispatcher or ""):
                self.left(entry.lane)
            self._lanes[entry.lane].entered(ticket, now)
            self._close_if_empty(entry.lane)

    def over(self, entry: JobEntry) -> None:
        """A job has ended: if it waited until now, its client has left, or it was given up."""
        ticket = self._without_ticket(entry)
        if ticket is not None:
            self._lanes[entry.lane].queue.leave(ticket)
            self._close_if_empty(entry.lane)

    def _without_ticket(self, entry: JobEntry) -> Ticket[JobEntry] | None:
        ticket, entry.ticket = entry.ticket, None
        if ticket is not None:
            self._metrics.waiting.labels(entry.lane).dec()
        return ticket

    # --- other regions -----------------------------------------------------------------------------------------

    def may_leave(self, lane: str) -> bool:
        """Whether jobs of a lane may be offered to dispatchers of other regions."""
        now = self._clock.now()
        return self._leaves(lane).allowed(self._full_since(lane, now), now)

    def left(self, lane: str) -> None:
        """A job of a lane goes to a dispatcher of another region."""
        self._leaves(lane).left(self._clock.now())

    def _leaves(self, lane: str) -> Leaving:
        found = self._leaving.get(lane)
        if found is None:
            found = self._leaving[lane] = Leaving()
        return found

    def _full_since(self, lane: str, now: float) -> float:
        """Return from when on jobs of a lane have found no room in this region."""
        if self._fleet.pick((), lane) is None:
            return float("-inf")  # nobody serves it here
        admission = self._lanes.get(lane)
        since = None if admission is None else admission.queue.since
        return now if since is None else since

    def _scout(self, lane: str, now: float) -> None:
        """Offer a job that waits to a dispatcher of another region whose beats show room, if it is time for that."""
        dispatcher = self._fleet.pick_far((), lane)
        if dispatcher is not None and self._leaves(lane).scout(self._full_since(lane, now), now):
            self._offer(self._take(Room(dispatcher, 1, (lane,))), dispatcher)

    # --- lanes -------------------------------------------------------------------------------------------------

    def _learnt(self, lane: str) -> LaneAdmission[JobEntry]:
        found = self._lanes.get(lane) or self._rested.get(lane)
        if found is None:
            found = self._rested[lane] = LaneAdmission(self._wait_s)
        return found

    def _opened(self, lane: str, now: float) -> LaneAdmission[JobEntry]:
        opened = self._lanes[lane] = self._learnt(lane)
        opened.resume(now)
        self._told_at[lane] = now
        if not self._looking:
            self._looking = True
            self._clock.call_later(LOOK_S, self._look)
        return opened

    def _close_if_empty(self, lane: str) -> None:
        admission = self._lanes.get(lane)
        if admission is not None and admission.queue.empty:
            del self._lanes[lane]
            self._rested[lane] = admission

    def _look(self) -> None:
        """Refuse what has waited long enough, and let jobs leave that have waited for long enough here."""
        now = self._clock.now()
        for lane, admission in list(self._lanes.items()):
            for ticket, refused in admission.take_late(now):
                self._without_ticket(ticket.job)
                self._refuse(ticket.job, self._late(lane, refused))
            self._close_if_empty(lane)
            if lane in self:
                self._scout(lane, now)
        self._looking = bool(self._lanes)
        if self._looking:
            self._clock.call_later(LOOK_S, self._look)

    # --- words -------------------------------------------------------------------------------------------------

    def _late(self, lane: str, refused: Refused) -> Fault:
        if not self._fleet.serves(lane):
            self._metrics.admission_refused.labels(_NO_DISPATCHER.type.value).inc()
            return _NO_DISPATCHER
        return self._fault(refused)

    def _fault(self, refused: Refused) -> Fault:
        self._metrics.admission_refused.labels(refused.why.value).inc()
        message = f"{_MESSAGES[refused.why]} Please retry after {refused.retry_after_s:.1f} s."
        return Fault(ErrorType.GATEWAY_OVERLOADED, message, retry_after_ms=round(refused.retry_after_s * 1000))
