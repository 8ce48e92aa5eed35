"""Prices, overrides and discounts in the configuration file, and what applying them changes."""

from decimal import Decimal
from typing import Any

import pytest

from trunkline.policy.changes import FieldChange, compare, entity_id, wanted_entities
from trunkline.policy.configuration import Configuration, ConfigurationError, DiscountEntry, Names
from trunkline.policy.configuration_file import load
from trunkline.policy.discounts import DiscountStep
from trunkline.policy.entities import FROM_OPERATOR, DiscountSchedules, Entity, Model

NOW_MS = 1_790_000_000_000
NAMES = Names(tiers=frozenset({"pro"}))


def loaded(names: Names = NAMES, **sections: Any) -> Configuration:
    return load(sections, {}, names, NOW_MS)


def faults_of(**sections: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        loaded(**sections)
    return caught.value.faults


def model_of(entry: dict[str, Any], current: Model | None = None) -> Model:
    there: dict[tuple[str, str], Entity] = {} if current is None else {entity_id(current): current}
    names = Names(priced=frozenset({"m", "gpt-4o-mini"} if current is not None else ()))
    (model,) = wanted_entities(
        loaded(names, models=[entry]), there, known_models=frozenset(), pepper=b"", now_ms=NOW_MS
    )
    assert isinstance(model, Model)
    return model


def test_images_have_prices_by_size_and_quality() -> None:
    model = model_of({"name": "m", "price": {"images": 40_000, "images@1024x1024/high": 167_000, "images@hd": 80_000}})
    assert model.prices == {
        "images": 40_000 * 10**9,
        "images@1024x1024/high": 167_000 * 10**9,
        "images@hd": 80_000 * 10**9,
    }


def test_an_override_stands_over_the_list_and_is_remembered() -> None:
    plain = model_of({"name": "gpt-4o-mini"})
    model = model_of({"name": "gpt-4o-mini", "override": {"cached_input": 0.05, "seconds": 100}})
    assert model.prices == {**plain.prices, "cache_read": 50_000_000, "seconds": 100 * 10**9}
    assert (model.price_source, plain.price_source) == ("genai-prices", "genai-prices")
    assert (model.overrides, plain.overrides) == ({"cache_read": 50_000_000, "seconds": 100 * 10**9}, {})
    ((change, _),) = compare([model], {entity_id(plain): plain})
    assert [field.field for field in change.fields] == ["prices", "overrides"]


@pytest.mark.parametrize(
    ("entry", "source"),
    [
        ({"name": "gpt-4o-mini"}, FROM_OPERATOR),
        ({"name": "m"}, FROM_OPERATOR),
        ({"name": "gpt-4o-mini", "override": {"input": 3}}, "genai-prices"),
        ({"name": "gpt-4o-mini", "price": {"input": 3}}, "configuration"),
        ({"name": "gpt-4o-mini", "free": True}, "free"),
    ],
)
def test_a_file_that_says_nothing_of_the_price_leaves_what_an_operator_has_set(
    entry: dict[str, Any], source: str
) -> None:
    current = Model(entry["name"], "default", "trunkline", False, {"input": 7}, FROM_OPERATOR)
    model = model_of(entry, current)
    assert model.price_source == source
    assert (model.prices == {"input": 7}) is (source == FROM_OPERATOR)


def test_the_same_prices_from_elsewhere_are_a_change() -> None:
    """Otherwise a refresh of the list would go on changing what a file has fixed."""
    listed = Model("m", "default", "trunkline", False, {"input": 3_000_000_000}, "genai-prices")
    fixed = model_of({"name": "m", "price": {"input": 3}}, listed)
    ((change, _),) = compare([fixed], {entity_id(listed): listed})
    assert change.fields == (FieldChange("prices from", "genai-prices", "configuration"),)


def test_discounts_are_steps_by_tier_or_left_alone() -> None:
    steps = [
        {"monthly": 500, "percent": 7.5},
        {"monthly": 100, "percent": 5},
        {"monthly": 0, "percent": 20, "tier": "pro"},
    ]
    configuration = loaded(discounts=steps)
    assert configuration.discounts is not None
    assert configuration.discounts[0] == DiscountEntry(monthly=Decimal(500), percent=Decimal("7.5"))
    (entity,) = wanted_entities(configuration, {}, known_models=frozenset(), pepper=b"", now_ms=NOW_MS)
    assert entity == DiscountSchedules(
        (
            DiscountStep(100 * 10**9, 50_000),
            DiscountStep(500 * 10**9, 75_000),
            DiscountStep(0, 200_000, "pro"),
        )
    )
    ((change, _),) = compare([entity], {entity_id(entity): DiscountSchedules(())})
    shown = "5 % from 100.00 USD, 7.5 % from 500.00 USD, 20 % from 0.00 USD for tier pro"
    assert change.fields == (FieldChange("steps", "none", shown),)
    assert (loaded().discounts, loaded(discounts=None).discounts, loaded(discounts=[]).discounts) == (None, None, ())


STEP = {"monthly": 100, "percent": 5}
MODEL = {"name": "gpt-4o-mini"}


@pytest.mark.parametrize(
    ("sections", "fault"),
    [
        ({"models": [{"name": "m", "price": {"images@High": 1}}]}, "models[0].price.images@High: must name a size"),
        ({"models": [{"name": "m", "price": {"images@": 1}}]}, "models[0].price.images@: must name a size"),
        ({"models": [{"name": "m", "price": {"images@a/b/c": 1}}]}, "models[0].price.images@a/b/c: must name a size"),
        ({"models": [{"name": "m", "price": {"images@auto": 1}}]}, "models[0].price.images@auto: must name a size"),
        ({"models": [{"name": "m", "price": {"seconds@1": 1}}]}, "models[0].price.seconds@1: is no unit kind"),
        (
            {"models": [{"name": "m", "price": {f"images@{number}": 1 for number in range(201)}}]},
            "models[0].price: must have at most 200 prices",
        ),
        (
            {"models": [{**MODEL, "override": {"colour": 1}}]},
            "models[0].override.colour: is no unit kind",
        ),
        ({"models": [{**MODEL, "price": {"input": 1}, "override": {"input": 1}}]}, "models[0].override: is for models"),
        ({"models": [{**MODEL, "free": True, "override": {"input": 1}}]}, "models[0].override: is for models"),
        ({"models": [{"name": "m", "override": {"input": 1}}]}, "models[0].price: no list price is known for 'm'"),
        ({"discounts": [{"monthly": -1, "percent": 5}]}, "discounts[0].monthly: must be between 0"),
        ({"discounts": [{"monthly": 1, "percent": 101}]}, "discounts[0].percent: must be between 0 and 100"),
        ({"discounts": [{"monthly": 1, "percent": "0.00001"}]}, "discounts[0].percent: must have at most four"),
        ({"discounts": [{"monthly": 1, "percent": "NaN"}]}, "discounts[0].percent: must be between 0 and 100"),
        ({"discounts": [{**STEP, "tier": "gold"}]}, "discounts[0].tier: unknown tier 'gold'"),
        ({"discounts": [STEP, {**STEP, "monthly": "100.00"}]}, "discounts[1].monthly: the same amount"),
        ({"discounts": [{**STEP, "monthly": at} for at in range(101)]}, "discounts: must have at most 100 steps"),
        ({"discounts": {"monthly": 1}}, "discounts: must be a list"),
    ],
)
def test_each_fault_has_its_place(sections: dict[str, Any], fault: str) -> None:
    faults = faults_of(**sections)
    assert len(faults) == 1, faults
    assert faults[0].startswith(fault)
