"""One job in flight at this edge: its client, its machine, and where its answer goes."""

from services.edge.client_job import ClientJob
from services.edge.relay import Relay
from trunkline.bus.edge_job import EdgeJob
from trunkline.policy.fair_queue import Ticket


class JobEntry:
    """One job in flight.

    Attributes:
        client: whose.
        machine: decides what becomes of it.
        relay: writes its answer.
        lane: where it is offered.
        reply: subject of its frames.
        ticket: its place among the jobs that wait for room; None if it never waited, and once it got in.
        left_at: when its client had its end, in monotonic seconds.
    """

    __slots__ = ("client", "lane", "left_at", "machine", "relay", "reply", "ticket")

    def __init__(self, client: ClientJob, machine: EdgeJob, relay: Relay, lane: str, reply: str) -> None:
        self.client = client
        self.machine = machine
        self.relay = relay
        self.lane = lane
        self.reply = reply
        self.ticket: Ticket[JobEntry] | None = None
        self.left_at = 0.0
