"""An account at metering as the deciding functions know it, with meters of each kind, and what edges report of it."""

import dataclasses
from collections.abc import Mapping

from trunkline.bus.allowance import WALLET, Demand, LeaseDraw, Meter, MeterKind, Period, SliceGrant, SliceReport
from trunkline.core import limits
from trunkline.policy.grants import AccountState, AccountView, Bearing, Decision, decide

NOW_MS = 1_800_000_000_000
NOW_BUCKET = NOW_MS // limits.BUCKET_MS
MONEY = Meter(WALLET, MeterKind.MONEY, Period.NONE, 0)
DAILY = Meter("account:daily", MeterKind.MONEY, Period.DAY, 1_000)
RPM = Meter("tier:rpm", MeterKind.REQUESTS, Period.MINUTE, 100)
TPM = Meter("tier:tpm", MeterKind.TOKENS, Period.MINUTE, 1_000)
IPM = Meter("tier:images_per_minute", MeterKind.IMAGES, Period.MINUTE, 10)
RPD = Meter("tier:rpd", MeterKind.REQUESTS, Period.DAY, 50)
CONCURRENCY = Meter("tier:concurrency", MeterKind.CONCURRENCY, Period.NONE, 10)
OF_KEY = Meter("key:2:rpm", MeterKind.REQUESTS, Period.MINUTE, 5, key=2)


def demand(jobs: int = 1, nano: int = 0, tokens: int = 0, images: int = 0, *, key: int = 1, least: int = 0) -> Demand:
    """Return what equal jobs need; ``least`` is what one of them can begin with, of money and tokens."""
    return Demand(
        key,
        0,
        "gpt-4o",
        "default",
        jobs=jobs,
        nano=nano,
        nano_min=least or nano // max(jobs, 1),
        tokens=tokens,
        tokens_min=least or tokens // max(jobs, 1),
        images=images,
    )


@dataclasses.dataclass
class Account:
    """One account at metering.

    Attributes:
        meters: that bear on it.
        balance: of its wallet, in nano-USD.
        spent: by meter, of budgets.
        settled: what is booked, by meter and lease.
        state: what is kept between draws.
        now_ms: Unix time, in milliseconds.
        numbers: of the last draw of each lease.
        leapt_ms: how far the clock has leapt ahead lately.
    """

    meters: tuple[Meter, ...]
    balance: int = 0
    spent: Mapping[str, int] = dataclasses.field(default_factory=dict)
    settled: dict[str, dict[int, int]] = dataclasses.field(default_factory=dict)
    state: AccountState = dataclasses.field(default_factory=AccountState)
    now_ms: int = NOW_MS
    numbers: dict[int, int] = dataclasses.field(default_factory=dict)
    leapt_ms: int = 0

    def decide(
        self,
        lease: int,
        *demands: Demand,
        reports: tuple[SliceReport, ...] = (),
        number: int = 0,
        applied: int | None = None,
        closing: bool = False,
        edge: str = "",
    ) -> Decision | None:
        """Decide a draw; arguments that are left out are those of the next draw in order."""
        number = number or self.numbers.get(lease, 0) + 1
        draw = LeaseDraw(
            7,
            lease,
            number,
            number - 1 if applied is None else applied,
            slices=reports,
            demands=demands,
            closing=closing,
        )
        self.numbers[lease] = number
        money = {
            meter.id: Bearing(
                self.balance if meter.id == WALLET else meter.limit - self.spent.get(meter.id, 0),
                self.settled.get(meter.id, {}),
            )
            for meter in self.meters
            if meter.kind is MeterKind.MONEY
        }
        view = AccountView(self.meters, money, "UTC", 30_000)
        return decide(self.state, view, edge or f"edge-{lease}", draw, self.now_ms, leapt_ms=self.leapt_ms)

    def draw(
        self,
        lease: int,
        *demands: Demand,
        reports: tuple[SliceReport, ...] = (),
        applied: int | None = None,
        closing: bool = False,
        edge: str = "",
    ) -> SliceGrant:
        """Decide a draw; returns the grant of the last meter."""
        found = self.decide(lease, *demands, reports=reports, applied=applied, closing=closing, edge=edge)
        assert found is not None
        return found.grant.slices[-1]


def drew(nano: int, *, wish: int = 0, idle: int = 0) -> tuple[SliceReport, ...]:
    """Return an edge's report of its money."""
    return (SliceReport(WALLET, drawn=nano, wish=wish, idle=idle),)
