"""API keys: their form, their hash, and what a key's policy allows. Pure.

A key is ``sk-tl-``, 32 random base62 characters, and the CRC-32 of those 32 as six base62 digits, most
significant first. A mistyped key is refused by its checksum, without a look-up.
"""

import hashlib
import hmac
import re
import zlib

from trunkline.bus.snapshots import KeyPolicy
from trunkline.core.errors import ErrorType, Fault
from trunkline.policy.addresses import parse_address, parse_networks, within
from trunkline.policy.patterns import matcher

PREFIX = "sk-tl-"
RANDOM_CHARS = 32
CRC_CHARS = 6
KEY_CHARS = len(PREFIX) + RANDOM_CHARS + CRC_CHARS
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_FORM = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{RANDOM_CHARS + CRC_CHARS}}}", re.ASCII)


def checksum(body: str) -> str:
    """Return the six base62 digits of the CRC-32 of a key's 32 random characters."""
    value = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CRC_CHARS):
        value, digit = divmod(value, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def mint(numbers: bytes) -> str:
    """Return a new key.

    Args:
        numbers: fresh randomness; bytes of 248 and more are skipped to keep the draw uniform, so pass plenty
            (64 bytes fall short about once in 10¹⁹ draws).

    Raises:
        ValueError: too few usable bytes.
    """
    usable = [ALPHABET[number % len(ALPHABET)] for number in numbers if number < 248]
    if len(usable) < RANDOM_CHARS:
        raise ValueError("not enough randomness for a key")
    body = "".join(usable[:RANDOM_CHARS])
    return PREFIX + body + checksum(body)


def well_formed(secret: str) -> bool:
    """Return whether a text has a key's form and its checksum is right."""
    if _FORM.fullmatch(secret) is None:
        return False
    body = secret[len(PREFIX) : len(PREFIX) + RANDOM_CHARS]
    return secret.endswith(checksum(body))


def key_hash(secret: str, pepper: bytes) -> str:
    """Return the name under which a key's policy is stored: HMAC-SHA-256 in hex.

    Keyed, so that a stolen table of hashes is of no use, and of the whole key, never of a prefix.
    """
    return hmac.digest(pepper, secret.encode(), hashlib.sha256).hex()


class CompiledKey:
    """A key's policy made ready for many requests: patterns taken apart, networks parsed.

    Args:
        policy: as it stands in the snapshot.
    """

    __slots__ = ("_any_model", "_matches_model", "_networks", "policy")

    def __init__(self, policy: KeyPolicy) -> None:
        self.policy = policy
        self._any_model = "*" in policy.models
        self._matches_model = matcher(policy.models)
        self._networks = parse_networks(policy.allow_ips)

    def refusal(self, now_ms: int, client_ip: str) -> Fault | None:
        """Return why this key may not be used now from there, or None."""
        policy = self.policy
        if policy.blocked:
            return Fault(ErrorType.POLICY_KEY_BLOCKED, "This API key is blocked. Ask the account's administrator.")
        if policy.expires_ms is not None and now_ms >= policy.expires_ms:
            return Fault(ErrorType.CLIENT_UNAUTHENTICATED, "This API key has expired. Create a new one.")
        if self._networks and not self._from_allowed_network(client_ip):
            return Fault(
                ErrorType.POLICY_KEY_BLOCKED,
                "This API key may not be used from your IP address. Ask the account's administrator.",
            )
        return None

    def _from_allowed_network(self, client_ip: str) -> bool:
        address = parse_address(client_ip)
        return address is not None and within(address, self._networks)

    def endpoint_refusal(self, endpoint: str) -> Fault | None:
        """Return why this key may not call an endpoint, by its label, or None."""
        allowed = self.policy.endpoints
        if not allowed or endpoint in allowed:
            return None
        return Fault(
            ErrorType.POLICY_ENDPOINT_NOT_ALLOWED,
            f"This API key may not call {endpoint}; it may call {', '.join(allowed)}, and list models. "
            "Ask the account's administrator.",
        )

    def allows_model(self, model: str) -> bool:
        """Return whether the key may name this model."""
        return self._any_model or self._matches_model(model)
