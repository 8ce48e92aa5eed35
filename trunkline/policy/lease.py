"""An edge's account with metering for one account: what it may spend without asking. The edge's side of ADR 6; pure.

`Lease.hold` sets aside what a job may come to on every meter that counts it, all or nothing; `Lease.settle` puts the
truth in its place when the job has ended. `Lease.report` says what is held and wanted, `Lease.apply` takes the answer.
Time is monotonic seconds. The shell is `services.edge.allowances`.
"""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from trunkline.bus.allowance import (
    WALLET,
    Demand,
    LeaseDraw,
    LeaseGrant,
    Meter,
    MeterKind,
    Period,
    SliceGrant,
    SliceState,
)
from trunkline.core import limits
from trunkline.policy.meters import counts
from trunkline.policy.slices import MoneySlice, Slice, UnitSlice, in_use, new_slice

WISH_S = 2.0
"""A busy lease wants in hand what it uses in this time: four reports, so that one may be lost or late."""

SMOOTHING = 0.5
"""Weight of the last report's rate of use against the ones before."""

MATCHED_MAX = 1024
"""Combinations of key, model and group whose meters are remembered; past it they are worked out anew."""

KEYS_MAX = 10_000
"""Keys without meters of their own that are remembered as such, 100 bytes each; past it each is asked about again."""


OUTDATED_S = 0.1
"""For so long a key goes on by what was known of it before terms have changed. It is asked about in the background with
its next job, which takes some milliseconds. Limits apply later by as much."""


class JobNeed(NamedTuple):
    """What one job may come to.

    Attributes:
        amounts: its hold in nano-USD, always 1 for the job itself, tokens of input and the bound on output, images.
        least: with how much of each it may begin where there is no more; the same as ``amounts`` for a client that
            states a bound, since only then the hold is known to be enough.
        key, user, model, group: whose, and what; ``group`` is the first through which the key reaches the model.
    """

    amounts: tuple[int, int, int, int]
    least: tuple[int, int, int, int]
    key: int
    user: int
    model: str
    group: str


class Hold(NamedTuple):
    """What was set aside for one job.

    Attributes:
        lease: number of the lease that it is of.
        slices: of every meter that counts it.
        buckets: where the units came from, one per slice.
        need: how much.
        others: further models that may take over, each with the group that counts; their slices are among these.
    """

    lease: int
    slices: tuple[Slice, ...]
    buckets: tuple[int, ...]
    need: JobNeed
    others: tuple[tuple[str, str], ...] = ()


class Unknown(NamedTuple):
    """The meters of this key are not known here: a draw must come first."""


class Short(NamedTuple):
    """A meter has too little here.

    Attributes:
        slice: of that meter.
        own: whether jobs of this lease hold some of it, and may give it back.
    """

    slice: Slice
    own: bool


UNKNOWN: Final = Unknown()


class Lease:
    """One account at one edge.

    Args:
        account: its id.
        number: of the lease; never used before by anybody.
        now: monotonic seconds.

    Attributes:
        slices: by meter.
        fresh_until: monotonic seconds up to which the last grant may be relied on.
        known: whether metering knows the account; None before it has said so.
        over: metering knows the lease no more.
        opened_at: when it was made.
        used_at: of the last hold.
        discount_ppm, edges: as granted.
        jobs: holds that are not settled.
        low: some meter has less left than it is used up to the next report.
        scarce: of some meter there is little left for all edges.
    """

    def __init__(self, account: int, number: int, now: float) -> None:
        self.account = account
        self.number = number
        self.slices: dict[str, Slice] = {}
        self.fresh_until = now
        self.known: bool | None = None
        self.over = False
        self.opened_at = self.used_at = now
        self.discount_ppm = 0
        self.edges = 1
        self.jobs = 0
        self.low = False
        self.scarce = False
        self._draws = 0
        self._applied = 0
        self._sent_at = self._reported_at = self._renew_at = now
        self._terms = 0
        self._users: dict[int, int] = {}
        self._named: dict[int, float] = {}
        self._granted: set[int] = set()
        self._outdated: set[int] = set()
        self._outdated_until = now
        self._asked: dict[int, int] = {}
        self._wished: dict[tuple[int, str, str], JobNeed] = {}
        self._matched: dict[tuple[int, str, str], tuple[Slice, ...]] = {}
        self._pending: dict[str, dict[int, int]] = {}
        self._blind = False
        self._graced_at = now

    @property
    def blind(self) -> bool:
        """Whether it goes on without metering (`extend`)."""
        return self._blind

    # --- jobs --------------------------------------------------------------------------------------------------

    def hold(self, need: JobNeed, now: float, *, least: bool = False) -> Hold | Short | Unknown:
        """Set aside what a job may come to, on every meter or on none.

        Args:
            need: of the job.
            now: monotonic seconds.
            least: where there is less, hold what there is, as long as the job may begin with it.
        """
        key = need.key
        self.used_at = now
        if now >= self.fresh_until or not (
            self._blind or (self.known and (key in self._granted or self._goes_on(need, now)))
        ):
            return UNKNOWN
        if key in self._named:
            self._named[key] = now
        slices = self._matched.get((key, need.model, need.group))
        if slices is None:
            slices = self._match(need)
        amounts = need.amounts
        for slice_ in slices:
            free = slice_.free(now)
            left = free - amounts[slice_.index]
            if left < slice_.low:
                # Where nothing is left for anybody, asking before the next report would be of no use.
                self.low = self.low or slice_.remaining > 0
                if left < 0:
                    if not least or free < need.least[slice_.index]:
                        return Short(slice_, isinstance(slice_, MoneySlice) and slice_.held > 0)
                    # Half of it, so that another one that states no bound need not wait for this one's end.
                    amounts = _with(amounts, slice_.index, max(need.least[slice_.index], free // 2))
        if amounts is not need.amounts:
            need = need._replace(amounts=amounts)
        buckets = tuple([slice_.take(amounts[slice_.index], now) for slice_ in slices])
        self.jobs += 1
        return Hold(self.number, slices, buckets, need)

    def also(self, hold: Hold, model: str, group: str, now: float) -> Hold | None:
        """Let another model take over a job that holds: set aside the same on the meters that count only that model.

        None where one of them has too little here; if there is some elsewhere, the next draw asks for it, for the jobs
        that come after.

        Args:
            hold: of the job.
            model: public model name.
            group: the first of those through which the key reaches it.
            now: monotonic seconds.
        """
        need = hold.need._replace(model=model, group=group)
        matched = self._matched.get((need.key, model, group)) or self._match(need)
        slices = tuple(slice_ for slice_ in matched if slice_ not in hold.slices)
        amounts = need.amounts
        short = [slice_ for slice_ in slices if slice_.free(now) < amounts[slice_.index]]
        if short:
            if all(slice_.remaining > 0 for slice_ in short) and len(self._wished) < MATCHED_MAX:
                self._wished[need.key, model, group] = need
                self.low = True
            return None
        buckets = tuple([slice_.take(amounts[slice_.index], now) for slice_ in slices])
        return hold._replace(
            slices=hold.slices + slices, buckets=hold.buckets + buckets, others=(*hold.others, (model, group))
        )

    def settle(self, hold: Hold, nano: int, tokens: int, images: int, now: float, *, served: str = "") -> None:
        """A job has ended: what it came to takes the place of its hold.

        Args:
            hold: of the job; settled once.
            nano: what the client pays, in nano-USD.
            tokens: input and output.
            images: of the answer.
            now: monotonic seconds.
            served: the model that answered; needed only where another one than that of the need may have.
        """
        self.jobs -= 1
        used = (nano, 1, tokens, images)
        held = hold.need.amounts
        if hold.others:
            self._settle_one_of(hold, used, now, served)
            return
        for slice_, bucket in zip(hold.slices, hold.buckets, strict=True):
            slice_.settle(held[slice_.index], used[slice_.index], bucket, now)

    @staticmethod
    def _settle_one_of(hold: Hold, used: tuple[int, int, int, int], now: float, served: str) -> None:
        """Settle a job that one of several models has answered: on the meters that count it, and of no other."""
        need = hold.need
        answered = need
        for model, group in hold.others:
            if model == served:
                answered = need._replace(model=model, group=group)
        for slice_, bucket in zip(hold.slices, hold.buckets, strict=True):
            if _counts(slice_.meter, answered):
                amount = used[slice_.index]
            else:
                # It was asked for, and is counted as a job of the model that it was meant for.
                amount = used[1] if slice_.index == 1 and _counts(slice_.meter, need) else 0
            slice_.settle(need.amounts[slice_.index], amount, bucket, now)

    def _goes_on(self, need: JobNeed, now: float) -> bool:
        """Return whether a key may go on by what was known of it, while it is asked about with the next draw."""
        if now >= self._outdated_until or need.key not in self._outdated:
            return False
        self._asked[need.key] = need.user
        self.low = True
        return True

    def _match(self, need: JobNeed) -> tuple[Slice, ...]:
        if len(self._matched) >= MATCHED_MAX:
            self._matched.clear()
        matched = tuple(slice_ for slice_ in self.slices.values() if _counts(slice_.meter, need))
        self._matched[need.key, need.model, need.group] = matched
        return matched

    def matching(self, need: JobNeed) -> tuple[Slice, ...]:
        """Return the slices of the meters that count a job, as far as they are known."""
        return self._matched.get((need.key, need.model, need.group), ())

    # --- draws -------------------------------------------------------------------------------------------------

    def wants_renewal(self, now: float) -> bool:
        """Whether a busy lease should report before its jobs have to wait for it."""
        return self.low or now >= self._renew_at

    def report(
        self, waiting: Iterable[JobNeed], now: float, *, recalled: bool = False, closing: bool = False
    ) -> LeaseDraw:
        """Return a draw. One is under way at a time: the next follows `apply` or `lost`.

        Args:
            waiting: jobs that could not be held.
            now: monotonic seconds.
            recalled: metering has asked for what is idle.
            closing: the account is given up here; no job may be in flight.
        """
        waiting = (*waiting, *self._wished.values())
        self._wished = {}
        asked = {need.key: need.user for need in waiting if need.key not in self._granted} | self._asked
        self._asked = {}
        self._users.update(asked)
        self._draws += 1
        self._sent_at = now
        self.low = False
        elapsed = max(now - self._reported_at, 0.001)
        self._reported_at = now
        busy = not (recalled or closing) and now - self.used_at < limits.LEASE_REST_S
        reports = []
        for slice_ in self.slices.values():
            slice_.rate += (slice_.taken / elapsed - slice_.rate) * SMOOTHING
            slice_.taken = 0
            idle = busy and slice_.state is SliceState.FREE
            # Rounded up: less than one is still one.
            wish = math.ceil(slice_.rate * WISH_S) if idle else 0
            report = slice_.report(now, idle=idle, wish=wish)
            if report.drawn or report.idle or report.wish or report.returned:
                reports.append(report)
            if report.returned:
                self._pending[slice_.meter.id] = report.returned
        self._forget_keys(now)
        return LeaseDraw(
            account=self.account,
            lease=self.number,
            number=self._draws,
            applied=self._applied,
            keys=tuple({**self._named, **asked}),
            slices=tuple(reports),
            demands=_demands(waiting),
            closing=closing,
        )

    def apply(self, grant: LeaseGrant, now: float) -> bool:
        """Take the answer to the last draw. Returns whether it was that."""
        if grant.lease != self.number or grant.number != self._draws:
            return False
        self._applied = grant.number
        self._pending = {}
        self.known = grant.known
        self.over = grant.over
        self._blind = False
        self._graced_at = self._sent_at
        # Counted from the question, not from the answer: it was decided between the two.
        self.fresh_until = self._sent_at + grant.lease_ms / 1000
        self._renew_at = self._sent_at + grant.lease_ms / 2000
        self.discount_ppm = grant.discount_ppm
        self.edges = max(grant.edges, 1)
        granted = {granted.meter.id for granted in grant.slices}
        gone = [meter for meter in self.slices if meter not in granted]
        for meter in gone:
            del self.slices[meter]
        changed = [granted_slice for granted_slice in grant.slices if self._take(granted_slice, now)]
        if changed or gone:
            self._matched.clear()
        self.scarce = any(slice_.state is not SliceState.FREE for slice_ in self.slices.values())
        self._learn_keys(grant, now)
        return True

    def _take(self, grant: SliceGrant, now: float) -> bool:
        """Take a grant of one meter; returns whether jobs have to be matched anew."""
        meter = grant.meter
        slice_ = self.slices.get(meter.id)
        changed = slice_ is None or slice_.meter != meter
        if slice_ is None:
            slice_ = self.slices[meter.id] = new_slice(meter, grant.settled)
        slice_.meter = meter
        slice_.state = grant.state
        slice_.remaining = grant.remaining
        slice_.reset_at = now + grant.reset_ms / 1000
        # Units of a day are of no other: what is idle at midnight is not to be had on top of the next day's.
        lapse_ms = limits.RATE_SLICE_MS if meter.period is Period.MINUTE else grant.reset_ms
        slice_.apply(grant, self._sent_at + lapse_ms / 1000)
        return changed

    def _learn_keys(self, grant: LeaseGrant, now: float) -> None:
        """Remember keys whose meters are known. Those with meters of their own are named in every draw."""
        if grant.terms != self._terms:
            # Any key may have got a limit: each is asked about again, when it is next used.
            self._terms = grant.terms
            self._outdated, self._granted = self._granted, set()
            self._outdated_until = now + OUTDATED_S
            self._matched.clear()
        if len(self._granted) > KEYS_MAX:
            self._granted.clear()
        scopes = {slice_.meter.key for slice_ in self.slices.values()}
        users = {slice_.meter.user for slice_ in self.slices.values()} - {0}
        for key in grant.keys:
            self._granted.add(key)
            if key in scopes or self._users.get(key, 0) in users:
                self._named.setdefault(key, now)
            else:
                self._named.pop(key, None)
                self._users.pop(key, None)

    def lost(self) -> None:
        """The last draw was not answered. What it returned may have been taken back or not: it counts as used."""
        for meter, returned in self._pending.items():
            slice_ = self.slices.get(meter)
            if isinstance(slice_, UnitSlice):
                for bucket, units in returned.items():
                    if units < 0:  # used beyond what was granted: better told twice than not at all
                        slice_.returned[bucket] = slice_.returned.get(bucket, 0) + units
        self._pending = {}

    def _forget_keys(self, now: float) -> None:
        for key in [key for key, used_at in self._named.items() if now - used_at > limits.LEASE_IDLE_S]:
            # Not while it holds anything of its own: its meters' totals must go on being reported.
            if not any(slice_.meter.key == key and in_use(slice_, now) for slice_ in self.slices.values()):
                del self._named[key]
                self._granted.discard(key)
                self._users.pop(key, None)

    # --- metering away -----------------------------------------------------------------------------------------

    def extend(self, waiting: Iterable[JobNeed], now: float, wall_ms: int, grace_nano: int) -> bool:
        """Go on without metering for a moment, on what is known and within a grace.

        Args:
            waiting: jobs that could not be held.
            now: monotonic seconds.
            wall_ms: Unix time in milliseconds.
            grace_nano: most that may be spent beyond what was granted until metering is back, in nano-USD. Also not
                more than this edge's part of what was left when metering was last heard.

        Returns:
            False if nothing may be spent: the account is unknown, or nothing of its credit is left here or elsewhere.
        """
        waiting = tuple(waiting)
        wallet = self.slices.get(WALLET)
        if self.known is False or (self.known and isinstance(wallet, MoneySlice) and _is_empty(wallet, now)):
            return False
        # Keys and accounts that were never heard of, too: an edge must be able to start while metering is away.
        self._blind = True
        if wallet is None:
            self.slices[WALLET] = new_slice(WALLET_METER)
            self._matched.clear()
        elapsed = min(now - self._graced_at, 1.0)
        self._graced_at = now
        # Longer than metering may take to answer, so that nobody waits while it is asked again.
        self.fresh_until = now + 2 * limits.LEASE_MS / 1000
        self._renew_at = now + limits.LEASE_MS / 2000
        wallet = self.slices[WALLET]
        grace_nano -= wallet.graced if isinstance(wallet, MoneySlice) else 0
        for slice_ in self.slices.values():
            if isinstance(slice_, MoneySlice):
                short = sum(need.amounts[0] for need in waiting if _counts(slice_.meter, need)) - slice_.free(now)
                # What was said to be left is left, also where it was too little for the jobs that waited then.
                more = min(short, grace_nano if self.known is None else min(grace_nano, slice_.remaining // self.edges))
                if more > 0:
                    slice_.go_on(more, 0 if self.known is None else self.edges)
            elif isinstance(slice_, UnitSlice):
                slice_.mint(elapsed, self.edges, wall_ms, self.fresh_until)
            else:
                slice_.go_on(self.edges)
        return True


WALLET_METER: Final = Meter(WALLET, MeterKind.MONEY, Period.NONE, 0)


def _is_empty(wallet: MoneySlice, now: float) -> bool:
    """Return whether nothing is left for anybody, as far as is known, and no job here may give something back."""
    return wallet.remaining <= 0 and wallet.free(now) + wallet.held <= 0


def _with(amounts: tuple[int, int, int, int], index: int, held: int) -> tuple[int, int, int, int]:
    nano, jobs, tokens, images = (held if at == index else amount for at, amount in enumerate(amounts))
    return nano, jobs, tokens, images


def _counts(meter: Meter, need: JobNeed) -> bool:
    return counts(meter, key=need.key, user=need.user, model=need.model, group=need.group)


def _demands(waiting: Iterable[JobNeed]) -> tuple[Demand, ...]:
    found: dict[tuple[int, int, str, str], list[JobNeed]] = {}
    for need in waiting:
        found.setdefault((need.key, need.user, need.model, need.group), []).append(need)
    return tuple(
        Demand(
            *who,
            jobs=len(needs),
            nano=sum(need.amounts[0] for need in needs),
            nano_min=min(need.least[0] for need in needs),
            tokens=sum(need.amounts[2] for need in needs),
            tokens_min=min(need.least[2] for need in needs),
            images=sum(need.amounts[3] for need in needs),
        )
        for who, needs in found.items()
    )
