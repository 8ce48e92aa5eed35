"""The words of OpenTelemetry's semantic conventions for generative AI, as far as spans say them. Pure.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from trunkline.core.usage import Units
from trunkline.protocol import names
from trunkline.protocol.events import FinishReason

OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_STREAM: Final = "gen_ai.request.stream"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FIRST_CHUNK_S: Final = "gen_ai.response.time_to_first_chunk"
OUTPUT_BEGINS: Final = "gen_ai.first_token"
"""An event of our own: the conventions have the time as an attribute alone."""

_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
_CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
_CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
_REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"

_OPERATIONS: Final = {
    names.OPENAI_CHAT: "chat",
    names.OPENAI_RESPONSES: "chat",
    names.ANTHROPIC: "chat",
    names.GEMINI: "generate_content",
    "completions": "text_completion",
    "embeddings": "embeddings",
    "embed_content": "embeddings",
    "batch_embed_contents": "embeddings",
}

_BY_HOST: Final = (
    ("api.deepseek.com", "deepseek"),
    ("api.groq.com", "groq"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.x.ai", "x_ai"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    (".amazonaws.com", "aws.bedrock"),
    (".openai.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
)
"""Ends of hosts whose provider the conventions have a name for."""

_BY_DIALECT: Final = {
    names.UPSTREAM_AZURE: "azure.ai.openai",
    names.UPSTREAM_ANTHROPIC: "anthropic",
    names.UPSTREAM_GEMINI: "gcp.gemini",
}


_FINISH_REASONS: Final = frozenset(
    {
        *(reason.value for reason in FinishReason),
        # Chat's, Anthropic's, the Responses API's and Gemini's own words (DIALECTS section 4.1).
        *("function_call", "content_filter"),
        *("end_turn", "max_tokens", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"),
        *("completed", "incomplete", "max_output_tokens"),
        *("safety", "recitation", "language", "blocklist", "prohibited_content", "spii", "malformed_function_call"),
    }
)
"""What a span may have as a reason: a provider could write anything into that place."""


def operation_of(words: str) -> str:
    """Return what is asked for: the conventions' name, or ours where they have none.

    Args:
        words: name of the client's dialect, or of an endpoint beside conversations.
    """
    return _OPERATIONS.get(words, words)


def provider_of(dialect: str, base_url: str) -> str:
    """Return whose API a channel calls, by its host; of one that is not known, whose words it speaks.

    Args:
        dialect: one of `protocol.names.UPSTREAMS`.
        base_url: of the channel.
    """
    host = urlsplit(base_url).hostname or ""
    for end, provider in _BY_HOST:
        if host.endswith(end):
            return provider
    return _BY_DIALECT.get(dialect, "openai")


def finish_reason(said: str) -> str:
    """Return a provider's word for why an answer ended, in lower case; ``other`` for one that nobody has documented."""
    word = said.lower()
    return word if word in _FINISH_REASONS else "other"


def usage_attributes(units: Units) -> Mapping[str, int]:
    """Return the tokens that were used; what is zero is left out, but for input and output where there was any."""
    if not units.any():
        return {}
    parts = {
        _CACHE_READ_TOKENS: units.cache_read,
        _CACHE_WRITE_TOKENS: units.cache_write_5m + units.cache_write_1h,
        _REASONING_TOKENS: units.reasoning,
    }
    return {
        _INPUT_TOKENS: units.input_total,
        _OUTPUT_TOKENS: units.output_total,
        **{name: tokens for name, tokens in parts.items() if tokens},
    }
