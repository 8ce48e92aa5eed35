"""Sends a probe over HTTP. Called by health for its own, and by the console for those that an operator asks for.

With the client that dispatchers use, and so under the same guard of addresses (`runtime.upstream_guard`). Redirects are
never followed: a credential goes to no host but the configured one. There are no cookies, proxies or compression.
"""

import asyncio

from trunkline.policy.probe_call import ProbeAnswer, ProbeCall
from trunkline.policy.probing import ProbeResult
from trunkline.runtime.http_client import (
    ClientConnection,
    Endpoint,
    HTTPClientError,
    HTTPClientPool,
    NotAllowedError,
    Target,
    parse_target,
)


class ProbeFailedError(Exception):
    """No answer came.

    Attributes:
        result: what that says.
    """

    def __init__(self, result: ProbeResult) -> None:
        super().__init__(result.value)
        self.result = result


async def send_probe(pool: HTTPClientPool, call: ProbeCall, *, timeout_s: float, bytes_max: int) -> ProbeAnswer:
    """Return what an upstream answers.

    Args:
        pool: of connections to upstreams, with their guard.
        call: what to send.
        timeout_s: for all of it.
        bytes_max: what is read of the body at the most, but for the last piece.

    Raises:
        ProbeFailedError: no answer came.
    """
    try:
        target = parse_target(call.url)
        wire = _request(call, target)
    except ValueError:
        # A secret or an address that cannot be put into an HTTP request; its text may have the secret in it.
        raise ProbeFailedError(ProbeResult.UNUSABLE) from None
    try:
        async with asyncio.timeout(timeout_s):
            kept = pool.take_idle(target.endpoint)
            if kept is not None:
                try:
                    return await _exchange(kept, wire, bytes_max)
                except HTTPClientError as error:
                    if not error.unused:
                        raise
                    # The server had closed it meanwhile, which says nothing of the server.
            return await _exchange(await pool.connect(target.endpoint, timeout_s), wire, bytes_max)
    except TimeoutError:
        raise ProbeFailedError(ProbeResult.TIMEOUT) from None
    except HTTPClientError as error:
        raise ProbeFailedError(_meaning(error)) from None


async def open_only(pool: HTTPClientPool, url: str, *, timeout_s: float) -> None:
    """Open a connection and close it again.

    Args:
        pool: as for `send_probe`.
        url: where.
        timeout_s: for it.

    Raises:
        ProbeFailedError: none could be made.
    """
    try:
        endpoint = parse_target(url).endpoint
    except ValueError:
        raise ProbeFailedError(ProbeResult.UNUSABLE) from None
    try:
        # Without TLS: whether somebody is there is what is asked.
        connection = await pool.connect(Endpoint(endpoint.host, endpoint.port, tls=False), timeout_s)
    except HTTPClientError as error:
        raise ProbeFailedError(_meaning(error)) from None
    connection.close()


def _request(call: ProbeCall, target: Target) -> bytes:
    """Return a request.

    Raises:
        ValueError: a header field, or the path, cannot be sent.
    """
    fields = {"host": target.host} | call.headers
    if call.body is not None:
        fields["content-length"] = str(len(call.body))
    lines = [f"{call.method} {target.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    if not all(line.isprintable() for line in lines):
        raise ValueError("it holds what a header cannot")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + (call.body or b"")


def _meaning(error: HTTPClientError) -> ProbeResult:
    if isinstance(error, NotAllowedError):
        return ProbeResult.FORBIDDEN
    return ProbeResult.TIMEOUT if isinstance(error.__cause__, TimeoutError) else ProbeResult.UNREACHABLE


async def _exchange(connection: ClientConnection, wire: bytes, bytes_max: int) -> ProbeAnswer:
    """Send a request over a connection, which is kept if the answer is read to its end.

    Raises:
        HTTPClientError: no whole answer came.
    """
    receiver = _Receiver(connection, bytes_max)
    try:
        connection.send(wire, receiver)
        return await receiver.answer
    except asyncio.CancelledError:
        connection.cancel()
        raise


class _Receiver:
    """Takes an answer; see `runtime.http_client.AnswerReceiver`.

    Attributes:
        answer: or what kept it from coming.
    """

    def __init__(self, connection: ClientConnection, bytes_max: int) -> None:
        self.answer: asyncio.Future[ProbeAnswer] = asyncio.get_running_loop().create_future()
        self._connection = connection
        self._bytes_max = bytes_max
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def on_head(self, status: int, headers: dict[str, str]) -> None:
        """See `AnswerReceiver`."""
        self._status, self._headers = status, headers

    def on_body(self, data: bytes) -> None:
        """See `AnswerReceiver`."""
        self._body += data
        if len(self._body) > self._bytes_max:
            self._connection.cancel()
            self._end(whole=False)

    def on_end(self) -> None:
        """See `AnswerReceiver`."""
        self._end(whole=True)

    def on_error(self, error: HTTPClientError) -> None:
        """See `AnswerReceiver`."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def _end(self, *, whole: bool) -> None:
        if not self.answer.done():
            self.answer.set_result(ProbeAnswer(self._status, self._headers, bytes(self._body), whole))
