"""The public status page and the operators' views of health, over HTTP."""

import asyncio
import contextlib
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request

from services.console import status_api
from services.console.status_api import FRESH_S, RETRY_S, STALE_S_MAX, StatusAPI
from tests.support.console import running_console
from tests.support.health_world import add_channel, add_credential, sample, store
from tests.support.manual_clock import ManualClock
from tests.support.waiting import eventually
from trunkline.bus.messages import CredentialEvent
from trunkline.policy.incidents import Level
from trunkline.policy.status_feeds import StatusDocument
from trunkline.policy.status_page import POLICY
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database, StoreError

WITHIN_S = 15.0
PATHS = ("/status", "/status.json", "/status.rss")


def instant_ms() -> int:
    """Return the last instant of which there are samples."""
    return SystemClock().wall_ms() // 10_000 * 10_000


async def read(url: str, *, language: str = "") -> tuple[int, dict[str, str], str]:
    """Return status, headers and body of an answer to somebody without a key."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(url, headers={"accept-language": language}) as response,
    ):
        return response.status, {name.lower(): value for name, value in response.headers.items()}, await response.text()


async def seen(database: Database, models: int) -> None:
    async def look() -> bool:
        async with database.connection() as connection:
            return await connection.fetchval("select count(*) from model_days") >= models

    await eventually(look, within_s=WITHIN_S, what="models are judged")


async def test_anybody_may_read_it_and_learns_public_names_only(
    bus: NATSBus, tasks: TaskSet, database: Database, database_dsn: str
) -> None:
    async with database.connection() as connection:
        one = await add_channel(connection, "channel-one", ["gpt-4o", "gpt-<b>"])
        two = await add_channel(connection, "channel-two", ["gpt-4o"], ["default", "staff"])
        staff = await add_channel(connection, "channel-staff", ["inner-model"], ["staff"])
        await connection.execute("insert into accounts (name) values ('account-acme')")
    at_ms = instant_ms() - 10_000
    for step in (0, 10_000):
        for channel, letter in ((one, "e"), (two, "s"), (staff, "e")):
            await store(bus, sample(channel, letter, at_ms + step))
    url = "https://status.example.com/status"
    async with running_console(bus, tasks, database_dsn, TRUNKLINE_STATUS_URL=url) as running:
        await seen(database, 2)
        bodies = {}
        for path, content_type in zip(PATHS, ("text/html", "application/json", "application/rss+xml"), strict=True):
            status, headers, bodies[path] = await read(running.client.url + path)
            assert (status, headers["content-type"]) == (200, f"{content_type}; charset=utf-8")
            assert headers["content-security-policy"] == POLICY
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == f"public, max-age={FRESH_S}"
        _, headers, chinese = await read(running.client.url + "/status", language="zh-CN,zh;q=0.9")
        assert headers["vary"] == "accept-language"
    for body in (*bodies.values(), chinese):
        for secret in ("channel-", "secret-provider", "account-acme", "inner-model", "staff", "default"):
            assert secret not in body.replace("default-src", ""), secret
    assert "<bdi>gpt-4o</bdi>" in bodies["/status"]
    assert "Trouble with 2 of 2 models." in bodies["/status"]
    assert "2 个模型中有 2 个出现问题。" in chinese
    document = msgspec.json.decode(bodies["/status.json"], type=StatusDocument)
    assert [(model.name, model.level, model.uptime) for model in document.models] == [
        ("gpt-4o", Level.DEGRADED, 1.0),
        ("gpt-<b>", Level.DOWN, 0.0),
    ]
    [incident] = document.incidents
    assert (incident.models, incident.level, incident.ended_at) == (("gpt-<b>",), Level.DOWN, None)
    channel = ET.fromstring(bodies["/status.rss"])[0]  # noqa: S314 - our own
    assert [item.findtext("title") for item in channel.iter("item")] == ["gpt-<b>: unavailable"]
    assert channel.findtext("link") == url


async def test_a_level_that_is_old_is_not_shown_as_the_present_one(
    bus: NATSBus, tasks: TaskSet, database: Database, database_dsn: str
) -> None:
    async with database.connection() as connection:
        channel = await add_channel(connection, "one", ["m"])
    await store(bus, sample(channel, "s", instant_ms() - 3_600_000))
    async with running_console(bus, tasks, database_dsn) as running:
        await seen(database, 1)
        _, _, body = await read(running.client.url + "/status.json")
    [model] = msgspec.json.decode(body, type=StatusDocument).models
    assert (model.level, model.uptime) == (None, 1.0)


async def test_without_groups_there_is_no_page(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> None:
    async with running_console(bus, tasks, database_dsn, TRUNKLINE_STATUS_GROUPS="") as running:
        for path in PATHS:
            assert (await read(running.client.url + path))[0] == 401
        assert (await running.client.call("GET", "/credentials")).status == 200


async def test_a_crowd_reads_postgres_once(
    bus: NATSBus, tasks: TaskSet, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    read_report = status_api.read_report

    async def counted(*args: Any) -> Any:
        nonlocal reads
        reads += 1
        return await read_report(*args)

    monkeypatch.setattr(status_api, "read_report", counted)
    monkeypatch.setattr(status_api, "FRESH_S", 3600)
    async with running_console(bus, tasks, database_dsn) as running, aiohttp.ClientSession() as http:

        async def visit(number: int) -> int:
            headers = {"accept-language": f"x-{number}, zh;q=0.{number % 10}"}
            async with http.get(running.client.url + PATHS[number % 3], headers=headers) as response:
                await response.read()
                return response.status

        assert await asyncio.gather(*map(visit, range(300))) == [200] * 300
    assert reads == 1


class Outage:
    """A database that is there or not, as the test says."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.away = False
        self.tries = 0

    @contextlib.asynccontextmanager
    async def connection(self) -> Any:
        self.tries += 1
        if self.away:
            raise StoreError("away")
        async with self._database.connection() as connection:
            yield connection


async def test_while_postgres_is_away_the_last_page_is_shown(database: Database) -> None:
    clock, outage = ManualClock(), Outage(database)
    api = StatusAPI(outage, ("default",), "", clock=clock)  # type: ignore[arg-type]  # what it needs of one

    async def shown() -> bytes:
        body = (await api._page(make_mocked_request("GET", "/status"))).body
        assert isinstance(body, bytes)
        return body

    first = await shown()
    outage.away = True
    await clock.advance(FRESH_S)
    assert await shown() == first
    assert await shown() == first
    assert outage.tries == 2
    await clock.advance(RETRY_S)
    assert await shown() == first
    assert outage.tries == 3
    await clock.advance(STALE_S_MAX)
    with pytest.raises(StoreError):
        await shown()
    outage.away = False
    await clock.advance(RETRY_S)
    assert await shown() != first


async def test_while_one_reads_the_others_get_the_last_page(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    api = StatusAPI(database, ("default",), "", clock=clock)
    first = await api._current()
    await clock.advance(FRESH_S)
    going_on = asyncio.Event()
    served_models = status_api.served_models

    async def slow(connection: Any, groups: Iterable[str]) -> dict[str, tuple[int, ...]]:
        await going_on.wait()
        return await served_models(connection, groups)

    monkeypatch.setattr(status_api, "served_models", slow)
    async with asyncio.TaskGroup() as group:
        reader = group.create_task(api._current())

        async def begun() -> bool:
            return api._reading.locked()

        await eventually(begun, within_s=WITHIN_S, what="somebody reads")
        assert await api._current() is first
        going_on.set()
    assert reader.result() is not first


async def test_operators_see_credentials_and_history(
    bus: NATSBus, tasks: TaskSet, database: Database, database_dsn: str
) -> None:
    async with database.connection() as connection:
        channel = await add_channel(connection, "main", ["m"])
        one = await add_credential(connection, channel, "0123456789abcdef")
        other = await add_credential(connection, channel, "fedcba9876543210")
    minute_ms = SystemClock().wall_ms() // 60_000 * 60_000 - 120_000
    for number, letter in enumerate("ssepss"):
        await store(bus, sample(channel, letter, minute_ms + (number + 1) * 10_000))
    await store(bus, sample(channel, "s", minute_ms + 10_000, "m", successes=0))
    await store(bus, CredentialEvent(channel, one, minute_ms, refused=True, status=401))
    async with running_console(bus, tasks, database_dsn) as running:
        call = running.client.call

        async def refused() -> list[dict[str, Any]] | None:
            return (await call("GET", "/credentials?refused=true")).body or None

        [state] = await eventually(refused, within_s=WITHIN_S, what="a credential is refused")
        assert (state["channel"], state["id"], state["mark"], state["status"]) == ("main", one, "01234567", 401)
        assert state["refused_at"] == state["heard_at"]
        everything = (await call("GET", "/credentials")).body
        assert everything[1] == {
            "channel": "main",
            "id": other,
            "mark": "fedcba98",
            "refused_at": None,
            "status": None,
            "heard_at": None,
        }
        await seen(database, 1)
        [row] = (await call("GET", "/history/main?by=minute")).body
        del row["at"]
        assert row == {
            "successes": 36,
            "failures": 6,
            "first_token_ms": 200,
            "serving_s": 40,
            "ejected_s": 10,
            "probing_s": 10,
        }
        assert (await call("GET", "/history/main?by=day")).body[0]["successes"] == 36
        [of_model] = (await call("GET", "/history/main?model=m")).body
        assert (of_model["successes"], of_model["first_token_ms"]) == (0, None)
        assert (await call("GET", "/history/main?since=2999-01-01")).body == []
        wrong = [("/history/other", 404), ("/history/main?by=second", 400), ("/history/main?since=x", 400)]
        wrong += [("/credentials?refused=maybe", 400)]
        for path, status in wrong:
            assert (await call("GET", path)).status == status
            assert (await read(f"{running.client.url}/admin/v1{path}"))[0] == 401
