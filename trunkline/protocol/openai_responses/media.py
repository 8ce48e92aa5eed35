"""Pictures and documents as this dialect holds them: in data URLs. Used by the request's reader and writer."""

import base64
import binascii
import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from trunkline.protocol.base64_text import text_of

_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
)
"""How bytes begin, by their type: clients mislabel their files (DIALECTS section 2.2)."""

_MAGIC_BASE64_CHARS = 16
"""Enough for the 12 bytes that tell WebP from other RIFF files."""

_EXTENSIONS = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "json": "application/json",
    "html": "text/html",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
_NAMES = {kind: f"document.{extension}" for extension, kind in _EXTENSIONS.items()}

_URLSAFE = str.maketrans("-_", "+/")
_WHITE_SPACE = re.compile(r"\s+")


class Media(NamedTuple):
    """Bytes and what they are.

    Attributes:
        media_type: such as ``image/png``; empty if nobody says.
        data: base64 in the standard alphabet, without white space.
    """

    media_type: str
    data: str


def read_data_url(url: str) -> Media | None:
    """Return what a data URL holds, or None if it is none.

    Parameters such as a character set may stand in it, and it need not be base64 (RFC 2397).
    """
    if url[:5].lower() != "data:":
        return None
    head, comma, data = url[5:].partition(",")
    if not comma:
        return None
    kind, *parameters = head.split(";")
    if any(parameter.strip().lower() == "base64" for parameter in parameters):
        return read_base64(data, kind.strip().lower())
    return Media(kind.strip().lower() or "text/plain", base64.b64encode(unquote_to_bytes(data)).decode())


def read_base64(data: str, media_type: str) -> Media:
    """Return base64 in its standard form, with the type that its bytes say, else ``media_type``."""
    if "-" in data or "_" in data:
        data = data.translate(_URLSAFE)
    if _WHITE_SPACE.search(data) is not None:
        data = _WHITE_SPACE.sub("", data)
    if len(data) % 4:
        data = data.rstrip("=")
        data += "=" * (-len(data) % 4)
    return Media(_type_by_bytes(data) or media_type, data)


def _type_by_bytes(data: str) -> str:
    """Return the media type that base64's first bytes say; empty if they say none."""
    try:
        start = base64.b64decode(data[:_MAGIC_BASE64_CHARS])
    except (binascii.Error, ValueError):
        return ""
    if start.startswith(b"RIFF") and start[8:] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _MAGIC if start.startswith(magic)), "")


def plain_text(media: Media) -> str | None:
    """Return the text of a plain text file, or None if it is none, or not in UTF-8."""
    return text_of(media.data) if media.media_type == "text/plain" else None


def data_url(media_type: str, data: str) -> str:
    """Return a data URL for base64."""
    return f"data:{media_type};base64,{data}"


def type_by_name(name: str) -> str:
    """Return the media type that a file's name says; empty if it says none."""
    return _EXTENSIONS.get(name.rpartition(".")[2].lower(), "")


def name_by_type(media_type: str) -> str:
    """Return a name for a file that has none: OpenAI asks for one beside the data."""
    return _NAMES.get(media_type, "document")
