"""What there is as a file: exact, without what goes without saying, and the same when it is read again."""

from hypothesis import given
from hypothesis import strategies as st

from trunkline.policy.changes import wanted_entities
from trunkline.policy.configuration import Names
from trunkline.policy.configuration_export import Present, exported
from trunkline.policy.configuration_file import load
from trunkline.policy.configuration_text import read_text
from trunkline.policy.configuration_values import AMOUNT_USD_MAX
from trunkline.policy.discounts import DiscountStep
from trunkline.policy.entities import DiscountSchedules, Entity, FreeTrial, Group, Model, Tier
from trunkline.policy.imports.writing import yaml_text
from trunkline.policy.meters import Limits

NANO = st.integers(1, AMOUNT_USD_MAX * 10**9)


def again(present: Present) -> list[Entity]:
    """Return what a file of what there is makes."""
    read = read_text(yaml_text(exported(present)).encode())
    configuration = load(read.configuration, {}, Names(), 0)
    return wanted_entities(configuration, {}, known_models=frozenset(), pepper=b"", now_ms=0)


def present(**parts: object) -> Present:
    nothing: dict[str, object] = {"groups": (), "tiers": (), "models": (), "channels": (), "costs": ()}
    return Present(**(nothing | parts))  # type: ignore[arg-type]  # parts are as the test says


def test_nothing_is_an_empty_file() -> None:
    assert exported(present()) == {}


def test_what_is_as_it_would_be_anyway_is_left_out() -> None:
    tier = Tier("basic", Limits(rpm=3))
    assert exported(present(groups=[Group("default", 1_000_000)], tiers=[tier])) == {
        "groups": [{"name": "default"}],
        "tiers": [{"name": "basic", "rpm": 3}],
    }


@given(nano=NANO, ppm=st.integers(0, 1_000_000_000), percent_ppm=st.integers(0, 1_000_000))
def test_numbers_stay_exact(nano: int, ppm: int, percent_ppm: int) -> None:
    entities: list[Entity] = [
        Group("vip", ppm),
        Model("m", "default", "trunkline", False, {"input": nano}, "configuration"),
        DiscountSchedules((DiscountStep(nano, percent_ppm),)),
        FreeTrial(nano, 7),
    ]
    group, model, discounts, trial = entities
    assert isinstance(discounts, DiscountSchedules)
    made = again(present(groups=[group], models=[model], discounts=discounts.steps, trial=trial))
    assert made == entities


@given(name=st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable() and text.strip() == text))
def test_names_of_any_letters_stay_as_they_are(name: str) -> None:
    if "/" in name:
        return
    assert again(present(groups=[Group(name, 1_000_000)])) == [Group(name, 1_000_000)]
