"""The console's HTTP server: what two servers could read differently ends its connection, and nothing more is read."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.console import ADMIN_KEY, RunningConsole, running_console
from tests.support.http_serving import Client
from tests.support.malformed_requests import MALFORMED
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet

HIDDEN = (
    f"POST /admin/v1/accounts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN_KEY}\r\n"
    'content-type: application/json\r\ncontent-length: 17\r\n\r\n{"name":"hidden"}'
).encode()


NO_TUNNEL = "a tunnel"
"""To aiohttp a request like any other: the console has no such operation, and what follows is read as the next one."""


@pytest.fixture
async def console(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[RunningConsole]:
    async with running_console(bus, tasks, database_dsn) as running:
        yield running


async def test_what_stands_behind_a_malformed_request_is_never_done(console: RunningConsole) -> None:
    answers = {}
    for what, wire in MALFORMED.items():
        if what == NO_TUNNEL:
            continue
        client = Client(*await asyncio.open_connection("127.0.0.1", console.console.port))
        client.send(wire + HIDDEN)
        answers[what] = (await client.rest()).split(b"\r\n")[0]
        client.close()
        await client.writer.wait_closed()
    assert {what: line for what, line in answers.items() if b" 400 " not in line} == {}
    assert (await console.client.call("GET", "/accounts")).body == []
