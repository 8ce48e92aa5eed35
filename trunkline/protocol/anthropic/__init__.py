"""The Anthropic Messages dialect: requests, answers, streams, errors, usage, token counts and the models list."""
