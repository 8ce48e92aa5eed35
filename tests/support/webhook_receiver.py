"""A receiver of alerts' webhooks, which verifies them as the documentation says."""

import base64
import contextlib
import hashlib
import hmac
import ssl
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

TOLERANCE_S = 300


def verified(secret: str, headers: dict[str, str], body: bytes, now_s: int) -> Any:
    """Return what a webhook says; raises AssertionError if it is not genuine."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    at = headers["webhook-timestamp"]
    assert abs(now_s - int(at)) <= TOLERANCE_S
    signed = f"{headers['webhook-id']}.{at}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert any(hmac.compare_digest(expected, mark) for mark in headers["webhook-signature"].split(" "))
    return msgspec.json.decode(body)


class Post(NamedTuple):
    """One request that has come."""

    headers: dict[str, str]
    body: bytes


class Receiver:
    """Takes webhooks.

    Attributes:
        posts: those that have come.
        statuses: what the next ones are answered with instead of 204.
        location: where they are redirected by a status that does so.
        port: where it listens.
    """

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.statuses: list[int] = []
        self.location = ""
        self.port = 0

    async def take(self, request: web.Request) -> web.Response:
        """Called by aiohttp."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.posts.append(Post(headers, await request.read()))
        status = self.statuses.pop(0) if self.statuses else 204
        return web.Response(status=status, headers={"location": self.location} if self.location else {})


@contextlib.asynccontextmanager
async def running_receiver(*, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Run a receiver for the length of the block."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()
