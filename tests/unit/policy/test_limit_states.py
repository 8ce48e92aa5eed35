"""Which limits answers tell of, and how much of them is said to be left."""

from tests.support.allowance_world import World, need
from trunkline.bus.allowance import Meter, MeterKind, Period
from trunkline.policy.lease import Hold
from trunkline.policy.limit_states import limit_states
from trunkline.policy.slices import Slice, UnitSlice, new_slice
from trunkline.protocol.client_limits import LimitState

RPM = Meter("tier:rpm", MeterKind.REQUESTS, Period.MINUTE, 50)
TPM = Meter("tier:tpm", MeterKind.TOKENS, Period.MINUTE, 1000)
RPD = Meter("tier:rpd", MeterKind.REQUESTS, Period.DAY, 60)
CONCURRENCY = Meter("tier:concurrency", MeterKind.CONCURRENCY, Period.NONE, 10)
IMAGES = Meter("tier:images", MeterKind.IMAGES, Period.MINUTE, 5)
DAILY = Meter("account:daily", MeterKind.MONEY, Period.DAY, 10**9)


def slice_of(meter: Meter, remaining: int, reset_at: float) -> Slice:
    slice_ = new_slice(meter)
    slice_.remaining, slice_.reset_at = remaining, reset_at
    return slice_


def test_what_is_left_anywhere_and_here_is_left() -> None:
    world = World((RPM, TPM))
    edges = [world.edge(), world.edge()]
    for number in range(3):
        for edge in edges:
            assert edge.ask([need(tokens=100)]) == []
            counted = 2 * number + edge.number
            requests, tokens = limit_states(edge.holds[-1].slices, world.now)
            assert requests is not None
            assert tokens is not None
            assert (requests.limit, tokens.limit) == (50, 1000)
            # The other edge may have units that it has not used: those are not said to be left.
            assert 50 - counted - 25 <= requests.remaining <= 50 - counted
            assert 1000 - 100 * counted - 500 <= tokens.remaining <= 1000 - 100 * counted
            assert 60 < requests.reset_s <= 61.5


def test_a_lone_edge_counts_exactly() -> None:
    world = World((RPM, TPM))
    edge = world.edge()
    assert edge.ask([need(tokens=100), need(tokens=100)]) == []
    hold: Hold = edge.holds[-1]
    requests, tokens = limit_states(hold.slices, world.now)
    assert (requests and requests.remaining, tokens and tokens.remaining) == (48, 800)


def test_the_one_with_the_least_left_is_told_of() -> None:
    own = Meter("key:1:rpm", MeterKind.REQUESTS, Period.MINUTE, 20, key=1)
    slices = [slice_of(RPM, 30, 107.0), slice_of(own, 19, 150.0), slice_of(RPD, 40, 9999.0)]
    assert limit_states(slices, 100.0) == (LimitState(20, 19, 50.0), None)
    # A day that is nearly over its limit says more than a minute that has just begun.
    slices[2].remaining = 3
    assert limit_states(slices, 100.0) == (LimitState(60, 3, 9899.0), None)


def test_a_reset_in_the_past_is_now() -> None:
    assert limit_states([slice_of(TPM, 7, 99.0)], 100.0) == (None, LimitState(1000, 7, 0.0))


def test_never_more_than_the_limit_and_never_less_than_nothing() -> None:
    lowered = slice_of(RPM, 80, 0.0)
    assert limit_states([lowered], 0.0) == (LimitState(50, 50, 0.0), None)
    lowered.remaining = -5
    assert limit_states([lowered], 0.0) == (LimitState(50, 0, 0.0), None)


def test_money_permits_and_images_have_no_such_header() -> None:
    slices = [new_slice(meter) for meter in (DAILY, CONCURRENCY, IMAGES)]
    assert isinstance(slices[2], UnitSlice)
    assert limit_states(slices, 0.0) == (None, None)
