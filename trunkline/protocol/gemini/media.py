"""Bytes in base64: what alphabet they come in, and what they are (DIALECTS section 2.2)."""

import base64
import re
from urllib.parse import urlsplit

_SPACE = re.compile(r"[ \t\r\n]")

_IMAGE_BEGINNINGS = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
)
"""How the signatures of the common forms look in base64."""

_TYPES_BY_ENDING = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "csv": "text/csv",
}

PDF = "application/pdf"
PLAIN_TEXT = "text/plain"

FILES_HOST = "generativelanguage.googleapis.com"
"""Where files stand that were uploaded to the Gemini API."""

VIDEO_HOSTS = frozenset({"www.youtube.com", "youtube.com", "m.youtube.com", "youtu.be"})


def standard_base64(data: str) -> str:
    """Return base64 in the standard alphabet, without white space and with its padding."""
    if "-" in data or "_" in data:
        # Google's own SDK writes the URL-safe alphabet.
        data = data.replace("-", "+").replace("_", "/")
    if _SPACE.search(data) is not None:
        data = _SPACE.sub("", data)
    return data + "=" * (-len(data) % 4)


def image_type(data: str, declared: str) -> str:
    """Return an image's media type: what its bytes say, as clients mislabel, else what was declared."""
    for beginning, media_type in _IMAGE_BEGINNINGS:
        if data.startswith(beginning):
            return media_type
    return declared


def type_of_url(url: str) -> str:
    """Return the media type that a URL's ending tells; empty if it tells none."""
    path = url.partition("?")[0].partition("#")[0]
    return _TYPES_BY_ENDING.get(path.rpartition(".")[2].lower(), "")


def only_google_opens(uri: str) -> bool:
    """Return whether a file's URI means nothing to anybody else."""
    try:
        host = urlsplit(uri).hostname
    except ValueError:
        return False
    return host == FILES_HOST or host in VIDEO_HOSTS


def base64_of(text: str) -> str:
    """Return a text as base64 of its UTF-8."""
    return base64.b64encode(text.encode(errors="replace")).decode()
