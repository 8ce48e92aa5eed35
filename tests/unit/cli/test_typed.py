"""What people type, as values."""

from decimal import Decimal

import pytest

from trunkline.cli import typed
from trunkline.cli.failure import CLIError
from trunkline.policy.configuration import BudgetsEntry, ModelBudgetEntry
from trunkline.policy.meters import FamilyLimits, Limits


@pytest.mark.parametrize("name", ["acme", "/ci", "acme/", ""])
def test_a_key_is_named_with_its_account(name: str) -> None:
    with pytest.raises(CLIError, match="a user is named ACCOUNT/NAME"):
        typed.split_name(name, "a user")


def test_a_name_is_split_at_its_first_slash() -> None:
    assert typed.split_name("acme/ci") == ("acme", "ci")


def test_an_amount_is_a_number() -> None:
    with pytest.raises(CLIError, match="not an amount in USD: ten"):
        typed.amount("ten")


def test_a_family_of_models_has_its_limits_behind_the_last_colon() -> None:
    assert typed.limits(["gpt-*,lab/model:free:rpm=5,tpm=100"], rpm=9, rpd=None) == Limits(
        rpm=9, families=(FamilyLimits(models=("gpt-*", "lab/model:free"), rpm=5, tpm=100),)
    )


def test_budgets_of_families_and_what_takes_over() -> None:
    assert typed.budgets("5", None, ["gpt-4*:daily=1.50"], ["gpt-4o=gpt-4o-mini"]) == BudgetsEntry(
        daily=Decimal(5),
        models=(ModelBudgetEntry(models=("gpt-4*",), daily=Decimal("1.50")),),
        cheaper={"gpt-4o": "gpt-4o-mini"},
    )


@pytest.mark.parametrize("text", ["gpt-*", "gpt-*:", ":rpm=1", "gpt-*:rpm", "gpt-*:rpm=", "gpt-*:daily=1", ""])
def test_a_family_that_is_none_is_explained(text: str) -> None:
    with pytest.raises(CLIError, match=r"a family is written PATTERN,…:rpm=…, with any of rpm, rpd, tpm, tpd, "):
        typed.limits([text])


def test_a_bound_is_a_whole_number() -> None:
    with pytest.raises(CLIError, match=r"not a whole number: 1\.5"):
        typed.limits(["gpt-*:rpm=1.5"])


@pytest.mark.parametrize("text", ["gpt-4o", "gpt-4o=", "=gpt-4o", ""])
def test_a_cheaper_model_that_is_none_is_explained(text: str) -> None:
    with pytest.raises(CLIError, match="MODEL=CHEAPER"):
        typed.budgets("1", None, None, [text])
