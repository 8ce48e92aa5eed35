"""A console inside the test's own process, with real Postgres and NATS, and a client that holds the admin key."""

import base64
import contextlib
import io
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
import msgspec
from prometheus_client import CollectorRegistry

from services.console.app import Console, open_console
from services.console.config import ConsoleSettings
from trunkline.core.ids import process_id
from trunkline.runtime import config
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.process import Process
from trunkline.runtime.tasks import TaskSet

ADMIN_KEY = "admin-key-of-the-tests"
PEPPER = "pepper-of-the-tests"
MASTER_KEYS = "1:" + base64.b64encode(bytes(range(32))).decode()


class Answer(NamedTuple):
    """What the admin API answered: ``body`` is its JSON, None if there was none."""

    status: int
    body: Any


class AdminClient:
    """Calls the admin API of one console."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self.url = url

    async def call(self, method: str, path: str, body: object = None, **options: Any) -> Answer:
        """Send a request; ``body`` is sent as JSON unless it is bytes or a file."""
        data = body if body is None or isinstance(body, bytes | io.BytesIO) else msgspec.json.encode(body)
        options.setdefault("headers", {"authorization": f"Bearer {ADMIN_KEY}"})
        async with self._http.request(method, f"{self.url}/admin/v1{path}", data=data, **options) as response:
            content = await response.read()
            return Answer(response.status, msgspec.json.decode(content) if content else None)


def settings(database_url: str, **others: str) -> ConsoleSettings:
    """Return the settings of a console on a free port; ``others`` by the names of their variables."""
    return config.load(
        ConsoleSettings,
        {
            "DATABASE_URL": database_url,
            "TRUNKLINE_CONSOLE_PORT": "0",
            "TRUNKLINE_ADMIN_KEY": ADMIN_KEY,
            "TRUNKLINE_KEY_PEPPER": PEPPER,
            "TRUNKLINE_MASTER_KEYS": MASTER_KEYS,
            "TRUNKLINE_UPSTREAM_ALLOW": "127.0.0.0/8,::1/128",
            **others,
        },
    )


class RunningConsole(NamedTuple):
    """A console and a client of it."""

    console: Console
    client: AdminClient


@contextlib.asynccontextmanager
async def running_console(
    bus: NATSBus, tasks: TaskSet, database_url: str, **others: str
) -> AsyncIterator[RunningConsole]:
    """Run a console for the length of the block; ``others`` as for `settings`."""
    process = Process("console", process_id("console", 1), 1, SystemClock(), tasks, bus, CollectorRegistry())
    async with open_console(process, settings(database_url, **others)) as console, aiohttp.ClientSession() as http:
        yield RunningConsole(console, AdminClient(http, f"http://127.0.0.1:{console.port}"))
