"""The strategies that compare figures, what conversations keep, and what plans do when little is left."""

import random
from collections import Counter
from collections.abc import Iterable

import msgspec
import pytest

from trunkline.bus.snapshots import ChannelSnapshot, ChannelState, ChannelWeight, SealedCredential, Strategy
from trunkline.core.errors import ErrorType
from trunkline.core.hashing import mix64
from trunkline.policy.credentials import CredentialStates
from trunkline.policy.retry import BACKOFF_S, BUDGET_MAX, ROUNDS_MAX
from trunkline.policy.routing import COOL_WAIT_S_MAX, DENIED_S, Candidate, Plan, RoutingTable
from trunkline.policy.strategies import EXAMINED_MAX, SPARED_FROM

DEFAULT = ("default",)
COMPARING = [Strategy.LATENCY, Strategy.THROUGHPUT, Strategy.LEAST_BUSY]


def make_channel(number: int, *, priority: int = 0, weight: int = 100, credentials: int = 1) -> ChannelSnapshot:
    return ChannelSnapshot(
        id=number,
        name=f"channel-{number}",
        dialect="openai",
        base_url=f"http://channel-{number}.test/v1",
        credentials=tuple(SealedCredential(number * 10 + step, 1, b"n", b"c") for step in range(1, credentials + 1)),
        models={"m": "m"},
        priority=priority,
        weight=weight,
    )


class World:
    """A table, what is known of credentials, and a seeded draw."""

    def __init__(self, channels: Iterable[ChannelSnapshot], seed: int = 1) -> None:
        self.table = RoutingTable()
        self.states = CredentialStates()
        self.draw = random.Random(seed).random
        for channel in channels:
            self.table.put(channel)

    def saw(self, channel: int, first_token_s: float, *, tokens_per_s: float = 50.0, times: int = 1) -> None:
        for _ in range(times):
            underway = self.table.figures.begin(channel, "m")
            underway.first_output(first_token_s, 0.0)
            underway.streamed(100, 100 / tokens_per_s, 0.0)
            underway.end()

    def plan(self, strategy: Strategy, affinity: int = 0) -> Plan:
        return self.table.plan("m", DEFAULT, self.states, self.draw, affinity, strategy=strategy, now=0.0)

    def first(self, strategy: Strategy, affinity: int = 0) -> int:
        candidate = self.plan(strategy, affinity).next(0.0)
        assert candidate is not None
        return candidate.channel.id

    def order(self, strategy: Strategy, affinity: int = 0) -> list[int]:
        return [candidate.channel.id for candidate in walk(self.plan(strategy, affinity))]


def walk(plan: Plan) -> list[Candidate]:
    found: list[Candidate] = []
    while (candidate := plan.next(0.0, ErrorType.UPSTREAM_ERROR if found else None)) is not None:
        found.append(candidate)
    return found


def test_latency_asks_who_begins_soonest() -> None:
    world = World(make_channel(number) for number in (1, 2, 3))
    world.saw(1, 0.9)
    world.saw(2, 0.1)
    world.saw(3, 0.4)
    assert world.order(Strategy.LATENCY) == [2, 3, 1]


def test_throughput_asks_who_writes_fastest() -> None:
    world = World(make_channel(number) for number in (1, 2, 3))
    world.saw(1, 0.1, tokens_per_s=30)
    world.saw(2, 0.9, tokens_per_s=90)
    world.saw(3, 0.5, tokens_per_s=60)
    assert world.order(Strategy.THROUGHPUT) == [2, 3, 1]


def test_least_busy_asks_who_has_the_fewest_for_its_weight() -> None:
    world = World([make_channel(1, weight=100), make_channel(2, weight=300)])
    for channel, jobs in ((1, 2), (2, 6)):
        for _ in range(jobs):
            world.table.figures.begin(channel, "m")
    assert world.order(Strategy.LEAST_BUSY) == [2, 1]  # seven thirds against three
    for _ in range(3):
        world.table.figures.begin(2, "m")
    assert world.order(Strategy.LEAST_BUSY) == [1, 2]


def test_least_busy_evens_out_what_is_under_way() -> None:
    world = World(make_channel(number, weight=100 * number) for number in (1, 2, 3))
    for _ in range(600):
        world.table.figures.begin(world.first(Strategy.LEAST_BUSY), "m")
    records = [world.table.figures.channel(number) for number in (1, 2, 3)]
    assert [record.in_flight for record in records if record is not None] == [100, 200, 300]


def test_one_that_is_not_known_is_hoped_to_be_as_good_as_the_best_but_not_for_all_at_once() -> None:
    world = World(make_channel(number) for number in (1, 2))
    world.saw(1, 0.2)
    counts: Counter[int] = Counter()
    for _ in range(10):
        channel = world.first(Strategy.LATENCY)
        counts[channel] += 1
        world.table.figures.begin(channel, "m")
    assert counts == {1: 5, 2: 5}


def test_those_that_wait_for_a_first_token_make_a_channel_slower() -> None:
    world = World(make_channel(number) for number in (1, 2))
    world.saw(1, 0.2)
    world.saw(2, 0.7)
    for _ in range(3):
        assert world.first(Strategy.LATENCY) == 1
        world.table.figures.begin(1, "m")
    assert world.first(Strategy.LATENCY) == 2


def test_latency_waits_for_a_credential_where_that_is_quicker_than_another_channel() -> None:
    world = World(make_channel(number) for number in (1, 2))
    world.saw(1, 0.1)
    world.saw(2, 2.0)
    world.states.cool(1, SealedCredential(11, 1, b"n", b"c"), 0.0, 150)
    candidate = world.plan(Strategy.LATENCY).next(0.0)
    assert candidate is not None
    assert (candidate.channel.id, candidate.wait_s) == (1, 0.15)
    world.states.cool(1, SealedCredential(11, 1, b"n", b"c"), 0.0, 500)
    candidate = world.plan(Strategy.LATENCY).next(0.0)
    assert candidate is not None
    assert (candidate.channel.id, candidate.wait_s) == (2, 0.0)


@pytest.mark.parametrize("strategy", [*COMPARING, Strategy.COST])
def test_the_reserve_is_asked_last(strategy: Strategy) -> None:
    world = World([make_channel(1, priority=-1), make_channel(2, priority=0), make_channel(3, priority=9)])
    world.saw(1, 0.001, tokens_per_s=1000)
    world.saw(2, 1.0)
    world.saw(3, 1.0)
    assert world.order(strategy)[-1] == 1


@pytest.mark.parametrize("strategy", list(Strategy))
@pytest.mark.parametrize("affinity", [0, mix64(7)])
@pytest.mark.parametrize("size", [1, 2, EXAMINED_MAX, EXAMINED_MAX + 1, 100])
def test_every_channel_is_asked_once(strategy: Strategy, affinity: int, size: int) -> None:
    world = World(make_channel(number, weight=number) for number in range(1, size + 1))
    for number in range(1, size, 2):
        world.saw(number, number / 10)
    order = world.order(strategy, affinity)
    assert sorted(order) == list(range(1, size + 1))


@pytest.mark.parametrize("strategy", COMPARING)
def test_one_of_many_is_among_the_better_ones(strategy: Strategy) -> None:
    world = World(make_channel(number) for number in range(1, 101))
    for number in range(1, 101):
        world.saw(number, number / 10, tokens_per_s=1000 / number)
        for _ in range(number):
            world.table.figures.begin(number, "m").first_output(number / 10, 0.0)
    chosen = [world.first(strategy) for _ in range(2000)]
    # The best of six of a hundred: the mean of the smallest of six uniform ones is a seventh.
    assert 12 < sum(chosen) / len(chosen) < 17


@pytest.mark.parametrize("strategy", COMPARING)
def test_a_recovering_channel_is_compared_as_often_as_its_health_says(strategy: Strategy) -> None:
    world = World(make_channel(number) for number in (1, 2))
    world.saw(1, 0.01, tokens_per_s=1000)
    world.saw(2, 1.0)
    for _ in range(5):
        world.table.figures.begin(2, "m").first_output(1.0, 0.0)
    world.table.set_weight(ChannelWeight(1, ChannelState.PROBING, 0.1, 1))
    counts = Counter(world.first(strategy) for _ in range(4000))
    assert 0.08 < counts[1] / 4000 < 0.12


# --- conversations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", list(Strategy))
def test_a_conversation_keeps_its_channel_in_every_dispatcher(strategy: Strategy) -> None:
    worlds = [World((make_channel(number) for number in (1, 2, 3, 4)), seed) for seed in (1, 2)]
    for conversation in range(1, 200):
        affinity = mix64(conversation)
        assert len({world.first(strategy, affinity) for world in worlds for _ in range(3)}) == 1


@pytest.mark.parametrize("strategy", COMPARING)
@pytest.mark.parametrize("size", [5, 40])
def test_the_trouble_of_a_channel_moves_only_its_own_conversations(strategy: Strategy, size: int) -> None:
    world = World(make_channel(number) for number in range(1, size + 1))
    conversations = [mix64(number) for number in range(1, 400)]
    before = [world.first(strategy, affinity) for affinity in conversations]
    world.table.set_weight(ChannelWeight(2, ChannelState.EJECTED, 0.0, 1))
    after = [world.first(strategy, affinity) for affinity in conversations]
    assert before.count(2) > 0
    assert all(was == now for was, now in zip(before, after, strict=True) if was != 2)
    assert 2 not in after


def test_a_conversation_leaves_a_channel_that_is_much_slower_than_the_best() -> None:
    world = World(make_channel(number) for number in (1, 2))
    world.saw(1, 1.0)
    world.saw(2, 1.4)
    conversations = [mix64(number) for number in range(1, 200)]
    stays = [affinity for affinity in conversations if world.first(Strategy.LATENCY, affinity) == 2]
    assert 70 < len(stays) < 130
    world.saw(2, 2.0, times=20)
    assert {world.first(Strategy.LATENCY, affinity) for affinity in conversations} == {1}


def test_conversations_spare_a_channel_that_has_much_more_to_do_than_the_others() -> None:
    world = World(make_channel(number) for number in (1, 2, 3))
    affinity = next(mix64(n) for n in range(1, 100) if world.first(Strategy.PRIORITY, mix64(n)) == 1)
    underway = [world.table.figures.begin(1, "m") for _ in range(SPARED_FROM)]
    assert world.first(Strategy.PRIORITY, affinity) != 1
    for number in (2, 3):
        for _ in range(SPARED_FROM // 2):
            world.table.figures.begin(number, "m")
    assert world.first(Strategy.PRIORITY, affinity) == 1
    for attempt in underway:
        attempt.end()
    assert world.first(Strategy.PRIORITY, affinity) == 1


def test_conversations_spare_the_busier_one_of_two() -> None:
    world = World(make_channel(number) for number in (1, 2))
    affinity = next(mix64(n) for n in range(1, 100) if world.first(Strategy.PRIORITY, mix64(n)) == 1)
    for _ in range(2 * SPARED_FROM + 1):
        world.table.figures.begin(1, "m")
    assert world.first(Strategy.PRIORITY, affinity) == 2
    for _ in range(SPARED_FROM + 1):
        world.table.figures.begin(2, "m")
    assert world.first(Strategy.PRIORITY, affinity) == 1


@pytest.mark.parametrize("strategy", COMPARING)
@pytest.mark.parametrize("size", [EXAMINED_MAX - 1, EXAMINED_MAX + 1, 15])
def test_a_new_channel_takes_conversations_and_shuffles_none_where_channels_are_compared(
    strategy: Strategy, size: int
) -> None:
    world = World(make_channel(number) for number in range(1, size + 1))
    conversations = [mix64(number) for number in range(1, 300)]
    before = [world.first(strategy, affinity) for affinity in conversations]
    world.table.put(make_channel(size + 1))
    after = [world.first(strategy, affinity) for affinity in conversations]
    assert {now for was, now in zip(before, after, strict=True) if was != now} == {size + 1}


# --- when little is left ---------------------------------------------------------------------------------------------


def test_the_only_credential_is_waited_for_if_it_is_free_in_a_moment() -> None:
    world = World([make_channel(1)])
    credential = SealedCredential(11, 1, b"n", b"c")
    world.states.cool(1, credential, 0.0, int(COOL_WAIT_S_MAX * 1000))
    candidate = world.plan(Strategy.PRIORITY).next(0.0)
    assert candidate is not None
    assert candidate.wait_s == COOL_WAIT_S_MAX
    world.states.cool(1, credential, 0.0, int(COOL_WAIT_S_MAX * 1000) + 100)
    plan = world.plan(Strategy.PRIORITY)
    assert plan.next(0.0) is None
    assert plan.refusal(0.0).retry_after_ms == COOL_WAIT_S_MAX * 1000 + 100


def test_another_round_begins_where_trouble_may_be_of_a_moment_and_not_too_often() -> None:
    world = World([make_channel(1), make_channel(2)])
    plan = world.plan(Strategy.PRIORITY)
    waits: list[float] = []
    for _ in range(ROUNDS_MAX):
        assert len(walk(plan)) == 2 if not waits else walk(plan)
        again = plan.again(0.0, ErrorType.UPSTREAM_OVERLOADED)
        assert again is not None
        waits.append(again.wait_s)
    assert BACKOFF_S / 2 <= waits[0] <= BACKOFF_S <= waits[1] <= 2 * BACKOFF_S
    walk(plan)
    assert plan.again(0.0, ErrorType.UPSTREAM_OVERLOADED) is None


@pytest.mark.parametrize("error", [ErrorType.UPSTREAM_TIMEOUT, ErrorType.UPSTREAM_CREDENTIAL, None])
def test_no_round_begins_after_what_takes_long_or_does_not_pass(error: ErrorType | None) -> None:
    plan = World([make_channel(1)]).plan(Strategy.PRIORITY)
    walk(plan)
    assert plan.again(0.0, error) is None


def test_a_channel_that_fails_everything_gets_first_attempts_only() -> None:
    world = World([make_channel(1, priority=1), make_channel(2)])
    for _ in range(int(BUDGET_MAX)):
        world.table.learn(2, ErrorType.UPSTREAM_ERROR, 0.0)
    assert world.order(Strategy.PRIORITY) == [1]
    world.table.set_weight(ChannelWeight(1, ChannelState.EJECTED, 0.0, 1))
    assert world.order(Strategy.PRIORITY) == [2]


def test_a_request_that_fits_no_other_channel_is_no_retry_where_it_fits() -> None:
    world = World([make_channel(1, priority=1, credentials=2), make_channel(2)])
    for _ in range(int(BUDGET_MAX)):
        world.table.learn(2, ErrorType.UPSTREAM_ERROR, 0.0)
    plan = world.plan(Strategy.PRIORITY)
    first = plan.next(0.0)
    assert first is not None
    plan.leave_out(first.channel.id)
    second = plan.next(0.0)
    assert second is not None
    assert second.channel.id == 2
    assert plan.next(0.0, ErrorType.UPSTREAM_ERROR) is None


def test_a_channel_that_is_left_out_takes_no_wait_of_another_round_away() -> None:
    world = World([make_channel(1, priority=1), make_channel(2)])
    plan = world.plan(Strategy.PRIORITY)
    assert plan.next(0.0) is not None
    plan.leave_out(1)
    assert plan.next(0.0) is not None
    assert plan.next(0.0, ErrorType.UPSTREAM_ERROR) is None
    again = plan.again(0.0, ErrorType.UPSTREAM_ERROR)
    assert again is not None
    assert again.channel.id == 2
    assert again.wait_s >= BACKOFF_S / 2


def test_latency_waits_for_a_second_credential_though_the_first_would_be_free_sooner() -> None:
    world = World([make_channel(1, credentials=2)])
    first, second = make_channel(1, credentials=2).credentials
    world.states.cool(1, second, 0.0, 1000)
    plan = world.plan(Strategy.LATENCY)
    tried = plan.next(0.0)
    assert tried is not None
    assert tried.credential == first
    world.states.cool(1, first, 0.0, 100)
    waited = plan.next(0.0, ErrorType.UPSTREAM_RATE_LIMITED)
    assert waited is not None
    assert waited.credential == second
    assert waited.wait_s == 1.0


def test_a_model_that_is_denied_leaves_its_channel_for_a_while_and_no_other_model_does() -> None:
    both = msgspec.structs.replace(make_channel(1), models={"m": "m", "n": "n"})
    world = World([both, make_channel(2, priority=-1)])
    world.table.deny(1, "m", 0.0)
    assert world.order(Strategy.PRIORITY) == [2]
    other = world.table.plan("n", DEFAULT, world.states, world.draw).next(0.0)
    assert other is not None
    assert other.channel.id == 1
    later = world.plan(Strategy.PRIORITY).next(DENIED_S)
    assert later is not None
    assert later.channel.id == 1


def test_a_model_that_health_calls_refused_is_not_asked_for_until_it_says_otherwise() -> None:
    world = World([make_channel(1), make_channel(2, priority=-1)])
    world.table.set_weight(ChannelWeight(1, ChannelState.SERVING, 1.0, 1, refused=("m",)))
    assert world.order(Strategy.PRIORITY) == [2]
    world.table.set_weight(ChannelWeight(1, ChannelState.SERVING, 1.0, 2))
    assert world.order(Strategy.PRIORITY) == [1, 2]


def test_a_drained_channel_takes_no_job() -> None:
    world = World([make_channel(1), msgspec.structs.replace(make_channel(2), drained=True)])
    assert world.order(Strategy.PRIORITY) == [1]
    world.table.put(make_channel(2))
    assert sorted(world.order(Strategy.PRIORITY)) == [1, 2]


def test_a_second_attempt_goes_to_another_channel_and_the_first_one_is_not_forgotten() -> None:
    world = World([make_channel(1, priority=2, credentials=2), make_channel(2, priority=1)])
    plan = world.plan(Strategy.PRIORITY)
    first, second = plan.next(0.0), plan.other(0.0)
    assert first is not None
    assert second is not None
    assert (first.channel.id, second.channel.id) == (1, 2)
    assert plan.other(0.0) is None
    third = plan.next(0.0, ErrorType.UPSTREAM_ERROR)
    assert third is not None
    assert third.channel.id == 1
    assert third.credential != first.credential
