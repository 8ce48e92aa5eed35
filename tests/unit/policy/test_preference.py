"""Who is preferred: by weight, the same one always, and moved only by what happens to the preferred one."""

from collections import Counter

import pytest

from trunkline.core.hashing import mix64
from trunkline.policy.preference import GROUP_MEMBERS_MAX, PICKS_MAX, Preference

SEEDS = [mix64(number) for number in range(20_000)]
EXPECTED = [3, 3, 1, 1, 1, 2, 2, 1, 2, 3, 1, 1]


def first(preference: Preference, seed: int) -> int:
    return next(preference.picks(seed))


def firsts(members: list[tuple[int, float]], seeds: list[int] = SEEDS) -> list[int]:
    """Return the identity that each seed prefers."""
    preference = Preference(members)
    return [members[first(preference, seed)][0] for seed in seeds]


def test_the_choice_is_part_of_what_processes_agree_on() -> None:
    members = [(1, 100.0), (2, 100.0), (3, 50.0)]
    assert firsts(members, SEEDS[:12]) == EXPECTED
    assert firsts(members[::-1], SEEDS[:12]) == EXPECTED


def test_nobody_is_preferred_among_nobody() -> None:
    assert list(Preference([]).picks(1)) == []
    assert list(Preference([(1, 0.0), (2, -1.0)]).picks(1)) == []


def test_one_is_always_preferred_and_without_weight_never() -> None:
    assert list(Preference([(1, 0.0), (2, 3.0), (3, 0.0)]).picks(1)) == [1] * PICKS_MAX


@pytest.mark.parametrize("count", [2, GROUP_MEMBERS_MAX, GROUP_MEMBERS_MAX + 1, 300])
def test_seeds_are_shared_by_weight(count: int) -> None:
    members = [(number, 1.0 + number % 7) for number in range(1, count + 1)]
    counts, total = Counter(firsts(members)), sum(weight for _, weight in members)
    for number, weight in members:
        share = weight / total
        assert abs(counts[number] / len(SEEDS) - share) <= 5 * (share * (1 - share) / len(SEEDS)) ** 0.5


def test_later_picks_are_shared_by_weight_too() -> None:
    members = [(1, 10.0), (2, 30.0), (3, 60.0)]
    preference = Preference(members)
    third = Counter(list(preference.picks(seed))[2] for seed in SEEDS)
    assert [round(third[index] / len(SEEDS), 2) for index in range(3)] == [0.1, 0.3, 0.6]


def test_who_goes_takes_only_what_was_its_own() -> None:
    members = [(number, 1.0 + number % 3) for number in range(1, GROUP_MEMBERS_MAX + 1)]
    before = firsts(members)
    without = firsts([member for member in members if member[0] != 5])
    assert 5 in before
    assert all(one in (5, other) for one, other in zip(before, without, strict=True))
    heavier = firsts([(number, weight * (3 if number == 5 else 1)) for number, weight in members])
    assert all(other in (one, 5) for one, other in zip(before, heavier, strict=True))


def test_among_very_many_hardly_anything_else_moves() -> None:
    members = [(number, 1.0) for number in range(1, 1001)]
    before = firsts(members)
    without = firsts([member for member in members if member[0] != 500])
    moved = sum(one not in (500, other) for one, other in zip(before, without, strict=True))
    assert moved < len(SEEDS) / 300
