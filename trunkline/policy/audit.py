"""What the audit log keeps of a change: the views that people see, without anything that opens something."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

MASKED: Final = "•••"

SECRET_NAMES: Final = frozenset(
    {
        "authorization",
        "codes",
        "credentials",
        "csrf",
        "link",
        "new_password",
        "otpauth",
        "password",
        "recovery_codes",
        "secret",
        "signing_secret",
        "target",
        "token",
        "url",
        "webhook",
    }
)
"""Members of answers that are shown once, or that let somebody in: their values are masked at any depth.

``url``, ``target`` and ``webhook`` are of webhooks, whose addresses often hold a token."""

DOCUMENT_BYTES_MAX: Final = 32 * 1024
"""Of what one row keeps of a moment. A channel with a hundred models has a tenth of it."""


def kept(body: bytes | None) -> str | None:
    """Return what the audit log keeps of a view, as JSON text; None if it is none.

    Args:
        body: JSON of an answer; anything else is not kept.
    """
    if not body:
        return None
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    text = msgspec.json.encode(masked(document)).decode()
    if len(text.encode()) > DOCUMENT_BYTES_MAX:
        return msgspec.json.encode({"omitted_bytes": len(text.encode())}).decode()
    # Postgres holds no NUL in its JSON.
    return text.replace("\\u0000", "\\ufffd")


def masked(document: Any) -> Any:
    """Return a document with the values of `SECRET_NAMES` masked. What is not set stays to be seen."""
    match document:
        case Mapping():
            return {name: _mask(value) if name in SECRET_NAMES else masked(value) for name, value in document.items()}
        case list():
            return [masked(item) for item in document]
        case _:
            return document


def _mask(value: Any) -> Any:
    match value:
        case None | "" | bool():
            return value
        case list():
            # How many there are says nothing of them; credentials are shown by their marks alone.
            return [masked(item) if isinstance(item, Mapping) else MASKED for item in value]
        case Mapping():
            return masked(value)
        case _:
            return MASKED
