"""How far the meters of an account have got, for people to see. Pure; metering asks it for the clients of edges.

Decides nothing: what a job may take is for `policy.grants` to say. What an edge has drawn and not used yet counts as
used.
"""

from collections.abc import Mapping, Sequence

from trunkline.bus.allowance import WALLET, Meter, MeterKind, Period
from trunkline.bus.inquiry import MeterReading
from trunkline.core import limits
from trunkline.policy.grants import WINDOW_MS, AccountState
from trunkline.policy.periods import span_at


def read_meters(
    meters: Sequence[Meter], state: AccountState, spent_nano: Mapping[str, int], time_zone: str, now_ms: int
) -> tuple[MeterReading, ...]:
    """Return a reading of each meter but the wallet.

    Args:
        meters: of the account and of the keys that matter.
        state: what leases hold of the account and what the windows counted.
        spent_nano: of each budget in its period, by meter.
        time_zone: of the account.
        now_ms: Unix time in milliseconds.
    """
    return tuple(
        _read(meter, state, spent_nano.get(meter.id, 0), time_zone, now_ms) for meter in meters if meter.id != WALLET
    )


def _read(meter: Meter, state: AccountState, spent_nano: int, time_zone: str, now_ms: int) -> MeterReading:
    if meter.kind is MeterKind.CONCURRENCY:
        return MeterReading(meter, sum(lease.drawn.get(meter.id, 0) for lease in state.leases.values()))
    if meter.period is Period.MINUTE:
        oldest = (now_ms - WINDOW_MS) // limits.BUCKET_MS
        window = {bucket: units for bucket, units in state.windows.get(meter.id, {}).items() if bucket >= oldest}
        whole_ms = (max(window) + 1) * limits.BUCKET_MS + WINDOW_MS if window else now_ms
        return MeterReading(meter, sum(window.values()), max(whole_ms - now_ms, 0))
    span = span_at(meter.period, time_zone, now_ms)
    reset_ms = max(span.until_ms - now_ms, 0)
    if meter.kind is MeterKind.MONEY:
        return MeterReading(meter, spent_nano, reset_ms)
    return MeterReading(meter, state.windows.get(meter.id, {}).get(span.start.toordinal(), 0), reset_ms)
