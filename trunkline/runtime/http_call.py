"""One request to a server that an operator has named, and its whole answer. Called by the console.

Redirects are not followed: what was named is what is meant. There are no cookies, proxies or compression.
"""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from trunkline.runtime.http_client import HTTPClientError, HTTPClientPool, parse_target


class CallError(Exception):
    """There is no answer, or one that cannot be taken; says why without quoting anything of it."""


class Answered(NamedTuple):
    """An answer."""

    status: int
    body: bytes


async def call(
    pool: HTTPClientPool,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes = b"",
    *,
    bytes_max: int,
    timeout_s: float,
) -> Answered:
    """Send a request and return its answer.

    Args:
        pool: opens the connection.
        method: HTTP method.
        url: http or https.
        headers: beside host, length and connection; ASCII without line ends.
        body: of the request.
        bytes_max: of the answer's body.
        timeout_s: for all of it.

    Raises:
        CallError: see there.
    """
    try:
        target = parse_target(url)
        fields = {"host": target.host, "content-length": str(len(body)), "connection": "close", **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        wire = f"{method} {target.path} HTTP/1.1\r\n{lines}\r\n".encode("ascii") + body
        async with asyncio.timeout(timeout_s):
            connection = await pool.connect(target.endpoint, timeout_s)
            receiver = _Receiver(bytes_max)
            try:
                connection.send(wire, receiver)
                return await receiver.answer
            finally:
                connection.cancel()
    except TimeoutError as error:
        raise CallError("it does not answer in time") from error
    except HTTPClientError as error:
        raise CallError(str(error)) from error
    except ValueError as error:
        raise CallError("its address is no URL, or something else holds what a header cannot") from error


class _Receiver:
    """Takes an answer; see `runtime.http_client.AnswerReceiver`."""

    def __init__(self, bytes_max: int) -> None:
        self.answer: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._bytes_max = bytes_max
        self._status = 0
        self._body = bytearray()

    def on_head(self, status: int, _headers: dict[str, str]) -> None:
        self._status = status

    def on_body(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > self._bytes_max and not self.answer.done():
            self.answer.set_exception(CallError(f"its answer is over {self._bytes_max} bytes"))

    def on_end(self) -> None:
        if not self.answer.done():
            self.answer.set_result(Answered(self._status, bytes(self._body)))

    def on_error(self, error: HTTPClientError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
