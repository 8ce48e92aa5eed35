"""What the demo upstream gives out as proof of its reasoning, and knows again when it comes back. Pure.

A seal says what kind of thing it belongs to and has a digest of that thing's text, both under a keyed hash: nobody
else can make one, an altered character shows, and nothing has to be kept.
"""

import base64
import binascii
import hashlib
import hmac

_KEY = b"the demo upstream of Trunkline"
_DIGEST_BYTES = 16
_TO_STANDARD = str.maketrans("-_", "+/")


def seal(kind: str, text: str) -> str:
    """Return the seal of a text, in base64."""
    body = kind.encode() + b":" + hashlib.sha256(text.encode()).digest()[:_DIGEST_BYTES]
    return base64.b64encode(_mac(body) + body).decode()


def known(seal_text: str) -> str:
    """Return the kind of a seal, or an empty string if it was not made here."""
    whole = _decoded(seal_text)
    mac, body = whole[:_DIGEST_BYTES], whole[_DIGEST_BYTES:]
    if not hmac.compare_digest(mac, _mac(body)):
        return ""
    return body[: -_DIGEST_BYTES - 1].decode(errors="replace")


def matches(seal_text: str, kind: str, text: str) -> bool:
    """Return whether it is the seal of a text, in either alphabet of base64: Google's SDK turns one into the other."""
    return hmac.compare_digest(_decoded(seal_text), _decoded(seal(kind, text)))


def _decoded(seal_text: str) -> bytes:
    try:
        return base64.b64decode(seal_text.translate(_TO_STANDARD), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _mac(body: bytes) -> bytes:
    return hmac.digest(_KEY, body, "sha256")[:_DIGEST_BYTES]
