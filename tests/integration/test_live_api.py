"""The live picture over HTTP, with beats and outcomes on a real NATS."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import aiohttp
import msgspec
import pytest

from services.console import live, live_api
from services.console.sessions import LoginSessions
from services.console.shell import SignedIn
from tests.support.console import ADMIN_KEY, RunningConsole, running_console
from tests.support.waiting import eventually
from trunkline.bus import messages, snapshots, subjects
from trunkline.bus.messages import AttemptOutcome, Beat, OutcomeBatch, UsageBatch
from trunkline.bus.snapshots import ChannelState, ChannelWeight
from trunkline.core.errors import ErrorType
from trunkline.policy.access import Caller
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database

WITHIN_S = 15.0
ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}
CONFIGURATION: dict[str, Any] = {
    "channels": [
        {
            "name": name,
            "dialect": "openai",
            "base_url": "http://upstream.example/v1",
            "models": {"m": "m"},
            "credentials": [f"sk-of-{name}-0000"],
        }
        for name in ("main", "spare")
    ],
    "models": [{"name": "m", "free": True}],
}


@pytest.fixture
async def console(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[RunningConsole]:
    async with running_console(bus, tasks, database_dsn) as running:
        assert (await running.client.call("POST", "/apply", CONFIGURATION)).status == 200
        yield running


async def events(http: aiohttp.ClientSession, url: str, **options: Any) -> AsyncGenerator[tuple[str, Any], None]:
    """Yield the name and the body of each event."""
    async with http.get(f"{url}/admin/v1/live", **options) as response:
        assert response.status == 200
        assert response.headers["content-type"] == "text/event-stream"
        assert response.headers["x-accel-buffering"] == "no"
        assert response.headers["cache-control"] == "no-store"
        name = ""
        async for line in response.content:
            word, _, rest = line.decode().rstrip("\n").partition(": ")
            if word == "event":
                name = rest
            elif word == "data":
                yield name, msgspec.json.decode(rest)


def speak(bus: NATSBus, second: int, channel: int) -> None:
    """Say what an edge and a dispatcher say in a second."""
    sums: dict[str, Any] = {"finished": 40 * second, "failures": {"upstream_error": 10 * second}}
    edge = Beat("edge", "edge-a", 0, 6, clock_ms=1000 * second + 1, streams=2, waiting=1, **sums)
    dispatcher = Beat("dispatcher", "dispatcher-a", 0, 5, 9, clock_ms=1000 * second + 1, stored=50 * second, unstored=3)
    good = AttemptOutcome(channel, 1, "m", None, 200, 150, 40, 900, stream=True)
    bad = AttemptOutcome(channel, 1, "m", ErrorType.UPSTREAM_ERROR, 500, 0, 0, 20)
    bus.publish(subjects.alive("edge", "edge-a"), messages.encode(edge))
    bus.publish(subjects.alive("dispatcher", "dispatcher-a"), messages.encode(dispatcher))
    bus.publish(subjects.OUTCOME, messages.encode(OutcomeBatch("dispatcher-a", (good, good, good, bad))))


async def channel_id(console: RunningConsole, name: str) -> int:
    found: int = (await console.client.call("GET", f"/channels/{name}")).body["id"]
    return found


async def test_history_comes_at_once_and_then_each_second(console: RunningConsole, bus: NATSBus) -> None:
    main = await channel_id(console, "main")
    weight = ChannelWeight(main, ChannelState.PROBING, 0.25, 1, "climbing")
    await bus.kv_put(subjects.KV_WEIGHTS, str(main), snapshots.encode(weight))
    speak(bus, 0, main)
    speak(bus, 1, main)

    async with aiohttp.ClientSession() as http, aclosing(events(http, console.client.url, headers=ADMIN)) as stream:
        name, history = await anext(stream)
        assert name == "history"
        assert all(point["requests_per_s"] >= 0 for point in history["points"])

        # Of both seconds, the last that was said of either.
        wanted = {"upstream_error": 2}

        async def picture() -> Any:
            name, now = await anext(stream)
            assert name == "now"
            return now if now["channels"] and now["channels"][0]["state"] == "probing" else None

        async with asyncio.timeout(WITHIN_S):
            while (now := await picture()) is None or now["channels"][0]["traffic"]["errors"] != wanted:
                pass

    point, (first, second) = now["point"], now["channels"]
    assert (point["requests_per_s"], point["attempts_per_s"], point["errors_per_s"]) == (
        40.0,
        50.0,
        {"upstream_error": 10.0},
    )
    assert (point["in_flight"], point["streams"], point["waiting"], point["unstored"]) == (6, 2, 1, 3)
    assert (first["name"], first["weight"], first["reason"]) == ("main", 0.25, "climbing")
    assert (first["credentials"], first["credentials_refused"]) == (1, 0)
    assert first["traffic"]["error_share"] == 0.25
    assert first["traffic"]["errors"] == wanted
    assert (second["name"], second["state"], second["traffic"]["error_share"]) == ("spare", "serving", None)
    assert [(process["role"], process["room"]) for process in now["processes"]] == [("dispatcher", 9), ("edge", 0)]


async def test_a_refused_credential_and_the_queue_are_in_the_picture(
    console: RunningConsole, bus: NATSBus, database: Database
) -> None:
    await bus.store(subjects.usage("edge", "p"), messages.encode(UsageBatch(())), message_id="1", timeout_s=5)
    async with database.connection() as connection:
        await connection.execute(
            "insert into credential_states (credential_id, refused_at, status, heard_at)"
            " select c.id, now(), 401, now() from credentials c join channels h on h.id = c.channel_id"
            " where h.name = 'spare'"
        )

    async def look() -> Any:
        found = await console.client.call("GET", "/live/now")
        ready = found.status == 200 and len(found.body["channels"]) == 2 and found.body["point"]["queued"]
        return found.body if ready else None

    now = await eventually(look, within_s=WITHIN_S, what="the queue is known")
    assert now["point"]["queued"] == 1
    assert {channel["name"]: channel["credentials_refused"] for channel in now["channels"]} == {"spare": 1, "main": 0}


async def test_only_so_many_watch_at_a_time(console: RunningConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "WATCHERS_MAX", 1)
    async with aiohttp.ClientSession() as http:
        async with aclosing(events(http, console.client.url, headers=ADMIN)) as stream:
            await anext(stream)
            refused = await console.client.call("GET", "/live")
            assert (refused.status, refused.body["error"]["type"]) == (503, "gateway_busy")

        async def again() -> bool:
            async with http.get(f"{console.client.url}/admin/v1/live", headers=ADMIN) as response:
                return response.status == 200

        assert await eventually(again, within_s=WITHIN_S, what="the place is free again")


class OneSession:
    """A session that ends when it is told to."""

    def __init__(self) -> None:
        self.holds = True

    async def signed_in(self, _request: object) -> SignedIn | None:
        caller = Caller("kim", 1, operator=True, places={})
        return SignedIn(caller, 1, "token") if self.holds else None


async def test_the_stream_ends_with_the_session(
    bus: NATSBus, tasks: TaskSet, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_api, "SESSION_CHECK_S", 0.0)
    session = OneSession()
    monkeypatch.setattr(LoginSessions, "signed_in", session.signed_in)
    async with running_console(bus, tasks, database_dsn) as running, aiohttp.ClientSession() as http:
        async with asyncio.timeout(10):
            names = []
            async for name, _ in events(http, running.client.url):
                names.append(name)
                session.holds = names.count("now") < 2
        assert names[:3] == ["history", "now", "now"]
        assert len(names) <= 4


async def test_the_stream_ends_when_the_console_drains(console: RunningConsole) -> None:
    async with aiohttp.ClientSession() as http, asyncio.timeout(10):
        stream = events(http, console.client.url, headers=ADMIN)
        assert (await anext(stream))[0] == "history"
        await console.console.drain()
        assert all(name == "now" for name in [name async for name, _ in stream])


async def test_strangers_see_nothing(console: RunningConsole) -> None:
    assert (await console.client.call("GET", "/live/now", headers={})).status == 401
    assert (await console.client.call("GET", "/live", headers={})).status == 401
