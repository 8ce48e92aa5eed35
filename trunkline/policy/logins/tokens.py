"""Secrets that are stored as keyed hashes, and texts that the console signs for itself: a domain for each use."""

import base64
import hashlib
import hmac
import re
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

TOKEN_BYTES: Final = 32
"""Of randomness in a cookie or link: no guess finds one."""

SIGNED_CHARS_MAX: Final = 4096
"""Of a signed text: what browsers keep of one cookie."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)

S = TypeVar("S", bound=msgspec.Struct)


class Domain(StrEnum):
    """What a keyed hash is of: the same text hashes to another value in each."""

    SESSION = "session"
    LINK = "link"
    RECOVERY = "recovery"
    GUESS = "guess"
    SECOND_FACTOR = "second-factor"
    ELSEWHERE = "elsewhere"
    STATE = "state"


def token(numbers: bytes) -> str:
    """Return `TOKEN_BYTES` of fresh randomness as text for cookies and URLs."""
    if len(numbers) != TOKEN_BYTES:
        raise ValueError(f"a token is made of {TOKEN_BYTES} bytes")
    return _text(numbers)


def well_formed(presented: str) -> bool:
    """Return whether a text can be a token, so that others cost no look-up."""
    return _TOKEN.fullmatch(presented) is not None


def keyed_hash(domain: Domain, text: str, pepper: bytes) -> bytes:
    """Return what a secret is stored as: HMAC-SHA-256."""
    return hmac.digest(pepper, f"login:{domain.value}:{text}".encode("utf-8", "surrogatepass"), hashlib.sha256)


def csrf_token(session_hash: bytes, pepper: bytes) -> str:
    """Return what changes of a session must carry in a header: made of its hash, it need not be stored."""
    return _text(hmac.digest(pepper, session_hash + b"csrf", hashlib.sha256))


def signed(domain: Domain, content: msgspec.Struct, pepper: bytes, *, bound_to: str = "") -> str:
    """Return a struct as a text that only we can make. It can be read by whoever has it.

    Args:
        domain: what it is for.
        content: see there.
        pepper: of the console.
        bound_to: what must be the same when it is opened, and does not stand in it.
    """
    body = _text(msgspec.json.encode(content))
    return f"{body}.{_text(keyed_hash(domain, f'{bound_to}:{body}', pepper))}"


def opened(domain: Domain, text: str, wanted: type[S], pepper: bytes, *, bound_to: str = "") -> S | None:
    """Return what `signed` made a text of; None for any other text."""
    body, dot, mark = text.partition(".")
    if not dot or len(text) > SIGNED_CHARS_MAX or not text.isascii():
        return None
    right = _text(keyed_hash(domain, f"{bound_to}:{body}", pepper))
    if not hmac.compare_digest(mark.encode(), right.encode()):
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=wanted)
    except (ValueError, msgspec.MsgspecError):
        return None


def peeked(text: str, wanted: type[S]) -> S | None:
    """Return what a text that `signed` may have made says, without any proof of it; None if it says nothing."""
    body, _, _ = text.partition(".")
    if len(text) > SIGNED_CHARS_MAX or not text.isascii():
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=wanted)
    except (ValueError, msgspec.MsgspecError):
        return None


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
