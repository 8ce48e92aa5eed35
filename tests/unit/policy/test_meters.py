"""From an account's terms to the meters that bound it, and which jobs each counts."""

import pytest

from trunkline.bus.allowance import WALLET, Meter, MeterKind, Period
from trunkline.policy.meters import (
    AccountTerms,
    Budgets,
    FamilyLimits,
    HolderTerms,
    Limits,
    ModelBudget,
    counts,
    has_budgets,
    meters_of,
)


def ids(terms: AccountTerms) -> list[str]:
    return [meter.id for meter in meters_of(terms)]


def test_without_terms_there_is_the_wallet() -> None:
    assert meters_of(AccountTerms(1)) == (Meter(WALLET, MeterKind.MONEY, Period.NONE, 0),)


def test_every_kind_of_limit_is_a_meter() -> None:
    limits = Limits(rpm=1, rpd=2, tpm=3, tpd=4, images_per_minute=5, concurrency=0)
    assert meters_of(AccountTerms(1, tier=limits))[1:] == (
        Meter("tier:rpm", MeterKind.REQUESTS, Period.MINUTE, 1),
        Meter("tier:rpd", MeterKind.REQUESTS, Period.DAY, 2),
        Meter("tier:tpm", MeterKind.TOKENS, Period.MINUTE, 3),
        Meter("tier:tpd", MeterKind.TOKENS, Period.DAY, 4),
        Meter("tier:images_per_minute", MeterKind.IMAGES, Period.MINUTE, 5),
        Meter("tier:concurrency", MeterKind.CONCURRENCY, Period.NONE, 0),
    )


def test_limits_hang_on_all_that_may_have_some() -> None:
    rpm = Limits(rpm=5)
    terms = AccountTerms(
        1,
        tier=rpm,
        limits=rpm,
        keys={2: HolderTerms(rpm, user=9), 3: HolderTerms()},
        users={9: HolderTerms(rpm), 8: HolderTerms(rpm)},
        groups={"vip": rpm},
    )
    kind, period = MeterKind.REQUESTS, Period.MINUTE
    assert meters_of(terms)[1:] == (
        Meter("tier:rpm", kind, period, 5),
        Meter("account:rpm", kind, period, 5),
        Meter("key:2:rpm", kind, period, 5, key=2),
        # Not of user 8, who has none of the keys asked about.
        Meter("user:9:rpm", kind, period, 5, user=9),
        Meter("group:vip:rpm", kind, period, 5, group="vip"),
    )


def test_a_family_of_models_is_a_meter_of_its_own_and_another_one_when_its_patterns_change() -> None:
    family = FamilyLimits(("gpt-*", "o1"), rpm=3, concurrency=2)
    terms = AccountTerms(1, tier=Limits(rpm=9, families=(family, FamilyLimits(("claude",), tpm=7))))
    assert meters_of(terms)[1:] == (
        Meter("tier:rpm", MeterKind.REQUESTS, Period.MINUTE, 9),
        Meter("tier:rpm:gpt-*,o1", MeterKind.REQUESTS, Period.MINUTE, 3, models=("gpt-*", "o1")),
        Meter("tier:tpm:claude", MeterKind.TOKENS, Period.MINUTE, 7, models=("claude",)),
        Meter("tier:concurrency:gpt-*,o1", MeterKind.CONCURRENCY, Period.NONE, 2, models=("gpt-*", "o1")),
    )


def test_budgets_are_meters_of_money_with_what_takes_over() -> None:
    cheaper = {"gpt-4o": "gpt-4o-mini"}
    budgets = Budgets(5, 50, (ModelBudget(("gpt-*",), monthly_nano=7),), cheaper)
    terms = AccountTerms(1, budgets=budgets, keys={2: HolderTerms(budgets=Budgets(daily_nano=3))})
    kind = MeterKind.MONEY
    assert meters_of(terms)[1:] == (
        Meter("account:daily", kind, Period.DAY, 5, cheaper=cheaper),
        Meter("account:monthly", kind, Period.MONTH, 50, cheaper=cheaper),
        Meter("account:monthly:gpt-*", kind, Period.MONTH, 7, models=("gpt-*",), cheaper=cheaper),
        Meter("key:2:daily", kind, Period.DAY, 3, key=2),
    )


@pytest.mark.parametrize(
    ("terms", "has"),
    [
        (AccountTerms(1, tier=Limits(rpm=1)), False),
        (AccountTerms(1, budgets=Budgets(daily_nano=0)), True),
        (AccountTerms(1, keys={2: HolderTerms(budgets=Budgets(daily_nano=1))}), True),
        (AccountTerms(1, users={2: HolderTerms(budgets=Budgets(monthly_nano=1))}), True),
    ],
    ids=["none", "account", "key", "user"],
)
def test_whether_there_are_budgets(terms: AccountTerms, *, has: bool) -> None:
    assert has_budgets(terms) is has


def meter(*, key: int = 0, user: int = 0, group: str = "", models: tuple[str, ...] = ()) -> Meter:
    return Meter("m", MeterKind.REQUESTS, Period.MINUTE, 1, key=key, user=user, group=group, models=models)


@pytest.mark.parametrize(
    ("meter", "counted"),
    [
        (meter(), True),
        (meter(key=2), True),
        (meter(key=3), False),
        (meter(user=9), True),
        (meter(user=8), False),
        (meter(group="vip"), True),
        (meter(group="default"), False),
        (meter(models=("gpt-4o",)), True),
        (meter(models=("claude*", "gpt-*")), True),
        (meter(models=("gpt-4",)), False),
        (meter(models=("GPT-*",)), False),
        (meter(models=("gpt.4o",)), False),
        (meter(key=2, models=("claude*",)), False),
    ],
)
def test_a_job_is_counted_by_every_meter_that_matches_it(meter: Meter, *, counted: bool) -> None:
    assert counts(meter, key=2, user=9, model="gpt-4o", group="vip") is counted


def test_a_key_of_nobody_is_not_counted_with_a_users() -> None:
    assert not counts(meter(user=9), key=2, user=0, model="m", group="g")
