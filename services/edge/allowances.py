"""What accounts may spend at this edge: leases drawn from metering, several accounts a message.

A busy account is renewed in the background before its lease ends and pays no round trip; one that was idle pays
one. With metering away, an edge goes on for a configured grace, on what it last heard.
"""

import asyncio
import dataclasses
from collections.abc import Iterable

from services.edge.metrics import EdgeMetrics
from trunkline.bus import messages, subjects
from trunkline.bus.messages import AllowanceDraw
from trunkline.bus.port import Bus, BusError
from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.runtime.tasks import TaskSet

DRAW_TIMEOUT_S = 1.0
RENEW_AT = 0.5
"""Share of a lease after which a busy account renews it in the background."""

GRACE_LEASE_S = 1.0
"""While metering is away, how long until it is asked again."""

UNKNOWN_LEASE_S = 1.0
"""How long to believe that an account does not exist for metering."""

FORGET_AFTER_S = 3600.0
"""An account that was not seen for this long is drawn anew when it comes back."""

_NO_CREDIT = Fault(
    ErrorType.POLICY_NO_CREDIT, "This account has no credit left. Add credit, or ask the account's administrator."
)
_NO_METERING = Fault(
    ErrorType.GATEWAY_NOT_READY,
    "The account's credit cannot be checked at the moment. Please retry.",
    retry_after_ms=1000,
)


@dataclasses.dataclass(slots=True)
class _Lease:
    spendable_nano: int
    granted: float
    lease_s: float


class Allowances:
    """Holds leases and draws them.

    Args:
        bus: to ask metering.
        edge: process id of this edge.
        grace_s: see the setting.
        clock, tasks, metrics: of the process.
    """

    def __init__(
        self, bus: Bus, edge: str, grace_s: float, *, clock: Clock, tasks: TaskSet, metrics: EdgeMetrics
    ) -> None:
        self._bus = bus
        self._edge = edge
        self._grace_s = grace_s
        self._clock = clock
        self._tasks = tasks
        self._metrics = metrics
        self._leases: dict[int, _Lease] = {}
        self._wanted: dict[int, asyncio.Future[None]] = {}
        self._drawing = False
        self._heard = clock.now()

    def check(self, account: int) -> bool:
        """Return whether a lease that still holds was found; False: call `draw` and wait.

        Raises:
            FaultError: the account has no credit.
        """
        lease = self._leases.get(account)
        if lease is None:
            return False
        age = self._clock.now() - lease.granted
        if age >= lease.lease_s:
            return False
        if lease.spendable_nano <= 0:
            raise FaultError(_NO_CREDIT)
        if age >= lease.lease_s * RENEW_AT:
            self._want(account)
        return True

    async def draw(self, account: int) -> None:
        """Return when the account may spend.

        Raises:
            FaultError: it has no credit, or metering is away for longer than the grace.
        """
        await self._want(account)
        lease = self._leases.get(account)
        if lease is None or self._clock.now() - lease.granted >= lease.lease_s:
            raise FaultError(_NO_METERING)
        if lease.spendable_nano <= 0:
            raise FaultError(_NO_CREDIT)

    def _want(self, account: int) -> asyncio.Future[None]:
        wanted = self._wanted.get(account)
        if wanted is None:
            wanted = self._wanted[account] = asyncio.get_running_loop().create_future()
            if not self._drawing:
                self._drawing = True
                self._tasks.spawn(self._draw_wanted(), name="allowance_draw")
        return wanted

    async def _draw_wanted(self) -> None:
        try:
            while self._wanted:
                wanted, self._wanted = self._wanted, {}
                try:
                    await self._ask(tuple(wanted))
                except BusError:
                    self._metrics.allowance_draws.labels("unanswered").inc()
                    self._extend(wanted)
                finally:
                    for waiting in wanted.values():
                        if not waiting.done():  # its request may have been cancelled
                            waiting.set_result(None)
        finally:
            self._drawing = False

    async def _ask(self, accounts: tuple[int, ...]) -> None:
        draw = messages.encode(AllowanceDraw(self._edge, accounts))
        answer = await self._bus.request(subjects.ALLOW, draw, timeout_s=DRAW_TIMEOUT_S)
        self._heard = now = self._clock.now()
        self._metrics.allowance_draws.labels("granted").inc()
        granted = {grant.account: grant for grant in messages.decode_allowance_grants(answer).grants}
        for account in accounts:
            grant = granted.get(account)
            # One that metering does not know has nothing to spend.
            self._leases[account] = (
                _Lease(0, now, UNKNOWN_LEASE_S)
                if grant is None
                else _Lease(grant.spendable_nano, now, grant.lease_ms / 1000)
            )

    def _extend(self, accounts: Iterable[int]) -> None:
        """Metering is away: go on for a moment with what was last known, as long as the grace lasts.

        An account that this edge has never asked about is served, too: an edge must be able to start while
        Postgres is down. What it spends is settled later.
        """
        now = self._clock.now()
        if now - self._heard > self._grace_s:
            return
        for account in accounts:
            lease = self._leases.get(account)
            self._leases[account] = _Lease(1 if lease is None else lease.spendable_nano, now, GRACE_LEASE_S)
            self._metrics.allowance_grace.inc()

    def sweep(self) -> None:
        """Forget accounts that have not been seen for long. Call now and then."""
        oldest = self._clock.now() - FORGET_AFTER_S
        for account in [account for account, lease in self._leases.items() if lease.granted < oldest]:
            del self._leases[account]
