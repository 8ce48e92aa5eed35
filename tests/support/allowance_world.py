"""An account, metering's decisions and a few edges, in one loop without sockets: for tests of allowances as traffic."""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

from trunkline.bus.allowance import WALLET, LeaseDraw, Meter, MeterKind, Period, SliceState
from trunkline.policy.grants import AccountState, AccountView, Bearing, decide
from trunkline.policy.lease import Hold, JobNeed, Lease, Short

START_MS = 1_800_000_000_000


@dataclasses.dataclass
class World:
    """See the module.

    Args:
        meters: beside the wallet.
        balance: of the wallet, in nano-USD.
    """

    meters: Sequence[Meter]
    balance: int = 10**12
    now_ms: int = START_MS
    draws: int = 0

    def __post_init__(self) -> None:
        self.all_meters = (Meter(WALLET, MeterKind.MONEY, Period.NONE, 0), *self.meters)
        self.state = AccountState()
        self.settled: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self.spent: defaultdict[str, int] = defaultdict(int)
        self._edges: dict[int, SimulatedEdge] = {}

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return (self.now_ms - START_MS) / 1000

    def edge(self) -> "SimulatedEdge":
        """Return a new edge."""
        edge = SimulatedEdge(self, len(self._edges) + 1)
        self._edges[edge.number] = edge
        return edge

    def draw(self, edge: "SimulatedEdge", draw: LeaseDraw) -> None:
        """Decide a draw at once, and carry out its recalls."""
        self.draws += 1
        money = {
            meter.id: Bearing(
                self.balance if meter.id == WALLET else meter.limit - self.spent[meter.id], self.settled[meter.id]
            )
            for meter in self.all_meters
            if meter.kind is MeterKind.MONEY
        }
        view = AccountView(self.all_meters, money, "UTC", 0)
        decision = decide(self.state, view, edge.name, draw, self.now_ms)
        assert decision is not None
        edge.lease.apply(decision.grant, self.now)
        for other in self._edges.values():
            if other.name in decision.recall and other is not edge:
                self.draw(other, other.lease.report((), self.now, recalled=True))

    def charge(self, hold: Hold, lease: int, nano: int) -> None:
        """Settle a job as metering does."""
        self.balance -= nano
        for slice_ in hold.slices:
            if slice_.meter.kind is MeterKind.MONEY:
                of_meter = self.settled[slice_.meter.id]
                of_meter[lease] = of_meter.get(lease, 0) + nano
                self.spent[slice_.meter.id] += nano


class SimulatedEdge:
    """One edge with a lease of the account."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.name = f"edge-{number}"
        self.lease = Lease(7, number, world.now)
        self.holds: list[Hold] = []

    def ask(self, needs: Sequence[JobNeed], polls: int = 3) -> list[JobNeed]:
        """Start jobs; those that cannot be held wait for a few draws. Returns those that were refused."""
        waiting = list(needs)
        for poll in range(polls + 1):
            waiting = [need for need in waiting if not self._start(need)]
            blocked = [self.lease.hold(need, self.world.now) for need in waiting[:1]]
            spent = [short for short in blocked if isinstance(short, Short) and short.slice.state is SliceState.SPENT]
            if not waiting or (poll and spent and not spent[0].own):
                break
            self.world.draw(self, self.lease.report(waiting, self.world.now))
        return waiting

    def _start(self, need: JobNeed) -> bool:
        hold = self.lease.hold(need, self.world.now)
        if not isinstance(hold, Hold):
            return False
        self.holds.append(hold)
        return True

    def renew(self) -> None:
        """Report as a busy edge does."""
        if self.lease.wants_renewal(self.world.now):
            self.world.draw(self, self.lease.report((), self.world.now))

    def finish(self, hold: Hold, nano: int = 0, tokens: int = 0) -> None:
        """A job ends; metering settles it at once."""
        self.holds.remove(hold)
        self.lease.settle(hold, nano, tokens, 0, self.world.now)
        self.world.charge(hold, self.lease.number, nano)


def need(nano: int = 0, tokens: int = 0, *, key: int = 1, model: str = "gpt-4o") -> JobNeed:
    """Return what a job needs."""
    return JobNeed((nano, 1, tokens, 0), (nano, 1, tokens, 0), key, 0, model, "default")
