"""The OpenAI dialects: chat completions, errors, usage and models list."""
