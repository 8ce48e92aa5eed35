"""What well-known models are, by their names."""

import pytest

from trunkline.policy.model_capabilities import Capability, Kind, capabilities

_T, _V, _A, _R, _S = Capability

CHAT = {
    "gpt-4o": (_T, _V, _S),
    "gpt-4o-mini-2024-07-18": (_T, _V, _S),
    "openai/gpt-5.4": (_T, _V, _R, _S),
    "gpt-3.5-turbo": (_T,),
    "o3-mini": (_T, _R, _S),
    "o4-mini": (_T, _V, _R, _S),
    "gpt-oss-120b": (_T, _R, _S),
    "claude-3-5-sonnet-20241022": (_T, _V),
    "us.anthropic.claude-sonnet-4-5-v1:0": (_T, _V, _R, _S),
    "gemini-2.0-flash": (_T, _V, _A, _S),
    "gemini-2.5-pro": (_T, _V, _A, _R, _S),
    "deepseek-ai/DeepSeek-R1": (_T, _R),
    "deepseek-v4-pro": (_T, _R, _S),
    "Qwen/Qwen3-32B": (_T, _R),
    "qwen2.5-vl-72b-instruct": (_T, _V),
    "glm-4.5v": (_T, _V, _R),
    "kimi-k2-0905-preview": (_T,),
    "kimi-k2-thinking": (_T, _R),
    "meta-llama/Llama-3.3-70B-Instruct": (_T,),
    "grok-4": (_T, _V, _R, _S),
}
KINDS = {
    "text-embedding-3-small": Kind.EMBEDDINGS,
    "BAAI/bge-m3": Kind.EMBEDDINGS,
    "bge-reranker-v2-m3": Kind.RERANK,
    "omni-moderation-latest": Kind.MODERATION,
    "whisper-1": Kind.TRANSCRIPTS,
    "gpt-4o-transcribe": Kind.TRANSCRIPTS,
    "gpt-4o-mini-tts": Kind.SPEECH,
    "tts-1-hd": Kind.SPEECH,
    "gpt-image-1": Kind.IMAGES,
    "gemini-2.5-flash-image": Kind.IMAGES,
    "black-forest-labs/flux-1-schnell": Kind.IMAGES,
}


@pytest.mark.parametrize(("name", "can"), CHAT.items(), ids=CHAT)
def test_models_of_conversations(name: str, can: tuple[Capability, ...]) -> None:
    found = capabilities([name])
    assert (found.kind, found.can, found.known) == (Kind.CHAT, can, True)


@pytest.mark.parametrize(("name", "kind"), KINDS.items(), ids=KINDS)
def test_models_of_something_else(name: str, kind: Kind) -> None:
    assert capabilities([name]).kind is kind


def test_a_model_that_nobody_knows() -> None:
    assert capabilities(["our-own-model"]) == (Kind.CHAT, (), False, None)


def test_a_providers_name_tells_what_a_public_one_does_not() -> None:
    assert capabilities(["smart", "claude-opus-5"]).output_tokens_max == 128_000
    assert capabilities(["vectors", "text-embedding-3-large"]).kind is Kind.EMBEDDINGS
