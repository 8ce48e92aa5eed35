"""Whose a request is that came through proxies."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from trunkline.policy.addresses import TrustedProxies


def behind(proxies: TrustedProxies) -> Middleware:
    """Return the middleware that gives a request the address of its client; it stands before all others."""

    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        peer = request.remote or ""
        forwarded = request.headers.getall("x-forwarded-for", [])
        client = proxies.client_of(peer, ", ".join(forwarded))
        return await handler(request if client == peer else request.clone(remote=client))

    return middleware
