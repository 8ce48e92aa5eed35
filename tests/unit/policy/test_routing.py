"""Plans: who is asked first, who next, and what is said when nobody is left."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec
import pytest

from trunkline.bus.snapshots import ChannelSnapshot, ChannelState, ChannelWeight, SealedCredential, Strategy
from trunkline.core.errors import ErrorType
from trunkline.core.hashing import mix64
from trunkline.policy import routing
from trunkline.policy.credentials import CredentialStates
from trunkline.policy.pools import Draw
from trunkline.policy.routing import Candidate, Plan, RoutingTable

DEFAULT = ("default",)


def make_channel(
    number: int,
    *,
    priority: int = 0,
    weight: int = 100,
    groups: tuple[str, ...] = DEFAULT,
    models: tuple[str, ...] = ("m",),
    credentials: int = 1,
    enabled: bool = True,
) -> ChannelSnapshot:
    return ChannelSnapshot(
        id=number,
        name=f"channel-{number}",
        dialect="openai",
        base_url=f"http://channel-{number}.test/v1",
        credentials=tuple(SealedCredential(number * 10 + step, 1, b"n", b"c") for step in range(1, credentials + 1)),
        models={model: f"{model}-at-{number}" for model in models},
        groups=groups,
        priority=priority,
        weight=weight,
        enabled=enabled,
    )


def make_table(channels: Iterable[ChannelSnapshot]) -> RoutingTable:
    table = RoutingTable()
    for channel in channels:
        table.put(channel)
    return table


def health(channel: int, weight: float, version: int = 1) -> ChannelWeight:
    state = ChannelState.EJECTED if weight == 0 else ChannelState.SERVING if weight == 1 else ChannelState.PROBING
    return ChannelWeight(channel, state, weight, version)


def draws(*numbers: float) -> Draw:
    following: Iterator[float] = iter(numbers)
    return lambda: next(following, 0.0)


def make_plan(table: RoutingTable, draw: Draw, groups: tuple[str, ...] = DEFAULT, model: str = "m") -> Plan:
    return table.plan(model, groups, CredentialStates(), draw)


def walk(plan: Plan, error: ErrorType = ErrorType.UPSTREAM_ERROR) -> list[Candidate]:
    found: list[Candidate] = []
    while (candidate := plan.next(0.0, error if found else None)) is not None:
        found.append(candidate)
    return found


def pairs(candidates: list[Candidate]) -> list[tuple[int, int]]:
    return [(item.channel.id, item.credential.id if item.credential else 0) for item in candidates]


def first_counts(table: RoutingTable, times: int = 4000) -> Counter[int]:
    draw = random.Random(7).random
    states = CredentialStates()
    counts: Counter[int] = Counter()
    for _ in range(times):
        candidate = table.plan("m", DEFAULT, states, draw).next(0.0)
        assert candidate is not None
        counts[candidate.channel.id] += 1
    return counts


def test_a_candidate_says_all_that_an_attempt_needs() -> None:
    table = make_table([make_channel(1, groups=("default", "vip"))])
    candidate = make_plan(table, draws(), ("vip", "default")).next(0.0)
    assert candidate is not None
    assert candidate.channel is table.channel(1)
    assert candidate.credential == SealedCredential(11, 1, b"n", b"c")
    assert (candidate.group, candidate.upstream_model, candidate.last_resort) == ("vip", "m-at-1", False)


def test_a_channel_without_credentials_is_a_candidate_once() -> None:
    assert pairs(walk(make_plan(make_table([make_channel(1, credentials=0)]), draws()))) == [(1, 0)]


def test_higher_priorities_are_tried_first() -> None:
    table = make_table([make_channel(1, priority=-5), make_channel(2, priority=10), make_channel(3)])
    assert pairs(walk(make_plan(table, random.Random(1).random))) == [(2, 21), (3, 31), (1, 11)]


@pytest.mark.parametrize(
    ("key_groups", "reached"),
    [
        (("vip",), {(1, "vip"), (3, "vip")}),
        (("default", "vip"), {(1, "vip"), (2, "default"), (3, "default")}),
        (("vip", "default"), {(1, "vip"), (2, "default"), (3, "vip")}),
        (("other",), set()),
        ((), set()),
    ],
)
def test_the_group_is_the_first_of_the_keys_that_the_channel_belongs_to(
    key_groups: tuple[str, ...], reached: set[tuple[int, str]]
) -> None:
    table = make_table([make_channel(1, groups=("vip",)), make_channel(2), make_channel(3, groups=("default", "vip"))])
    found = walk(make_plan(table, random.Random(1).random, key_groups))
    assert {(item.channel.id, item.group) for item in found} == reached


def test_weights_share_the_jobs_of_one_priority() -> None:
    counts = first_counts(make_table([make_channel(1, weight=10), make_channel(2, weight=30)]))
    assert 0.22 < counts[1] / 4000 < 0.28


def test_the_extremes_of_a_draw_choose_the_outermost_channels() -> None:
    table = make_table([make_channel(1, weight=1), make_channel(2, weight=0), make_channel(3, weight=1)])
    for number, expected in ((0.0, 1), (0.49, 1), (0.5, 3), (1.0 - 2**-53, 3)):
        candidate = make_plan(table, draws(number)).next(0.0)
        assert candidate is not None
        assert candidate.channel.id == expected


def test_a_channel_of_weight_0_takes_no_job() -> None:
    table = make_table([make_channel(1, weight=0), make_channel(2)])
    assert pairs(walk(make_plan(table, draws()))) == [(2, 21)]


def test_health_weights_count_and_older_versions_do_not() -> None:
    table = make_table([make_channel(1), make_channel(2)])
    assert table.set_weight(health(1, 0.25, version=5))
    assert not table.set_weight(health(1, 1.0, version=4))
    assert 0.17 < first_counts(table)[1] / 4000 < 0.23
    assert table.set_weight(health(1, 1.0, version=6))
    assert 0.46 < first_counts(table)[1] / 4000 < 0.54


def test_a_weight_may_come_before_its_channel_and_be_dropped_again() -> None:
    table = RoutingTable()
    table.set_weight(health(1, 0.0))
    table.put(make_channel(1))
    table.put(make_channel(2))
    assert set(first_counts(table, 200)) == {2}
    table.clear_weight(1)
    assert set(first_counts(table, 200)) == {1, 2}


def test_the_smaller_of_healths_and_the_own_judgement_counts() -> None:
    table = make_table([make_channel(1)])
    table.set_weight(health(1, 0.5))
    table.set_own_weight(1, 0.8)
    assert table.effective_weight(1) == 0.5
    table.set_own_weight(1, 0.1)
    assert table.effective_weight(1) == 0.1
    assert table.health_weight(1) == 0.5


def test_a_tier_that_is_only_probing_gets_a_trickle_while_another_serves() -> None:
    table = make_table([make_channel(1, priority=1), make_channel(2)])
    table.set_weight(health(1, 0.1))
    assert 0.08 < first_counts(table)[1] / 4000 < 0.12
    # Passed over, it still comes last; and where nothing else is live, it gets all.
    assert pairs(walk(make_plan(table, draws(0.5)))) == [(2, 21), (1, 11)]
    table.set_weight(health(2, 0.0))
    assert set(first_counts(table, 200)) == {1}


def test_ejected_channels_get_nothing_and_when_all_are_it_fails_at_once() -> None:
    table = make_table([make_channel(1), make_channel(2)])
    table.set_weight(health(1, 0.0))
    assert pairs(walk(make_plan(table, draws()))) == [(2, 21)]
    table.set_weight(health(2, 0.0))
    plan = make_plan(table, draws())
    assert plan.next(0.0) is None
    fault = plan.refusal(0.0)
    assert fault.type is ErrorType.GATEWAY_NO_CHANNEL
    assert fault.retry_after_ms == routing.EJECTED_RETRY_MS


def test_the_own_judgement_alone_does_not_shut_everything_out() -> None:
    table = make_table([make_channel(1), make_channel(2), make_channel(3, priority=-1)])
    table.set_weight(health(1, 0.0))
    for number in (1, 2, 3):
        table.set_own_weight(number, 0.0)
    found = walk(make_plan(table, draws()))
    assert pairs(found) == [(2, 21), (3, 31)]
    assert all(item.last_resort for item in found)
    table.set_own_weight(3, 1.0)
    found = walk(make_plan(table, draws()))
    assert [(item.channel.id, item.last_resort) for item in found] == [(3, False)]


def test_a_channel_ejected_while_the_job_was_busy_is_not_offered() -> None:
    table = make_table([make_channel(1, priority=2), make_channel(2, priority=1), make_channel(3)])
    plan = make_plan(table, draws())
    assert plan.next(0.0) is not None
    table.set_weight(health(2, 0.0))
    candidate = plan.next(0.0, ErrorType.UPSTREAM_ERROR)
    assert candidate is not None
    assert candidate.channel.id == 3


def test_after_a_channels_fault_its_other_credentials_come_last() -> None:
    table = make_table([make_channel(1, priority=1, credentials=2), make_channel(2, credentials=2)])
    assert pairs(walk(make_plan(table, draws()))) == [(1, 11), (2, 21), (1, 12), (2, 22)]


@pytest.mark.parametrize("error", [ErrorType.UPSTREAM_RATE_LIMITED, ErrorType.UPSTREAM_CREDENTIAL])
def test_after_a_credentials_fault_the_channels_next_credential_comes(error: ErrorType) -> None:
    table = make_table([make_channel(1, priority=1, credentials=2), make_channel(2, credentials=2)])
    assert pairs(walk(make_plan(table, draws()), error)) == [(1, 11), (1, 12), (2, 21), (2, 22)]


def test_credentials_in_trouble_are_skipped() -> None:
    channel = make_channel(1, priority=1, credentials=2)
    table = make_table([channel, make_channel(2)])
    states = CredentialStates()
    states.cool(1, channel.credentials[0], 0.0, 5000)
    assert pairs(walk(table.plan("m", DEFAULT, states, draws()))) == [(1, 12), (2, 21)]
    states.set_aside(1, channel.credentials[1], "refused", 0.0)
    assert pairs(walk(table.plan("m", DEFAULT, states, draws()))) == [(2, 21)]


def test_all_cooling_tells_the_first_time_at_which_one_is_free() -> None:
    channels = [make_channel(1), make_channel(2, priority=1), make_channel(3)]
    table, states = make_table(channels), CredentialStates()
    states.cool(1, channels[0].credentials[0], 0.0, 9000)
    states.cool(2, channels[1].credentials[0], 0.0, 4000)
    states.set_aside(3, channels[2].credentials[0], "refused", 0.0)
    plan = table.plan("m", DEFAULT, states, draws())
    assert plan.next(1.0) is None
    fault = plan.refusal(1.0)
    assert (fault.type, fault.retry_after_ms) == (ErrorType.UPSTREAM_RATE_LIMITED, 3000)


def test_all_set_aside_is_the_operators_matter() -> None:
    channel = make_channel(1)
    table, states = make_table([channel]), CredentialStates()
    states.set_aside(1, channel.credentials[0], "refused", 0.0)
    plan = table.plan("m", DEFAULT, states, draws())
    assert plan.next(0.0) is None
    fault = plan.refusal(0.0)
    assert (fault.type, fault.retry_after_ms) == (ErrorType.UPSTREAM_CREDENTIAL, None)


def test_no_channel_at_all_and_all_tried_are_told_apart() -> None:
    table = make_table([make_channel(1, enabled=False), make_channel(2, models=("other",))])
    plan = make_plan(table, draws())
    assert plan.next(0.0) is None
    assert "No channel serves" in plan.refusal(0.0).message
    plan = make_plan(table, draws(), model="other")
    assert len(walk(plan)) == 1
    assert "was tried" in plan.refusal(0.0).message


def test_changes_of_channels_take_effect_one_by_one() -> None:
    table = make_table([make_channel(1), make_channel(2)])
    assert {channel for channel, _ in pairs(walk(make_plan(table, draws())))} == {1, 2}
    table.put(make_channel(2, models=("other",)))
    assert pairs(walk(make_plan(table, draws()))) == [(1, 11)]
    assert pairs(walk(make_plan(table, draws(), model="other"))) == [(2, 21)]
    table.put(make_channel(2, priority=1))
    assert pairs(walk(make_plan(table, draws()))) == [(2, 21), (1, 11)]
    table.put(make_channel(2, enabled=False))
    table.set_weight(health(2, 0.5))
    assert pairs(walk(make_plan(table, draws()))) == [(1, 11)]
    table.remove(1)
    table.remove(1)
    assert walk(make_plan(table, draws())) == []
    assert table.channel(1) is None


def test_many_lists_of_groups_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "POOLS_PER_MODEL_MAX", 4)
    table = make_table([make_channel(1)])
    for number in range(50):
        assert pairs(walk(make_plan(table, draws(), (f"group-{number}", "default")))) == [(1, 11)]
        assert len(table._models["m"].pools) <= 4


def test_cost_asks_the_cheapest_first_and_the_reserve_last() -> None:
    prices = {1: 300, 2: 100, 3: 200, 4: None, 5: 1}
    channels = [
        msgspec.structs.replace(
            make_channel(number, priority=-1 if number == 5 else number),
            costs={} if price is None else {"m": price},
        )
        for number, price in prices.items()
    ]
    plan = make_table(channels).plan("m", DEFAULT, CredentialStates(), draws(), strategy=Strategy.COST)
    assert [candidate.channel.id for candidate in walk(plan)] == [2, 3, 1, 4, 5]


# --- conversations ---------------------------------------------------------------------------------------------------

CONVERSATIONS = [mix64(number) for number in range(1, 1001)]
EXPECTED_PLACES = [(2, 21), (1, 13), (1, 11), (1, 13), (2, 22), (2, 22)]


def no_draw() -> float:
    raise AssertionError("a conversation leaves nothing to chance")


def plan_of(table: RoutingTable, affinity: int, states: CredentialStates | None = None) -> Plan:
    return table.plan("m", DEFAULT, states or CredentialStates(), no_draw, affinity)


def places(table: RoutingTable, states: CredentialStates | None = None) -> dict[int, tuple[int, int]]:
    """Return the channel and credential that each conversation gets first."""
    found = {}
    for affinity in CONVERSATIONS:
        candidate = plan_of(table, affinity, states).next(0.0)
        assert candidate is not None
        found[affinity] = pairs([candidate])[0]
    return found


def moved(before: dict[int, tuple[int, int]], after: dict[int, tuple[int, int]]) -> set[tuple[int, int]]:
    """Return the places that conversations have left."""
    return {place for affinity, place in before.items() if after[affinity] != place}


def test_the_whole_plan_of_a_conversation_is_the_same_in_every_dispatcher() -> None:
    channels = [make_channel(number, credentials=3, priority=number % 2) for number in range(1, 9)]
    for affinity in CONVERSATIONS[:50]:
        plans = []
        for order in (channels, channels[::-1]):
            table = make_table(order)
            for number, weight in ((1, 0.1), (3, 0.5), (4, 0.0), (6, 0.1)):
                table.set_weight(health(number, weight))
            plans.append(pairs(walk(plan_of(table, affinity))))
        assert plans[0] == plans[1]
        assert len(plans[0]) == len(set(plans[0])) == 7 * 3


def test_conversations_are_shared_by_weight_and_evenly_over_credentials() -> None:
    table = make_table([make_channel(1, weight=10, credentials=3), make_channel(2, weight=30)])
    counts = Counter(places(table).values())
    assert 0.21 < sum(counts[1, 10 + step] for step in (1, 2, 3)) / 1000 < 0.29
    assert all(0.05 < counts[1, 10 + step] / 1000 < 0.12 for step in (1, 2, 3))


def test_another_channels_trouble_moves_no_conversation() -> None:
    table = make_table([make_channel(number, credentials=2) for number in (1, 2, 3, 4)])
    before = places(table)
    for weight, version in ((0.5, 1), (0.0, 2), (0.1, 3)):
        table.set_weight(health(1, weight, version))
        after = places(table)
        assert {channel for channel, _ in moved(before, after)} == {1}
    table.set_weight(health(1, 1.0, 4))
    assert places(table) == before


def test_an_ejected_channels_conversations_spread_by_weight_and_stay_there() -> None:
    table = make_table([make_channel(1), make_channel(2, weight=50), make_channel(3), make_channel(4)])
    before = places(table)
    table.set_weight(health(1, 0.0))
    after = places(table)
    moved_to = Counter(after[affinity][0] for affinity, (channel, _) in before.items() if channel == 1)
    assert set(moved_to) == {2, 3, 4}
    assert 0.12 < moved_to[2] / moved_to.total() < 0.28
    # Nor does the trouble of yet another channel move them on.
    table.set_weight(health(3, 0.0))
    assert {channel for channel, _ in moved(after, places(table))} == {3}


def test_a_failing_channel_hands_its_conversations_to_where_they_go_once_it_is_ejected() -> None:
    table = make_table([make_channel(number) for number in (1, 2, 3, 4)])
    second = {}
    for affinity, (channel, _) in places(table).items():
        if channel == 1:
            second[affinity] = pairs(walk(plan_of(table, affinity)))[1]
    table.set_weight(health(1, 0.0))
    after = places(table)
    # A conversation that finds nobody in its picks is drawn anew among the living: few.
    assert sum(after[affinity] == place for affinity, place in second.items()) > 0.95 * len(second)


def test_a_probing_channel_takes_its_share_of_conversations_and_each_comes_back_once() -> None:
    table = make_table([make_channel(1), make_channel(2)])
    whole = {affinity for affinity, (channel, _) in places(table).items() if channel == 1}
    back: set[int] = set()
    for version, weight in enumerate((0.1, 0.3, 0.46, 0.8, 1.0), 1):
        table.set_weight(health(1, weight, version))
        here = {affinity for affinity, (channel, _) in places(table).items() if channel == 1}
        assert abs(len(here) / 1000 - weight / (1 + weight)) < 0.05
        # All but those that found nobody in their picks and were drawn: one in a hundred.
        assert len(back - here) <= 10
        back = here
    assert back == whole


def test_a_probing_tier_gets_its_trickle_of_conversations() -> None:
    table = make_table([make_channel(1, priority=2), make_channel(2, priority=1), make_channel(3)])
    for number in (1, 2):
        table.set_weight(health(number, 0.1))
    counts = Counter(channel for channel, _ in places(table).values())
    assert 0.06 < counts[1] / 1000 < 0.14
    assert 0.05 < counts[2] / 1000 < 0.13


def test_a_new_channel_takes_conversations_and_shuffles_none() -> None:
    table = make_table([make_channel(number) for number in (1, 2, 3)])
    before = places(table)
    table.put(make_channel(4))
    after = places(table)
    assert {after[affinity][0] for affinity, place in before.items() if after[affinity] != place} == {4}
    table.put(make_channel(4, enabled=False))
    assert places(table) == before


def test_a_conversation_leaves_a_credential_only_while_that_cannot_be_used() -> None:
    channel = make_channel(1, credentials=3)
    table, states = make_table([channel, make_channel(2, credentials=2)]), CredentialStates()
    before = places(table, states)
    states.cool(1, channel.credentials[1], 0.0, 5000)
    after = places(table, states)
    assert moved(before, after) == {(1, 12)}
    left = Counter(after[affinity] for affinity, place in before.items() if place == (1, 12))
    assert set(left) == {(1, 11), (1, 13)}  # to both of the others, and not to another channel
    candidate = plan_of(table, CONVERSATIONS[0], states).next(6.0)
    assert candidate is not None
    assert pairs([candidate]) == [before[CONVERSATIONS[0]]]


def test_the_choice_of_a_conversation_is_part_of_what_dispatchers_agree_on() -> None:
    table = make_table([make_channel(1, credentials=3), make_channel(2, credentials=2)])
    assert list(places(table).values())[:6] == EXPECTED_PLACES


def test_a_conversation_takes_nobodys_turn() -> None:
    table, states = make_table([make_channel(1, credentials=3)]), CredentialStates()
    used = []
    for step in range(6):
        candidate = plan_of(table, CONVERSATIONS[step], states).next(0.0)
        assert candidate is not None
        candidate = table.plan("m", DEFAULT, states, draws()).next(0.0)
        assert candidate is not None
        used.append(pairs([candidate])[0][1])
    assert used == [11, 12, 13, 11, 12, 13]


def test_a_conversation_finds_the_one_that_is_left_among_very_many() -> None:
    table = make_table([make_channel(number) for number in range(1, 201)])
    for number in range(1, 200):
        table.set_weight(health(number, 0.0))
    assert set(places(table).values()) == {(200, 2001)}
    table.set_weight(health(200, 0.0))
    assert plan_of(table, CONVERSATIONS[0]).next(0.0) is None
