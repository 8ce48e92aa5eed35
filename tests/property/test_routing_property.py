"""Any channels, weights and troubles: what every plan must keep to."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from trunkline.bus.snapshots import ChannelSnapshot, ChannelState, ChannelWeight, SealedCredential
from trunkline.core.errors import ErrorType
from trunkline.core.hashing import mix64
from trunkline.policy.credentials import CredentialStates
from trunkline.policy.routing import Plan, RoutingTable

GROUPS = ("default", "vip", "eu")
HEALTH = st.sampled_from([0.0, 0.1, 0.46, 1.0])
ERRORS = st.sampled_from([ErrorType.UPSTREAM_ERROR, ErrorType.UPSTREAM_RATE_LIMITED, ErrorType.UPSTREAM_CREDENTIAL])


@st.composite
def channels(draw: st.DrawFn) -> list[ChannelSnapshot]:
    return [
        ChannelSnapshot(
            id=number,
            name=f"channel-{number}",
            dialect="openai",
            base_url="http://channel.test",
            credentials=tuple(
                SealedCredential(number * 10 + step, 1, b"n", b"c")
                for step in range(1, draw(st.integers(0, 3), label="credentials") + 1)
            ),
            models={"m": "m"} if draw(st.booleans(), label="serves") else {"other": "other"},
            groups=tuple(draw(st.sets(st.sampled_from(GROUPS), min_size=1))),
            priority=draw(st.integers(-1, 1)),
            weight=draw(st.sampled_from([0, 1, 100])),
            enabled=draw(st.integers(0, 4)) > 0,
        )
        for number in range(1, draw(st.integers(0, 8)) + 1)
    ]


@st.composite
def tables(draw: st.DrawFn) -> tuple[RoutingTable, list[ChannelSnapshot]]:
    """Build a table by a random course of changes; the list is what must have come of it."""
    final = draw(channels())
    table = RoutingTable()
    for channel in draw(channels()):
        table.put(channel)
        Plan.next(table.plan("m", GROUPS, CredentialStates(), lambda: 0.0), 0.0)
    for number in range(len(final) + 1, 10):
        table.remove(number)
    for channel in draw(st.permutations(final)):
        table.put(channel)
    for channel in final:
        weight = draw(HEALTH)
        state = ChannelState.EJECTED if weight == 0 else ChannelState.SERVING
        table.set_weight(ChannelWeight(channel.id, state, weight, 1))
        table.set_own_weight(channel.id, draw(HEALTH))
    return table, final


def eligible(channel: ChannelSnapshot, groups: list[str]) -> bool:
    return channel.enabled and "m" in channel.models and channel.weight > 0 and bool(set(groups) & set(channel.groups))


@given(
    tables(),
    st.lists(st.sampled_from(GROUPS), min_size=1, unique=True),
    st.randoms(use_true_random=False),
    st.lists(ERRORS),
    st.just(0) | st.integers(1, 2**64 - 1),
)
def test_a_plan_offers_each_live_pair_once_and_no_other(
    made: tuple[RoutingTable, list[ChannelSnapshot]],
    groups: list[str],
    randomness: random.Random,
    errors: list[ErrorType],
    affinity: int,
) -> None:
    table, final = made
    plan = table.plan("m", tuple(groups), CredentialStates(), randomness.random, affinity)
    offered: list[tuple[int, int]] = []
    last_resort = False
    while True:
        error = errors[len(offered) % len(errors)] if errors else ErrorType.UPSTREAM_ERROR
        candidate = plan.next(0.0, error if offered else None)
        if candidate is None:
            break
        assert candidate.group == next(group for group in groups if group in candidate.channel.groups)
        last_resort = candidate.last_resort
        offered.append((candidate.channel.id, candidate.credential.id if candidate.credential else 0))
    assert len(offered) == len(set(offered))

    serving = [channel for channel in final if eligible(channel, groups)]
    live = [channel for channel in serving if table.effective_weight(channel.id) > 0]
    assert last_resort is (not live and bool(offered))
    expected = live or [channel for channel in serving if table.health_weight(channel.id) > 0]
    assert set(offered) == {
        (channel.id, credential)
        for channel in expected
        for credential in ([item.id for item in channel.credentials] or [0])
    }
    assert plan.refusal(0.0).message


@pytest.mark.parametrize("conversations", [False, True])
@given(
    shares=st.lists(st.tuples(st.integers(1, 100), HEALTH), min_size=2, max_size=6),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=examples(0.25), deadline=None, derandomize=True)  # rare samples lie outside any bound
def test_jobs_and_conversations_are_shared_by_weight_times_health(
    shares: list[tuple[int, float]], seed: int, *, conversations: bool
) -> None:
    table = RoutingTable()
    expected: dict[int, float] = {}
    for number, (weight, health) in enumerate([*shares, (50, 1.0)], 1):
        table.put(
            ChannelSnapshot(
                id=number,
                name=str(number),
                dialect="openai",
                base_url="http://channel.test",
                credentials=(),
                models={"m": "m"},
                weight=weight,
            )
        )
        table.set_weight(ChannelWeight(number, ChannelState.SERVING, health, 1))
        expected[number] = weight * health
    draw, states, times = random.Random(seed).random, CredentialStates(), 3000
    first: Counter[int] = Counter()
    second: Counter[int] = Counter()
    for number in range(times):
        plan = table.plan("m", ("default",), states, draw, mix64(seed << 20 | number) if conversations else 0)
        chosen = plan.next(0.0)
        assert chosen is not None
        first[chosen.channel.id] += 1
        following = plan.next(0.0, ErrorType.UPSTREAM_ERROR)
        if following is not None:
            second[following.channel.id] += 1
    total = sum(expected.values())
    for number, due in expected.items():
        assert_share(first[number], times, due / total)
        if second.total() == times:
            again = sum(
                other / total * due / (total - other)
                for one, other in expected.items()
                if one != number and total > other
            )
            assert_share(second[number], times, again)


def assert_share(count: int, times: int, share: float) -> None:
    """Allow five standard deviations."""
    assert abs(count / times - share) <= 5 * (share * abs(1 - share) / times) ** 0.5 + 1e-9


@given(tables(), st.integers(1, 2**64 - 1), st.data())
def test_a_conversation_is_moved_only_by_what_happens_to_its_own_channel(
    made: tuple[RoutingTable, list[ChannelSnapshot]], affinity: int, data: st.DataObject
) -> None:
    table, final = made
    for channel in final:
        table.set_weight(ChannelWeight(channel.id, ChannelState.SERVING, 1.0, 2))
        table.set_own_weight(channel.id, 1.0)

    def place() -> tuple[int, int] | None:
        candidate = table.plan("m", GROUPS, CredentialStates(), lambda: 0.0, affinity).next(0.0)
        return candidate and (candidate.channel.id, candidate.credential.id if candidate.credential else 0)

    before = place()
    if before is None:
        return
    for version in range(3, 9):
        other = data.draw(st.sampled_from(final))
        if other.id != before[0]:
            table.set_weight(ChannelWeight(other.id, ChannelState.SERVING, data.draw(HEALTH), version))
            if data.draw(st.booleans()):
                table.remove(other.id)
        assert place() == before


@given(
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["cool", "aside", "confirm", "ask"]), st.integers(0, 90))),
    st.just(0) | st.integers(1, 2**64 - 1),
)
def test_credentials_in_trouble_are_never_chosen(course: list[tuple[int, str, int]], affinity: int) -> None:
    credentials = tuple(SealedCredential(number, 1, b"n", b"c") for number in (1, 2, 3))
    channel = ChannelSnapshot(
        id=1, name="1", dialect="openai", base_url="http://channel.test", credentials=credentials, models={"m": "m"}
    )
    states = CredentialStates()
    now = 0.0
    for number, step, seconds in course:
        credential = credentials[number - 1]
        match step:
            case "cool":
                states.cool(1, credential, now, seconds * 1000)
            case "aside":
                states.set_aside(1, credential, "refused", now)
            case "confirm":
                states.confirm(1, credential)
            case _:
                now += seconds
        troubled = {item.credential for item in states.troubles(now)}
        outlook = states.outlook(channel, now)
        choice = states.choose(channel, (), now, affinity)
        assert outlook.usable is (len(troubled) < 3) is (choice is not None)
        if choice is not None:
            assert choice.credential is not None
            assert choice.credential.id not in troubled
        elif outlook.cooling_until is not None:
            assert outlook.cooling_until > now
