"""The OpenID provider, as the console asks it: its metadata and keys are kept for a while.

The metadata says where else to ask, so all connections are judged as those to channels are (`runtime.upstream_guard`).
"""

import asyncio
import base64
from typing import Final

import msgspec
from joserfc.jwk import KeySet

from trunkline.core.clock import Clock
from trunkline.policy.logins import oidc
from trunkline.policy.logins.oidc import (
    DOCUMENT_BYTES_MAX,
    Attempt,
    Client,
    Identified,
    Metadata,
    OIDCError,
    authorization_url,
    identified,
    metadata_url,
    read_keys,
    read_metadata,
    token_request,
)
from trunkline.runtime.http_call import CallError, call
from trunkline.runtime.http_client import HTTPClientPool

METADATA_KEPT_S: Final = 3600
"""Providers move their endpoints once in years."""

KEYS_KEPT_S: Final = 3600
"""A key that a provider has withdrawn is believed for as long."""

KEYS_AGAIN_S: Final = 60
"""How often keys are asked for because a token names one that is not known: anybody can write such a token."""

TIMEOUT_S: Final = 10.0
"""One answer of the provider."""


class _Header(msgspec.Struct):
    kid: str = ""


class Provider:
    """One OpenID provider.

    Args:
        issuer: names it.
        client: what it knows the console as.
        pool: opens connections to it, guarded.
        clock: of the process.
    """

    def __init__(self, issuer: str, client: Client, pool: HTTPClientPool, clock: Clock) -> None:
        self._issuer = issuer
        self._client = client
        self._pool = pool
        self._clock = clock
        self._asking = asyncio.Lock()
        self._metadata: Metadata | None = None
        self._metadata_until = 0.0
        self._keys: KeySet | None = None
        self._keys_at = 0.0

    async def authorization_url(self, attempt: Attempt) -> str:
        """Return where the browser is to go.

        Raises:
            OIDCError: the provider cannot be asked.
        """
        return authorization_url(await self._described(), self._client, attempt)

    async def identify(self, attempt: Attempt, code: str) -> Identified:
        """Return who has come back with a code.

        Raises:
            OIDCError: nobody who is to be believed.
        """
        metadata = await self._described()
        headers, body = token_request(metadata, self._client, attempt, code)
        id_token = oidc.read_token_answer(await self._ask("POST", metadata.token_endpoint, headers, body))
        keys = await self._keys_for(metadata, id_token)
        now_s = self._clock.wall_ms() // 1000
        return identified(id_token, keys, metadata=metadata, client=self._client, nonce=attempt.nonce, now_s=now_s)

    async def _described(self) -> Metadata:
        async with self._asking:
            if self._metadata is None or self._clock.now() >= self._metadata_until:
                document = await self._ask("GET", metadata_url(self._issuer))
                self._metadata = read_metadata(document, self._issuer)
                self._metadata_until = self._clock.now() + METADATA_KEPT_S
            return self._metadata

    async def _keys_for(self, metadata: Metadata, id_token: str) -> KeySet:
        async with self._asking:
            age_s = self._clock.now() - self._keys_at
            unknown = self._keys is not None and not _names_known(id_token, self._keys)
            if self._keys is None or age_s >= KEYS_KEPT_S or (unknown and age_s >= KEYS_AGAIN_S):
                self._keys = read_keys(await self._ask("GET", metadata.jwks_uri))
                self._keys_at = self._clock.now()
            return self._keys

    async def _ask(self, method: str, url: str, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
        try:
            answered = await call(
                self._pool,
                method,
                url,
                headers or {"accept": "application/json"},
                body,
                bytes_max=DOCUMENT_BYTES_MAX,
                timeout_s=TIMEOUT_S,
            )
        except CallError as error:
            raise OIDCError(f"the provider cannot be asked: {error}") from error
        if answered.status != 200:
            raise OIDCError(f"the provider answered {answered.status}")
        return answered.body


def _names_known(id_token: str, keys: KeySet) -> bool:
    """Return whether the key that a token names is among those that are known. What cannot be read names none."""
    head = id_token.partition(".")[0]
    try:
        header = msgspec.json.decode(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)), type=_Header)
    except (ValueError, msgspec.MsgspecError):
        return True
    return not header.kid or any(key.kid == header.kid for key in keys)
