"""Whose request is it? Finds the client's key, and counts the wrong ones by address (`policy.failed_keys`).

A key that this edge knows, or has known, is never kept waiting, whoever else fails behind the same address. Past the
bound no other key of that address is looked up, right or wrong: an answer would tell them apart.
"""

import math
from collections.abc import Awaitable

import structlog

from services.edge.credentials import NO_KEY, find_secret, likely_secret
from services.edge.key_ring import KeyRing
from services.edge.metrics import EdgeMetrics
from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.policy.addresses import block_of
from trunkline.policy.failed_keys import FailedKeys
from trunkline.policy.keys import CompiledKey
from trunkline.runtime.http_exchange import Request

log = structlog.get_logger()

LOGGED_EVERY_S = 1.0
"""An address that comes over the bound is logged, but of many at once only one in this time."""

_TOO_MANY = "Too many wrong API keys have come from your address. Check the key, and try again later."


class Identification:
    """Finds keys.

    Args:
        keys: looks them up.
        per_minute: see the setting.
        clock, metrics: of the process.
    """

    def __init__(self, keys: KeyRing, per_minute: int, *, clock: Clock, metrics: EdgeMetrics) -> None:
        self._keys = keys
        self._failed = FailedKeys(per_minute)
        self._clock = clock
        self._counted = {why: metrics.failed_keys.labels(why) for why in ("malformed", "unknown", "limited")}
        self._logged_at = -math.inf
        self._unlogged = 0

    @property
    def addresses(self) -> int:
        """Addresses whose failures are remembered."""
        return len(self._failed)

    def identify(self, request: Request, dialect: str) -> CompiledKey | Awaitable[CompiledKey]:
        """Return the key of a request, at once if it is known here.

        Args:
            request: of the client.
            dialect: name of the route's; empty if it has none.

        Raises:
            FaultError: there is none, it is wrong, or too many were; the awaitable raises it, too.
        """
        likely = likely_secret(request, dialect)
        if likely and (key := self._keys.known(likely)) is not None:
            return key
        try:
            secret = find_secret(request, dialect)
        except FaultError as error:
            if error.fault is not NO_KEY:
                self._refuse_if_limited(request.peer)
                self._fail(request.peer, "malformed")
            raise
        key = self._keys.cached(secret)
        if key is None:
            self._refuse_if_limited(request.peer, secret)
            return self._look_up(request.peer, secret)
        return key

    async def _look_up(self, address: str, secret: str) -> CompiledKey:
        try:
            return await self._keys.find(secret)
        except FaultError as error:
            if error.fault.type is ErrorType.CLIENT_UNAUTHENTICATED:
                self._fail(address, "unknown")
            raise

    def _refuse_if_limited(self, address: str, secret: str = "") -> None:
        wait_s = self._failed.wait_s(address, self._clock.now())
        if wait_s and not (secret and self._keys.has_seen(secret)):
            self._counted["limited"].inc()
            raise FaultError(Fault(ErrorType.POLICY_RATE_LIMITED, _TOO_MANY, retry_after_ms=math.ceil(wait_s * 1000)))

    def _fail(self, address: str, why: str) -> None:
        self._counted[why].inc()
        now = self._clock.now()
        if not self._failed.fail(address, now):
            return
        if now - self._logged_at < LOGGED_EVERY_S:
            self._unlogged += 1
            return
        log.warning("failed_keys_limited", address=block_of(address), others=self._unlogged)
        self._logged_at, self._unlogged = now, 0
