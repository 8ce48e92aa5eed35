"""Where an account could pay less."""

from typing import Any

import pytest

from trunkline.core.usage import Units
from trunkline.policy.comparison import UsedUnits
from trunkline.policy.savings import CheaperModel, UnusedCache, cheaper_models, family, unused_caches

MILLION = 1_000_000
LARGE = {"input": 10 * MILLION, "output": 20 * MILLION, "cache_read": MILLION}


def used(model: str = "gpt-large", *, charge: int = 3000, multiplier_ppm: int = MILLION, **units: int) -> UsedUnits:
    given: dict[str, Any] = {"input": 100, "output": 100, "requests": 30, **units}
    return UsedUnits(model, "", multiplier_ppm, 0, Units(**given), charge)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o-mini", "gpt"),
        ("GPT-5", "gpt"),
        ("openai/gpt-4o", "gpt"),
        ("claude-sonnet-4", "claude"),
        ("o3-mini", "o"),
        ("gemini-2.5-pro", "gemini"),
        ("qwen2.5-72b", "qwen"),
        ("4o", "4o"),
    ],
)
def test_a_family_is_the_first_word_of_a_name(model: str, name: str) -> None:
    assert family(model) == name


@pytest.mark.parametrize(
    ("prices", "hint"),
    [
        ({"gpt-small": {"input": 8 * MILLION, "output": 16 * MILLION}}, ("gpt-small", 2400)),
        ({"gpt-small": {"input": 8 * MILLION, "output": 16 * MILLION + 10_000}}, None),
        ({"claude-small": {"input": MILLION, "output": MILLION}}, None),
        ({"gpt-large": {"input": MILLION, "output": MILLION}}, None),
        ({"gpt-embed": {"input": 1}}, None),
        (
            {
                "gpt-a": {"input": 5 * MILLION, "output": 5 * MILLION},
                "gpt-b": {"input": 4 * MILLION, "output": 4 * MILLION},
            },
            ("gpt-b", 800),
        ),
        ({"gpt-free": {"input": 0, "output": 0}}, ("gpt-free", 0)),
        ({}, None),
    ],
)
def test_a_cheaper_model_of_the_family_is_named_from_a_fifth_on(
    prices: dict[str, dict[str, int]], hint: tuple[str, int] | None
) -> None:
    found = cheaper_models([used()], prices)
    assert [(one.instead, one.cost_nano) for one in found] == ([] if hint is None else [hint])


def test_a_hint_has_its_figures_and_one_sentence() -> None:
    prices = {"gpt-small": {"input": 2 * MILLION, "output": 4 * MILLION}}
    parts = [used(), used(charge=1500, input=50, output=50, requests=10), used("gpt-free", charge=0)]
    assert cheaper_models(parts, prices) == [
        CheaperModel(
            "gpt-large", "gpt-small", 40, 4500, 900, "40 requests to gpt-large would have cost 80 % less on gpt-small."
        )
    ]


def test_multipliers_apply_and_the_largest_saving_comes_first() -> None:
    prices = {"gpt-s": {"input": MILLION, "output": MILLION}, "o-s": {"input": MILLION, "output": MILLION}}
    parts = [used("o1", charge=1000), used("gpt-large", multiplier_ppm=2 * MILLION)]
    assert [(hint.model, hint.cost_nano) for hint in cheaper_models(parts, prices)] == [("gpt-large", 400), ("o1", 200)]


def test_a_cache_that_long_inputs_do_not_use_is_named() -> None:
    part = used(input=3000 * 30 - 900, cache_read=900, requests=30)
    assert unused_caches([part], {"gpt-large": LARGE}) == [
        UnusedCache(
            "gpt-large",
            30,
            90_000,
            900,
            89_100 * 9,
            "30 requests to gpt-large had 3000 input tokens on average, and 1 % of them came from the provider's"
            " cache.",
        )
    ]


@pytest.mark.parametrize(
    ("units", "prices"),
    [
        ({"input": 90_000, "requests": 19}, LARGE),
        ({"input": 30 * 2048 - 1}, LARGE),
        ({"input": 81_000, "cache_read": 9_000}, LARGE),
        ({"input": 90_000}, {"input": 10 * MILLION, "output": 1}),
        ({"input": 90_000}, {**LARGE, "cache_read": 10 * MILLION}),
        ({"input": 90_000}, {}),
    ],
)
def test_no_cache_is_named_where_it_would_not_help(units: dict[str, int], prices: dict[str, int]) -> None:
    assert unused_caches([used(**units)], {"gpt-large": prices}) == []
    assert unused_caches([used(charge=0, input=90_000)], {"gpt-large": LARGE}) == []
