"""Explanations of routing over the admin API, with real snapshots, health's weights and settled attempts."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.support.console import Answer, RunningConsole, running_console
from tests.support.usage_events import new_job, usage_event
from tests.support.waiting import eventually
from trunkline.bus import snapshots, subjects
from trunkline.bus.snapshots import ChannelState, ChannelWeight, ModelAccess, ModelFigures
from trunkline.core import limits
from trunkline.core.ids import job_text
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import settle

WITHIN_S = 15.0


def channel(name: str, dialect: str = "openai", **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "dialect": dialect,
        "base_url": f"http://{name}.example/v1",
        "models": {"m": f"m-at-{name}"},
        "credentials": [f"sk-planted-secret-of-{name}"],
        **fields,
    }


CONFIGURATION: dict[str, Any] = {
    "channels": [
        channel("first", priority=5),
        channel("second", "anthropic"),
        channel("third", groups=["vip"]),
        channel("off", enabled=False),
        {**channel("other"), "models": {"spare": "s"}},
    ],
    "groups": [{"name": "vip"}],
    "models": [{"name": "m", "free": True, "fallbacks": ["spare"]}, {"name": "spare", "free": True}],
    "accounts": [{"name": "acme"}],
}


@pytest.fixture
async def console(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[RunningConsole]:
    async with running_console(bus, tasks, database_dsn) as running:
        applied = await running.client.call("POST", "/apply", CONFIGURATION)
        assert applied.status == 200, applied.body
        made = await running.client.call("POST", "/accounts/acme/keys", {"name": "ci", "strategy": "latency"})
        assert made.status == 201, made.body
        await ready(running)
        yield running


async def explained(console: RunningConsole, **question: Any) -> Answer:
    return await console.client.call("POST", "/explain", {"model": "m", **question})


async def ready(console: RunningConsole) -> None:
    """Return once the console has heard of what was applied."""

    async def look() -> bool:
        found = (await explained(console)).body
        # The fallback's model and channel come by themselves, maybe after these.
        reached = [fallback["reached"] for fallback in found["fallbacks"]] == [True]
        return len(found["candidates"]) == 2 and len(found["left_out"]) == 2 and reached

    await eventually(look, within_s=WITHIN_S, what="the snapshots are there")


async def ids(console: RunningConsole) -> dict[str, int]:
    return {found["name"]: found["id"] for found in (await console.client.call("GET", "/channels")).body}


async def weigh(bus: NATSBus, weight: ChannelWeight) -> None:
    await bus.kv_put(subjects.KV_WEIGHTS, str(weight.channel), snapshots.encode(weight))


def order(found: Answer) -> list[str]:
    return [candidate["channel"] for candidate in found.body["candidates"]]


def left_out(found: Answer) -> dict[str, str]:
    return {left["channel"]: left["why"] for left in found.body["left_out"]}


async def test_a_group_is_asked_about(console: RunningConsole) -> None:
    found = await explained(console)

    assert (found.status, order(found)) == (200, ["first", "second"])
    assert left_out(found) == {"third": "group", "off": "off"}
    assert (found.body["strategy"], found.body["strategy_from"]) == ("priority", "default")
    assert found.body["fallbacks"] == [{"model": "spare", "on": ["failure"], "reached": True}]
    assert found.body["candidates"][0]["upstream_model"] == "m-at-first"
    assert "planted-secret" not in str(found.body)

    vip = await explained(console, groups=["vip", "default"])
    assert order(vip) == ["first", "second", "third"] or order(vip) == ["first", "third", "second"]


async def test_a_key_is_asked_about_with_what_health_says(console: RunningConsole, bus: NATSBus) -> None:
    numbers = await ids(console)
    figures = {"m": ModelFigures(420, 33)}
    # They are heard in their order: who knows of the ejection knows the figures, too.
    await weigh(bus, ChannelWeight(numbers["second"], ChannelState.SERVING, 1.0, 1, figures=figures))
    await weigh(bus, ChannelWeight(numbers["first"], ChannelState.EJECTED, 0.0, 1, "attempts fail"))

    async def look() -> Answer | None:
        found = await explained(console, account="acme", key="ci")
        return found if order(found) == ["second"] else None

    found = await eventually(look, within_s=WITHIN_S, what="the ejection is known")
    assert left_out(found) == {"first": "ejected", "third": "group", "off": "off"}
    assert (found.body["strategy"], found.body["strategy_from"]) == ("latency", "key")
    assert found.body["candidates"][0]["figures"] == {
        "share": None,
        "score": 0.42,
        "first_token_ms": 420,
        "tokens_per_s": 33,
        "cost_nano": None,
    }


async def test_needs_and_refused_credentials(console: RunningConsole, database: Database) -> None:
    found = await explained(console, dialect="openai-chat", needs=["audio_input"])
    assert (order(found), left_out(found)["second"]) == (["first"], "need")

    async with database.connection() as connection:
        await connection.execute(
            "insert into credential_states (credential_id, refused_at, status, heard_at)"
            " select c.id, now(), 401, now() from credentials c join channels h on h.id = c.channel_id"
            " where h.name = 'first'"
        )
    found = await explained(console)
    assert (order(found), left_out(found)["first"]) == (["second"], "credentials_refused")


async def test_a_model_that_no_provider_lets_us_use(console: RunningConsole, bus: NATSBus) -> None:
    await bus.kv_put(subjects.KV_ACCESS, subjects.kv_token("m"), snapshots.encode(ModelAccess("m", ("default",))))
    found = await explained(console)

    assert (found.body["refused"], order(found)) == ("no_group", [])


async def test_what_cannot_be_asked(console: RunningConsole) -> None:
    assert (await explained(console, model="none")).body["refused"] == "no_model"
    assert (await explained(console, account="acme")).status == 400
    assert (await explained(console, account="acme", key="gone")).status == 404
    assert (await explained(console, dialect="cohere")).status == 400
    assert (await explained(console, needs=["miracles"])).status == 400
    assert (await explained(console, strategy="best")).status == 400
    assert (await console.client.call("POST", "/explain", {"model": "m"}, headers={})).status == 401
    assert (await console.client.call("GET", "/audit?operation=explain_routing")).body["entries"] == []


async def test_a_job_that_ran(console: RunningConsole, database: Database) -> None:
    numbers, job = await ids(console), new_job()
    credential = (await console.client.call("GET", "/channels/second")).body["credentials"][0]
    async with database.connection() as connection:
        account = await connection.fetchval("select id from accounts where name = 'acme'")
        key = await connection.fetchval("select id from keys where name = 'ci'")
        made = {"job": job, "account": account, "key": key}
        failed = usage_event(
            **made,
            attempt=limits.ATTEMPTS_PER_OFFER_MAX,
            model="m",
            channel=numbers["first"],
            charged=False,
            outcome="upstream_error",
        )
        answered = usage_event(
            **made,
            attempt=limits.ATTEMPTS_PER_OFFER_MAX + 1,
            model="spare",
            channel=numbers["second"],
            asked="m",
            started_ms=failed.started_ms + 1000,
        )
        failed = msgspec.structs.replace(failed, credential=999_999)
        answered = msgspec.structs.replace(answered, credential=credential["id"])
        await settle(connection, [failed, answered], await load_price_book(connection, await read_mark(connection)))
    found = await console.client.call("GET", f"/explain/{job_text(job)}")

    assert found.status == 200, found.body
    then, now = found.body["then"], found.body["now"]
    assert (then["account"], then["key"], then["asked"], then["served"]) == ("acme", "ci", "m", "spare")
    assert then["not_kept"] == ["strategy", "plan", "request"]
    assert [
        (one["offer"], one["attempt"], one["channel"], one["model"], one["outcome"], one["charged"])
        for one in then["attempts"]
    ] == [(1, 0, "first", "m", "upstream_error", False), (1, 1, "second", "spare", None, True)]
    assert [one["credential"] for one in then["attempts"]] == [None, credential["mark"]]
    assert (now["model"], now["strategy"], now["strategy_from"]) == ("m", "latency", "key")
    assert {candidate["channel"] for candidate in now["candidates"]} == {"first", "second"}


async def test_a_job_of_a_key_that_is_gone(console: RunningConsole, database: Database) -> None:
    job = new_job()
    async with database.connection() as connection:
        account = await connection.fetchval("select id from accounts where name = 'acme'")
        event = usage_event(job=job, account=account, key=999_999, model="m", channel=999_999, group="vip")
        await settle(connection, [event], await load_price_book(connection, await read_mark(connection)))
    found = await console.client.call("GET", f"/explain/{job_text(job)}")

    assert (found.status, found.body["then"]["key"]) == (200, "#999999")
    assert found.body["then"]["attempts"][0]["channel"] == "#999999"
    assert [candidate["channel"] for candidate in found.body["now"]["candidates"]] == ["third"]


async def test_a_job_of_which_nothing_is_known(console: RunningConsole) -> None:
    assert (await console.client.call("GET", f"/explain/{job_text(new_job())}")).status == 404
    assert (await console.client.call("GET", "/explain/nonsense")).status == 400
