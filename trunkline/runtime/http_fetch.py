"""Fetches a URL that a stranger named, by the rules of `policy.fetching`.

With the gateway's own HTTP client, which has no redirects, cookies, proxies, compression or second look-up of a name
that would have to be switched off (docs/adr/0007). Called by the dispatcher.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from trunkline.core import limits
from trunkline.policy.fetching import (
    Fetched,
    FetchError,
    FetchResult,
    FetchRules,
    FetchTarget,
    Reception,
    check_addresses,
    parse_url,
    redirected,
    request_head,
)
from trunkline.runtime.http_client import ClientConnection, Endpoint, HTTPClientError, HTTPClientPool

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Returns the addresses of a host, for a port. Raises OSError or UnicodeError where there are none."""


class SystemResolver:
    """Looks names up as the system does, in threads of its own.

    The event loop's threads are for the names of providers: whoever has URLs fetched could block them all with names
    whose servers do not answer.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(limits.FETCH_LOOKUPS_MAX, thread_name_prefix="fetch_lookup")

    async def __call__(self, host: str, port: int) -> list[str]:
        """See `Resolve`."""
        found = await asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port)
        return list(dict.fromkeys(found))

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class HTTPFetcher:
    """Fetches.

    Args:
        pool: opens connections, which it never keeps.
        rules: of the operator.
        resolve: see there.
        agent: the gateway's name.
        timeout_s: for all of one URL.
    """

    def __init__(
        self,
        pool: HTTPClientPool,
        rules: FetchRules,
        resolve: Resolve,
        *,
        agent: str,
        timeout_s: float = limits.FETCH_TIMEOUT_S,
    ) -> None:
        self._pool = pool
        self._rules = rules
        self._resolve = resolve
        self._agent = agent
        self._timeout_s = timeout_s

    async def fetch(self, url: str, accepts: frozenset[str], take: Callable[[int], None]) -> Fetched:
        """Return what a URL leads to.

        Args:
            url: of the client.
            accepts: media types.
            take: called with the size of each piece that comes; raises `FetchError` when there is no room for it.

        Raises:
            FetchError: anything that keeps us from having it.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                target = parse_url(url, self._rules)
                for _ in range(1 + limits.FETCH_REDIRECTS_MAX):
                    reception = Reception(accepts, take)
                    await self._exchange(target, reception)
                    if reception.location is None:
                        return reception.finish()
                    target = redirected(target, reception.location, self._rules)
        except TimeoutError:
            raise FetchError(FetchResult.TIMEOUT) from None
        raise FetchError(FetchResult.REDIRECTS)

    async def _exchange(self, target: FetchTarget, reception: Reception) -> None:
        addresses = await look_up(target, self._rules, self._resolve)
        connection = await connect(self._pool, target, addresses)
        receiver = _Receiver(reception)
        try:
            connection.send(request_head(target, self._agent), receiver)
            error = await receiver.ended
        finally:
            connection.cancel()
        if error is not None:
            raise error


async def look_up(target: FetchTarget, rules: FetchRules, resolve: Resolve) -> list[str]:
    """Return the addresses of a target's host, all of which may be connected to.

    Raises:
        FetchError: there are none, or one may not.
    """
    try:
        addresses = await resolve(target.host, target.port)
    except (OSError, UnicodeError):
        raise FetchError(FetchResult.UNRESOLVED) from None
    check_addresses(addresses, rules)
    return addresses


async def connect(pool: HTTPClientPool, target: FetchTarget, addresses: list[str]) -> ClientConnection:
    """Return a connection to one of the very addresses that were checked: none is looked up again.

    Raises:
        FetchError: none of them can be reached.
    """
    endpoint = Endpoint(target.host, target.port, target.tls)
    for address in addresses[: limits.FETCH_ADDRESSES_MAX]:
        try:
            return await pool.connect(endpoint, limits.FETCH_CONNECT_TIMEOUT_S, address=address)
        except HTTPClientError:
            continue
    raise FetchError(FetchResult.UNREACHABLE)


class _Receiver:
    """Hands an answer to its `Reception`; see `runtime.http_client.AnswerReceiver`.

    Attributes:
        ended: what kept it from being taken; None for nothing.
    """

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self.ended: asyncio.Future[FetchError | None] = asyncio.get_running_loop().create_future()

    def on_head(self, status: int, headers: dict[str, str]) -> None:
        """See `AnswerReceiver`."""
        try:
            self._reception.receive_head(status, headers)
        except FetchError as error:
            self._end(error)
        if self._reception.location is not None:
            self._end(None)  # the rest of it says nothing

    def on_body(self, data: bytes) -> None:
        """See `AnswerReceiver`."""
        if self.ended.done():
            return
        try:
            self._reception.receive_body(data)
        except FetchError as error:
            self._end(error)

    def on_end(self) -> None:
        """See `AnswerReceiver`."""
        self._end(None)

    def on_error(self, _error: HTTPClientError) -> None:
        """See `AnswerReceiver`."""
        self._end(FetchError(FetchResult.UNREACHABLE))

    def _end(self, error: FetchError | None) -> None:
        if not self.ended.done():
            self.ended.set_result(error)
