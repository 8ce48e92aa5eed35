"""The price list that everybody may read."""

import aiohttp
import pytest

from services.console.remembered import FRESH_S, RETRY_S, STALE_S_MAX, Remembered
from tests.support.console import running_console
from tests.support.manual_clock import ManualClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Connection, Database, StoreError

CHANNEL = {"dialect": "openai", "base_url": "https://upstream.example"}
CONFIGURATION = {
    "groups": [{"name": "vip", "multiplier": 0.8}, {"name": "staff"}],
    "channels": [
        {"name": "one", **CHANNEL, "models": {"big": "b", "small": "s"}, "groups": ["default", "vip"]},
        {"name": "two", **CHANNEL, "models": {"small": "s", "inner": "i"}, "groups": ["staff"]},
        {"name": "three", **CHANNEL, "models": {"off": "o"}, "enabled": False},
    ],
    "models": [
        {"name": "big", "price": {"input": 2.5, "output": 10}},
        {"name": "small", "free": True},
        {"name": "inner", "price": {"input": 1}},
        {"name": "off", "price": {"input": 1}},
    ],
}


async def test_the_list_has_what_the_public_may_use(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> None:
    groups = "default,vip"
    async with (
        running_console(bus, tasks, database_dsn, TRUNKLINE_STATUS_GROUPS=groups) as running,
        aiohttp.ClientSession() as http,
    ):
        assert (await running.client.call("POST", "/apply", CONFIGURATION)).status == 200
        later = {"price": {"input": 3, "output": 12}, "effective_from": "2900-01-01T00:00:00Z"}
        assert (await running.client.call("PUT", "/models/big/prices", later)).status == 200
        async with http.get(f"{running.client.url}/admin/v1/prices/public") as response:
            assert response.status == 200
            assert response.headers["cache-control"] == f"public, max-age={FRESH_S:.0f}"
            found = await response.json()
    assert found["groups"] == [
        {"name": "default", "multiplier_ppm": 1_000_000},
        {"name": "vip", "multiplier_ppm": 800_000},
    ]
    big, small = found["models"]
    assert big == {
        "name": "big",
        "groups": ["default", "vip"],
        "free": False,
        "prices": {"input": 2_500_000_000, "output": 10_000_000_000},
        "to_come": [
            {
                "effective_from": "2900-01-01T00:00:00Z",
                "prices": {"input": 3_000_000_000, "output": 12_000_000_000},
            }
        ],
    }
    assert (small["name"], small["groups"], small["free"]) == ("small", ["default", "vip"], True)


async def test_what_is_remembered_is_read_anew_after_some_seconds_and_outlives_an_outage(database: Database) -> None:
    reads, away = 0, False

    async def read(connection: Connection) -> int:
        nonlocal reads
        if away:
            raise StoreError("away")
        reads += 1
        return int(await connection.fetchval("select $1::int", reads))

    clock = ManualClock()
    remembered = Remembered("numbers", read, database, clock=clock)
    assert [await remembered.value() for _ in range(3)] == [1, 1, 1]
    await clock.advance(FRESH_S)
    assert await remembered.value() == 2
    remembered.forget()
    assert await remembered.value() == 3
    away = True
    await clock.advance(FRESH_S)
    assert await remembered.value() == 3
    away = False
    assert await remembered.value() == 3, "Postgres is left alone for a moment"
    await clock.advance(RETRY_S)
    assert await remembered.value() == 4
    away = True
    await clock.advance(STALE_S_MAX + 1)
    with pytest.raises(StoreError, match="numbers cannot be read"):
        await remembered.value()
