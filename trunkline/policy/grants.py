"""Decides draws: how much of each meter a lease gets. Metering's side of ADR 6; pure.

`decide` takes an account's state (what leases hold, what the windows counted), what its money meters can bear, and one
draw; it changes the state and returns the grant. Whoever keeps the state makes sure that no two decisions start from
the same one.

What holds after every decision:

- money: the sum of ``drawn - settled`` over all leases is at most what the meter can bear, unless leases report that
  they spent more than they had drawn (a grace, a charge beyond its hold): then nothing is granted;
- any minute: all units granted in the last `WINDOW_MS` are at most the limit, save for units reported as used beyond
  what was granted;
- jobs at a time: the permits of all leases are at most the limit (those kept from before a limit was lowered stay).
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from trunkline.bus.allowance import (
    Demand,
    LeaseDraw,
    LeaseGrant,
    Meter,
    MeterKind,
    Period,
    SliceGrant,
    SliceReport,
    SliceState,
)
from trunkline.core import limits
from trunkline.policy.meters import counts
from trunkline.policy.periods import Span, span_at

WINDOW_MS = 60_000 + limits.RATE_SLICE_MS
"""A unit may be used `limits.RATE_SLICE_MS` after it was granted, so that much more than a minute is looked at."""


class LeaseState(msgspec.Struct, array_like=True):
    """What metering remembers of one lease.

    Attributes:
        edge: process id of the edge that holds it.
        number: of the last draw that was decided.
        drawn: totals of money, and permits, by meter.
        last: minute and day units granted by that draw: bucket and units, by meter.
        reported_ms: when it last reported.
        closing: its edge has no more jobs of the account; it goes when all is settled.
    """

    edge: str
    number: int = 0
    drawn: dict[str, int] = {}
    last: dict[str, tuple[int, int]] = {}
    reported_ms: int = 0
    closing: bool = False


class AccountState(msgspec.Struct, array_like=True):
    """What metering remembers of one account.

    Attributes:
        leases: by number.
        windows: units granted by bucket, of minute and day meters. A bucket is a quarter of a second since 1970
            (`limits.BUCKET_MS`), or a day's ordinal.
        recalled_ms: when a meter's idle units were last asked back.
    """

    leases: dict[int, LeaseState] = {}
    windows: dict[str, dict[int, int]] = {}
    recalled_ms: dict[str, int] = {}


class Bearing(NamedTuple):
    """What a money meter can bear.

    Attributes:
        left_nano: the wallet's balance, or a budget less what was spent in its period.
        settled: what is booked of each lease's jobs, by lease.
    """

    left_nano: int
    settled: Mapping[int, int]


class AccountView(NamedTuple):
    """An account as it is when a draw is decided.

    Attributes:
        meters: of the account and of the keys that the draw names; see `policy.meters`.
        money: of each money meter, by its id.
        time_zone: of its days.
        discount_ppm: volume discount at present.
    """

    meters: Sequence[Meter]
    money: Mapping[str, Bearing]
    time_zone: str
    discount_ppm: int


class Decision(NamedTuple):
    """What came of a draw.

    Attributes:
        grant: for the edge.
        changed: whether the state must be written.
        recall: edges to ask for what they hold and do not use.
        refusing: budgets of which too little is left for any job that waits, whatever becomes of those under way.
    """

    grant: LeaseGrant
    changed: bool
    recall: frozenset[str]
    refusing: tuple[Meter, ...] = ()


class _Time(NamedTuple):
    """See the arguments of `decide`."""

    now_ms: int
    leapt_ms: int


class _Need(NamedTuple):
    """What demands and a wish come to for one meter; ``smallest`` is of one job."""

    units: int
    smallest: int
    wish: int


def decide(
    state: AccountState, view: AccountView, edge: str, draw: LeaseDraw, now_ms: int, *, leapt_ms: int = 0
) -> Decision | None:
    """Decide one draw. None for one that was overtaken by a later one of its lease: nobody waits for it any more.

    Args:
        state: of the account; changed in place.
        view: see there.
        edge: process id.
        draw: of that edge.
        now_ms: Unix time in milliseconds, from one clock for all decisions of the account.
        leapt_ms: how far that clock has leapt ahead within the last minute (`policy.leaps`). Units granted before look
            older than they are by so much.
    """
    known = state.leases.get(draw.lease)
    if known is not None and draw.number <= known.number:
        return None
    if known is None and draw.applied:
        # It was there once, and its edge taken for dead. What it holds has gone to others, and of what it spent nobody
        # knows any more how much is booked.
        return Decision(_over(view, draw), changed=False, recall=frozenset())
    return _Desk(state, view, edge, draw, _Time(now_ms, leapt_ms)).decide()


def _over(view: AccountView, draw: LeaseDraw) -> LeaseGrant:
    return LeaseGrant(
        account=draw.account,
        lease=draw.lease,
        number=draw.number,
        known=True,
        lease_ms=0,
        discount_ppm=view.discount_ppm,
        over=True,
    )


def drop_lease(state: AccountState, lease: int) -> bool:
    """Forget a lease: what it holds and did not spend is free again. Returns whether it was there."""
    return state.leases.pop(lease, None) is not None


def says_nothing(state: AccountState, now_ms: int, *, leapt_ms: int = 0) -> bool:
    """Return whether an account's state may be thrown away: no lease, and no unit that still counts.

    Args:
        state: what counts no more is dropped from it.
        now_ms: Unix time in milliseconds, from the clock of the decisions.
        leapt_ms: as for `decide`.
    """
    _forget_windows(state, _Time(now_ms, leapt_ms))
    return not state.leases and not state.windows


def settled_wholly(lease: LeaseState, number: int, money: Mapping[str, Bearing]) -> bool:
    """Return whether all that a lease has drawn is booked, so that nothing is lost by forgetting it."""
    return all(drawn <= money[meter].settled.get(number, 0) for meter, drawn in lease.drawn.items() if meter in money)


class _Desk:
    """One decision under way."""

    def __init__(self, state: AccountState, view: AccountView, edge: str, draw: LeaseDraw, time: _Time) -> None:
        self._state = state
        self._view = view
        self._draw = draw
        self._now_ms, self._leapt_ms = time
        self._reports = {report.meter: report for report in draw.slices}
        self._changed = draw.lease not in state.leases
        self._lease = state.leases.setdefault(draw.lease, LeaseState(edge))
        # Also those that this edge has given up: of these it keeps nothing that no job holds.
        self._others = [lease for number, lease in state.leases.items() if number != draw.lease]
        self._elsewhere = [lease for lease in self._others if lease.edge != edge]
        self._edges = len({edge, *(lease.edge for lease in self._others if not lease.closing)})
        self._recall: set[str] = set()
        self._refusing: list[Meter] = []

    def decide(self) -> Decision:
        lease, draw = self._lease, self._draw
        if self._changed:
            _forget_windows(self._state, _Time(self._now_ms, self._leapt_ms))
        self._take_back()
        lease.last = {}
        recalls = self._recalls()
        if any(not self._answered(lease, asked_ms) for meter, asked_ms in recalls.items() if lease.drawn.get(meter)):
            self._changed = True  # those who asked must learn that it has answered
        if draw.closing != lease.closing:
            lease.closing = draw.closing
            self._changed = True
        slices = tuple(self._slice(meter) for meter in self._view.meters)
        self._forget_meters()
        lease.number = draw.number
        lease.reported_ms = self._now_ms
        if draw.closing and settled_wholly(lease, draw.lease, self._view.money):
            del self._state.leases[draw.lease]
            self._changed = True
        grant = LeaseGrant(
            account=draw.account,
            lease=draw.lease,
            number=draw.number,
            known=True,
            lease_ms=limits.LEASE_MS,
            keys=draw.keys,
            slices=slices,
            discount_ppm=self._view.discount_ppm,
            edges=self._edges,
        )
        return Decision(grant, self._changed, frozenset(self._recall), tuple(self._refusing))

    def _take_back(self) -> None:
        """Undo the units of an answer that never reached the edge, and take what it returns."""
        lease, windows = self._lease, self._state.windows
        if lease.last and lease.number > self._draw.applied:
            for meter, (bucket, units) in lease.last.items():
                _add(windows, meter, bucket, -units)
            self._changed = True
        for report in self._draw.slices:
            for bucket, units in report.returned.items():
                rest = _add(windows, report.meter, bucket, -units)
                self._changed = True
                # A job may have used units of several buckets and names the last one: the rest is of older ones.
                for older in sorted(windows[report.meter]):
                    if older < bucket and rest:
                        rest = _add(windows, report.meter, older, rest)

    def _slice(self, meter: Meter) -> SliceGrant:
        report = self._reports.get(meter.id, SliceReport(meter.id))
        need = self._need(meter, report)
        if meter.kind is MeterKind.MONEY:
            return self._money(meter, report, need)
        if meter.kind is MeterKind.CONCURRENCY:
            return self._permits(meter, report, need)
        return self._units(meter, need)

    def _need(self, meter: Meter, report: SliceReport) -> _Need:
        units, smallest = 0, 0
        for demand in self._draw.demands:
            if counts(meter, key=demand.key, user=demand.user, model=demand.model, group=demand.group):
                wanted, least = _wanted(meter.kind, demand)
                units += wanted
                smallest = min(smallest, least) if smallest else least
        # What it keeps idle goes to the waiting jobs first.
        return _Need(max(units - report.idle, 0), max(smallest - report.idle, 0), report.wish)

    # --- money -------------------------------------------------------------------------------------------------

    def _money(self, meter: Meter, report: SliceReport, need: _Need) -> SliceGrant:
        bearing = self._view.money[meter.id]
        settled = bearing.settled.get(self._draw.lease, 0)
        # It has spent at least what is booked; a charge beyond its hold is drawn after the fact.
        drawn = max(report.drawn, settled)
        elsewhere = sum(
            max(lease.drawn.get(meter.id, 0) - bearing.settled.get(number, 0), 0)
            for number, lease in self._state.leases.items()
            if number != self._draw.lease
        )
        free = bearing.left_nano - elsewhere - (drawn - settled)
        granted = self._share(free, need)
        span = None if meter.period is Period.NONE else self._span(meter.period)
        state = self._state_of(meter, need, granted, free, idle=elsewhere > 0)
        # By what is booked alone: what jobs under way hold may come back. One beyond all of the budget says nothing of
        # what is left of it.
        if span is not None and need.smallest and bearing.left_nano < need.smallest + report.idle <= meter.limit:
            self._refusing.append(meter)
        self._keep(meter.id, drawn + granted)
        return SliceGrant(
            meter,
            drawn=drawn + granted,
            remaining=max(free - granted, 0),
            reset_ms=0 if span is None else max(span.until_ms - self._now_ms, 0),
            settled=settled,
            state=state,
        )

    def _keep(self, meter: str, drawn: int) -> None:
        if self._lease.drawn.get(meter, 0) != drawn:
            self._lease.drawn[meter] = drawn
            self._changed = True

    # --- jobs at a time ----------------------------------------------------------------------------------------

    def _permits(self, meter: Meter, report: SliceReport, need: _Need) -> SliceGrant:
        elsewhere = sum(lease.drawn.get(meter.id, 0) for lease in self._others)
        free = meter.limit - elsewhere - report.drawn
        granted = self._share(free, need)
        state = self._state_of(meter, need, granted, free, idle=self._idle_elsewhere(meter))
        self._keep(meter.id, report.drawn + granted)
        return SliceGrant(meter, drawn=report.drawn + granted, remaining=max(free - granted, 0), state=state)

    def _idle_elsewhere(self, meter: Meter) -> bool:
        """Whether another lease may hold permits that no job of its uses: it has not reported since it was asked."""
        asked_ms = self._recalls().get(meter.id)
        return any(
            lease.drawn.get(meter.id, 0) > 0 and (asked_ms is None or not self._answered(lease, asked_ms))
            for lease in self._elsewhere
        )

    def _answered(self, lease: LeaseState, asked_ms: int) -> bool:
        """Whether a lease has reported since; of a report that is still to come, the clock has leapt back."""
        return asked_ms < lease.reported_ms <= self._now_ms

    def _recalls(self) -> dict[str, int]:
        return _recalls(self._state, self._now_ms)

    # --- units of a minute or a day ----------------------------------------------------------------------------

    def _units(self, meter: Meter, need: _Need) -> SliceGrant:
        window = self._state.windows.setdefault(meter.id, {})
        bucket, oldest = self._buckets(meter)
        # Yesterday's are kept for a clock that has leapt past midnight and comes back.
        kept = oldest if meter.period is Period.MINUTE else oldest - 1
        for held in [held for held in window if not kept <= held <= bucket]:
            units = window.pop(held)
            if held > bucket:
                # Of a clock that was ahead: an edge's without metering, Postgres's before it was set, or another one's.
                window[bucket] = window.get(bucket, 0) + units
        free = meter.limit - sum(units for held, units in window.items() if held >= oldest)
        granted = self._share(free, need)
        if granted:
            window[bucket] = window.get(bucket, 0) + granted
            self._lease.last[meter.id] = (bucket, granted)
            self._changed = True
        state = self._state_of(meter, need, granted, free, idle=False)
        short = max(need.smallest - (free - granted), 1) if state is SliceState.SPENT else 0
        return SliceGrant(
            meter,
            granted=granted,
            bucket=bucket,
            remaining=max(free - granted, 0),
            reset_ms=self._reset_ms(meter, window, short),
            state=state,
        )

    def _buckets(self, meter: Meter) -> tuple[int, int]:
        """Return the current bucket, and the oldest one that still counts."""
        if meter.period is Period.MINUTE:
            oldest_ms = self._now_ms - WINDOW_MS - self._leapt_ms
            return self._now_ms // limits.BUCKET_MS, oldest_ms // limits.BUCKET_MS
        today = self._span(meter.period).start.toordinal()
        return today, today

    def _reset_ms(self, meter: Meter, window: Mapping[int, int], short: int) -> int:
        """Return when ``short`` units are free or, with 0, when all are."""
        if meter.period is not Period.MINUTE:
            return max(self._span(meter.period).until_ms - self._now_ms, 0)
        freed, last = 0, self._now_ms
        for bucket in sorted(window):
            freed += window[bucket]
            last = (bucket + 1) * limits.BUCKET_MS + WINDOW_MS
            if last <= self._now_ms:
                last += self._leapt_ms
            if short and freed >= short:
                break
        return max(last - self._now_ms, 0)

    # --- what all kinds share ----------------------------------------------------------------------------------

    def _share(self, free: int, need: _Need) -> int:
        """Return what is granted of what is free: all that jobs wait for, and of the rest a share of the wish."""
        if self._draw.closing or free <= 0:
            return 0
        if free < need.units:
            # Some of the waiting jobs can go; with less than the smallest needs, the rest is left to others.
            return free if free >= need.smallest else 0
        return max(need.units, min(need.units + need.wish, free // (limits.SHARE_PARTS * self._edges)))

    def _state_of(self, meter: Meter, need: _Need, granted: int, free: int, *, idle: bool) -> SliceState:
        if granted >= need.units and (need.units or free > 0):
            # An edge that is alone may keep what is idle: should another come, it is asked for it. While somebody
            # waits, even one that wants nothing is to give back what its jobs leave.
            plenty = free - granted >= (need.units + need.wish) * self._edges and meter.id not in self._recalls()
            return SliceState.FREE if plenty or self._edges == 1 else SliceState.SCARCE
        if not need.units:
            return SliceState.SCARCE
        if not idle:
            return SliceState.SPENT
        if meter.id not in self._recalls():
            # Not with each draw: those who wait ask often, and each recall makes every other edge draw.
            self._state.recalled_ms[meter.id] = self._now_ms
            self._changed = True
            self._recall.update(lease.edge for lease in self._elsewhere if lease.drawn.get(meter.id, 0) > 0)
        return SliceState.WAIT

    def _span(self, period: Period) -> Span:
        return span_at(period, self._view.time_zone, self._now_ms)

    def _forget_meters(self) -> None:
        """Drop what is held of meters that are no more: their limits were taken away."""
        # Only those of the whole account can be told: of keys the draw names but a few.
        kept = self._lease.drawn
        there = {meter.id for meter in self._view.meters}
        for meter in [held for held in kept if held not in there and held not in self._reports]:
            del kept[meter]
            self._changed = True


def _forget_windows(state: AccountState, time: _Time) -> None:
    """Drop what counts no more, also of keys that no draw has named since. Whenever a lease is new."""
    now_ms = time.now_ms
    oldest = (now_ms - WINDOW_MS - time.leapt_ms) // limits.BUCKET_MS
    # Wherever the account's days begin.
    yesterday = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC).date().toordinal() - 1
    for meter, window in list(state.windows.items()):
        newest = max(window, default=0)
        if newest < (oldest if newest > dt.date.max.toordinal() else yesterday):
            del state.windows[meter]
    state.recalled_ms = _recalls(state, now_ms)


def _recalls(state: AccountState, now_ms: int) -> dict[str, int]:
    """Return the meters whose idle units were asked back a moment ago, and when."""
    since_ms = now_ms - limits.RECALL_AGE_MS
    # A time to come is one from before the clock was set back.
    return {meter: asked_ms for meter, asked_ms in state.recalled_ms.items() if since_ms < asked_ms <= now_ms}


def _add(windows: dict[str, dict[int, int]], meter: str, bucket: int, units: int) -> int:
    """Add to a bucket, or take from it; returns what it had too little for, as a number below zero.

    A bucket that has left the window has nothing to give back: its units count no more.
    """
    window = windows.setdefault(meter, {})
    if bucket not in window and units < 0:
        return 0
    left = window.get(bucket, 0) + units
    if left > 0:
        window[bucket] = left
        return 0
    del window[bucket]
    return left


def _wanted(kind: MeterKind, demand: Demand) -> tuple[int, int]:
    """Return what a demand needs of a kind, and what one of its jobs needs at least."""
    if kind is MeterKind.MONEY:
        return demand.nano, demand.nano_min
    if kind is MeterKind.TOKENS:
        return demand.tokens, demand.tokens_min
    if kind is MeterKind.IMAGES:
        return demand.images, 1 if demand.images else 0
    return demand.jobs, 1
