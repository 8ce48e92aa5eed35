"""Leases of an edge that draws on a real bus, for tests of metering."""

from trunkline.bus import messages, subjects
from trunkline.bus.allowance import AllowanceDraw, LeaseDraw, LeaseGrant, decode_allowance_grants
from trunkline.bus.port import Bus
from trunkline.policy.lease import Hold, JobNeed, Lease
from trunkline.runtime.clock import SystemClock

_clock = SystemClock()


async def ask(bus: Bus, edge: str, *draws: LeaseDraw, timeout_s: float = 5.0) -> dict[int, LeaseGrant]:
    """Return metering's grants by lease; those that it leaves out are missing."""
    question = messages.encode(AllowanceDraw(edge, draws))
    answer = await bus.request(subjects.ALLOW, question, timeout_s=timeout_s)
    return {grant.lease: grant for grant in decode_allowance_grants(answer).grants}


class DrawnLease:
    """One lease.

    Args:
        bus: to metering.
        account, number: of the lease.
        edge: process id of whose it is.
    """

    def __init__(self, bus: Bus, account: int, number: int, edge: str = "edge-test") -> None:
        self._bus = bus
        self._edge = edge
        self.lease = Lease(account, number, _clock.now())

    def report(self, *needs: JobNeed, closing: bool = False) -> LeaseDraw:
        """Return the next draw."""
        return self.lease.report(needs, _clock.now(), closing=closing)

    async def draw(self, *needs: JobNeed, closing: bool = False) -> LeaseGrant:
        """Ask for what jobs need, and take the answer."""
        draw = self.report(*needs, closing=closing)
        grant = (await ask(self._bus, self._edge, draw))[draw.lease]
        assert self.lease.apply(grant, _clock.now())
        return grant

    def hold(self, need: JobNeed) -> Hold:
        """Begin a job that must be covered."""
        hold = self.lease.hold(need, _clock.now())
        assert isinstance(hold, Hold)
        return hold
