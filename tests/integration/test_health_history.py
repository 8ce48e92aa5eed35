"""From the stream HEALTH to rows: each sample counts once, whoever reads and whatever dies; what is old goes."""

import contextlib
import datetime as dt
import itertools
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest
from prometheus_client import CollectorRegistry

from services.console import health_stream
from services.console import historian as service
from services.console.health_stream import HealthStream
from services.console.historian import Historian
from services.console.metrics import ConsoleMetrics
from tests.support.health_world import add_channel, add_credential, sample, store
from tests.support.servers import NATSServer
from tests.support.waiting import eventually
from trunkline.bus import subjects
from trunkline.bus.messages import CredentialEvent
from trunkline.policy.alerts import AlertTerms
from trunkline.policy.health_history import RowKey, tally
from trunkline.policy.incidents import Incident, Level
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store import health_history, incidents
from trunkline.store.configuration import json_text
from trunkline.store.database import Connection, Database
from trunkline.store.health_history import add_history, forget_history
from trunkline.store.incidents import forget_incidents, put_incidents

WITHIN_S = 15.0
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def some_hour_ms() -> int:
    """Return the first moment of the hour before the one before this: over, and not long ago."""
    return SystemClock().wall_ms() // HOUR_MS * HOUR_MS - 2 * HOUR_MS


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "RETRY_S", 0.1)
    monkeypatch.setattr(service, "SERVED_S", 0.0)
    monkeypatch.setattr(health_stream, "FETCH_WAIT_S", 0.2)


@contextlib.asynccontextmanager
async def reading(
    bus: NATSBus, tasks: TaskSet, database: Database, registry: CollectorRegistry | None = None
) -> AsyncIterator[None]:
    """Run a historian for the length of the block."""
    metrics = ConsoleMetrics(registry or CollectorRegistry())
    historian = Historian(database, HealthStream(bus), ("default",), clock=SystemClock(), metrics=metrics)
    task = tasks.spawn(historian.run(), name="historian")
    try:
        yield
    finally:
        await tasks.end(task)


async def rows(connection: Connection, span_s: int) -> list[tuple[Any, ...]]:
    """Return channel, model, begin (Unix ms), successes, failures, first tokens, and seconds in each state."""
    found = await connection.fetch(
        "select channel_id, model, (extract(epoch from at) * 1000)::bigint, successes, failures, first_tokens,"
        " first_token_ms, serving_s, ejected_s, probing_s from health_history where span_s = $1 order by 1, 2, 3",
        span_s,
    )
    return [tuple(row) for row in found]


async def read_up_to(database: Database, bus: NATSBus) -> None:
    """Return once all that the stream holds is read."""
    last = (await bus.stream_span(subjects.HEALTH_STREAM)).last

    async def look() -> bool:
        async with database.connection() as connection:
            return await connection.fetchval("select sequence from health_position") == last

    await eventually(look, within_s=WITHIN_S, what="the stream is read")


async def listed(connection: Connection) -> list[Incident]:
    found = await connection.fetch("select * from incidents order by began_at, model")
    return [incidents._incident(row) for row in found]


async def test_samples_become_rows_by_minute_hour_and_day(bus: NATSBus, tasks: TaskSet, database: Database) -> None:
    begin_ms = some_hour_ms()
    for number, letter in enumerate("sssseepps"):
        await store(bus, sample(1, letter, begin_ms + (number + 1) * 10_000))
    await store(bus, sample(1, "s", begin_ms + 20_000, "m/odd name", successes=2))
    await store(bus, sample(2, "s", begin_ms + HOUR_MS + 10_000))
    async with reading(bus, tasks, database), database.connection() as connection:
        await read_up_to(database, bus)
        day_ms = begin_ms // DAY_MS * DAY_MS
        model = (2, 1, 1, 200, 10, 0, 0)
        all_of_it = (54, 9, 27, 5400, 50, 20, 20)
        assert await rows(connection, 60) == [
            (1, "", begin_ms, 36, 6, 18, 3600, 40, 20, 0),
            (1, "", begin_ms + 60_000, 18, 3, 9, 1800, 10, 0, 20),
            (1, "m/odd name", begin_ms, *model),
            (2, "", begin_ms + HOUR_MS, 6, 1, 3, 600, 10, 0, 0),
        ]
        assert await rows(connection, 3600) == [
            (1, "", begin_ms, *all_of_it),
            (1, "m/odd name", begin_ms, *model),
            (2, "", begin_ms + HOUR_MS, 6, 1, 3, 600, 10, 0, 0),
        ]
        assert await rows(connection, 86_400) == [
            (1, "", day_ms, *all_of_it),
            (1, "m/odd name", day_ms, *model),
            (2, "", (begin_ms + HOUR_MS) // DAY_MS * DAY_MS, 6, 1, 3, 600, 10, 0, 0),
        ]


async def test_what_comes_later_joins_its_rows(bus: NATSBus, tasks: TaskSet, database: Database) -> None:
    begin_ms = some_hour_ms()
    async with reading(bus, tasks, database), database.connection() as connection:
        for number in range(3):
            await store(bus, sample(1, "s", begin_ms + (number + 1) * 10_000))
            await read_up_to(database, bus)
        assert await rows(connection, 60) == [(1, "", begin_ms, 18, 3, 9, 1800, 30, 0, 0)]
        assert [row[3] for row in await rows(connection, 86_400)] == [18]


async def test_a_message_that_is_read_again_counts_once(
    bus: NATSBus, tasks: TaskSet, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica dies between the writing of rows and its commit, again and again; then another one reads."""
    begin_ms = some_hour_ms()
    for number in range(6):
        await store(bus, sample(1, "s", begin_ms + (number + 1) * 10_000))
    failures = iter(range(3))
    write = health_history.write_position

    async def failing(*args: Any) -> None:
        if next(failures, None) is not None:
            raise asyncpg.PostgresConnectionError
        await write(*args)

    monkeypatch.setattr(service, "write_position", failing)
    for count in range(2):
        async with reading(bus, tasks, database), database.connection() as connection:
            await read_up_to(database, bus)
            assert (await rows(connection, 60))[0] == (1, "", begin_ms, 36, 6, 18, 3600, 60, 0, 0)
            assert len(await rows(connection, 60)) == 1 + count
        await store(bus, sample(1, "s", begin_ms + 70_000))
    assert next(failures, None) is None


async def test_a_sample_that_health_stores_twice_is_there_once(
    bus: NATSBus, tasks: TaskSet, database: Database
) -> None:
    begin_ms = some_hour_ms()
    for _ in range(2):
        await store(bus, sample(1, "s", begin_ms + 10_000))
    async with reading(bus, tasks, database), database.connection() as connection:
        await read_up_to(database, bus)
        assert [row[3] for row in await rows(connection, 60)] == [6]


async def test_of_several_replicas_one_reads_and_the_next_takes_over(
    bus: NATSBus, tasks: TaskSet, database: Database
) -> None:
    begin_ms = some_hour_ms()
    async with contextlib.AsyncExitStack() as others:
        async with reading(bus, tasks, database):
            await store(bus, sample(1, "s", begin_ms + 10_000))
            await read_up_to(database, bus)
            for _ in range(2):
                await others.enter_async_context(reading(bus, tasks, database))
            await store(bus, sample(1, "s", begin_ms + 20_000))
            await read_up_to(database, bus)
        await store(bus, sample(1, "e", begin_ms + 30_000))
        await read_up_to(database, bus)
        async with database.connection() as connection:
            assert await rows(connection, 60) == [(1, "", begin_ms, 18, 3, 9, 1800, 20, 10, 0)]


async def test_a_new_stream_is_read_from_its_start(bus: NATSBus, tasks: TaskSet, database: Database) -> None:
    begin_ms = some_hour_ms()
    for number in range(5):
        await store(bus, sample(1, "s", begin_ms + (number + 1) * 10_000))
    async with reading(bus, tasks, database):
        await read_up_to(database, bus)
    await bus.jetstream.delete_stream(subjects.HEALTH_STREAM)
    await bus.ensure_streams()
    await store(bus, sample(1, "s", begin_ms + 60_000))
    async with reading(bus, tasks, database), database.connection() as connection:
        await read_up_to(database, bus)
        assert [row[3] for row in await rows(connection, 60)] == [36]


async def test_nats_goes_and_comes_back(
    nats_server: NATSServer, bus: NATSBus, tasks: TaskSet, database: Database
) -> None:
    begin_ms = some_hour_ms()
    async with reading(bus, tasks, database), database.connection() as connection:
        await store(bus, sample(1, "s", begin_ms + 10_000))
        await read_up_to(database, bus)
        nats_server.kill()
        nats_server.start()

        async def stored() -> bool:
            with contextlib.suppress(Exception):
                await store(bus, sample(1, "s", begin_ms + 20_000))
                return True
            return False

        await eventually(stored, within_s=WITHIN_S, what="NATS takes samples")
        await read_up_to(database, bus)
        assert [row[3] for row in await rows(connection, 60)] == [12]


async def test_a_reader_that_the_broker_forgets_begins_anew(
    bus: NATSBus, tasks: TaskSet, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "SILENCE_S", 1.5)
    begin_ms = some_hour_ms()
    async with reading(bus, tasks, database), database.connection() as connection:
        await store(bus, sample(1, "s", begin_ms + 10_000))
        await read_up_to(database, bus)
        for consumer in await bus.jetstream.consumers_info(subjects.HEALTH_STREAM):
            await bus.jetstream.delete_consumer(subjects.HEALTH_STREAM, consumer.name)
        await store(bus, sample(1, "s", begin_ms + 20_000))
        await read_up_to(database, bus)
        assert [row[3] for row in await rows(connection, 60)] == [12]


async def test_what_cannot_be_stored_holds_nothing_up(bus: NATSBus, tasks: TaskSet, database: Database) -> None:
    begin_ms = some_hour_ms()
    registry = CollectorRegistry()
    good = sample(1, "s", begin_ms + 10_000)
    bad = [
        msgspec.structs.replace(good, at_ms=2**62),
        msgspec.structs.replace(good, model="a\0b"),
        msgspec.structs.replace(good, successes=2**62),
        msgspec.structs.replace(good, channel=2**63),
    ]
    await bus.store("tl.health.1", b"\xc1", message_id="none", timeout_s=5)
    for number, body in enumerate(bad):
        await store(bus, body, twice_as=str(number))
    await store(bus, good)
    async with reading(bus, tasks, database, registry), database.connection() as connection:
        await read_up_to(database, bus)
        assert await rows(connection, 60) == [(1, "", begin_ms, 6, 1, 3, 600, 10, 0, 0)]
    for result, count in (("refused", 5), ("stored", 1)):
        assert registry.get_sample_value("trunkline_console_history_total", {"result": result}) == count


async def test_ejections_become_incidents_and_days(bus: NATSBus, tasks: TaskSet, database: Database) -> None:
    begin_ms = some_hour_ms()
    async with database.connection() as connection:
        one = await add_channel(connection, "one", ["shared", "single"])
        two = await add_channel(connection, "two", ["shared"])
        await add_channel(connection, "hidden", ["inner"], ["staff"])
        off = await add_channel(connection, "off", ["single"])
        await connection.execute("update channels set enabled = false where id = $1", off)
        seen = []
        instants = itertools.count(begin_ms + 10_000, 10_000)
        for steps in (["ss", "es", "ee"], ["pe", "ss"]):
            for letters, at_ms in zip(steps, instants, strict=False):
                for channel, letter in zip((one, two), letters, strict=True):
                    await store(bus, sample(channel, letter, at_ms))
            async with reading(bus, tasks, database):
                await read_up_to(database, bus)
            seen.append(await listed(connection))
        assert seen[0] == [
            Incident("shared", begin_ms + 20_000, None, Level.DOWN),
            Incident("single", begin_ms + 20_000, None, Level.DOWN),
        ]
        assert seen[1] == [
            Incident("shared", begin_ms + 20_000, begin_ms + 50_000, Level.DOWN),
            Incident("single", begin_ms + 20_000, begin_ms + 50_000, Level.DOWN),
        ]
        days = await connection.fetch("select model, up_s, degraded_s, down_s, level from model_days order by model")
        assert [tuple(day) for day in days] == [("shared", 20, 20, 10, "up"), ("single", 20, 10, 20, "up")]


async def test_models_are_judged_by_whole_instants(
    bus: NATSBus, tasks: TaskSet, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However their samples arrive: here one by one."""
    monkeypatch.setattr(health_stream, "FETCH_MAX", 1)
    begin_ms = some_hour_ms()
    async with database.connection() as connection:
        channels = [await add_channel(connection, name, ["m"]) for name in ("one", "two")]
        for number, letters in enumerate(["es", "ss"]):
            for channel, letter in zip(channels, letters, strict=True):
                await store(bus, sample(channel, letter, begin_ms + (number + 1) * 10_000))
        async with reading(bus, tasks, database):
            await read_up_to(database, bus)
        assert await listed(connection) == [Incident("m", begin_ms + 10_000, begin_ms + 20_000, Level.DEGRADED)]


async def test_an_incident_goes_on_under_another_replica(bus: NATSBus, tasks: TaskSet, database: Database) -> None:
    begin_ms = some_hour_ms()
    async with database.connection() as connection:
        channel = await add_channel(connection, "one", ["m"])
        for number, letter in enumerate("eees"):
            async with reading(bus, tasks, database):
                await store(bus, sample(channel, letter, begin_ms + (number + 1) * 10_000))
                await read_up_to(database, bus)
        assert await listed(connection) == [Incident("m", begin_ms + 10_000, begin_ms + 40_000, Level.DOWN)]


def event(credential: int, at_ms: int, *, refused: bool, status: int = 401) -> CredentialEvent:
    return CredentialEvent(1, credential, at_ms, refused, status if refused else 0)


async def test_operators_are_told_once_for_each_refusal(bus: NATSBus, tasks: TaskSet, database: Database) -> None:
    at_ms = some_hour_ms()
    terms = json_text(AlertTerms(email=("ops@x.y",)))

    async def told(connection: Connection) -> list[tuple[Any, ...]]:
        found = await connection.fetch("select kind, subject, account_id, payload from alerts order by id")
        return [(*tuple(row)[:3], msgspec.json.decode(row["payload"])) for row in found]

    async with database.connection() as connection:
        await connection.execute("insert into console_settings values ('alerts', $1)", terms)
        channel = await add_channel(connection, "main", ["m"])
        one = await add_credential(connection, channel, "0123456789abcdef")
        other = await add_credential(connection, channel, "fedcba9876543210")
        async with reading(bus, tasks, database):
            await store(bus, event(one, at_ms, refused=True))
            await store(bus, event(one, at_ms + 1, refused=True, status=402))
            await store(bus, event(other, at_ms + 2, refused=False))
            await store(bus, event(999, at_ms + 3, refused=True))
            await read_up_to(database, bus)
            since = dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC)
            first = {"channel": "main", "credential": one, "mark": "01234567", "status": 401}
            alert = ("credential_aside", f"main/{one}", None, {**first, "since": since.isoformat()})
            assert await told(connection) == [alert]
            state = await connection.fetchrow("select * from credential_states where credential_id = $1", one)
            assert tuple(state) == (one, since, 402, since + dt.timedelta(milliseconds=1))
            await store(bus, event(one, at_ms + 10, refused=False))
            await store(bus, event(one, at_ms + 5, refused=True), twice_as="late")
            await read_up_to(database, bus)
            state = await connection.fetchrow("select * from credential_states where credential_id = $1", one)
            assert tuple(state) == (one, None, 402, since + dt.timedelta(milliseconds=10))
            await store(bus, event(one, at_ms + 20, refused=True, status=403))
            await read_up_to(database, bus)
            assert [each[3]["status"] for each in await told(connection)] == [401, 403]
        assert await connection.fetchval("select count(*) from alert_deliveries where target = 'ops@x.y'") == 2
        await connection.execute("delete from credentials where id = $1", one)
        assert await connection.fetchval("select count(*) from credential_states where credential_id = $1", one) == 0


async def test_rows_are_kept_as_long_as_their_span_says(database: Database) -> None:
    now_ms = some_hour_ms()
    now = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC)
    kept = {60: 48 * HOUR_MS, 3600: 14 * DAY_MS, 86_400: 90 * DAY_MS}
    [counts, *_] = tally([sample(1, "s", now_ms)], now_ms).values()
    edges = {}
    for span_s, kept_ms in kept.items():
        for late_ms in (-1000, 0):
            key = RowKey(1, "", span_s, (now_ms - kept_ms + late_ms) // 1000)
            edges[key] = counts
    async with database.connection() as connection:
        await add_history(connection, edges)
        assert await forget_history(connection, now) == 3
        left = await connection.fetch("select span_s, at from health_history order by span_s")
        assert [tuple(row) for row in left] == [
            (span_s, now - dt.timedelta(milliseconds=kept_ms)) for span_s, kept_ms in kept.items()
        ]


async def test_deletion_is_bounded_and_goes_on(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_history, "FORGOTTEN_MAX", 7)
    now_ms = some_hour_ms()
    old_ms = now_ms - 100 * DAY_MS
    samples = [sample(number, "s", old_ms) for number in range(1, 11)]
    async with database.connection() as connection:
        await add_history(connection, tally(samples, old_ms))
        now = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC)
        assert [await forget_history(connection, now) for _ in range(6)] == [7, 7, 7, 7, 2, 0]


async def test_incidents_are_kept_ninety_days_and_those_that_last_for_ever(database: Database) -> None:
    now_ms = some_hour_ms()
    edge_ms = now_ms - 90 * DAY_MS

    def incident(model: str, began_ms: int, ended_ms: int | None) -> Incident:
        return Incident(model, began_ms, ended_ms, Level.DOWN)

    async with database.connection() as connection:
        kept = [
            incident("lasts", edge_ms - DAY_MS, None),
            incident("ended", edge_ms - 2, edge_ms),
            incident("new", now_ms, now_ms),
        ]
        await put_incidents(connection, [*kept, incident("old", edge_ms - 2, edge_ms - 1)])
        today = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC).date()
        for ago in (89, 90, 91):
            day = today - dt.timedelta(days=ago)
            await connection.execute("insert into model_days values ($1, 'm', 1, 1, 1, 'up', now())", day)
        await forget_incidents(connection, now_ms)
        assert await listed(connection) == kept
        assert await connection.fetchval("select count(*) from model_days") == 2
