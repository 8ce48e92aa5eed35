"""Base64 and data URLs, as clients and providers really write them (DIALECTS section 2.2)."""

import base64
import binascii
from urllib.parse import unquote_to_bytes

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_SPACE = b" \t\r\n\x0b\x0c"
_HEAD_CHARS = 32


def standard_base64(text: str) -> str:
    """Return base64 in the standard alphabet, padded, without white space.

    Raises:
        ValueError: it is no base64.
    """
    source = text.encode("ascii")
    odd = source.rstrip(b"=").translate(None, _ALPHABET)
    if odd:
        source = source.translate(_TO_STANDARD, _SPACE)
        if source.rstrip(b"=").translate(None, _ALPHABET):
            raise ValueError("not base64")
    core = source.rstrip(b"=")
    if len(core) % 4 == 1:
        raise ValueError("not base64")
    padded = core + b"=" * (-len(core) % 4)
    return text if padded == source and not odd else padded.decode("ascii")


def read_data_url(url: str) -> tuple[str, str]:
    """Return the media type (empty if it is not said) and the base64 of a data URL.

    Its parameters are dropped; one without ``;base64`` is encoded.

    Raises:
        ValueError: it is no data URL, or its data is broken.
    """
    if url[:5].lower() != "data:":
        raise ValueError("not a data URL")
    head, comma, data = url[5:].partition(",")
    if not comma:
        raise ValueError("a data URL without data")
    media_type, *parameters = head.split(";")
    if any(parameter.strip().lower() == "base64" for parameter in parameters):
        return media_type.strip().lower(), standard_base64(data)
    return media_type.strip().lower(), base64.b64encode(unquote_to_bytes(data)).decode("ascii")


def sniffed_type(data: str) -> str:
    """Return the media type that the first bytes say, where they do; clients mislabel images. Empty if they do not.

    Args:
        data: base64.
    """
    try:
        head = base64.b64decode(data[:_HEAD_CHARS])
    except (binascii.Error, ValueError):
        return ""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"%PDF-"):
        return "application/pdf"
    if head[4:8] == b"ftyp" and head[8:12] in {b"heic", b"heix", b"mif1", b"msf1", b"heim", b"hevc"}:
        return "image/heic"
    return "image/avif" if head[4:12] == b"ftypavif" else ""
