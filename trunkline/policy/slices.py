"""What a lease holds of each meter: a slice per kind (ADR 6). Pure; the parts of `policy.lease`.

All slices have the same five calls: `free` says what a job may still take, `take` sets it aside, `settle` puts what was
used in its place, `report` says what metering must know and gives back what is idle, `apply` takes what it granted.
"""

from typing import Final, TypeAlias

from trunkline.bus.allowance import Meter, MeterKind, Period, SliceGrant, SliceReport, SliceState
from trunkline.core import limits

_INDEX: Final = {
    MeterKind.MONEY: 0,
    MeterKind.REQUESTS: 1,
    MeterKind.CONCURRENCY: 1,
    MeterKind.TOKENS: 2,
    MeterKind.IMAGES: 3,
}
"""Where in `lease.JobNeed.amounts` stands what a kind of meter counts."""

LOW_PART = 4
"""With less than this part of the wish left, a lease asks for more: what it uses in half a second, between reports."""

PERMITS_SPARE_PART = 4
"""Of the busy permits, so many more are wished for: jobs that end make room for most of those that begin."""


class _Slice:
    """What all of them know.

    Attributes:
        meter: see there.
        index: see `_INDEX`.
        state, remaining: metering's last word; ``reset_at`` in monotonic seconds.
        taken: units since the last report, and ``rate`` the smoothed use a second.
        low: with less than this left, the lease asks for more.
    """

    __slots__ = ("index", "low", "meter", "rate", "remaining", "reset_at", "state", "taken")

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.index = _INDEX[meter.kind]
        self.state = SliceState.FREE
        self.remaining = 0
        self.reset_at = 0.0
        self.taken = 0
        self.rate = 0.0
        self.low = 0


class MoneySlice(_Slice):
    """Money of one meter: ``drawn`` less what is spent and held is free.

    Attributes:
        graced: of what is drawn, what metering has not granted (`go_on`) and has not been given back unspent.
    """

    __slots__ = ("drawn", "graced", "held", "parts", "settled", "spent")

    def __init__(self, meter: Meter, settled: int = 0) -> None:
        super().__init__(meter)
        # What the lease has booked of this meter from before it was forgotten here is spent, and none of it is free.
        self.settled = self.spent = settled
        self.drawn = self.held = self.graced = self.parts = 0

    def free(self, _now: float) -> int:
        """Return what may still be held. Less than nothing after a charge beyond its hold."""
        # Booked charges that this edge has not heard of are spent all the same.
        return self.drawn - max(self.spent, self.settled) - self.held

    def take(self, units: int, _now: float) -> int:
        """Hold some."""
        self.held += units
        self.taken += units
        return 0

    def settle(self, held: int, used: int, _bucket: int, _now: float) -> None:
        """Put a charge in the place of a hold."""
        self.held -= held
        self.spent += used

    def report(self, now: float, *, idle: bool, wish: int) -> SliceReport:
        """Return what it has, giving back what is free unless it may stay idle."""
        self.low = wish // LOW_PART
        free = self.free(now)
        if free < 0 or not idle:
            self.drawn -= free  # what was spent beyond the hold was drawn, too, if after the fact
            unspent = min(max(free, 0), self.graced)
            self.graced -= unspent
            self.remaining += unspent * self.parts
            free = 0
        return SliceReport(self.meter.id, drawn=self.drawn, idle=free, wish=max(wish - free, 0))

    def apply(self, grant: SliceGrant, _until: float) -> None:
        """Take metering's word."""
        self.drawn = grant.drawn
        self.graced = 0
        self.settled = max(self.settled, grant.settled)

    def go_on(self, nano: int, parts: int) -> None:
        """Go on without metering with so much more, of what was left for so many edges; 0 if nobody has said."""
        self.drawn += nano
        self.graced += nano
        self.parts = parts
        self.remaining = max(self.remaining - nano * parts, 0)


class PermitSlice(_Slice):
    """Permits for jobs at a time."""

    __slots__ = ("drawn", "held")

    def __init__(self, meter: Meter) -> None:
        super().__init__(meter)
        self.drawn = self.held = 0

    def free(self, _now: float) -> int:
        """Return permits that no job has."""
        return self.drawn - self.held

    def take(self, units: int, _now: float) -> int:
        """Give a job its permit."""
        self.held += units
        self.taken += units
        return 0

    def settle(self, held: int, _used: int, _bucket: int, _now: float) -> None:
        """Take it back."""
        self.held -= held

    def report(self, now: float, *, idle: bool, wish: int) -> SliceReport:
        """Return what it has, giving back what is free unless it may stay idle."""
        if not idle:
            self.drawn = self.held
        # Use is counted per second and permits are not used up: what matters is how many are busy.
        wish = min(wish, self.held // PERMITS_SPARE_PART + 1)
        self.low = wish // LOW_PART
        free = max(self.free(now), 0)
        return SliceReport(self.meter.id, drawn=self.drawn, idle=free, wish=max(wish - free, 0))

    def apply(self, grant: SliceGrant, _until: float) -> None:
        """Take metering's word."""
        self.drawn = grant.drawn

    def go_on(self, edges: int) -> None:
        """Go on without metering: this edge's share of the limit, rounded up, so that no account stands still."""
        self.drawn = max(self.drawn, -(-self.meter.limit // edges))


class _Parcel:
    """Units of one bucket; ``minted`` ones were never granted, so it is their use that is reported."""

    __slots__ = ("bucket", "minted", "units", "until")

    def __init__(self, bucket: int, units: int, until: float, *, minted: bool = False) -> None:
        self.bucket = bucket
        self.units = units
        self.until = until
        self.minted = minted


class UnitSlice(_Slice):
    """Units of a minute or a day, in parcels by bucket; those of a minute lapse soon."""

    __slots__ = ("bucket", "due", "parcels", "returned")

    def __init__(self, meter: Meter) -> None:
        super().__init__(meter)
        self.bucket = 0
        self.due = 0.0
        self.parcels: list[_Parcel] = []
        self.returned: dict[int, int] = {}

    def free(self, now: float) -> int:
        """Return units that may be used now."""
        parcels = self.parcels
        if len(parcels) == 1:
            parcel = parcels[0]
            return parcel.units if parcel.until > now else 0
        return sum(parcel.units for parcel in parcels if parcel.until > now)

    def take(self, units: int, now: float) -> int:
        """Use some, the oldest first.

        Returns:
            The bucket of the last ones, for `settle`; its complement, below 0, if they come from several.
        """
        self.taken += units
        bucket, several = 0, False
        for parcel in self.parcels:
            if parcel.until > now and parcel.units:
                several = several or bucket not in {0, parcel.bucket}
                bucket = parcel.bucket
                used = min(parcel.units, units)
                parcel.units -= used
                units -= used
                if parcel.minted:
                    self._return(bucket, -used)
                if not units:
                    break
        # A job that needs none by its hold may use some all the same.
        return ~bucket if several else bucket or self.bucket

    def settle(self, held: int, used: int, bucket: int, now: float) -> None:
        """Give back what was not used, or report what was used beyond."""
        if self.index == 1 or held == used:
            return  # a request is a request, however it went
        for parcel in self.parcels:
            # Only what came from there altogether: units of an older bucket would outlive it, and be used when that
            # counts no more.
            if held > used and parcel.bucket == bucket and parcel.until > now:
                parcel.units += held - used
                if parcel.minted:
                    self._return(bucket, held - used)
                return
        self._return(bucket if bucket >= 0 else ~bucket, held - used)

    def _return(self, bucket: int, units: int) -> None:
        self.returned[bucket] = self.returned.get(bucket, 0) + units

    def report(self, now: float, *, idle: bool, wish: int) -> SliceReport:
        """Return what lapsed, and what is free unless it may stay idle."""
        self.low = wish // LOW_PART
        kept = []
        for parcel in self.parcels:
            if parcel.units and idle and parcel.until > now:
                kept.append(parcel)
            elif parcel.units and not parcel.minted:
                self._return(parcel.bucket, parcel.units)
        self.parcels = kept
        returned, self.returned = {bucket: units for bucket, units in self.returned.items() if units}, {}
        free = self.free(now)
        return SliceReport(self.meter.id, idle=free, wish=max(wish - free, 0), returned=returned)

    def apply(self, grant: SliceGrant, until: float) -> None:
        """Take metering's word."""
        self.bucket = grant.bucket
        if grant.granted:
            self.parcels.append(_Parcel(grant.bucket, grant.granted, until))

    def mint(self, elapsed_s: float, edges: int, wall_ms: int, until: float) -> None:
        """Go on without metering: this edge's share of what the limit allows in the time that has passed."""
        minute = self.meter.period is Period.MINUTE
        if not minute and self.state is SliceState.SPENT:
            return  # of a day that is used up nothing grows again
        self.due += self.meter.limit / edges * elapsed_s / (60 if minute else 86_400)
        units, self.due = int(self.due), self.due % 1
        if units:
            bucket = wall_ms // limits.BUCKET_MS if minute else self.bucket
            self.parcels = [parcel for parcel in self.parcels if parcel.units and parcel.until > until - 2.0]
            self.parcels.append(_Parcel(bucket, units, until, minted=True))


Slice: TypeAlias = MoneySlice | PermitSlice | UnitSlice


def new_slice(meter: Meter, settled: int = 0) -> Slice:
    """Return an empty slice of a meter; ``settled`` is what is booked of it already, of money."""
    if meter.kind is MeterKind.MONEY:
        return MoneySlice(meter, settled)
    if meter.kind is MeterKind.CONCURRENCY:
        return PermitSlice(meter)
    return UnitSlice(meter)


def in_use(slice_: Slice, now: float) -> bool:
    """Return whether a slice must go on being reported: it holds something, or jobs hold some of it."""
    if isinstance(slice_, MoneySlice):
        return slice_.drawn > slice_.settled or slice_.held > 0
    return slice_.free(now) > 0 or (isinstance(slice_, PermitSlice) and slice_.held > 0)
