"""The words of the conventions for generative AI."""

import pytest

from trunkline.core.usage import Units
from trunkline.protocol import gen_ai, names, registry


@pytest.mark.parametrize(
    ("words", "operation"),
    [
        ("openai-chat", "chat"),
        ("openai-responses", "chat"),
        ("anthropic", "chat"),
        ("gemini", "generate_content"),
        ("completions", "text_completion"),
        ("embeddings", "embeddings"),
        ("embed_content", "embeddings"),
        ("audio_speech", "audio_speech"),
    ],
)
def test_operations(words: str, operation: str) -> None:
    assert gen_ai.operation_of(words) == operation
    assert words in {*registry.CLIENTS, *registry.ENDPOINTS}


@pytest.mark.parametrize(
    ("dialect", "url", "provider"),
    [
        (names.UPSTREAM_OPENAI, "https://api.openai.com/v1", "openai"),
        (names.UPSTREAM_OPENAI, "http://10.0.0.7:8000/v1", "openai"),
        (names.UPSTREAM_RESPONSES, "https://api.openai.com/v1", "openai"),
        (names.UPSTREAM_OPENAI, "https://api.deepseek.com", "deepseek"),
        (names.UPSTREAM_ANTHROPIC, "https://api.deepseek.com/anthropic", "deepseek"),
        (names.UPSTREAM_OPENAI, "https://api.deepseek.com.evil.example/v1", "openai"),
        (names.UPSTREAM_OPENAI, "https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1", "aws.bedrock"),
        (names.UPSTREAM_AZURE, "https://acme.openai.azure.com", "azure.ai.openai"),
        (names.UPSTREAM_AZURE, "https://llm.acme.example", "azure.ai.openai"),
        (names.UPSTREAM_ANTHROPIC, "https://api.anthropic.com/v1", "anthropic"),
        (names.UPSTREAM_GEMINI, "https://generativelanguage.googleapis.com/v1beta", "gcp.gemini"),
        (names.UPSTREAM_GEMINI, "https://europe-west1-aiplatform.googleapis.com/v1", "gcp.vertex_ai"),
    ],
)
def test_providers(dialect: str, url: str, provider: str) -> None:
    assert gen_ai.provider_of(dialect, url) == provider


def test_usage_counts_cached_and_reasoning_tokens_in_the_sums_and_apart() -> None:
    units = Units(input=10, cache_read=3, cache_write_5m=4, cache_write_1h=1, output=20, reasoning=5, images=1)
    assert gen_ai.usage_attributes(units) == {
        "gen_ai.usage.input_tokens": 18,
        "gen_ai.usage.output_tokens": 25,
        "gen_ai.usage.cache_read.input_tokens": 3,
        "gen_ai.usage.cache_creation.input_tokens": 5,
        "gen_ai.usage.reasoning.output_tokens": 5,
    }
    assert gen_ai.usage_attributes(Units(input=1)) == {"gen_ai.usage.input_tokens": 1, "gen_ai.usage.output_tokens": 0}
    assert gen_ai.usage_attributes(Units()) == {}
