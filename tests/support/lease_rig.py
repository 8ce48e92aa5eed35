"""One edge's lease of an account, with metering's answers as a test wants them."""

from collections.abc import Sequence

from trunkline.bus.allowance import WALLET, LeaseDraw, LeaseGrant, Meter, MeterKind, Period, SliceGrant, SliceState
from trunkline.core import limits
from trunkline.policy.lease import Hold, JobNeed, Lease

MONEY = Meter(WALLET, MeterKind.MONEY, Period.NONE, 0)
BUDGET = Meter("key:2:daily", MeterKind.MONEY, Period.DAY, 1_000, key=2)
OF_USER = Meter("user:9:rpm", MeterKind.REQUESTS, Period.MINUTE, 60, user=9)
RPM = Meter("tier:rpm", MeterKind.REQUESTS, Period.MINUTE, 60)
TPM = Meter("tier:tpm", MeterKind.TOKENS, Period.MINUTE, 6_000)
RPD = Meter("tier:rpd", MeterKind.REQUESTS, Period.DAY, 100)
CONCURRENCY = Meter("tier:concurrency", MeterKind.CONCURRENCY, Period.NONE, 10)


def need(nano: int = 0, tokens: int = 0, *, key: int = 1, user: int = 0, least: int | None = None) -> JobNeed:
    return JobNeed(
        (nano, 1, tokens, 0),
        (nano if least is None else least, 1, tokens if least is None else least, 0),
        key,
        user,
        "gpt-4o",
        "default",
    )


class Rig:
    """A lease, and metering as the test wants it.

    Attributes:
        now: monotonic seconds, which the test sets on.
    """

    def __init__(self) -> None:
        self.now = 100.0
        self.lease = Lease(7, 42, self.now)

    def report(self, *waiting: JobNeed, recalled: bool = False, closing: bool = False) -> LeaseDraw:
        return self.lease.report(waiting, self.now, recalled=recalled, closing=closing)

    def answer(
        self,
        draw: LeaseDraw,
        *slices: SliceGrant,
        known: bool = True,
        terms: int = 0,
        edges: int = 1,
        over: bool = False,
    ) -> bool:
        grant = LeaseGrant(
            7,
            draw.lease,
            draw.number,
            known,
            0 if over else limits.LEASE_MS,
            keys=draw.keys,
            slices=slices,
            discount_ppm=500,
            edges=edges,
            terms=terms,
            over=over,
        )
        return self.lease.apply(grant, self.now)

    def draw(self, waiting: Sequence[JobNeed], *slices: SliceGrant, terms: int = 0) -> LeaseDraw:
        draw = self.report(*waiting)
        assert self.answer(draw, *slices, terms=terms)
        return draw

    def hold(self, wanted: JobNeed, *, least: bool = False) -> Hold:
        held = self.lease.hold(wanted, self.now, least=least)
        assert isinstance(held, Hold)
        return held


def money(drawn: int, settled: int = 0, remaining: int = 10**6, state: SliceState = SliceState.FREE) -> SliceGrant:
    return SliceGrant(MONEY, drawn=drawn, settled=settled, remaining=remaining, state=state)
