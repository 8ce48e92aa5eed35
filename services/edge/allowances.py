"""What accounts may spend at this edge: leases drawn from metering, several accounts a message (ADR 6).

A job that a lease covers is held at once, and a busy lease reports in the background before its jobs would have to
wait. A job that it does not cover waits for a draw, or for money and permits that other jobs hold, up to a bound. With
metering away, an edge goes on within a grace, on what it last heard.
"""

import dataclasses

import msgspec
import structlog

from services.edge.account_leases import POLL_S, AccountLeases, HoldRefusedError, LeaseEntry
from services.edge.metrics import EdgeMetrics
from trunkline.bus import messages, subjects
from trunkline.bus.allowance import (
    AllowanceDraw,
    LeaseDraw,
    LeaseGrant,
    decode_allowance_grants,
    decode_recall,
)
from trunkline.bus.port import Bus, BusError, Message
from trunkline.core import limits
from trunkline.core.clock import Clock
from trunkline.policy.lease import Hold, JobNeed, Lease
from trunkline.policy.slices import Slice
from trunkline.runtime.tasks import TaskSet

__all__ = ["Allowances", "Grace", "HoldRefusedError"]

log = structlog.get_logger()

DRAW_TIMEOUT_S = 1.0
"""Metering answers within milliseconds; after this it counts as away."""

DRAWS_MAX = 100
"""Leases in one message. An answer has 2 KB for a lease with twenty meters, and must be under the broker's megabyte
also where there are more; a hundred thousand leases a second get through like this."""

LEASES_PER_PROCESS = 1 << 23
"""Lease numbers of one process: eight million accounts that come and go."""

CLOSE_WAIT_S = 2.0
"""How long a stopping edge tries to give its leases back. What is not taken by then ends by its silence."""

CLOSE_POLL_S = 0.01


@dataclasses.dataclass(frozen=True)
class Grace:
    """How far an edge goes without metering.

    Attributes:
        seconds: since it was last heard.
        nano: spent beyond what was granted, per account, in nano-USD.
    """

    seconds: float
    nano: int


class Allowances:
    """Holds leases and draws them.

    Args:
        bus: to ask metering.
        edge: process id of this edge.
        entropy: of the process; makes the leases' numbers its own.
        grace: see there.
        clock, tasks, metrics: of the process.
    """

    def __init__(
        self, bus: Bus, edge: str, entropy: int, grace: Grace, *, clock: Clock, tasks: TaskSet, metrics: EdgeMetrics
    ) -> None:
        self._bus = bus
        self._edge = edge
        self._grace = grace
        self._clock = clock
        self._tasks = tasks
        self._metrics = metrics
        self._accounts: dict[int, AccountLeases] = {}
        self._wanted: dict[int, LeaseEntry] = {}
        self._drawing = False
        self._heard = clock.now()
        # 40 bits of the process and 23 that count: below 2⁶³, so that Postgres holds it.
        self._next_lease = (entropy & ((1 << 40) - 1)) * LEASES_PER_PROCESS

    def __len__(self) -> int:
        return len(self._accounts)

    @property
    def holds(self) -> int:
        """Jobs under way that hold something."""
        return sum(entry.lease.jobs for found in self._accounts.values() for entry in found.entries())

    async def start(self) -> None:
        """Listen for recalls."""
        await self._bus.subscribe(subjects.recall(self._edge), self._recalled)

    # --- jobs --------------------------------------------------------------------------------------------------

    def hold(self, account: int, need: JobNeed) -> Hold | None:
        """Return the hold of a job that its account's lease covers; None: call `wait`.

        Raises:
            HoldRefusedError: the account may not spend this, as far as is known here, and asking would not change it.
        """
        found = self._accounts.get(account)
        if found is None:
            return None
        now = self._clock.now()
        held = found.hold(need, now)
        if held is not None and found.current.lease.wants_renewal(now):
            self._want(found.current)
        return held

    async def wait(self, account: int, need: JobNeed) -> Hold:
        """Return the hold of a job once its account has been granted what it needs.

        Raises:
            HoldRefusedError: it has too little, or metering is away for longer than the grace.
        """
        found = self._accounts.get(account)
        if found is None:
            found = self._accounts[account] = AccountLeases(account, self._new_lease(account))
        held = self.hold(account, need)  # others may have drawn meanwhile
        if held is not None:
            return held
        future = found.wait(need, self._clock.now())
        self._want(found.current)
        return await future

    def settle(self, account: int, hold: Hold, nano: int, tokens: int, images: int, *, served: str = "") -> None:
        """A job has ended; see `policy.lease.Lease.settle`."""
        entry = self._entry(account, hold)
        if entry is None:
            return  # its lease is over, and with it what it held
        entry.lease.settle(hold, nano, tokens, images, self._clock.now(), served=served)
        if not entry.current and not entry.lease.jobs:
            self._want(entry)
        elif entry.current and entry.account.waiting:
            self._serve(entry.account)
        elif entry.lease.scarce:
            self._ask_soon(entry, POLL_S)  # others may wait for what it gives back

    def settle_lost(self, account: int, hold: Hold) -> None:
        """A job has ended and nobody can say what it came to: all that was held for it counts as spent.

        Metering releases what it did not come to when its lease ends, so that one is given up. Only metering knows
        when nothing more can be booked of it.
        """
        entry = self._entry(account, hold)
        if entry is not None and entry.current:
            self._retire(entry.account)
        nano, _, tokens, images = hold.need.amounts
        self.settle(account, hold, nano, tokens, images)

    def slices(self, account: int, need: JobNeed) -> tuple[Slice, ...]:
        """Return what is leased here of the meters that count a job, as far as they are known."""
        found = self._accounts.get(account)
        return () if found is None else found.current.lease.matching(need)

    def also(self, account: int, hold: Hold, model: str, group: str) -> Hold | None:
        """Return a hold that covers another model, too, None if that may not take over; see `Lease.also`."""
        entry = self._entry(account, hold)
        if entry is None:
            return None
        now = self._clock.now()
        more = entry.lease.also(hold, model, group, now)
        if entry.current and entry.lease.wants_renewal(now):
            self._want(entry)
        return more

    def discount_ppm(self, account: int) -> int:
        """Return the volume discount of an account, as far as is known here."""
        found = self._accounts.get(account)
        return 0 if found is None else found.current.lease.discount_ppm

    def _entry(self, account: int, hold: Hold) -> LeaseEntry | None:
        found = self._accounts.get(account)
        return None if found is None else found.entry(hold.lease)

    def _new_lease(self, account: int) -> Lease:
        self._next_lease += 1
        return Lease(account, self._next_lease, self._clock.now())

    def _serve(self, found: AccountLeases) -> None:
        ask_s = found.serve(self._clock.now())
        if ask_s is not None:
            self._ask_soon(found.current, ask_s)

    # --- draws -------------------------------------------------------------------------------------------------

    def _want(self, entry: LeaseEntry) -> None:
        if entry.drawing or entry.ended:
            return  # asked for again when the answer is here
        self._wanted[entry.lease.number] = entry
        if not self._drawing:
            self._drawing = True
            self._tasks.spawn(self._draw_wanted(), name="allowance_draw")

    def _ask_soon(self, entry: LeaseEntry, wait_s: float) -> None:
        if not entry.polling:
            entry.polling = True
            self._tasks.spawn(self._poll(entry, wait_s), name="allowance_poll")

    async def _poll(self, entry: LeaseEntry, wait_s: float) -> None:
        await self._clock.sleep(wait_s)
        entry.polling = False
        self._want(entry)

    def _recalled(self, message: Message) -> None:
        for account in decode_recall(message.data).accounts:
            found = self._accounts.get(account)
            if found is not None:
                found.current.recalled = True
                self._want(found.current)

    async def _draw_wanted(self) -> None:
        try:
            while self._wanted:
                batch = list(self._wanted.values())[:DRAWS_MAX]
                for entry in batch:
                    del self._wanted[entry.lease.number]
                await self._draw(batch)
        finally:
            self._drawing = False

    async def _draw(self, batch: list[LeaseEntry]) -> None:
        question = messages.encode(AllowanceDraw(self._edge, tuple(self._report(entry) for entry in batch)))
        grants: dict[int, LeaseGrant] = {}
        heard = False
        try:
            answer = await self._bus.request(subjects.ALLOW, question, timeout_s=DRAW_TIMEOUT_S)
            grants = {grant.lease: grant for grant in decode_allowance_grants(answer).grants}
        except (BusError, msgspec.MsgspecError):
            self._metrics.allowance_draws.labels("unanswered").inc()
        else:
            heard = True
            self._heard = self._clock.now()
            self._metrics.allowance_draws.labels("granted").inc()
        finally:
            for entry in batch:
                entry.drawing = False
        for entry in batch:
            self._answered(entry, grants.get(entry.lease.number), heard=heard)

    def _report(self, entry: LeaseEntry) -> LeaseDraw:
        now = self._clock.now()
        found, lease = entry.account, entry.lease
        entry.drawing = True
        entry.asked_at = now
        if entry.current:
            entry.closing = entry.closing and not found.waiting and not lease.jobs
        else:
            entry.closing = not lease.jobs
        recalled = entry.recalled or not entry.current
        entry.recalled = False
        return lease.report(found.needs if entry.current else (), now, recalled=recalled, closing=entry.closing)

    def _answered(self, entry: LeaseEntry, grant: LeaseGrant | None, *, heard: bool) -> None:
        now = self._clock.now()
        if grant is None or not entry.lease.apply(grant, now):
            entry.lease.lost()
            if entry.current and not heard:
                self._go_on(entry.account, now)
        elif entry.lease.over or entry.closing:
            self._ended(entry)
        if entry.current:
            self._serve(entry.account)
        if entry.recalled:
            self._want(entry)

    def _go_on(self, found: AccountLeases, now: float) -> None:
        """Metering has not answered: go on for a moment within the grace, or refuse those that wait."""
        within = now - self._heard <= self._grace.seconds
        lease = found.current.lease
        if within and lease.extend(found.needs, now, self._clock.wall_ms(), self._grace.nano):
            self._metrics.allowance_grace.inc()
        else:
            found.refuse_all()

    # --- leases that come and go -------------------------------------------------------------------------------

    def _ended(self, entry: LeaseEntry) -> None:
        """A lease was given back, or metering knows it no more. Jobs that came meanwhile go to a new one."""
        found = entry.account
        entry.ended = True
        if entry.lease.over:
            log.warning("lease_over", account=found.account, lease=entry.lease.number, jobs=entry.lease.jobs)
        if entry.current:
            found.replace(self._new_lease(found.account))
        else:
            del found.retired[entry.lease.number]
        if found.waiting:
            self._want(found.current)
        elif not (found.retired or found.current.lease.known or found.current.drawing):
            found.current.ended = True
            del self._accounts[found.account]

    def _retire(self, found: AccountLeases) -> None:
        """Hold further jobs of a new lease, and give back what the old one has idle."""
        old = found.replace(self._new_lease(found.account))
        found.retired[old.lease.number] = old
        old.recalled = True  # also after a draw that is under way
        self._want(old)
        if found.waiting:
            self._want(found.current)

    def sweep(self) -> None:
        """Give back what idle accounts hold, and their leases in the end. Call about twice a second."""
        now = self._clock.now()
        for found in list(self._accounts.values()):
            for entry in list(found.retired.values()):
                if not entry.lease.jobs or now - entry.asked_at > limits.LEASE_IDLE_S / 3:
                    self._want(entry)
            if not found.waiting and not found.current.drawing:
                self._sweep_current(found, now)

    def _sweep_current(self, found: AccountLeases, now: float) -> None:
        entry = found.current
        lease = entry.lease
        idle_s = now - lease.used_at
        if not lease.jobs and not found.retired and idle_s > limits.LEASE_IDLE_S:
            entry.closing = True
            self._want(entry)
        elif lease.known and now - lease.opened_at > limits.LEASE_AGE_MAX_S:
            self._retire(found)
        elif idle_s >= limits.LEASE_REST_S and (not entry.rested or now - entry.asked_at > limits.LEASE_IDLE_S / 3):
            entry.rested = True
            self._want(entry)

    async def close(self) -> None:
        """Give back every lease without a job. For a stopping edge; what is not answered ends by its silence."""
        for found in self._accounts.values():
            for entry in found.entries():
                if not entry.lease.jobs:
                    entry.closing = True
                    self._want(entry)
        deadline = self._clock.now() + CLOSE_WAIT_S
        while self._drawing and self._clock.now() < deadline:
            await self._clock.sleep(CLOSE_POLL_S)
