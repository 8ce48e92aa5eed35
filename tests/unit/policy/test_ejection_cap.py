"""Who stays although its breaker ejects it."""

import pytest

from trunkline.bus.snapshots import ChannelSnapshot
from trunkline.policy.ejection_cap import Ejection, Pool, pools_of, spared


def channel(number: int, models: str = "m", groups: tuple[str, ...] = ("default",), **fields: int) -> ChannelSnapshot:
    drained = bool(fields.get("drained"))
    return ChannelSnapshot(
        id=number,
        name=str(number),
        dialect="openai",
        base_url="http://test",
        credentials=(),
        models={model: model for model in models.split()},
        groups=groups,
        weight=fields.get("weight", 100),
        drained=drained,
    )


def pools(*channels: ChannelSnapshot) -> dict[int, tuple[Pool, ...]]:
    return pools_of(channels, lambda _: ())


def unproven(*numbers: int) -> list[Ejection]:
    return [Ejection(number, float(number), proven=False) for number in numbers]


@pytest.mark.parametrize(
    ("count", "kept"), [(1, set()), (2, {2}), (3, {2, 3}), (4, {3, 4}), (5, {3, 4, 5}), (6, {4, 5, 6})]
)
def test_half_may_go_on_attempts_alone_and_the_last_stay(count: int, kept: set[int]) -> None:
    numbers = range(1, count + 1)
    assert spared(pools(*map(channel, numbers)), unproven(*numbers)) == kept


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_with_proof_all_may_go(count: int) -> None:
    numbers = range(1, count + 1)
    wishes = [Ejection(number, 0.0, proven=True) for number in numbers]
    assert spared(pools(*map(channel, numbers)), wishes) == set()


def test_what_is_proven_counts_for_the_share_of_the_rest() -> None:
    known = pools(channel(1), channel(2), channel(3))
    wishes = [Ejection(1, 1.0, proven=False), Ejection(3, 3.0, proven=True)]
    assert spared(known, wishes) == {1}
    assert spared(known, wishes[:1]) == set()


def test_a_channel_stays_for_any_of_its_models_and_groups() -> None:
    both, first, second = channel(1, "m n"), channel(2, "m"), channel(3, "n")
    assert spared(pools(both, first, second), unproven(2, 1)) == {2}
    assert spared(pools(both, first, second), [Ejection(2, 0.0, proven=False), *unproven(1)]) == {1}
    grouped = (channel(1, groups=("a", "b")), channel(2, groups=("a",)), channel(3, groups=("b",)))
    assert spared(pools(*grouped), unproven(1, 2, 3)) == {2, 3}


def test_channels_that_share_nothing_do_not_count_for_each_other() -> None:
    known = pools(channel(1, "m"), channel(2, "n"), channel(3, "m", groups=("other",)))
    assert spared(known, unproven(1, 2, 3)) == set()


def test_one_that_takes_no_new_jobs_is_no_help_and_may_go() -> None:
    known = pools(channel(1), channel(2, drained=1), channel(3, weight=0))
    assert spared(known, unproven(1, 2, 3)) == set()


def test_one_that_is_not_let_use_a_model_does_not_serve_it() -> None:
    known = pools_of([channel(1), channel(2)], lambda number: ("m",) if number == 2 else ())
    assert known == {1: (frozenset({1}),)}
    assert spared(known, unproven(1, 2)) == set()


def test_pools_are_kept_once_however_many_models_share_them() -> None:
    assert pools(channel(1, "a b c"), channel(2, "a b c")) == {
        1: (frozenset({1, 2}),),
        2: (frozenset({1, 2}),),
    }
