"""Images and files as they stand in requests: base64 that is clean, and a type that is true.

Called by the request's reader and writer.
"""

import base64
import binascii

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""What Anthropic reads (DIALECTS section 2.2)."""

_URL_SAFE = str.maketrans("-_", "+/", " \t\r\n")
_UNCLEAN = (" ", "\t", "\r", "\n", "-", "_")

_HEAD_CHARS = 24
"""Base64 of the first bytes, enough to tell a type by."""

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)


def clean_base64(data: str) -> str:
    """Return base64 in the standard alphabet and without white space, the very same object where it is so already."""
    if any(character in data for character in _UNCLEAN):
        data = data.translate(_URL_SAFE)
    missing = -len(data) % 4
    return data + "=" * missing if missing in {1, 2} else data


def true_type(data: str, claimed: str) -> str:
    """Return the media type that the bytes show, as clients mislabel; ``claimed`` where they show none.

    Args:
        data: clean base64.
        claimed: by the client.
    """
    try:
        head = base64.b64decode(data[:_HEAD_CHARS])
    except (binascii.Error, ValueError):
        return claimed
    for magic, media_type in _MAGIC:
        if head.startswith(magic):
            return media_type
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    return claimed.partition(";")[0].strip().lower()
