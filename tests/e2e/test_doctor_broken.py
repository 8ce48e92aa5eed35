"""A real stack of which one thing after the other is broken: the doctor names it."""

import asyncio
import base64
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import nats
import pytest

from tests.support.cli import CLI
from tests.support.live_stack import LiveStack, StackPlan
from tests.support.servers import NATSServer, PostgresServer, running_nats, running_postgres, server_directory
from tests.support.stack import until
from trunkline.bus import subjects
from trunkline.runtime import nats_bus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.migrate import read_migrations

pytestmark = pytest.mark.patient

HEARD_WITHIN_S = 20.0
"""A beat comes each second; a busy machine takes its time."""


class Patient(NamedTuple):
    """A stack on servers that the tests can stop."""

    stack: LiveStack
    broker: NATSServer
    postgres: PostgresServer
    cli: CLI

    @property
    def dsn(self) -> str:
        return self.postgres.dsn("postgres")

    def broken(self, **variables: str) -> dict[str, str]:
        """Return what the doctor finds broken, by its name."""
        said = self.cli.having(**variables).run("doctor", "--json", code=1)
        return {check["name"]: check["message"] for check in json.loads(said.out) if not check["ok"]}


@pytest.fixture(scope="module")
def patient() -> Iterator[Patient]:
    plan = StackPlan(edges=1, dispatchers=1)
    plan.channel("only", "demo")
    key = plan.account("acme")
    with running_nats() as broker, running_postgres() as postgres, server_directory("doctor") as directory:
        dsn = postgres.dsn("postgres")
        plan.environment = {"NATS_URL": broker.url, "DATABASE_URL": dsn}
        stack = plan._start(directory)
        try:
            ready = stack.ready
            secrets = json.loads(next(Path(directory / "data").glob("secrets.json")).read_text())
            cli = CLI(
                TRUNKLINE_CONSOLE_URL=ready.console_url,
                TRUNKLINE_ADMIN_KEY=ready.admin_key,
                TRUNKLINE_BASE_URL=ready.base_url,
                TRUNKLINE_API_KEY=key,
                NATS_URL=broker.url,
                DATABASE_URL=dsn,
                TRUNKLINE_MASTER_KEYS=secrets["master_keys"],
            )
            yield Patient(stack, broker, postgres, cli)
        finally:
            stack.stop()


def test_nothing_is_wrong(patient: Patient) -> None:
    # The console has heard everybody a moment after they are ready.
    until(lambda: not patient.cli.ends("doctor"), HEARD_WITHIN_S, "the doctor finds nothing")
    found: list[dict[str, Any]] = json.loads(patient.cli.run("doctor", "--json").out)
    assert [check["name"] for check in found if check["ok"] and not check.get("warning")] == [
        *("console", "postgres", "nats", "edge", "dispatcher", "metering", "health", "gateway")
    ]
    lines = patient.cli.run("doctor").out.splitlines()
    assert all(line.startswith(("ok  ", "warn")) for line in lines)


def test_another_master_key(patient: Patient) -> None:
    found = patient.broken(TRUNKLINE_MASTER_KEYS=f"1:{base64.b64encode(bytes(32)).decode()}")
    assert list(found) == ["credentials"]
    assert found["credentials"].startswith("Credentials of only cannot be opened: they were sealed with version 1 of")
    found = patient.broken(TRUNKLINE_MASTER_KEYS="1:short")
    assert found["master keys"].startswith("TRUNKLINE_MASTER_KEYS: ")


def test_an_old_schema(patient: Patient) -> None:
    last = read_migrations()[-1].name

    async def run(statement: str, *arguments: str) -> Any:
        connection = await asyncpg.connect(patient.dsn)
        try:
            return await connection.fetchrow(statement, *arguments)
        finally:
            await connection.close()

    row = _now(run("delete from schema_migrations where name = $1 returning checksum", last))
    try:
        found = patient.broken()
        assert found == {"postgres": f"It lacks 1 migrations ({last}). Run `trunkline migrate`."}
    finally:
        _now(run("insert into schema_migrations (name, checksum) values ($1, $2)", last, row["checksum"]))


def test_a_database_that_is_not_there(patient: Patient) -> None:
    found = patient.broken(DATABASE_URL=patient.postgres.dsn("nothing"))
    assert found["postgres"].endswith("Make the database, or correct its name in DATABASE_URL.")


def test_a_stream_that_was_dropped(patient: Patient) -> None:
    async def drop() -> None:
        client = await nats.connect(patient.broker.url)
        await client.jetstream().delete_stream(subjects.CHECKPOINT_STREAM)
        await client.close()

    async def make() -> None:
        tasks = TaskSet()
        bus = await nats_bus.connect(patient.broker.url, name="test", tasks=tasks)
        await bus.ensure_streams()
        await bus.close()
        await tasks.cancel()

    _now(drop())
    try:
        found = patient.broken()
        assert found["streams"] == "Missing: CHECKPOINTS. Restart metering, health and console, which make them."
    finally:
        _now(make())


def test_metering_that_stands_still(patient: Patient) -> None:
    pid = patient.stack.signal("metering", number=signal.SIGSTOP)
    try:
        found = patient.broken()  # it listens for as long as it takes to miss one
    finally:
        os.kill(pid, signal.SIGCONT)
    assert found["metering"].startswith("None is alive: usage waits in the stream and balances do not move.")


def test_a_console_that_is_away(patient: Patient) -> None:
    found = patient.broken(TRUNKLINE_CONSOLE_URL="http://127.0.0.1:1")
    assert list(found) == ["console"], "NATS and Postgres are asked themselves"


def test_postgres_that_is_stopped(patient: Patient) -> None:
    patient.postgres.stop()
    try:
        found = patient.broken()
    finally:
        patient.postgres.start()
    assert found["postgres"].startswith("Postgres is not available: ")
    assert found["postgres"].endswith("Start it, or correct DATABASE_URL of console and metering.")


def test_nats_that_is_stopped(patient: Patient) -> None:
    patient.broker.stop()
    try:
        found = patient.broken()
    finally:
        patient.broker.start()
    assert found["nats"] in {
        "The console has no connection. Start NATS, or correct NATS_URL.",
        "NATS does not answer: start it, or correct NATS_URL.",
    }


def _now(work: Any) -> Any:
    """Run something to its end: the doctor beside it is a process that is waited for."""
    return asyncio.run(work)
