"""One account at this edge: its lease, those that came before it, and the jobs that wait. Called by `allowances`.

Jobs are held of the current lease. A lease is retired when it is old, or when nobody can say what a job of it came to:
then its jobs end on it, and it is given back when the last one has.
"""

import asyncio
from collections import deque

from trunkline.bus.allowance import Meter, MeterKind, SliceState
from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.policy.lease import Hold, JobNeed, Lease, Short, Unknown
from trunkline.policy.refusals import refusal

POLL_S = 0.03
"""How soon jobs that wait for what others hold ask again. A recall takes two messages, some milliseconds."""

SPENT_POLL_S = limits.HOLD_WAIT_S / 8
"""The same where jobs of this edge hold all that is left: the end of one of them serves those who wait at once."""

MISSES_MAX = 64
"""So many waiting jobs that could not go are passed over for smaller ones behind them; then the rest is left for the
next time. A thousand wait at most, and every end of a job looks at them."""

_UNKNOWN_ACCOUNT = Fault(
    ErrorType.POLICY_NO_CREDIT, "This account has no credit left. Add credit, or ask the account's administrator."
)
_TOO_MANY_WAIT = Fault(
    ErrorType.POLICY_RATE_LIMITED,
    "Too many requests of this account wait for its credit or limits. Send fewer at a time.",
    retry_after_ms=1000,
    code="rate_limit",
)
_NO_METERING = Fault(
    ErrorType.GATEWAY_NOT_READY,
    "The account's credit cannot be checked at the moment. Please retry.",
    retry_after_ms=1000,
)


class HoldRefusedError(FaultError):
    """A job cannot be held.

    Attributes:
        meter: which has too little for it; None if it was not for a meter.
    """

    def __init__(self, fault: Fault, meter: Meter | None = None) -> None:
        super().__init__(fault)
        self.meter = meter


class _Waiter:
    """A job that waits for its hold."""

    __slots__ = ("deadline", "future", "need")

    def __init__(self, need: JobNeed, deadline: float) -> None:
        self.need = need
        self.deadline = deadline
        self.future: asyncio.Future[Hold] = asyncio.get_running_loop().create_future()

    def fail(self, error: HoldRefusedError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class LeaseEntry:
    """One lease, and how far its draws are.

    Attributes:
        account: whose.
        lease: see there.
        asked_at: monotonic seconds of its last draw.
        drawing: a draw is under way.
        polling: a draw is due in a moment.
        recalled: metering has asked for what is idle.
        rested: what was idle has been given back since the last job.
        closing: it is given back with its next draw.
        ended: it is no more.
    """

    __slots__ = ("account", "asked_at", "closing", "drawing", "ended", "lease", "polling", "recalled", "rested")

    def __init__(self, account: "AccountLeases", lease: Lease) -> None:
        self.account = account
        self.lease = lease
        self.asked_at = 0.0
        self.drawing = self.polling = self.recalled = self.rested = self.closing = self.ended = False

    @property
    def current(self) -> bool:
        """Whether jobs are held of it."""
        return self.account.current is self


class AccountLeases:
    """See the module.

    Args:
        account: its id.
        lease: its first.

    Attributes:
        account: see there.
        current: of this lease jobs are held.
        retired: leases of which jobs are under way, by number.
    """

    __slots__ = ("account", "current", "retired", "waiting")

    def __init__(self, account: int, lease: Lease) -> None:
        self.account = account
        self.current = LeaseEntry(self, lease)
        self.retired: dict[int, LeaseEntry] = {}
        self.waiting: deque[_Waiter] = deque()

    @property
    def needs(self) -> list[JobNeed]:
        """What the jobs that wait need."""
        return [waiter.need for waiter in self.waiting if not waiter.future.done()]

    def entries(self) -> list[LeaseEntry]:
        """Return all leases, the current one first."""
        return [self.current, *self.retired.values()]

    def entry(self, lease: int) -> LeaseEntry | None:
        """Return a lease by its number; None if it is no more."""
        return self.current if self.current.lease.number == lease else self.retired.get(lease)

    def replace(self, lease: Lease) -> LeaseEntry:
        """Make another lease the current one; returns the one before."""
        old = self.current
        lease.discount_ppm, lease.used_at = old.lease.discount_ppm, old.lease.used_at
        self.current = LeaseEntry(self, lease)
        return old

    # --- jobs --------------------------------------------------------------------------------------------------

    def hold(self, need: JobNeed, now: float) -> Hold | None:
        """Return the hold of a job that the lease covers and that need not wait behind others; else None.

        Raises:
            HoldRefusedError: the account may not spend this, as far as is known here, and asking would not change it.
        """
        entry = self.current
        if self.waiting or (entry.closing and entry.drawing):
            return None
        lease = entry.lease
        held = lease.hold(need, now)
        if isinstance(held, Hold):
            entry.rested = False
            return held
        if isinstance(held, Short):
            # Permits may be free again at any moment.
            lasting = held.slice.meter.kind is not MeterKind.CONCURRENCY or now - entry.asked_at <= POLL_S
            if lasting and _is_final(held, need):
                raise _refused(lease, held, need, now)
        elif lease.known is False and now < lease.fresh_until:
            raise HoldRefusedError(_UNKNOWN_ACCOUNT)
        return None

    def wait(self, need: JobNeed, now: float) -> "asyncio.Future[Hold]":
        """Put a job into the line.

        Raises:
            HoldRefusedError: it is too long.
        """
        if len(self.waiting) >= limits.HOLDS_WAITING_MAX:
            raise HoldRefusedError(_TOO_MANY_WAIT)
        waiter = _Waiter(need, now + limits.HOLD_WAIT_S)
        self.waiting.append(waiter)
        self.current.rested = False
        return waiter.future

    def serve(self, now: float) -> float | None:
        """Let those go that the lease covers now, in their order, and refuse those for whom there will be nothing.

        Returns:
            After how many seconds metering should be asked for those who wait on; None if nobody does.
        """
        lease = self.current.lease
        passed: deque[_Waiter] = deque()
        ask_s = SPENT_POLL_S
        while self.waiting and len(passed) < MISSES_MAX:
            waiter = self.waiting.popleft()
            if waiter.future.done():  # its request was cancelled
                continue
            if lease.known is False:
                waiter.fail(HoldRefusedError(_UNKNOWN_ACCOUNT))
                continue
            held = lease.hold(waiter.need, now, least=True)
            if isinstance(held, Hold):
                waiter.future.set_result(held)
            elif (refused := _refusal(lease, waiter, held, now)) is not None:
                waiter.fail(refused)
            else:
                passed.append(waiter)
                if not (isinstance(held, Short) and held.own and held.slice.state is SliceState.SPENT):
                    ask_s = POLL_S
        self.waiting.extendleft(reversed(passed))
        return ask_s if self.waiting else None

    def refuse_all(self) -> None:
        """Metering is away for too long: nobody waits any more."""
        while self.waiting:
            self.waiting.popleft().fail(HoldRefusedError(_NO_METERING))


def _refusal(lease: Lease, waiter: _Waiter, held: Short | Unknown, now: float) -> HoldRefusedError | None:
    """Return why a job is refused that cannot be held now; None if it may wait on."""
    if isinstance(held, Short):
        over = now >= waiter.deadline or _is_final(held, waiter.need)
        return _refused(lease, held, waiter.need, now) if over else None
    return HoldRefusedError(_NO_METERING) if now >= waiter.deadline else None


def _is_final(short: Short, need: JobNeed) -> bool:
    """Whether metering has said that there is nothing for such a job, and no job here may give something back."""
    slice_ = short.slice
    return slice_.state is SliceState.SPENT and not short.own and need.least[slice_.index] > slice_.remaining


def _refused(lease: Lease, short: Short, need: JobNeed, now: float) -> HoldRefusedError:
    slice_ = short.slice
    left = max(slice_.remaining + max(slice_.free(now), 0), 0)
    if lease.blind and left >= need.least[slice_.index]:
        return HoldRefusedError(_NO_METERING)  # the account has it, and only metering could grant it
    reset_ms = max(round((slice_.reset_at - now) * 1000), 0)
    held = short.own or slice_.state is SliceState.WAIT
    fault = refusal(slice_.meter, need.least[slice_.index], left, reset_ms, held=held)
    return HoldRefusedError(fault, slice_.meter)
