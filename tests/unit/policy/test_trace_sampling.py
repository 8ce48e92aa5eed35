"""Who decides whether a request is traced, and what becomes of a client's own trace."""

import pytest

from trunkline.core.trace_context import TraceContext
from trunkline.policy.trace_sampling import TraceStart, begin_trace

SAMPLED, UNSAMPLED = f"00-{7:032x}-{9:016x}-01", f"00-{7:032x}-{9:016x}-00"
CLIENT = TraceContext(7, 9, sampled=True)
ROOT = TraceStart(None, None)


@pytest.mark.parametrize(
    ("ratio", "draw", "traced"), [(0.0, 0.0, False), (0.25, 0.249, True), (0.25, 0.25, False), (1.0, 0.999, True)]
)
@pytest.mark.parametrize("trust", [False, True])
def test_the_ratio_decides_where_no_client_says_anything(ratio: float, draw: float, traced: bool, trust: bool) -> None:
    for nothing in ("", "garbage"):
        assert begin_trace(nothing, ratio=ratio, trust=trust, draw=draw) == (ROOT if traced else None)


def test_a_client_that_is_not_trusted_decides_nothing_and_is_a_link() -> None:
    assert begin_trace(SAMPLED, ratio=0.5, trust=False, draw=0.5) is None
    assert begin_trace(SAMPLED, ratio=0.5, trust=False, draw=0.4) == TraceStart(None, CLIENT)
    unsampled = CLIENT._replace(sampled=False)
    assert begin_trace(UNSAMPLED, ratio=0.5, trust=False, draw=0.4) == TraceStart(None, unsampled)


def test_a_client_that_is_trusted_decides_either_way() -> None:
    assert begin_trace(SAMPLED, ratio=0.0, trust=True, draw=0.9) == TraceStart(CLIENT, None)
    assert begin_trace(UNSAMPLED, ratio=1.0, trust=True, draw=0.0) is None
