"""Connections of an aiohttp server on which nothing comes, and those on which something does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from tests.support.http_serving import Client, until
from tests.support.manual_clock import ManualClock
from trunkline.runtime.connection_watch import IDLE_S, SWEEP_INTERVAL_S, ConnectionWatch
from trunkline.runtime.tasks import TaskSet

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class Site:
    """A server that answers at once, or when it is told to under ``/later``."""

    def __init__(self, connections_max: int) -> None:
        self.clock, self.go_on = ManualClock(), asyncio.Event()
        self.watch = ConnectionWatch(self.clock, connections_max)
        app = web.Application(middlewares=[self.watch.middleware()])
        app.router.add_get("/", self._now)
        app.router.add_get("/later", self._later)
        self.runner = web.AppRunner(app, access_log=None)
        self.asked = 0
        self.clients: list[Client] = []

    async def _now(self, _request: web.Request) -> web.Response:
        return web.Response(text="now")

    async def _later(self, _request: web.Request) -> web.Response:
        self.asked += 1
        await self.go_on.wait()
        return web.Response(text="later")

    async def connect(self, wire: bytes = b"") -> Client:
        """Connect, and send something; returns once the server has seen the connection."""
        assert self.runner.server is not None
        before = len(self.runner.server.connections)
        port: int = self.runner.addresses[0][1]
        client = Client(*await asyncio.open_connection("127.0.0.1", port))
        self.clients.append(client)
        client.send(wire)
        server = self.runner.server
        await until(lambda: len(server.connections) > before, "the connection")
        return client


@contextlib.asynccontextmanager
async def site(connections_max: int = 100) -> AsyncIterator[Site]:
    running, tasks = Site(connections_max), TaskSet()
    await running.runner.setup()
    await web.TCPSite(running.runner, "127.0.0.1", 0).start()
    tasks.spawn(running.watch.run(running.runner), name="watch")
    try:
        yield running
    finally:
        running.go_on.set()
        for client in running.clients:
            client.close()
            with contextlib.suppress(OSError):
                await client.writer.wait_closed()
        await tasks.cancel()
        await running.runner.cleanup()


async def ended(client: Client) -> bool:
    """Return whether the server closes without another word."""
    try:
        return await client.rest() == b""
    except ConnectionResetError:
        return True


async def test_who_says_nothing_or_half_a_head_is_closed_in_time() -> None:
    async with site() as running:
        silent, half = await running.connect(), await running.connect(b"GET / HTTP/1.1\r\nhost:")
        await running.clock.advance(SWEEP_INTERVAL_S)
        await running.clock.advance(IDLE_S - SWEEP_INTERVAL_S)
        silent.send(GET)
        assert (await silent.answer()).status == 200  # just in time, and its time begins anew
        await running.clock.advance(SWEEP_INTERVAL_S)
        assert await ended(half)
        silent.send(GET)
        assert (await silent.answer()).status == 200
        await running.clock.advance(IDLE_S + SWEEP_INTERVAL_S)
        assert await ended(silent)


async def test_an_answer_may_take_its_time() -> None:
    async with site() as running:
        client = await running.connect(GET.replace(b"/ ", b"/later "))
        await until(lambda: running.asked == 1, "the request")
        await running.clock.advance(3 * IDLE_S)
        running.go_on.set()
        assert (await client.answer()).body == b"later"


async def test_where_there_are_too_many_the_longest_idle_go() -> None:
    async with site(connections_max=2) as running:
        busy = await running.connect(GET.replace(b"/ ", b"/later "))
        await until(lambda: running.asked == 1, "the request")
        old = await running.connect()
        await running.clock.advance(SWEEP_INTERVAL_S)
        new = await running.connect()
        await running.clock.advance(SWEEP_INTERVAL_S)
        assert await ended(old)
        new.send(GET)
        assert (await new.answer()).status == 200
        running.go_on.set()
        assert (await busy.answer()).body == b"later"
