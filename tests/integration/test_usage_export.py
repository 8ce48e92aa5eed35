"""Usage as files: every row once, in order, filtered, and never whole in memory."""

import asyncio
import csv
import datetime as dt
import gc
import io
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pyarrow.parquet
import pytest

from services.console import streams, usage_files, usage_query
from services.console.streams import Room
from services.console.usage_files import ROW_GROUP_ROWS
from tests.support import usage_events
from tests.support.cli import CLI
from tests.support.console import ADMIN_KEY, AdminClient, RunningConsole, running_console
from tests.support.usage_events import STARTED_MS, usage_event
from trunkline.core.ids import job_text
from trunkline.core.usage import Units
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store import usage_export
from trunkline.store.database import Database
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import settle
from trunkline.store.usage_export import COLUMNS, OPERATORS_ONLY, days

DAY_MS = 86_400_000
SPAN = {"since": "2026-09-01", "until": "2026-11-01"}
HEADERS = {"authorization": f"Bearer {ADMIN_KEY}"}
GROWTH_BYTES_MAX = 64 * 1024 * 1024
"""Three hundred thousand rows are 62 MB of CSV, and ten times as much as values of Python."""


@pytest.fixture
async def running(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[RunningConsole]:
    async with running_console(bus, tasks, database_dsn) as running:
        yield running


@pytest.fixture
def client(running: RunningConsole) -> AdminClient:
    return running.client


async def export(client: AdminClient, query: Mapping[str, str], path: str = "/usage/export") -> bytes:
    url = f"{client.url}/admin/v1{path}"
    async with aiohttp.ClientSession() as http, http.get(url, params=query, headers=HEADERS) as response:
        assert response.status == 200, await response.text()
        return await response.read()


async def rows_of(client: AdminClient, **query: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((await export(client, {**SPAN, **query})).decode())))


@pytest.fixture
async def jobs(client: AdminClient, database: Database) -> list[str]:
    """Three attempts of two accounts on two days; return the jobs in their order."""
    await client.call("POST", "/accounts", {"name": "acme"})
    await client.call("POST", "/accounts", {"name": "other"})
    await client.call("POST", "/accounts/acme/users", {"name": "ann"})
    await client.call("POST", "/accounts/acme/keys", {"name": "ci", "user": "ann"})
    async with database.connection() as connection:
        channel = await usage_events.add_prices(connection)
        account = await connection.fetchval("select id from accounts where name = 'acme'")
        other = await connection.fetchval("select id from accounts where name = 'other'")
        key = await connection.fetchval("select id from keys")
        user = await connection.fetchval("select id from users")
        book = await load_price_book(connection, await read_mark(connection))
        units = Units(input=100, cache_read=7, output=50, input_audio=3, searches=2)
        events = [
            usage_event(account=account, key=key, user=user, channel=channel, units=units, model='a,"b"\nc'),
            usage_event(account=account, key=77, channel=88, started_ms=STARTED_MS + DAY_MS, asked="large"),
            usage_event(account=other, key=99, group="vip", started_ms=STARTED_MS + 2 * DAY_MS, charged=False),
        ]
        await settle(connection, reversed_by_time(events), book)
    return [job_text(event.job) for event in events]  # type: ignore[arg-type]  # minted by new_job


def reversed_by_time(events: list[Any]) -> list[Any]:
    return sorted(events, key=lambda event: -event.started_ms)


async def test_each_attempt_is_a_line_with_names_for_what_has_one(client: AdminClient, jobs: list[str]) -> None:
    first, second, third = await rows_of(client)
    assert [row["job"] for row in (first, second, third)] == jobs
    assert list(first) == list(COLUMNS)
    wanted = {
        "started_at": dt.datetime.fromtimestamp(STARTED_MS / 1000, dt.UTC).isoformat(),
        "attempt": "1",
        "account": "acme",
        "user": "ann",
        "key": "ci",
        "channel": "channel of small",
        "model": 'a,"b"\nc',
        "group": "default",
        "stream": "true",
        "charged": "true",
        "unpriced": "true",
        "input": "100",
        "cache_read": "7",
        "input_audio": "3",
        "searches": "2",
        "images": "0",
        "charge_nano": "0",
        "price_version": "",
    }
    assert {name: first[name] for name in wanted} == wanted
    assert (second["key"], second["channel"], second["user"], second["charge_nano"]) == ("#77", "#88", "", "200")
    assert [(row["model"], row["model_asked"]) for row in (first, second)] == [('a,"b"\nc',) * 2, ("small", "large")]
    assert (third["account"], third["group"], third["charged"], third["charge_nano"]) == ("other", "vip", "false", "0")


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, [0, 1, 2]),
        ({"account": "acme"}, [0, 1]),
        ({"account": "acme", "user": "ann"}, [0]),
        ({"account": "acme", "key": "ci"}, [0]),
        ({"model": "small"}, [1, 2]),
        ({"channel": "channel of small"}, [0, 2]),
        ({"group": "vip"}, [2]),
        ({"account": "acme", "group": "vip"}, []),
        ({"model": "none"}, []),
        ({"outcome": "complete", "account": "acme"}, [0, 1]),
        ({"errors": "true"}, []),
    ],
)
async def test_rows_are_filtered_by_any_of_it(
    client: AdminClient, jobs: list[str], query: dict[str, str], numbers: list[int]
) -> None:
    assert [row["job"] for row in await rows_of(client, **query)] == [jobs[number] for number in numbers]


async def test_a_span_begins_with_its_first_moment_and_ends_before_its_last(
    client: AdminClient, jobs: list[str]
) -> None:
    begin = dt.datetime.fromtimestamp(STARTED_MS / 1000, dt.UTC)
    span = {"since": begin.isoformat(), "until": (begin + dt.timedelta(days=2)).isoformat()}
    assert [row["job"] for row in await rows_of(client, **span)] == jobs[:2]
    later = {"since": (begin + dt.timedelta(milliseconds=1)).isoformat()}
    assert [row["job"] for row in await rows_of(client, **later)] == jobs[1:]
    assert await rows_of(client, since="2026-10-01", until="2026-09-01") == []


async def test_parquet_has_the_same_rows_with_their_types(client: AdminClient, jobs: list[str]) -> None:
    table = pyarrow.parquet.read_table(io.BytesIO(await export(client, {**SPAN, "format": "parquet"})))
    assert table.column_names == list(COLUMNS)
    assert table["job"].to_pylist() == jobs
    assert table["started_at"][0].as_py() == dt.datetime.fromtimestamp(STARTED_MS / 1000, dt.UTC)
    assert table["charge_nano"].to_pylist() == [0, 200, 0]
    assert table["user"].to_pylist() == ["ann", None, None]
    assert table["charged"].to_pylist() == [True, True, False]
    empty = pyarrow.parquet.read_table(io.BytesIO(await export(client, {**SPAN, "format": "parquet", "model": "none"})))
    assert (empty.num_rows, empty.column_names) == (0, list(COLUMNS))


async def test_an_account_gets_its_own_rows_without_what_is_the_sites(client: AdminClient, jobs: list[str]) -> None:
    url = "/accounts/acme/usage/export"
    rows = list(csv.DictReader(io.StringIO((await export(client, SPAN, url)).decode())))
    assert [row["job"] for row in rows] == jobs[:2]
    assert list(rows[0]) == [name for name in COLUMNS if name not in OPERATORS_ONLY]
    assert not {"channel", "cost_nano", "upstream_model"} & set(rows[0])
    assert (rows[0]["user"], rows[0]["key"], rows[1]["charge_nano"]) == ("ann", "ci", "200")
    table = pyarrow.parquet.read_table(io.BytesIO(await export(client, {**SPAN, "format": "parquet"}, url)))
    assert (table.num_rows, table.column_names) == (2, list(rows[0]))


async def test_a_member_gets_what_the_own_user_used(
    client: AdminClient, jobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_query, "own_user", lambda _: "ann")
    text = (await export(client, SPAN, "/accounts/acme/usage/export")).decode()
    assert [row["job"] for row in csv.DictReader(io.StringIO(text))] == jobs[:1]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("format=xls", 400, "csv, parquet"),
        ("since=soon", 400, "since must be"),
        ("since=2000-01-01&until=2020-01-01", 400, "3660 days"),
        ("key=ci", 400, "together with its account"),
        ("user=ann", 400, "together with its account"),
        ("account=none", 404, "no account 'none'"),
        ("account=acme&key=none", 404, "no key acme/none"),
        ("account=acme&user=none", 404, "no user acme/none"),
        ("channel=none", 404, "no channel 'none'"),
    ],
)
async def test_what_cannot_be_exported_is_said(
    client: AdminClient, jobs: list[str], query: str, status: int, said: str
) -> None:
    answer = await client.call("GET", f"/usage/export?{query}")
    assert answer.status == status
    assert said in answer.body["error"]["message"]
    assert jobs


async def test_parquet_without_its_package_is_refused_with_what_to_do(
    client: AdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_name: str) -> None:
        raise ImportError

    monkeypatch.setattr(usage_files.importlib, "import_module", missing)
    answer = await client.call("GET", "/usage/export?format=parquet")
    assert answer.status == 400
    assert "requirements/export.txt" in answer.body["error"]["message"]


async def test_an_export_that_breaks_on_its_way_is_no_whole_answer(
    client: AdminClient, jobs: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read = usage_export.days

    def breaking(since: dt.datetime, until: dt.datetime) -> Any:
        for number, day in enumerate(read(since, until)):
            if number == 30:
                raise TimeoutError
            yield day

    monkeypatch.setattr(usage_export, "days", breaking)
    with pytest.raises(aiohttp.ClientPayloadError):
        await export(client, SPAN)
    cli = CLI(TRUNKLINE_CONSOLE_URL=client.url, TRUNKLINE_ADMIN_KEY=ADMIN_KEY)
    file = tmp_path / "usage.csv"
    arguments = ("usage", "export", "--since", SPAN["since"], "--until", SPAN["until"], "-o", str(file))
    assert "no connection to" in await asyncio.to_thread(cli.fails, *arguments)
    assert not file.exists()
    assert not file.with_name("usage.csv.part").exists()
    assert jobs


async def test_long_answers_are_bounded_in_number(client: AdminClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LONG_ANSWERS_MAX", 0)
    for method, path in (("GET", "/usage/export"), ("POST", "/ledger/verify"), ("POST", "/ledger/rebuild")):
        answer = await client.call(method, path)
        assert (answer.status, answer.body["error"]["type"]) == (503, "gateway_busy")
    monkeypatch.setattr(streams, "LONG_ANSWERS_MAX", 1)
    room = Room()
    with room.place(), pytest.raises(Exception, match="are being made already"), room.place():
        pass
    with room.place():
        pass


def test_accounts_people_leave_a_long_answer_to_operators() -> None:
    room = Room()
    with room.place("acme"):
        with pytest.raises(Exception, match="being made for this account already"), room.place("acme"):
            pass
        with room.place("other"):
            with pytest.raises(Exception, match="are being made already"), room.place("third"):
                pass
            with room.place(), pytest.raises(Exception, match="are being made already"), room.place():
                pass
        with room.place("third"):
            pass
    with room.place("acme"):
        pass


async def test_the_command_writes_files(client: AdminClient, jobs: list[str], tmp_path: Path) -> None:
    cli = CLI(TRUNKLINE_CONSOLE_URL=client.url, TRUNKLINE_ADMIN_KEY=ADMIN_KEY)
    span = ("--since", SPAN["since"], "--until", SPAN["until"])
    out = (await asyncio.to_thread(cli.run, "usage", "export", *span, "--account", "acme")).out
    assert [row["job"] for row in csv.DictReader(io.StringIO(out))] == jobs[:2]
    file = tmp_path / "usage.parquet"
    await asyncio.to_thread(cli.run, "usage", "export", *span, "--format", "parquet", "--output", str(file))
    assert pyarrow.parquet.read_table(file)["job"].to_pylist() == jobs
    assert "cannot be written" in await asyncio.to_thread(
        cli.fails, "usage", "export", *span, "-o", str(tmp_path / "none" / "x")
    )
    assert (await asyncio.to_thread(cli.run, "usage", "--by", "model", *span)).rows[0][0] == "model"


def test_days_are_split_at_the_midnights_of_utc() -> None:
    def at(text: str) -> dt.datetime:
        return dt.datetime.fromisoformat(text)

    assert list(days(at("2026-03-01T22:30:00+02:00"), at("2026-03-03T00:00:00Z"))) == [
        (at("2026-03-01T20:30:00Z"), at("2026-03-02T00:00:00Z")),
        (at("2026-03-02T00:00:00Z"), at("2026-03-03T00:00:00Z")),
    ]
    assert list(days(at("2026-03-01T01:00:00Z"), at("2026-03-01T02:00:00Z"))) == [
        (at("2026-03-01T01:00:00Z"), at("2026-03-01T02:00:00Z"))
    ]
    assert list(days(at("2026-03-02T00:00:00Z"), at("2026-03-02T00:00:00Z"))) == []


def resident_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError


@pytest.mark.parametrize("kind", ["csv", "parquet"])
async def test_memory_is_bounded_whatever_the_number_of_rows(
    client: AdminClient, database: Database, kind: str, tmp_path: Path
) -> None:
    count = 300_000
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        book = await load_price_book(connection, await read_mark(connection))
        await settle(connection, [usage_event()], book)
        columns = [
            row["name"]
            for row in await connection.fetch(
                "select attname as name from pg_attribute where attrelid = 'usage'::regclass and attnum > 0"
                " and not attisdropped and attname not in ('job', 'started_at')"
            )
        ]
        listed = ", ".join(columns)
        await connection.execute(
            f"insert into usage (job, started_at, {listed})"  # noqa: S608 - names of our own columns
            f" select gen_random_uuid(), started_at + n * interval '1 second', {listed}"
            " from usage, generate_series(1, $1::integer) n",
            count - 1,
            timeout=120,
        )
    await export(client, {**SPAN, "format": kind, "model": "none"})  # what is loaded once is loaded
    gc.collect()
    before = peak = resident_bytes()
    size = 0
    file = tmp_path / f"usage.{kind}"
    url = f"{client.url}/admin/v1/usage/export"
    async with (
        aiohttp.ClientSession() as http,
        http.get(url, params={**SPAN, "format": kind}, headers=HEADERS) as response,
    ):
        with file.open("wb") as written:
            async for piece in response.content.iter_any():
                written.write(piece)
                size += len(piece)
                peak = max(peak, resident_bytes())
    assert peak - before < GROWTH_BYTES_MAX, f"{(peak - before) / 1e6:.0f} MB for {size / 1e6:.0f} MB"
    if kind == "csv":
        with file.open("rb") as written:
            assert sum(1 for _ in written) == count + 1
    else:
        metadata = pyarrow.parquet.read_metadata(file)
        assert (metadata.num_rows, metadata.num_row_groups) == (count, count // ROW_GROUP_ROWS)
