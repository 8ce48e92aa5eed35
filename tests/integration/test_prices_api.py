"""Prices by date through the admin API and the CLI, and their snapshots, on real Postgres and NATS."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.support import usage_events
from tests.support.cli import CLI
from tests.support.console import ADMIN_KEY, AdminClient, RunningConsole, running_console
from tests.support.usage_events import usage_event
from tests.support.waiting import eventually
from trunkline.bus import snapshots, subjects
from trunkline.bus.snapshots import ModelSnapshot
from trunkline.core.usage import Units
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store import prices as store_prices
from trunkline.store.database import Database
from trunkline.store.price_versions import WITHDRAW_BEFORE_S
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import settle

USD = 10**9
WITHIN_S = 20.0

AHEAD_S = 5.0
"""So long before its moment a price is set that shall still be to come when the answer is here."""

CONFIGURATION: dict[str, Any] = {
    "channels": [
        {
            "name": "main",
            "dialect": "openai",
            "base_url": "https://api.openai.com/v1",
            "credentials": ["upstream-secret"],
            "models": {"gpt-4o-mini": "gpt-4o-mini", "gpt-4o": "gpt-4o", "lab": "lab-1", "gift": "gift"},
            "groups": ["default", "vip"],
        },
        {
            "name": "other",
            "dialect": "openai",
            "base_url": "http://other.example/v1",
            "models": {"lab": "lab-1"},
            "groups": ["cheap"],
        },
    ],
    "models": [
        {"name": "gpt-4o-mini", "override": {"seconds": 100}},
        {"name": "lab", "price": {"input": 1, "output": 2}},
        {"name": "gift", "free": True},
    ],
    "groups": [{"name": "vip", "multiplier": 1.2}, {"name": "cheap"}],
    "accounts": [{"name": "acme"}],
}


@pytest.fixture
async def running(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[RunningConsole]:
    async with running_console(bus, tasks, database_dsn) as running:
        applied = await running.client.call("POST", "/apply", CONFIGURATION)
        assert applied.status == 200, applied.body
        yield running


@pytest.fixture
def client(running: RunningConsole) -> AdminClient:
    return running.client


def later(seconds: float) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)).isoformat()


async def snapshot(bus: NATSBus, model: str) -> ModelSnapshot:
    value = await bus.kv_get(subjects.KV_MODELS, subjects.kv_token(model))
    assert value is not None
    return snapshots.decode_model(value)


async def until_priced(bus: NATSBus, model: str, prices: dict[str, int]) -> ModelSnapshot:
    async def there() -> bool:
        value = await bus.kv_get(subjects.KV_MODELS, subjects.kv_token(model))
        return value is not None and snapshots.decode_model(value).prices == prices

    await eventually(there, within_s=WITHIN_S, what=f"{model} has the prices {prices}")
    return await snapshot(bus, model)


def states(versions: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(version["state"], version["source"]) for version in versions]


async def test_snapshots_hold_prices_multipliers_and_what_is_free(bus: NATSBus, client: AdminClient) -> None:
    lab = await until_priced(bus, "lab", {"input": USD, "output": 2 * USD})
    assert (lab.free, lab.multipliers_ppm) == (False, {"vip": 1_200_000})
    gift = await snapshot(bus, "gift")
    assert (gift.free, set(gift.prices.values())) == (True, {0})
    assert (await snapshot(bus, "gpt-4o-mini")).prices["seconds"] == 100 * USD
    await client.call("PUT", "/groups/cheap", {"multiplier": 0.5})

    async def multiplied() -> bool:
        return (await snapshot(bus, "lab")).multipliers_ppm == {"vip": 1_200_000, "cheap": 500_000}

    await eventually(multiplied, within_s=WITHIN_S, what="the group's new multiplier is in its models' snapshots")
    assert (await snapshot(bus, "gift")).multipliers_ppm == {"vip": 1_200_000}


async def test_prices_from_a_moment_on_come_into_force_by_themselves(bus: NATSBus, client: AdminClient) -> None:
    # Of before the change there is a snapshot; that of after comes at its moment.
    await until_priced(bus, "lab", {"input": USD, "output": 2 * USD})
    body = {"price": {"input": "3"}, "effective_from": later(AHEAD_S)}
    answer = await client.call("PUT", "/models/lab/prices", body)
    assert states(answer.body) == [("to come", "operator"), ("in force", "configuration")]
    assert (await client.call("GET", "/models/lab")).body["prices"] == {"input": USD, "output": 2 * USD}
    assert (await snapshot(bus, "lab")).prices == {"input": USD, "output": 2 * USD}
    await until_priced(bus, "lab", {"input": 3 * USD})
    history = (await client.call("GET", "/models/lab/prices")).body
    assert states(history) == [("in force", "operator"), ("past", "configuration")]
    assert (await client.call("GET", "/models/lab")).body["price_source"] == "operator"


async def test_a_moment_that_passed_while_no_console_ran_is_made_good(
    bus: NATSBus, tasks: TaskSet, database_dsn: str, database: Database
) -> None:
    async with running_console(bus, tasks, database_dsn) as running:
        await running.client.call("POST", "/apply", CONFIGURATION)
        answer = await running.client.call(
            "PUT", "/models/lab/prices", {"price": {"input": 3}, "effective_from": later(AHEAD_S)}
        )
        assert states(answer.body)[0] == ("to come", "operator")
    async with database.connection() as connection:

        async def past() -> bool:
            return bool(
                await connection.fetchval("select exists (select from price_changes_due where effective_from <= now())")
            )

        await eventually(past, within_s=WITHIN_S, what="the moment has come")
    async with running_console(bus, tasks, database_dsn):
        await until_priced(bus, "lab", {"input": 3 * USD})


async def test_only_what_is_still_to_come_can_be_withdrawn(client: AdminClient, database: Database) -> None:
    body = {"price": {"input": 3}, "effective_from": later(3600)}
    coming, current = (await client.call("PUT", "/models/lab/prices", body)).body
    refused = await client.call("DELETE", f"/models/lab/prices/{current['id']}")
    assert (refused.status, "can no longer be withdrawn" in refused.body["error"]["message"]) == (409, True)
    assert (await client.call("DELETE", f"/models/gpt-4o/prices/{coming['id']}")).status == 404
    assert (await client.call("DELETE", f"/models/lab/prices/{coming['id']}")).status == 204
    assert (await client.call("DELETE", f"/models/lab/prices/{coming['id']}")).status == 404
    assert states((await client.call("GET", "/models/lab/prices")).body) == [("in force", "configuration")]
    async with database.connection() as connection:
        assert await connection.fetchval("select count(*) from price_changes_due") == 0
    body = {"price": {"input": 3}, "effective_from": later(WITHDRAW_BEFORE_S - 1)}
    soon = (await client.call("PUT", "/models/lab/prices", body)).body[0]
    assert (await client.call("DELETE", f"/models/lab/prices/{soon['id']}")).status == 409, "metering may hold it"


async def test_a_free_model_gets_a_price_and_a_priced_one_becomes_free(bus: NATSBus, client: AdminClient) -> None:
    await client.call("PUT", "/models/gift/prices", {"price": {"input": 1}})
    gift = await until_priced(bus, "gift", {"input": USD})
    assert (gift.free, (await client.call("GET", "/models/gift")).body["free"]) == (False, False)
    await client.call("PUT", "/models/lab/prices", {"free": True})
    assert (await client.call("GET", "/models/lab")).body["free"] is True


async def test_a_file_without_a_price_leaves_what_an_operator_has_set(client: AdminClient) -> None:
    await client.call("PUT", "/models/gpt-4o/prices", {"price": {"input": 9}})
    again = await client.call("POST", "/apply", {"models": [{"name": "gpt-4o", "owned_by": "us"}]})
    assert [field["field"] for field in again.body["changes"][0]["fields"]] == ["owned_by"]
    assert (await client.call("GET", "/models/gpt-4o")).body["prices"] == {"input": 9 * USD}


async def test_the_list_is_refreshed_where_it_is_followed(
    bus: NATSBus, client: AdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.call("PUT", "/models/gpt-4o/prices", {"price": {"input": 9}})
    nothing = await client.call("POST", "/prices/refresh")
    assert nothing.body == {"dry_run": False, "changes": [], "unlisted": []}
    newer = {"input": 77 * USD, "output": 78 * USD}
    monkeypatch.setattr("trunkline.policy.list_prices.list_prices", lambda *_arguments: newer)
    dry = (await client.call("POST", "/prices/refresh?dry_run=true")).body
    assert [change["name"] for change in dry["changes"]] == ["gpt-4o-mini"]
    assert dry["changes"][0]["fields"][0]["after"] == "input 77.00, output 78.00, seconds 100.00"
    assert len((await client.call("GET", "/models/gpt-4o-mini/prices")).body) == 1
    done = (await client.call("POST", "/prices/refresh")).body
    assert (done["changes"], done["dry_run"]) == (dry["changes"], False)
    await until_priced(bus, "gpt-4o-mini", {**newer, "seconds": 100 * USD})
    history = (await client.call("GET", "/models/gpt-4o-mini/prices")).body
    assert states(history) == [("in force", "genai-prices"), ("past", "genai-prices")]
    assert history[0]["overrides"] == {"seconds": 100 * USD}
    assert (await client.call("GET", "/models/gpt-4o")).body["prices"] == {"input": 9 * USD}
    monkeypatch.setattr("trunkline.policy.list_prices.list_prices", lambda *_arguments: None)
    gone = (await client.call("POST", "/prices/refresh")).body
    assert (gone["changes"], gone["unlisted"]) == ([], ["gpt-4o-mini"])


async def test_a_price_set_over_the_list_follows_it_for_the_rest(client: AdminClient) -> None:
    listed = (await client.call("GET", "/models/gpt-4o")).body["prices"]
    version = (await client.call("PUT", "/models/gpt-4o/prices", {"price": {"output": 99}, "over_list": True})).body[0]
    assert version["prices"] == {**listed, "output": 99 * USD}
    assert (version["source"], version["overrides"]) == ("genai-prices", {"output": 99 * USD})
    unknown = await client.call("PUT", "/models/lab/prices", {"over_list": True})
    assert (unknown.status, "No list price is known" in unknown.body["error"]["message"]) == (400, True)


async def test_costs_of_channels_have_a_history_as_well(client: AdminClient, database: Database) -> None:
    path = "/channels/main/costs/lab"
    await client.call("PUT", path, {"price": {"input": "0.5", "images@high": 20_000}})
    body = {"price": {"input": "0.4"}, "effective_from": later(3600)}
    coming, current = (await client.call("PUT", path, body)).body
    assert [coming["state"], current["state"]] == ["to come", "in force"]
    assert current["prices"] == {"input": USD // 2, "images@high": 20_000 * USD}
    shown = (await client.call("GET", "/channels/main")).body["costs"]
    assert shown == {"lab": current["prices"]}
    assert (await client.call("GET", "/channels/main/costs")).body == [coming, current]
    assert (await client.call("GET", "/channels/other/costs")).body == []
    assert (await client.call("DELETE", f"{path}/{current['id']}")).status == 409
    assert (await client.call("DELETE", f"{path}/{coming['id']}")).status == 204
    assert (await client.call("GET", path)).body == [current]
    async with database.connection() as connection:
        book = await load_price_book(connection, await read_mark(connection))
        channel = await connection.fetchval("select id from channels where name = 'main'")
    quote = book.quote(
        Units(images=1), charged=False, model="lab", group="default", channel=channel, at_ms=0, variant="high"
    )
    assert quote.cost_nano == 20_000 * USD // 10**6


async def use(database: Database, *units: tuple[str, Units]) -> None:
    """Settle an answer per model and units for the account, through the group ``vip``."""
    async with database.connection() as connection:
        account = await connection.fetchval("select id from accounts where name = 'acme'")
        book = await load_price_book(connection, await read_mark(connection))
        events = [
            usage_event(account=account, model=model, units=used, group="vip", started_ms=usage_events.STARTED_MS)
            for model, used in units
        ]
        await settle(connection, events, book)


async def test_a_months_usage_is_compared_with_other_models(
    client: AdminClient, database: Database, running: RunningConsole
) -> None:
    await use(
        database, ("lab", Units(input=1000, output=100)), ("lab", Units(output=400)), ("whisper", Units(seconds=9))
    )
    month = dt.datetime.fromtimestamp(usage_events.STARTED_MS / 1000, dt.UTC).strftime("%Y-%m")
    query = f"/prices/compare?account=acme&month={month}"
    found = (await client.call("GET", query)).body
    paid = (1000 + 500 * 2) * 1200
    assert (found["account"], found["month"], found["paid_nano"]) == ("acme", month, paid)
    assert found["used"] == [
        {"model": "lab", "requests": 2, "input_tokens": 1000, "output_tokens": 500, "paid_nano": paid},
        {"model": "whisper", "requests": 1, "input_tokens": 0, "output_tokens": 0, "paid_nano": 0},
    ]
    # gpt-4o-mini also has a price for seconds; nobody else could have heard.
    assert [(row["model"], row["cost_nano"], row["kept_nano"]) for row in found["models"]] == [
        ("gift", 0, 0),
        ("gpt-4o-mini", round((1000 * 150 + 500 * 600 + 9 * 100_000) * 1.2), 0),
        ("lab", paid, 0),
        ("gpt-4o", round((1000 * 2500 + 500 * 10_000) * 1.2), 0),
    ]
    assert "would have used more or fewer tokens" in found["note"]
    some = (await client.call("GET", f"{query}&models=gpt-4o,lab")).body
    assert [row["model"] for row in some["models"]] == ["lab", "gpt-4o"]
    for wrong, status in (
        ("account=nobody", 404),
        (f"account=acme&month={month}&models=gpt-9", 404),
        ("account=acme&month=2026", 400),
        ("account=acme&month=2026-13", 400),
        ("account=acme&month=9999-12", 400),
        ("account=acme&models=" + ",".join(map(str, range(201))), 400),
    ):
        assert (await client.call("GET", f"/prices/compare?{wrong}")).status == status, wrong
    empty = (await client.call("GET", "/prices/compare?account=acme&month=2001-01&models=lab")).body
    assert (empty["paid_nano"], empty["models"], empty["left_out"]) == (0, [], ["lab"])


BAD_PRICES: list[tuple[str, dict[str, Any], int, str]] = [
    ("/models/none/prices", {"price": {"input": 1}}, 404, "no model 'none'"),
    ("/models/lab/prices", {}, 400, "price: must name at least one kind of unit"),
    ("/models/lab/prices", {"price": {"colour": 1}}, 400, "price.colour: is no unit kind"),
    ("/models/lab/prices", {"price": {"input": -1}}, 400, "price.input: must be between 0"),
    ("/models/lab/prices", {"price": {"input": 1}, "free": True}, 400, "free: leaves nothing else"),
    ("/models/lab/prices", {"price": {"input": 1}, "effective_from": "soon"}, 400, "effective_from"),
    ("/models/lab/prices", {"price": {"input": 1}, "effective_from": "2001-01-01T00:00:00Z"}, 400, "is past"),
    ("/models/lab/prices", {"price": {"input": 1}, "effective_from": "2100-01-01T00:00:00"}, 400, "its time zone"),
    ("/models/lab/prices", {"price": {"input": 1}, "colour": 1}, 400, "colour"),
    ("/channels/none/costs/lab", {"price": {"input": 1}}, 404, "no channel 'none'"),
    ("/channels/other/costs/gift", {"price": {"input": 1}}, 400, "does not serve model 'gift'"),
    ("/channels/main/costs/lab", {"over_list": True}, 400, "follow no list"),
]


async def test_bad_prices_are_refused_with_words(client: AdminClient, database: Database) -> None:
    for path, body, status, says in BAD_PRICES:
        answer = await client.call("PUT", path, body)
        error = answer.body["error"]
        assert answer.status == status, (path, error)
        assert says in " ".join([error["message"], *error.get("faults", ())]), (path, error)
    async with database.connection() as connection:
        assert (await store_prices.read_mark(connection)).models[1] == 4
    assert (await client.call("DELETE", "/models/lab/prices/99999999999999999999")).status == 404
    assert (await client.call("POST", "/prices/refresh?dry_run=maybe")).status == 400


async def test_discounts_are_part_of_the_configuration(bus: NATSBus, client: AdminClient, database: Database) -> None:
    wanted = {"discounts": [{"monthly": 100, "percent": 5}, {"monthly": 0, "percent": "2.5", "tier": "pro"}]}
    assert (await client.call("POST", "/apply", wanted)).status == 400
    wanted = {**wanted, "tiers": [{"name": "pro"}]}
    changes = (await client.call("POST", "/apply", wanted)).body["changes"]
    assert [(change["action"], change["kind"]) for change in changes] == [("create", "tier"), ("update", "discounts")]
    assert (await client.call("POST", "/apply", wanted)).body["changes"] == []
    assert (await client.call("POST", "/apply", CONFIGURATION)).body["changes"] == []
    async with database.connection() as connection:
        mark = await read_mark(connection)
    assert [(step.monthly_nano, step.discount_ppm, step.tier) for step in mark.discounts] == [
        (100 * USD, 50_000, None),
        (0, 25_000, "pro"),
    ]
    await eventually(lambda: bus.kv_get(subjects.KV_SETTINGS, "discounts"), within_s=WITHIN_S, what="it is in KV")
    await client.call("POST", "/apply", {"discounts": []})
    async with database.connection() as connection:
        assert (await read_mark(connection)).discounts == ()


async def test_the_command_line_sets_shows_and_compares(client: AdminClient, database: Database) -> None:
    cli = CLI(TRUNKLINE_CONSOLE_URL=client.url, TRUNKLINE_ADMIN_KEY=ADMIN_KEY)

    async def run(*arguments: str) -> str:
        return (await asyncio.to_thread(cli.run, *arguments)).out

    def fails(*arguments: str) -> Any:
        return asyncio.to_thread(cli.fails, *arguments)

    await use(database, ("lab", Units(input=1000, output=100)))
    moment = "2100-12-01T00:00Z"
    out = await run("prices", "set", "lab", "--input", "0.15", "--output=0.60", "--from", moment)
    version, state = out.splitlines()[1].split()[0], " ".join(out.splitlines()[1].split()[2:6])
    assert state == "to come 2100-12-01 00:00"
    assert "input 0.15, output 0.60" in out
    assert await run("prices", "show", "lab") == out
    assert await run("prices", "withdraw", "lab", version) == f"withdrew version {version} of the prices of lab\n"
    current = (await run("prices", "show", "lab")).splitlines()[1].split()[0]
    assert "can no longer be withdrawn" in await fails("prices", "withdraw", "lab", current)
    images = await run("prices", "set", "lab", "--price", "images@1024x1024/high=167000", "--price=images=40000")
    assert "images 40000.00, images@1024x1024/high 167000.00" in images
    assert "output 9.00" in await run("prices", "set", "gpt-4o", "--output", "9", "--over-list")
    assert "free" in await run("prices", "set", "lab", "--free")
    assert await run("prices", "refresh", "--dry-run") == "Nothing to change.\n"
    costs = await run("costs", "set", "main", "lab", "--input", "0.1", "--cached-input", "0.01")
    assert "input 0.10, cache_read 0.01" in costs
    assert await run("costs", "show", "main") == await run("costs", "show", "main", "lab") == costs
    month = dt.datetime.fromtimestamp(usage_events.STARTED_MS / 1000, dt.UTC).strftime("%Y-%m")
    compared = await run("prices", "compare", "--account", "acme", "--month", month, "--models", "gpt-4o-mini,lab")
    assert compared.startswith(f"acme in {month} (UTC), at the prices of ")
    assert ["gpt-4o-mini", "0.000252", "-0.001188", "0.00"] in [line.split() for line in compared.splitlines()]
    asked = ("prices", "compare", "--account", "acme", "--month", month, "--json")
    assert msgspec.json.decode(await run(*asked))["paid_nano"] == 1_440_000
    for arguments, words in (
        (("prices", "set", "lab", "--price", "images"), "written KIND=USD"),
        (("prices", "set", "lab", "--input", "1", "--price", "input=2"), "the price of input is there twice"),
        (("prices", "set", "lab", "--input", "1", "--from", "soon"), "not a day or moment"),
        (("prices", "set", "lab", "--input", "1", "--from", "2001-01-01"), "is past"),
        (("costs", "withdraw", "main", "lab", "77"), "no version 77"),
    ):
        assert words in await fails(*arguments)
