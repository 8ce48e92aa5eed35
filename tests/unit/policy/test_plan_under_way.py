"""Plans whose channels are ejected while a job is busy with one of them."""

import random

import pytest

from trunkline.bus.snapshots import ChannelSnapshot, ChannelState, ChannelWeight, Strategy
from trunkline.core.errors import ErrorType
from trunkline.core.hashing import mix64
from trunkline.policy.credentials import CredentialStates
from trunkline.policy.routing import RoutingTable

DEFAULT = ("default",)


def make_channel(number: int, *, priority: int) -> ChannelSnapshot:
    return ChannelSnapshot(number, f"channel-{number}", "openai", "http://x.test/v1", (), {"m": "m"}, priority=priority)


@pytest.mark.parametrize("strategy", list(Strategy))
@pytest.mark.parametrize("affinity", [0, mix64(3)])
@pytest.mark.parametrize("size", [1, 3, 12])
def test_a_plan_ends_when_all_that_were_left_are_ejected_meanwhile(
    strategy: Strategy, affinity: int, size: int
) -> None:
    table, states, draw = RoutingTable(), CredentialStates(), random.Random(size).random
    for number in range(1, 2 * size + 1):
        table.put(make_channel(number, priority=-(number % 2)))  # two tiers in every strategy
        table.set_weight(ChannelWeight(number, ChannelState.PROBING, 0.5, 1))  # either tier may be passed over
    for _ in range(20):
        plan = table.plan("m", DEFAULT, states, draw, affinity, strategy=strategy)
        assert plan.next(0.0) is not None
        for number in range(1, 2 * size + 1):
            table.set_weight(ChannelWeight(number, ChannelState.EJECTED, 0.0, 2))
        # Another job's plan works the weights out anew.
        assert table.plan("m", DEFAULT, states, draw, affinity, strategy=strategy).next(0.0) is None
        assert plan.next(0.0, ErrorType.UPSTREAM_ERROR) is None
        for number in range(1, 2 * size + 1):
            table.set_weight(ChannelWeight(number, ChannelState.PROBING, 0.5, 3))
            table.clear_weight(number)
            table.set_weight(ChannelWeight(number, ChannelState.PROBING, 0.5, 1))
