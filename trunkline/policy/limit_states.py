"""Which limits a client is told of in the headers of its answers. Pure; the edge asks it once per request."""

from collections.abc import Iterable

from trunkline.policy.slices import Slice, UnitSlice
from trunkline.protocol.client_limits import LimitState

_REQUESTS, _TOKENS = 1, 2
"""As `slices.UnitSlice.index` has them."""


def limit_states(slices: Iterable[Slice], now: float) -> tuple[LimitState | None, LimitState | None]:
    """Return the tightest limit on requests and the tightest on tokens, of a minute or a day; None where there is none.

    The tightest is the one with the least left. What is left is what metering has said last, for all edges, and what
    this edge holds and no job has taken.

    Args:
        slices: of the meters that count the request.
        now: monotonic seconds.
    """
    requests: LimitState | None = None
    tokens: LimitState | None = None
    for slice_ in slices:
        if isinstance(slice_, UnitSlice):
            index = slice_.index
            if index == _REQUESTS:
                requests = _tighter(requests, slice_, now)
            elif index == _TOKENS:
                tokens = _tighter(tokens, slice_, now)
    return requests, tokens


def _tighter(found: LimitState | None, slice_: UnitSlice, now: float) -> LimitState:
    limit = slice_.meter.limit
    remaining = min(slice_.remaining + slice_.free(now), limit)
    if found is not None and found.remaining <= remaining:
        return found
    return LimitState(limit, max(remaining, 0), max(slice_.reset_at - now, 0.0))
