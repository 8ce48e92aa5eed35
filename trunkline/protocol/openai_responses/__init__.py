"""OpenAI's Responses dialect: requests made of items, streams with a lifecycle, errors, usage and models list."""
