"""Connections of an ops port: scrapers keep theirs, and whoever says nothing takes no room for long."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

from tests.support.authority import Authority
from tests.support.http_serving import Client, until
from tests.support.manual_clock import ManualClock
from trunkline.runtime.arrivals import HANDSHAKES_SHARE
from trunkline.runtime.connection_watch import IDLE_S, SWEEP_INTERVAL_S
from trunkline.runtime.ops import CONNECTIONS_MAX, SHUTDOWN_TIMEOUT_S, OpsServer
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.tls import TLSContext, server_tls

SCRAPE = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"


class Port:
    """An ops port with a clock of its own, and those who are connected to it."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        Gauge("here", "1.", registry=registry).set(1)
        self.clock, self.tasks = ManualClock(), TaskSet()
        self.server = OpsServer(registry, list, clock=self.clock, tasks=self.tasks)
        self.clients: list[Client] = []

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.server.port))
        self.clients.append(client)
        return client

    async def scraped(self, client: Client) -> bool:
        client.send(SCRAPE)
        return b"here 1.0\n" in (await client.answer()).body


@contextlib.asynccontextmanager
async def ops_port(tls: TLSContext | None = None) -> AsyncIterator[Port]:
    running = Port()
    await running.server.start("127.0.0.1", 0, tls)
    try:
        yield running
    finally:
        for client in running.clients:
            client.close()
            with contextlib.suppress(OSError):
                await client.writer.wait_closed()
        await running.tasks.cancel()
        await running.server.stop()


async def test_a_scraper_keeps_its_connection_and_who_says_nothing_loses_it() -> None:
    async with ops_port() as running:
        silent, scraper = await running.connect(), await running.connect()
        assert await running.scraped(scraper)
        await running.clock.advance(SWEEP_INTERVAL_S)
        for _ in range(5):
            await running.clock.advance(15)
            assert await running.scraped(scraper)
        assert running.clock.now() >= IDLE_S
        await running.clock.advance(SWEEP_INTERVAL_S)
        await until(silent.reader.at_eof, "the end of the silent connection")
        assert await running.scraped(scraper)


async def test_past_its_limit_the_longest_idle_connections_are_closed() -> None:
    async with ops_port() as running:
        old = [await running.connect() for _ in range(3)]
        for client in old:
            assert await running.scraped(client)
        await running.clock.advance(SWEEP_INTERVAL_S)
        new = [await running.connect() for _ in range(CONNECTIONS_MAX - 1)]
        for client in new:
            assert await running.scraped(client)
        await running.clock.advance(SWEEP_INTERVAL_S)
        await until(lambda: sum(client.reader.at_eof() for client in old) == 2, "room for the new ones")
        assert [client.reader.at_eof() for client in (*old, *new)].count(True) == 2
        assert await running.scraped(new[-1])


async def test_a_scraper_that_does_not_read_holds_up_no_stop() -> None:
    async with ops_port() as running:
        many = Gauge("many", "As a large fleet has.", ["label"], registry=running.registry)
        for number in range(20_000):
            many.labels(f"{number:01000}").set(1)  # more than sockets hold
        scraper = await running.connect()
        scraper.send(SCRAPE)
        await until(lambda: running.server._runner.server.requests_count > 0, "it is being answered")  # type: ignore[union-attr] # it serves
        async with asyncio.timeout(2 * SHUTDOWN_TIMEOUT_S + 5):
            await running.server.stop()


async def test_handshakes_without_end_keep_no_scraper_out(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("ops")
    trust = ssl.create_default_context(cafile=str(authority.path))
    async with ops_port(server_tls("ops", str(issued.certificate), str(issued.key))) as running:
        silent = [await running.connect() for _ in range(CONNECTIONS_MAX // HANDSHAKES_SHARE + 5)]
        await until(lambda: any(client.reader.at_eof() for client in silent), "room for the next one")
        client = Client(*await asyncio.open_connection("localhost", running.server.port, ssl=trust))
        running.clients.append(client)
        assert await running.scraped(client)
        gone = [client.reader.at_eof() for client in silent].count(True)
        assert gone >= 6
        assert silent[0].reader.at_eof(), "the oldest one first"
        assert not silent[-1].reader.at_eof()
