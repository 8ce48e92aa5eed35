"""Gemini's two spellings of a key, camelCase and snake_case, brought to one (DIALECTS section 1)."""


def camel_key(key: str) -> str:
    """Return a key in camelCase."""
    if "_" not in key[1:]:
        return key
    first, *others = key.split("_")
    return first + "".join([word[:1].upper() + word[1:] for word in others])
