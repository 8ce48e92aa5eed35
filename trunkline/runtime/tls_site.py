"""Where an aiohttp server listens; over TLS with the bounds of `runtime.arrivals`, which aiohttp does not have.

Called by the console and the ops ports, whose connections `runtime.connection_watch` bounds from there on.
"""

from typing import Final

from aiohttp import web

from trunkline.core.clock import Clock
from trunkline.runtime.arrivals import Arrivals
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.tls import TLSContext

CLOSING_S: Final = 30.0
"""For a client's goodbye over TLS: what asyncio gives it."""


class _TLSSite(web.BaseSite):
    """A port of a server over TLS."""

    def __init__(self, runner: web.AppRunner, arrivals: Arrivals, host: str, port: int) -> None:
        super().__init__(runner)
        self._arrivals = arrivals
        self._host = host
        self.port = port

    @property
    def name(self) -> str:
        return f"https://{self._host}:{self.port}"

    async def start(self) -> None:
        await super().start()
        self.port = await self._arrivals.listen(self._host, self.port)

    async def stop(self) -> None:
        await super().stop()
        self._arrivals.drop()


async def open_site(
    runner: web.AppRunner,
    host: str,
    port: int,
    tls: TLSContext | None,
    *,
    connections_max: int,
    clock: Clock,
    tasks: TaskSet,
) -> tuple[web.BaseSite, int]:
    """Bind and serve, over TLS if there is some; returns the site and its port.

    Args:
        runner: of the server; it must be set up.
        host: whose addresses are bound.
        port: 0 takes a free one.
        tls: what is presented; None for plain connections.
        connections_max: see `runtime.connection_watch.ConnectionWatch`.
        clock: of the process.
        tasks: of the process.

    Raises:
        OSError: it cannot be bound.
    """
    if tls is None:
        plain = web.TCPSite(runner, host, port)
        await plain.start()
        return plain, plain.port
    assert runner.server is not None  # noqa: S101 - it is set up
    arrivals = Arrivals(
        runner.server,
        lambda: False,  # the watch closes what is too much
        tls,
        connections_max=connections_max,
        closing_s=CLOSING_S,
        clock=clock,
        tasks=tasks,
    )
    site = _TLSSite(runner, arrivals, host, port)
    await site.start()
    return site, site.port
