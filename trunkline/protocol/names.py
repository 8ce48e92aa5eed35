"""The names of the dialects, as they stand in envelopes, metrics and the fidelity table."""

OPENAI_CHAT = "openai-chat"
OPENAI_RESPONSES = "openai-responses"
ANTHROPIC = "anthropic"
GEMINI = "gemini"

CONVERSATIONAL = (OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC, GEMINI)
"""Those that meet in the neutral model."""
