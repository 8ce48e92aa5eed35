"""Upstream secrets at rest: AES-256-GCM under a versioned master key.

The credential's id is authenticated with the ciphertext, so that one credential's bytes cannot be put in
another's place. The console seals the secrets of authenticator apps, too. Randomness is an argument.
"""

import base64
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trunkline.bus.snapshots import SealedCredential

NONCE_BYTES = 12
KEY_BYTES = 32


class Sealed(NamedTuple):
    """An encrypted secret: the version of its master key, its nonce, and the ciphertext."""

    master: int
    nonce: bytes
    ciphertext: bytes


class VaultError(Exception):
    """A secret cannot be opened: its master key is not here, or the bytes were altered."""


class Vault:
    """Seals and opens credentials.

    Args:
        masters: version to key, 32 bytes each; the highest version seals.
    """

    def __init__(self, masters: dict[int, bytes]) -> None:
        if not masters or any(len(key) != KEY_BYTES for key in masters.values()):
            raise ValueError(f"master keys must be {KEY_BYTES} bytes each, and at least one")
        self._ciphers = {version: AESGCM(key) for version, key in masters.items()}
        self._current = max(masters)

    @property
    def versions(self) -> tuple[int, ...]:
        """Versions of the master keys that are here."""
        return tuple(sorted(self._ciphers))

    @property
    def newest(self) -> int:
        """Version of the master key that seals."""
        return self._current

    def seal(self, credential: int, secret: str, nonce: bytes) -> SealedCredential:
        """Encrypt a secret. ``nonce`` is `NONCE_BYTES` of fresh randomness."""
        return SealedCredential(credential, *self.seal_for(str(credential), secret, nonce))

    def open(self, sealed: SealedCredential) -> str:
        """Decrypt a secret.

        Raises:
            VaultError: see there.
        """
        return self._open(
            f"credential {sealed.id}", str(sealed.id), Sealed(sealed.master, sealed.nonce, sealed.ciphertext)
        )

    def seal_for(self, owner: str, secret: str, nonce: bytes) -> Sealed:
        """Encrypt the secret of something else; ``owner`` is authenticated with it, and is no mere number."""
        return Sealed(
            self._current, nonce, self._ciphers[self._current].encrypt(nonce, secret.encode(), owner.encode())
        )

    def open_for(self, owner: str, sealed: Sealed) -> str:
        """Decrypt what `seal_for` has sealed for the same owner.

        Raises:
            VaultError: see there.
        """
        return self._open(f"the secret of {owner}", owner, sealed)

    def _open(self, what: str, owner: str, sealed: Sealed) -> str:
        cipher = self._ciphers.get(sealed.master)
        if cipher is None:
            raise VaultError(
                f"{what} is sealed with master key {sealed.master}, which is not in TRUNKLINE_MASTER_KEYS here"
            )
        try:
            return cipher.decrypt(sealed.nonce, sealed.ciphertext, owner.encode()).decode()
        except InvalidTag as error:
            raise VaultError(f"{what} does not open with master key {sealed.master}") from error


def parse_masters(text: str) -> dict[int, bytes]:
    """Read ``1:BASE64,2:BASE64`` as master keys by version.

    Raises:
        ValueError: says what is wrong without quoting a key.
    """
    masters: dict[int, bytes] = {}
    for part in text.split(","):
        version, colon, encoded = part.strip().partition(":")
        if not colon or not version.isdigit():
            raise ValueError("each master key is VERSION:BASE64")
        try:
            key = base64.b64decode(encoded, validate=True)
        except ValueError as error:
            raise ValueError(f"master key {version} is not base64") from error
        if len(key) != KEY_BYTES:
            raise ValueError(f"master key {version} has {len(key)} bytes, {KEY_BYTES} are needed")
        masters[int(version)] = key
    return masters


def check_masters(text: str) -> str | None:
    """Return what is wrong with a setting of master keys, or None; for settings declarations."""
    try:
        parse_masters(text)
    except ValueError as error:
        return f"is wrong: {error}"
    return None
