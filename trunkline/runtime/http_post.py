"""Posts to a URL that a stranger named, by the address rules of `policy.fetching`: webhooks of alerts.

Only the status of the answer is looked at, redirects are not followed, and the connection is closed. Called by the
console.
"""

import asyncio
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final

from trunkline.policy.fetching import FetchError, FetchResult, FetchRules, FetchTarget, parse_url
from trunkline.runtime.http_client import HTTPClientError, HTTPClientPool
from trunkline.runtime.http_fetch import Resolve, connect, look_up

POST_TIMEOUT_S: Final = 10.0
"""From the look-up of the name to the answer's head. Whoever has more to do than to store what came does it later."""


class HTTPPoster:
    """Posts.

    Args:
        pool: opens connections, which it never keeps.
        rules: of the operator. To networks that they allow plain http may go, too.
        resolve: see `runtime.http_fetch`.
        agent: the gateway's name.
        timeout_s: for all of one request.
    """

    def __init__(
        self,
        pool: HTTPClientPool,
        rules: FetchRules,
        resolve: Resolve,
        *,
        agent: str,
        timeout_s: float = POST_TIMEOUT_S,
    ) -> None:
        self._pool = pool
        self._rules = rules
        self._resolve = resolve
        self._agent = agent
        self._timeout_s = timeout_s

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Send a JSON body and return the status of the answer.

        Args:
            url: where.
            headers: beside those that every request has; ASCII without line ends.
            body: JSON.

        Raises:
            FetchError: anything that keeps us from having an answer.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                target = parse_url(url, self._rules)
                addresses = await look_up(target, self._rules, self._resolve)
                if not target.tls and not self._allows_plain(addresses):
                    raise FetchError(FetchResult.BAD_URL)
                connection = await connect(self._pool, target, addresses)
                receiver = _StatusReceiver()
                try:
                    connection.send(self._request(target, headers, body), receiver)
                    return await receiver.status
                finally:
                    connection.cancel()
        except TimeoutError:
            raise FetchError(FetchResult.TIMEOUT) from None
        except HTTPClientError:
            raise FetchError(FetchResult.UNREACHABLE) from None

    def _allows_plain(self, addresses: list[str]) -> bool:
        return all(any(ip_address(address) in network for network in self._rules.networks) for address in addresses)

    def _request(self, target: FetchTarget, headers: Mapping[str, str], body: bytes) -> bytes:
        fields = {
            "host": target.authority,
            "user-agent": self._agent,
            "content-type": "application/json",
            "content-length": str(len(body)),
            "connection": "close",
            **headers,
        }
        head = f"POST {target.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"{head}\r\n".encode("ascii") + body


class _StatusReceiver:
    """Takes the status of an answer; see `runtime.http_client.AnswerReceiver`.

    Attributes:
        status: of the answer.
    """

    def __init__(self) -> None:
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def on_head(self, status: int, _headers: dict[str, str]) -> None:
        """See `AnswerReceiver`."""
        if not self.status.done():
            self.status.set_result(status)

    def on_body(self, data: bytes) -> None:
        """See `AnswerReceiver`."""

    def on_end(self) -> None:
        """See `AnswerReceiver`."""

    def on_error(self, error: HTTPClientError) -> None:
        """See `AnswerReceiver`."""
        if not self.status.done():
            self.status.set_exception(error)
