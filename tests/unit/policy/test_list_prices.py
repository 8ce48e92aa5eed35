"""List prices, and how the provider is told."""

import pytest

from trunkline.core.usage import UNIT_KINDS
from trunkline.policy.list_prices import Serving, list_prices

NOW_MS = 1_790_000_000_000
LOCAL = "http://127.0.0.1:1/v1"


def test_prices_per_million_tokens_and_per_thousand_searches() -> None:
    prices = list_prices("gpt-4o-mini", [Serving("openai", LOCAL, "gpt-4o-mini")], NOW_MS)
    assert prices is not None
    assert (prices["input"], prices["cache_read"], prices["output"]) == (150_000_000, 75_000_000, 600_000_000)
    assert prices["searches"] == 10_000 * 1_000_000_000


def test_both_lifetimes_of_a_cache_write_and_the_base_of_a_price_in_steps() -> None:
    prices = list_prices("claude-sonnet-4-5", [Serving("anthropic", LOCAL, "claude-sonnet-4-5")], NOW_MS)
    assert prices is not None
    assert (prices["cache_write_5m"], prices["cache_write_1h"]) == (3_750_000_000, 6_000_000_000)
    assert (prices["input"], prices["output"]) == (3_000_000_000, 15_000_000_000)


@pytest.mark.parametrize("model", ["gpt-4o-mini", "claude-opus-4-1", "gemini-2.5-pro", "deepseek-chat"])
def test_every_price_is_a_whole_number_of_a_known_kind(model: str) -> None:
    prices = list_prices(model, [], NOW_MS)
    assert prices
    assert prices.keys() <= set(UNIT_KINDS)
    assert all(type(price) is int and price >= 0 for price in prices.values())
    assert prices["input"] > 0
    assert prices["output"] > 0


@pytest.mark.parametrize(
    ("model", "servings"),
    [
        ("deepseek-chat", []),
        ("deepseek-chat", [Serving("openai", "https://api.deepseek.com", "deepseek-chat")]),
        ("deepseek-chat", [Serving("openai", LOCAL, "deepseek-chat")]),
        ("our-name", [Serving("openai", "https://api.deepseek.com", "deepseek-chat")]),
    ],
)
def test_the_provider_is_told_by_address_dialect_or_name(model: str, servings: list[Serving]) -> None:
    assert list_prices(model, servings, NOW_MS) == list_prices("deepseek-chat", [], NOW_MS) is not None


def test_a_channel_tells_whose_list_applies() -> None:
    model = "meta-llama/llama-3.3-70b-instruct"
    there = list_prices(model, [Serving("openai", "https://openrouter.ai/api/v1", model)], NOW_MS)
    elsewhere = list_prices(model, [Serving("openai", "https://api.novita.ai/v3/openai", model)], NOW_MS)
    assert there
    assert elsewhere
    assert there != elsewhere


@pytest.mark.parametrize("model", ["no-such-model", "", "/", "a/b/c"])
def test_an_unknown_model_has_none(model: str) -> None:
    assert list_prices(model, [], NOW_MS) is None
    assert list_prices(model, [Serving("openai", LOCAL, "homemade-1")], NOW_MS) is None


@pytest.mark.parametrize(
    ("model", "address", "prices"),
    [
        # $0.36 an hour is $100 for a million seconds.
        ("whisper-1", "https://api.openai.com/v1", {"seconds": 100_000_000_000}),
        ("whisper-large-v3", "https://api.groq.com/openai/v1", {"seconds": 30_833_333_333}),
        ("tts-1", "https://api.openai.com/v1", {"characters": 15_000_000_000}),
    ],
)
def test_sound_by_the_hour_and_speech_by_the_character(model: str, address: str, prices: dict[str, int]) -> None:
    assert list_prices(model, [Serving("openai", address, model)], NOW_MS) == prices


@pytest.mark.parametrize(
    ("model", "address", "kinds"),
    [
        ("gpt-image-1", "https://api.openai.com/v1", {"input", "cache_read", "input_image", "output"}),
        ("gpt-4o-transcribe", "https://api.openai.com/v1", {"input", "output", "input_audio"}),
        ("sonar", "https://api.perplexity.ai", {"input", "output", "requests"}),
    ],
)
def test_each_kind_that_a_list_has_is_taken(model: str, address: str, kinds: set[str]) -> None:
    prices = list_prices(model, [Serving("openai", address, model)], NOW_MS)
    assert prices is not None
    assert prices.keys() == kinds
