"""The names of the dialects, as they stand in envelopes, metrics and the fidelity table."""

OPENAI_CHAT = "openai-chat"
OPENAI_RESPONSES = "openai-responses"
ANTHROPIC = "anthropic"
GEMINI = "gemini"

CONVERSATIONAL = (OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC, GEMINI)
"""Those that meet in the neutral model."""

UPSTREAM_OPENAI = "openai"
UPSTREAM_RESPONSES = "openai-responses"
UPSTREAM_AZURE = "azure"
UPSTREAM_ANTHROPIC = "anthropic"
UPSTREAM_GEMINI = "gemini"

UPSTREAMS = (UPSTREAM_OPENAI, UPSTREAM_RESPONSES, UPSTREAM_AZURE, UPSTREAM_ANTHROPIC, UPSTREAM_GEMINI)
"""What a channel's ``dialect`` may be; `protocol.registry` says which dialect each speaks."""

ENDPOINT_NAMES = (
    "chat_completions",
    "responses",
    "messages",
    "generate_content",
    "stream_generate_content",
    "count_tokens",
    "embeddings",
    "embed_content",
    "batch_embed_contents",
    "completions",
    "moderations",
    "rerank",
    "rerank_v2",
    "images_generations",
    "images_edits",
    "images_variations",
    "audio_speech",
    "audio_transcriptions",
    "audio_translations",
)
"""What a key may be limited to, by the labels of the edge's routes. Lists of models are not among them: every key may
read those."""
