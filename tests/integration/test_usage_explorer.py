"""The usage explorer: whatever is asked of it, and wherever it reads, it says what the attempts add up to."""

import asyncio
import datetime as dt
import random
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import pytest

from services.console import usage_query
from services.console.usage_explorer_api import READERS_MAX
from tests.support import usage_events
from tests.support.console import AdminClient, RunningConsole, running_console
from tests.support.usage_events import STARTED_MS, usage_event
from tests.support.waiting import eventually
from trunkline.bus.messages import UsageEvent
from trunkline.core.ids import job_text
from trunkline.core.usage import Units
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store import corrections, usage_explorer
from trunkline.store.database import ACQUIRE_TIMEOUT_S, CONNECTIONS_MAX, Database
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import settle
from trunkline.store.usage_sums import sum_days

DAY: Final = dt.datetime.fromtimestamp(STARTED_MS / 1000, dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
DAY_MS: Final = round(DAY.timestamp() * 1000)
DAYS: Final = 6
ATTEMPTS: Final = 400
SPAN: Final = {"since": DAY.isoformat(), "until": (DAY + dt.timedelta(days=DAYS)).isoformat()}
ZONE: Final = "Asia/Shanghai"


@pytest.fixture
async def running(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[RunningConsole]:
    async with running_console(bus, tasks, database_dsn) as running:
        yield running


@pytest.fixture
def client(running: RunningConsole) -> AdminClient:
    return running.client


class World:
    """Two accounts with users and keys, and what was settled of them."""

    def __init__(self, database: Database, client: AdminClient) -> None:
        self.database = database
        self.client = client
        self.events: list[UsageEvent] = []
        self.names: dict[str, dict[int, str]] = {}
        self.channel = 0

    async def fill(self) -> None:
        """Make the accounts."""
        for account, zone in (("acme", ZONE), ("other", "UTC")):
            await self.client.call("POST", "/accounts", {"name": account, "time_zone": zone})
            for user in ("ann", "bob"):
                await self.client.call("POST", f"/accounts/{account}/users", {"name": user})
                answer = await self.client.call(
                    "POST", f"/accounts/{account}/keys", {"name": f"key of {user}", "user": user}
                )
                assert answer.status == 201, answer.body
        async with self.database.connection() as connection:
            self.channel = await usage_events.add_prices(connection)
            for name, table in (("account", "accounts"), ("user", "users"), ("key", "keys"), ("channel", "channels")):
                rows = await connection.fetch(f"select id, name from {table}")  # noqa: S608 - one of four names
                self.names[name] = {row["id"]: row["name"] for row in rows}
            self.keys = [tuple(row) for row in await connection.fetch("select account_id, user_id, id from keys")]

    def draw_events(self, draw: random.Random, count: int) -> list[UsageEvent]:
        """Return some events of these accounts."""
        return [self._event(draw) for _ in range(count)]

    def _event(self, draw: random.Random) -> UsageEvent:
        account, user, key = draw.choice(self.keys)
        event = usage_event(
            account=account,
            user=user if draw.random() < 0.8 else 0,
            key=key,
            channel=draw.choice([self.channel, 77]),
            model=draw.choice(["small", "small", "large"]),
            group=draw.choice(["default", "vip"]),
            outcome=draw.choice(["", "", "upstream_timeout", "client_gone"]),
            charged=draw.random() < 0.7,
            units=Units(input=draw.randrange(1000), cache_read=draw.randrange(10), output=draw.randrange(1000)),
            started_ms=DAY_MS + draw.randrange(DAYS * 86_400_000),
        )
        return msgspec.structs.replace(
            event, first_token_ms=draw.choice([0, 100, 900]), duration_ms=draw.randrange(9000)
        )

    async def settle(self, events: list[UsageEvent]) -> None:
        """Settle some events."""
        async with self.database.connection() as connection:
            await settle(connection, events, await load_price_book(connection, await read_mark(connection)))
        self.events += events

    async def sum_days(self, before: int) -> None:
        """Sum up the days before the one of that number."""
        async with self.database.connection() as connection:
            async for _ in sum_days(connection, DAY.date() + dt.timedelta(days=before)):
                pass

    def value(self, event: UsageEvent, dimension: str) -> str | None:
        """Return what an event is shown as in a dimension."""
        found = getattr(event, dimension)
        if dimension == "outcome":
            return found or "complete"
        if dimension == "user" and not found:
            return None
        return self.names[dimension].get(found, f"#{found}") if dimension in self.names else found

    def wanted(self, filters: dict[str, str]) -> list[UsageEvent]:
        """Return the events that filters let through."""
        return [
            event
            for event in self.events
            if all(
                (event.outcome != "") == (value == "true") or value == "false"
                if name == "errors"
                else self.value(event, name) == value
                for name, value in filters.items()
            )
        ]

    async def get(self, path: str, **query: str) -> Any:
        """Return the body of an answer."""
        answer = await self.client.call("GET", f"{path}?{urlencode({**SPAN, **query})}")
        assert answer.status == 200, answer.body
        return answer.body


@pytest.fixture
async def world(client: AdminClient, database: Database) -> World:
    world = World(database, client)
    await world.fill()
    return world


def charge(event: UsageEvent) -> int:
    return event.units.input + 2 * event.units.output + event.units.cache_read if priced(event) else 0


def priced(event: UsageEvent) -> bool:
    return event.charged and event.model == "small"


def sums(events: list[UsageEvent]) -> dict[str, int]:
    return {
        "attempts": len(events),
        "requests": sum(event.charged for event in events),
        "errors": sum(event.outcome != "" for event in events),
        "input_tokens": sum(event.units.input for event in events),
        "cache_read_tokens": sum(event.units.cache_read for event in events),
        "output_tokens": sum(event.units.output for event in events),
        "charge_nano": sum(map(charge, events)),
    }


def within(totals: dict[str, int], events: list[UsageEvent]) -> bool:
    expected = sums(events)
    return {name: totals[name] for name in expected} == expected


FILTERS: Final[list[dict[str, str]]] = [
    {},
    {"model": "large"},
    {"group": "vip", "outcome": "complete"},
    {"outcome": "upstream_timeout"},
    {"errors": "true", "model": "small"},
    {"account": "acme"},
    {"account": "acme", "user": "ann"},
    {"account": "other", "key": "key of bob", "errors": "true"},
    {"channel": "#77"},
    {"channel": "channel of small", "account": "other"},
    {"model": "none"},
]


def asked(filters: dict[str, str]) -> list[tuple[str, dict[str, str]]]:
    """Return the ways to ask for what filters let through: of the site and, where it is one account's, of that."""
    ways = [("/usage", filters)]
    if "account" in filters and "channel" not in filters:
        others = {name: value for name, value in filters.items() if name != "account"}
        ways.append((f"/accounts/{filters['account']}/usage", others))
    return ways


@pytest.mark.parametrize("summed", [0, 3, DAYS])
async def test_every_answer_is_what_the_attempts_add_up_to(world: World, summed: int) -> None:
    draw = random.Random(summed)
    await world.settle(world.draw_events(draw, ATTEMPTS))
    await world.sum_days(summed)
    await world.settle(world.draw_events(draw, 3))
    for filters in FILTERS:
        events = world.wanted(filters)
        for path, query in asked(filters):
            site = path == "/usage"
            overview = await world.get(f"{path}/overview", **query)
            assert within(overview["totals"], events), (path, query)
            zone = dt.UTC if site or filters["account"] == "other" else dt.timezone(dt.timedelta(hours=8))
            assert overview["step"] == "day"
            check_series(overview, events, zone)
            cost_nano = overview["totals"].get("cost_nano")
            assert (cost_nano is not None) == site
            for by in ("model", "key", "user", "group", "outcome", *(("account", "channel") if site else ())):
                check_breakdown(await world.get(f"{path}/breakdown", by=by, top="2", **query), events, world, by)
            await check_pages(world, f"{path}/attempts", query, events)


def check_series(overview: Any, events: list[UsageEvent], zone: dt.tzinfo) -> None:
    days = {}
    for event in events:
        at = dt.datetime.fromtimestamp(event.started_ms / 1000, zone).replace(hour=0, minute=0, second=0, microsecond=0)
        days.setdefault(at.astimezone(dt.UTC), []).append(event)
    found = {dt.datetime.fromisoformat(point["at"]): point for point in overview["series"]}
    assert list(found) == sorted(found)
    assert set(days) <= set(found)
    for at, point in found.items():
        assert within(point["totals"], days.get(at, [])), at
    assert sum(point["totals"]["attempts"] for point in found.values()) == len(events)
    first_tokens = [event.first_token_ms for event in events if event.first_token_ms]
    check_quantiles(overview["speeds"]["first_token"], first_tokens)
    check_quantiles(overview["speeds"]["duration"], [event.duration_ms for event in events if not event.outcome])


def check_quantiles(found: Any, took_ms: list[int]) -> None:
    if not took_ms:
        assert found is None
        return
    took_ms.sort()
    assert found["attempts"] == len(took_ms)
    for name, hundredths in (("p50_ms", 50), ("p95_ms", 95)):
        true_ms = max(took_ms[-(-len(took_ms) * hundredths // 100) - 1], 1)
        assert abs(found[name] - true_ms) <= true_ms * 0.095 + 0.5, name


def check_breakdown(found: Any, events: list[UsageEvent], world: World, by: str) -> None:
    owned = by in {"key", "user"}
    groups: dict[tuple[str, str | None], list[UsageEvent]] = {}
    for event in events:
        groups.setdefault((str(event.account) if owned else "", world.value(event, by)), []).append(event)
    most = sorted((sum(map(charge, group)) for group in groups.values()), reverse=True)
    assert [row["totals"]["charge_nano"] for row in found["rows"]] == most[:2]
    assert found["others"] == max(len(groups) - 2, 0)
    for row in found["rows"]:
        assert any(value == row["value"] and within(row["totals"], group) for (_, value), group in groups.items())
    whole = [*(row["totals"] for row in found["rows"]), found["rest"]]
    for name, value in sums(events).items():
        assert sum(totals[name] for totals in whole) == value


async def check_pages(world: World, path: str, query: dict[str, str], events: list[UsageEvent]) -> None:
    found: list[tuple[str, int]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await world.get(path, limit="37", **query, **cursor)
        assert len(page["attempts"]) <= 37
        found += [(attempt["job"], attempt["attempt"]) for attempt in page["attempts"]]
        if page["next"] is None:
            break
        assert len(page["attempts"]) == 37
        cursor = {"cursor": page["next"]}
    wanted = sorted(events, key=lambda event: (event.started_ms, event.job, event.attempt), reverse=True)
    assert found == [(job_text(event.job), event.attempt) for event in wanted]  # type: ignore[arg-type]  # minted


async def test_short_spans_are_told_by_the_hour(world: World) -> None:
    await world.settle(world.draw_events(random.Random(5), ATTEMPTS))
    await world.sum_days(DAYS)
    since, until = DAY + dt.timedelta(hours=30), DAY + dt.timedelta(hours=54, minutes=20)
    span = {"since": since.isoformat(), "until": until.isoformat()}
    overview = await world.get("/usage/overview", **span)
    assert (overview["step"], overview["time_zone"], len(overview["series"])) == ("hour", "UTC", 25)
    assert overview["until"] == (DAY + dt.timedelta(hours=55)).isoformat().replace("+00:00", "Z")
    for number, point in enumerate(overview["series"]):
        begin_ms = DAY_MS + (30 + number) * 3_600_000
        events = [event for event in world.events if begin_ms <= event.started_ms < begin_ms + 3_600_000]
        assert within(point["totals"], events)
        check_quantiles(point["speeds"]["first_token"], [e.first_token_ms for e in events if e.first_token_ms])
    before = [e for e in world.events if 5 * 3_600_000 <= e.started_ms - DAY_MS < 30 * 3_600_000]
    assert within(overview["previous"], before)
    check_quantiles(overview["previous_speeds"]["duration"], [e.duration_ms for e in before if not e.outcome])
    first = [e for e in world.events if since.timestamp() * 1000 <= e.started_ms < until.timestamp() * 1000]
    await check_pages(world, "/usage/attempts", span, first)


async def test_one_request_is_told_to_operators_and_to_its_account(world: World) -> None:
    account, user, key = world.keys[0]
    job = usage_events.new_job()
    failed = usage_event(
        job=job,
        attempt=1,
        account=account,
        user=user,
        key=key,
        channel=world.channel,
        charged=False,
        outcome="upstream_timeout",
    )
    answered = usage_event(job=job, attempt=2, account=account, user=user, key=key, channel=77, asked="large")
    await world.settle([failed, answered])
    async with world.database.connection() as connection:
        await corrections.refund_charge(connection, account, job, amount_nano=50, reference="sorry")
    text = job_text(job)
    whole = await world.get(f"/usage/requests/{text}")
    assert [(a["attempt"], a["channel"], a["outcome"]) for a in whole["attempts"]] == [
        (1, "channel of small", "upstream_timeout"),
        (2, "#77", "complete"),
    ]
    assert (whole["failed_attempts"], whole["charge_nano"], whole["cost_nano"]) == (1, 200, 75)
    assert [(r["reference"], r["amount_nano"]) for r in whole["refunds"]] == [("sorry", 50)]
    own = await world.get(f"/accounts/acme/usage/requests/{text}")
    (attempt,) = own["attempts"]
    assert (attempt["attempt"], attempt["user"], attempt["key"]) == (2, "ann", "key of ann")
    assert (attempt["model"], attempt["asked"], attempt["units"]) == ("small", "large", {"input": 100, "output": 50})
    assert not {"channel", "credential", "cost_nano", "cost_version", "upstream_model", "account"} & set(attempt)
    assert (own["failed_attempts"], own["charge_nano"], own["refunds"], "cost_nano" in own) == (
        1,
        200,
        whole["refunds"],
        False,
    )
    assert (await world.client.call("GET", f"/accounts/other/usage/requests/{text}")).status == 404
    (found,) = (await world.get("/accounts/acme/usage/attempts", job=text, outcome="complete"))["attempts"]
    assert found == attempt
    assert (await world.get("/accounts/other/usage/attempts", job=text))["attempts"] == []


async def test_members_see_what_their_own_keys_used(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.settle(world.draw_events(random.Random(9), ATTEMPTS))
    monkeypatch.setattr(usage_query, "own_user", lambda _: "ann")
    events = world.wanted({"account": "acme", "user": "ann"})
    others = [event for event in world.wanted({"account": "acme"}) if event not in events]
    assert events
    assert within((await world.get("/accounts/acme/usage/overview"))["totals"], events)
    assert within((await world.get("/accounts/acme/usage/overview", user="ann"))["totals"], events)
    by_key = world.wanted({"account": "acme", "user": "ann", "key": "key of ann"})
    assert within((await world.get("/accounts/acme/usage/overview", key="key of ann"))["totals"], by_key)
    rows = (await world.get("/accounts/acme/usage/breakdown", by="user"))["rows"]
    assert [row["value"] for row in rows] == ["ann"]
    await check_pages(world, "/accounts/acme/usage/attempts", {}, events)
    text = job_text(others[0].job)  # type: ignore[arg-type]  # minted by new_job
    assert (await world.get("/accounts/acme/usage/attempts", job=text))["attempts"] == []
    for path in (f"requests/{text}", "overview?user=bob", "attempts?user=%230", "overview?key=key%20of%20bob"):
        assert (await world.client.call("GET", f"/accounts/acme/usage/{path}")).status == 404


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/usage/overview?since=soon", 400, "since must be"),
        ("/usage/overview?since=2030-01-02&until=2030-01-01", 400, "before until"),
        ("/usage/overview?since=2028-01-01&until=2030-01-01", 400, "400 days"),
        ("/usage/overview?since=0001-01-01&until=0001-01-02", 400, "beyond the calendar"),
        ("/usage/overview?key=ci", 400, "together with its account"),
        ("/usage/overview?errors=yes", 400, "errors must be"),
        ("/usage/overview?account=none", 404, "no account 'none'"),
        ("/usage/overview?account=acme&user=none", 404, "no user acme/none"),
        ("/usage/overview?account=acme&key=none", 404, "no key acme/none"),
        ("/usage/overview?channel=none", 404, "no channel 'none'"),
        ("/usage/breakdown?by=weather", 400, "by must be one of model, key, user, group, outcome, account, channel"),
        ("/accounts/acme/usage/breakdown?by=channel", 400, "by must be one of"),
        ("/accounts/acme/usage/breakdown?order=cost", 400, "order must be one of"),
        ("/usage/breakdown?top=0", 400, "top must be"),
        ("/usage/breakdown?top=²", 400, "top must be"),
        ("/usage/attempts?limit=201", 400, "limit must be"),
        ("/usage/attempts?cursor=1-2-3", 400, "cursor must be"),
        (f"/usage/attempts?cursor={'9' * 18}-{'0' * 32}-1", 400, "cursor must be"),
        ("/usage/attempts?job=1", 400, "must be one"),
        ("/usage/requests/0198", 400, "must be one"),
        (f"/usage/requests/{'0' * 32}", 404, "no such request"),
        ("/accounts/none/usage/overview", 404, "no account 'none'"),
    ],
)
async def test_what_cannot_be_told_is_said(world: World, path: str, status: int, said: str) -> None:
    answer = await world.client.call("GET", path)
    assert (answer.status, said in answer.body["error"]["message"]) == (status, True), answer.body


async def test_a_member_whose_name_looks_like_a_number_sees_its_own_usage_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.settle(world.draw_events(random.Random(9), ATTEMPTS))
    (event, *_) = world.wanted({"account": "acme", "user": "bob"})
    assert (await world.client.call("POST", "/accounts/acme/users", {"name": f"#{event.user}"})).status == 201
    # Operators and admins mean the user who is there, and the number only where none is.
    assert (await world.get("/accounts/acme/usage/overview", user=f"#{event.user}"))["totals"]["attempts"] == 0
    assert (await world.get("/accounts/acme/usage/overview", user="bob"))["totals"]["attempts"] > 0
    monkeypatch.setattr(usage_query, "own_user", lambda _: f"#{event.user}")
    assert (await world.get("/accounts/acme/usage/overview"))["totals"]["attempts"] == 0
    assert (await world.get("/accounts/acme/usage/attempts"))["attempts"] == []
    # Once it is gone nobody is meant, not the one of that number.
    assert (await world.client.call("DELETE", f"/accounts/acme/users/%23{event.user}")).status == 204
    assert (await world.client.call("GET", "/accounts/acme/usage/attempts")).status == 404


async def test_who_looks_at_much_usage_leaves_connections_to_others(
    world: World, tasks: TaskSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, begun = asyncio.Event(), []

    async def slow(*_arguments: object, **_options: object) -> list[object]:
        begun.append(True)
        await go_on.wait()
        return []

    monkeypatch.setattr(usage_explorer, "break_down", slow)
    asking = [
        tasks.spawn(world.get("/usage/breakdown"), name="breakdown") for _ in range(CONNECTIONS_MAX + READERS_MAX)
    ]

    async def all_that_may() -> bool:
        return len(begun) == READERS_MAX

    await eventually(all_that_may, within_s=10, what="readers")
    async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
        assert (await world.client.call("GET", "/accounts/acme")).status == 200
    go_on.set()
    await asyncio.gather(*asking)
    assert len(begun) == len(asking)
