"""Whose turn it is: turns, fewest attempts under way, weights."""

from collections import Counter

import pytest

from trunkline.bus.snapshots import ChannelSnapshot, CredentialOrder, SealedCredential
from trunkline.core.hashing import mix64
from trunkline.policy.credentials import CredentialStates


def channel(order: CredentialOrder, *weights: int) -> ChannelSnapshot:
    return ChannelSnapshot(
        id=1,
        name="one",
        dialect="openai",
        base_url="http://one",
        credentials=tuple(
            SealedCredential(place + 1, 1, b"n", b"c", weight=weight) for place, weight in enumerate(weights)
        ),
        models={"m": "m"},
        credential_order=order,
    )


def pick(states: CredentialStates, of: ChannelSnapshot, tried: tuple[int, ...] = (), affinity: int = 0) -> int:
    choice = states.choose(of, tried, 0.0, affinity)
    assert choice is not None
    assert choice.credential is not None
    return choice.credential.id


def test_the_fewest_under_way_go_first_and_equals_take_turns() -> None:
    states, of = CredentialStates(), channel(CredentialOrder.LEAST_USED, 1, 1, 1)
    assert [pick(states, of) for _ in range(4)] == [1, 2, 3, 1]
    for place in (0, 0, 1):
        states.begin(of, of.credentials[place], 0.0)
    assert [pick(states, of) for _ in range(3)] == [3, 3, 3]
    states.begin(of, of.credentials[2], 0.0)
    assert [pick(states, of) for _ in range(3)] == [2, 3, 2]
    states.end(of, of.credentials[0], 0, 1.0)
    states.end(of, of.credentials[0], 0, 1.0)
    assert [pick(states, of) for _ in range(2)] == [1, 1]
    assert pick(states, of, tried=(1,)) in {2, 3}


def test_weights_are_spread_as_smoothly_as_can_be() -> None:
    states, of = CredentialStates(), channel(CredentialOrder.WEIGHTED, 5, 1, 1)
    assert [pick(states, of) for _ in range(7)] == [1, 1, 2, 1, 3, 1, 1]


@pytest.mark.parametrize("weights", [(1, 1), (3, 2), (100, 1, 50), (7, 0, 5, 3), (1, 2, 3, 4, 5, 6)])
def test_a_round_gives_each_exactly_its_share(weights: tuple[int, ...]) -> None:
    states, of = CredentialStates(), channel(CredentialOrder.WEIGHTED, *weights)
    for _ in range(3):
        counts = Counter(pick(states, of) for _ in range(sum(weights)))
        assert [counts[place + 1] for place in range(len(weights))] == list(weights)


def test_while_one_is_out_the_others_share_by_their_weights() -> None:
    states, of = CredentialStates(), channel(CredentialOrder.WEIGHTED, 4, 2, 1)
    assert Counter(pick(states, of, tried=(1,)) for _ in range(300)) == {2: 200, 3: 100}


def test_no_weight_is_only_taken_for_want_of_another() -> None:
    states, of = CredentialStates(), channel(CredentialOrder.WEIGHTED, 0, 3)
    assert {pick(states, of) for _ in range(10)} == {2}
    assert pick(states, of, tried=(2,)) == 1


def test_an_added_credential_owes_nothing_and_a_removed_one_is_forgotten() -> None:
    states = CredentialStates()
    for _ in range(5):
        pick(states, channel(CredentialOrder.WEIGHTED, 2, 1, 4))
    assert Counter(pick(states, channel(CredentialOrder.WEIGHTED, 1, 1)) for _ in range(200))[1] in range(97, 104)


def test_conversations_prefer_by_weight_only_where_the_channel_shares_by_it() -> None:
    for order, least, most in ((CredentialOrder.WEIGHTED, 2150, 2350), (CredentialOrder.TURNS, 1400, 1600)):
        states, of = CredentialStates(), channel(order, 3, 1)
        counts = Counter(pick(states, of, affinity=mix64(number)) for number in range(1, 3001))
        assert least < counts[1] < most


def test_a_channel_that_changes_its_order_is_followed() -> None:
    states = CredentialStates()
    even, weighted = channel(CredentialOrder.TURNS, 1, 0), channel(CredentialOrder.WEIGHTED, 1, 0)
    for of, of_all in ((even, {1, 2}), (weighted, {1}), (even, {1, 2})):
        assert {pick(states, of, affinity=mix64(number)) for number in range(1, 50)} == of_all
