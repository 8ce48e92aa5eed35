"""JetStream's connection: nats-py's client, opened and closed within bounds, and what it is told of TLS."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from nats.aio.client import Client
from nats.errors import Error as NATSError

from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_link import PERMISSION_REFUSED, PING_INTERVAL_S, PINGS_UNANSWERED_MAX, RECONNECT_WAIT_S
from trunkline.runtime.nats_servers import parse_servers
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.tls import TLSContext

CONNECT_TIMEOUT_S = 10.0
"""For the connection of JetStream, once the other one is up. nats-py itself would try for ever, and a process that is
told to stop meanwhile would not."""

CLOSE_TIMEOUT_S = 2.0
"""For JetStream's connection to close. nats-py waits for the broker's goodbye: for half a minute over TLS if it is
silent, and for ever where something is left to be sent to it."""


async def open_client(
    url: str, name: str, inbox: str, tls: TLSContext | None, complain: Callable[[str], None]
) -> Client:
    """Return the connection of JetStream.

    Raises:
        NATSError, OSError, TimeoutError: it did not come about in `CONNECT_TIMEOUT_S`.
    """

    async def complained(error: Exception) -> None:
        # Errors of single operations reach their callers, and the link reports changes of the connection. What the
        # broker refuses shows as a deadline that passed.
        if PERMISSION_REFUSED in str(error):
            complain(str(error))

    client = Client()
    options = tls_options(client, url, tls)
    options["reconnect_time_wait"] = RECONNECT_WAIT_S  # nats-py declares whole seconds, and takes parts
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await client.connect(
                url.split(","),
                name=name,
                error_cb=complained,
                inbox_prefix=inbox,
                connect_timeout=2,
                max_reconnect_attempts=-1,
                ping_interval=round(PING_INTERVAL_S),
                max_outstanding_pings=PINGS_UNANSWERED_MAX,
                **options,
            )
    except BaseException:
        await close_client(client)
        raise
    return client


async def close_client(client: Client) -> None:
    """Close JetStream's connection, or end it without a goodbye.

    In a task of its own: nats-py swallows cancellations here, and raises one that nobody asked for where it was
    reconnecting.
    """
    tasks = TaskSet()
    closing = tasks.spawn(client.close(), name="jetstream_close")
    await asyncio.wait({closing}, timeout=CLOSE_TIMEOUT_S)
    await tasks.end(closing)
    if (transport := socket_transport(client)) is not None:
        transport.abort()  # nothing, where it is closed
        await SystemClock().sleep(0)  # the event loop closes the socket in its next round, if it has one


def socket_transport(client: Client) -> asyncio.WriteTransport | None:
    """Return what is below TLS: nats-py closes what is above, and asyncio waits for the goodbye before it closes this.

    None before the first connection.
    """
    writer = getattr(client._transport, "_bare_io_writer", None)  # noqa: SLF001 - nats-py has no other way to it
    return None if writer is None else writer.transport


def tls_options(client: Client, url: str, tls: TLSContext | None) -> dict[str, Any]:
    """Return what nats-py is told of TLS and of signing in.

    Where TLS is demanded, by ``tls`` or by ``tls://``, that is the context as it is now, and no password for a server
    without TLS.
    """
    said = _signing_in(url)
    if tls is None and not any(server.tls for server in parse_servers(url)):
        return dict(said)

    def withheld(secret: str) -> Callable[[], str]:
        def tell() -> str:
            # nats-py takes the server's word for it whether there is TLS: so could somebody in between.
            if not client._server_info.get("tls_required"):  # noqa: SLF001 - there is no other way to see it in time
                raise NATSError("NATS does not offer TLS")
            return secret

        return tell

    def renewed(context: ssl.SSLContext) -> None:
        client.options["tls"] = context  # read at each connection

    options: dict[str, Any] = {name: withheld(secret) for name, secret in said.items()}
    if tls is not None:
        tls.on_change(renewed)
        options["tls"] = tls.current
    return options


def _signing_in(url: str) -> dict[str, str]:
    """Return how to sign in, for nats-py: it would go without to nodes that it hears of from the broker alone."""
    server = parse_servers(url)[0]
    if server.user is None:
        return {}
    return {"token": server.user} if server.password is None else {"user": server.user, "password": server.password}
