"""List prices, and how the provider is told."""

import pytest

from trunkline.policy.list_prices import Serving, list_prices

NOW_MS = 1_790_000_000_000


def test_prices_per_million_tokens_and_per_thousand_searches_become_nano_usd() -> None:
    prices = list_prices("gpt-4o-mini", [Serving("openai", "http://127.0.0.1:1/v1", "gpt-4o-mini")], NOW_MS)
    assert prices is not None
    assert (prices["input"], prices["cache_read"], prices["output"]) == (150_000_000, 75_000_000, 600_000_000)
    assert prices["searches"] == 10_000 * 1_000_000_000


@pytest.mark.parametrize(
    ("model", "servings"),
    [
        ("deepseek-chat", []),
        ("deepseek-chat", [Serving("openai", "https://api.deepseek.com", "deepseek-chat")]),
        ("deepseek-chat", [Serving("openai", "http://127.0.0.1:1", "deepseek-chat")]),
        ("our-name", [Serving("openai", "https://api.deepseek.com", "deepseek-chat")]),
    ],
)
def test_the_provider_is_told_by_address_dialect_or_name(model: str, servings: list[Serving]) -> None:
    assert list_prices(model, servings, NOW_MS) == list_prices("deepseek-chat", [], NOW_MS)


def test_a_model_on_no_list_has_none() -> None:
    assert list_prices("homemade", [Serving("openai", "http://127.0.0.1:1", "homemade-1")], NOW_MS) is None
