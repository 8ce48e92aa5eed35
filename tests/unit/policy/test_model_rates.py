"""Prices at an edge: the worst case of a job, and which models may be used at all."""

import pytest

from trunkline.bus.snapshots import ModelSnapshot
from trunkline.core.usage import Units
from trunkline.policy.pricing import ModelRates, UnitsError

ONE = 10**6
"""Makes one unit cost one nano-USD."""


def rates(prices: dict[str, int], **fields: object) -> ModelRates:
    return ModelRates(ModelSnapshot("m", ("default",), prices=prices, **fields))  # type: ignore[arg-type]  # a test's


CHAT = {"input": 2 * ONE, "output": 8 * ONE}


@pytest.mark.parametrize(
    ("more", "nano"),
    [
        ({}, 10 * 2 + 5 * 8),
        ({"cache_read": ONE}, 10 * 2 + 5 * 8),
        ({"cache_write_5m": 3 * ONE}, 10 * 3 + 5 * 8),
        ({"cache_write_5m": 3 * ONE, "cache_write_1h": 4 * ONE}, 10 * 4 + 5 * 8),
        ({"reasoning": 9 * ONE}, 10 * 2 + 5 * 9),
        ({"input_audio": 40 * ONE, "output_audio": 80 * ONE}, 10 * 2 + 5 * 8),
        ({"requests": 7 * ONE}, 10 * 2 + 5 * 8 + 7),
    ],
)
def test_each_token_is_held_at_the_dearest_price_it_may_have(more: dict[str, int], nano: int) -> None:
    assert rates({**CHAT, **more}).worst_case(10, 5, "default") == nano


def test_sound_and_images_are_held_at_their_prices_where_they_may_come() -> None:
    dear = rates({**CHAT, "input_audio": 40 * ONE, "output_image": 80 * ONE})
    assert dear.worst_case(10, 5, "default", media=True) == 10 * 40 + 5 * 80


def test_the_group_multiplies_and_the_discount_comes_off() -> None:
    model = rates(CHAT, multipliers_ppm={"vip": 1_500_000, "cheap": 500_000})
    held = [model.worst_case(10, 5, group, 100_000) for group in ("default", "vip", "cheap", "unknown")]
    assert held == [54, 81, 27, 54]
    assert model.dearest_group(("cheap", "vip", "default")) == "vip"
    assert model.dearest_group(("cheap", "default")) == "default"


@pytest.mark.parametrize(
    ("variant", "each"), [("1024x1024/high", 5), ("1024x1024", 9), ("high", 9), ("512x512/low", 9), ("", 9)]
)
def test_an_image_is_held_at_the_dearest_price_unless_its_look_is_known(variant: str, each: int) -> None:
    model = rates({"images": 2 * ONE, "images@1024x1024/high": 5 * ONE, "images@low": 9 * ONE, "images@high": 3 * ONE})
    assert model.worst_case(100, 0, "default", beside=Units(images=3), variant=variant) == 3 * each


def test_what_is_paid_by_the_piece_is_held_beside_the_tokens() -> None:
    model = rates({**CHAT, "seconds": 3 * ONE, "characters": ONE, "searches": 11 * ONE, "requests": ONE})
    beside = Units(seconds=2, characters=4, searches=1, requests=1)
    assert model.worst_case(1, 0, "default", beside=beside) == 2 + 6 + 4 + 11 + 1
    with pytest.raises(UnitsError):
        model.worst_case(1, 0, "default", beside=Units(images=-1))


@pytest.mark.parametrize(
    ("prices", "free", "usable"), [({}, False, False), ({}, True, True), ({"input": 0}, False, True)]
)
def test_a_model_without_a_price_is_no_use_unless_it_is_free(prices: dict[str, int], free: bool, usable: bool) -> None:
    assert rates(prices, free=free).usable is usable
