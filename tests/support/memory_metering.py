"""Metering on the bus of fast tests: real decisions on draws, for accounts that the test describes."""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from tests.support.manual_clock import ManualClock
from trunkline.bus import messages, subjects
from trunkline.bus.allowance import (
    WALLET,
    AllowanceGrants,
    LeaseDraw,
    LeaseGrant,
    Meter,
    MeterKind,
    Period,
    Recall,
    decode_allowance_draw,
)
from trunkline.bus.port import Message, Unsubscribe
from trunkline.policy.grants import AccountState, AccountView, Bearing, decide
from trunkline.policy.lease import Hold
from trunkline.runtime.memory_bus import MemoryBroker


@dataclasses.dataclass
class MemoryAccount:
    """One account.

    Attributes:
        balance: in nano-USD.
        meters: beside the wallet; those of keys among them.
        terms: see `bus.allowance.LeaseGrant`.
    """

    balance: int = 10**12
    meters: Sequence[Meter] = ()
    terms: int = 0
    state: AccountState = dataclasses.field(default_factory=AccountState)
    settled: defaultdict[str, dict[int, int]] = dataclasses.field(default_factory=lambda: defaultdict(dict))
    spent: defaultdict[str, int] = dataclasses.field(default_factory=lambda: defaultdict(int))

    def charge(self, hold: Hold, nano: int) -> None:
        """Book what a job came to."""
        self.balance -= nano
        for slice_ in hold.slices:
            if slice_.meter.kind is MeterKind.MONEY:
                of_meter = self.settled[slice_.meter.id]
                of_meter[hold.lease] = of_meter.get(hold.lease, 0) + nano
                self.spent[slice_.meter.id] += nano

    def view(self, keys: Sequence[int]) -> AccountView:
        """Return what decisions look at, for a draw that names these keys."""
        meters = [Meter(WALLET, MeterKind.MONEY, Period.NONE, 0)]
        meters += [meter for meter in self.meters if not meter.key or meter.key in keys]
        money = {
            meter.id: Bearing(
                self.balance if meter.id == WALLET else meter.limit - self.spent[meter.id], self.settled[meter.id]
            )
            for meter in meters
            if meter.kind is MeterKind.MONEY
        }
        return AccountView(meters, money, "UTC", 0)


class MemoryMetering:
    """Answers draws while it is open.

    Attributes:
        accounts: that exist, by id.
        draws: that came, in order.
        leaves_out: accounts that it cannot decide now.
        garbles: its answers cannot be read.
    """

    def __init__(self, broker: MemoryBroker, clock: ManualClock) -> None:
        self._bus = broker.connect("metering-1")
        self._clock = clock
        self._unsubscribe: Unsubscribe | None = None
        self.accounts: dict[int, MemoryAccount] = {}
        self.draws: list[LeaseDraw] = []
        self.leaves_out: set[int] = set()
        self.garbles = False

    async def open(self) -> None:
        """Listen."""
        self._unsubscribe = await self._bus.subscribe(subjects.ALLOW, self._answer, queue=subjects.ALLOW_QUEUE)

    async def close(self) -> None:
        """Be away, so that the broker says at once that nobody listens."""
        assert self._unsubscribe is not None
        await self._unsubscribe()

    def end_closed(self, account: int) -> None:
        """End the leases that were given up, as metering does after a while."""
        leases = self.accounts[account].state.leases
        for number in [number for number, lease in leases.items() if lease.closing]:
            del leases[number]

    def recall(self, edge: str, account: int) -> None:
        """Ask an edge for what is idle."""
        self._bus.publish(subjects.recall(edge), messages.encode(Recall((account,))))

    def _answer(self, message: Message) -> None:
        question = decode_allowance_draw(message.data)
        self.draws += question.draws
        grants = [grant for draw in question.draws if (grant := self._decide(question.edge, draw)) is not None]
        answer = messages.encode(AllowanceGrants(tuple(grants)))
        self._bus.publish(message.reply, b"\xc1" if self.garbles else answer)

    def _decide(self, edge: str, draw: LeaseDraw) -> LeaseGrant | None:
        account = self.accounts.get(draw.account)
        if draw.account in self.leaves_out:
            return None
        if account is None:
            return LeaseGrant(draw.account, draw.lease, draw.number, known=False, lease_ms=1000, keys=draw.keys)
        decision = decide(account.state, account.view(draw.keys), edge, draw, self._clock.wall_ms())
        if decision is None:
            return None
        for other in decision.recall:
            self.recall(other, draw.account)
        return msgspec.structs.replace(decision.grant, terms=account.terms)
