"""The drill of docs/operating/backup.md: a stack under load is backed up, all data is destroyed, and it comes back."""

# ruff: noqa: S603 - Postgres's own programs

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest

from tests.support.books import account_usage, assert_at_rest, ledger_connection
from tests.support.chat_client import ChatClient, Ending, Outcome, assert_proper, load, session
from tests.support.cli import CLI
from tests.support.live_stack import LiveStack, StackPlan
from tests.support.servers import PostgresServer, running_nats, server_directory
from tests.support.waiting import eventually
from trunkline.bus import subjects
from trunkline.runtime.stream_backup import restore

pytestmark = pytest.mark.patient

MODEL = "demo"
DATABASE = "trunkline"
READER = Path(__file__).parents[2] / "deploy/grafana/reader.sql"
"""Gives rights to a role of Grafana's: a dump has the rights, and another server has no such role."""


class Postgres(PostgresServer):
    """A server with a database of ours and the programs that operators use."""

    def run(self, program: str, *arguments: str, database: str = DATABASE) -> None:
        command = [self._isready.with_name(program), *arguments, f"--dbname={self.dsn(database)}"]
        finished = subprocess.run(command, check=False, capture_output=True, text=True, env={"PATH": os.defpath})
        assert finished.returncode == 0, finished.stderr

    def make_database(self) -> None:
        self.run("psql", "--quiet", "--command", f"create database {DATABASE}", database="postgres")


@pytest.fixture
def directory() -> Iterator[Path]:
    with server_directory("drill") as path:
        yield path


def _postgres(directory: Path, name: str) -> Postgres:
    home = directory / name
    home.mkdir(mode=0o711)
    server = Postgres(home)
    server.start()
    server.make_database()
    return server


def _jobs(outcomes: list[Outcome]) -> set[uuid.UUID]:
    return {uuid.UUID(outcome.headers["x-request-id"]) for outcome in outcomes}


async def _settled(stack: LiveStack) -> dict[uuid.UUID, int]:
    """Return how often each job was charged."""
    async with ledger_connection(stack) as connection:
        rows = await connection.fetch("select job, count(*) as charges from transfers where kind = 'charge' group by 1")
        used = await connection.fetch("select job from usage where charged")
    assert sorted(row["job"] for row in used) == sorted(row["job"] for row in rows)
    return {row["job"]: row["charges"] for row in rows}


async def _in_stream(nats_url: str) -> int:
    client = await nats.connect(nats_url)
    try:
        return (await client.jetstream().stream_info(subjects.USAGE_STREAM)).state.messages
    finally:
        await client.close()


def _cli(stack: LiveStack) -> CLI:
    ready = stack.ready
    return CLI(TRUNKLINE_CONSOLE_URL=ready.console_url, TRUNKLINE_ADMIN_KEY=ready.admin_key, NATS_URL=ready.nats_url)


async def test_all_that_was_saved_comes_back_once(directory: Path) -> None:
    first = _postgres(directory, "first")
    second = None
    plan = StackPlan(edges=1, dispatchers=1)
    plan.channel("only", MODEL)
    key = plan.account("acme")
    saved, dump = directory / "saved", directory / "trunkline.dump"
    with running_nats() as broker:
        plan.environment = {"NATS_URL": broker.url, "DATABASE_URL": first.dsn(DATABASE)}
        stack = plan._start(directory)
        try:
            async with session() as http:
                client = ChatClient(http, key, MODEL)

                async def request(_number: int) -> Outcome:
                    return await client.chat(stack.edges[0])

                first.run("psql", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={READER}")
                async with load(request, workers=4) as running:
                    await running.progress(20)
                settled = running.outcomes
                await assert_at_rest(stack, http)

                # What follows is used, and waits in the stream.
                stopped = stack.signal("metering", number=signal.SIGSTOP)
                async with load(request, workers=4) as running:
                    await running.progress(10)
                waiting = running.outcomes

                async def stored() -> bool:
                    pending = await stack.metric_sum(http, "dispatcher", "trunkline_dispatcher_usage_pending")
                    return not pending and await _in_stream(broker.url) > 0

                await eventually(stored, within_s=10, what="the usage is in the stream")

                async with load(request, workers=4) as running:
                    await running.progress(5)
                    said = _cli(stack).run("backup", "--to", str(saved))
                    first.run("pg_dump", "--format=custom", f"--file={dump}")
                    await running.progress(5)
                afterwards = running.outcomes
                os.kill(stopped, signal.SIGCONT)
            assert_proper([*settled, *waiting, *afterwards], {Ending.WHOLE})
            assert [row[0] for row in said.rows[1:4]] == ["USAGE", "CHECKPOINTS", "HEALTH"]
        finally:
            stack.stop()
            first.kill()
        broker.stop()
        broker.forget()

        second = _postgres(directory, "second")
        try:
            broker.start()
            second.run("pg_restore", "--exit-on-error", "--no-owner", "--no-privileges", str(dump))
            second.run("psql", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={READER}")
            CLI(NATS_URL=broker.url).run("restore", "--from", str(saved))
            plan.environment["DATABASE_URL"] = second.dsn(DATABASE)
            stack = plan._start(directory)
            try:
                await _assert_whole(stack, key, _jobs([*settled, *waiting]), _jobs(afterwards), saved)
            finally:
                stack.stop()
        finally:
            second.kill()


async def _assert_whole(
    stack: LiveStack, key: str, kept: set[uuid.UUID], afterwards: set[uuid.UUID], saved: Path
) -> None:
    nats_url = stack.ready.nats_url

    async def empty() -> bool:
        return await _in_stream(nats_url) == 0

    await eventually(empty, within_s=30, what="what waited is settled")
    found = await _settled(stack)
    assert kept <= found.keys() <= kept | afterwards
    assert set(found.values()) == {1}
    cli = _cli(stack)
    cli.run("projection", "rebuild")
    cli.run("ledger", "verify")
    async with session() as http:
        outcome = await ChatClient(http, key, MODEL).chat(stack.edges[0])
        assert_proper([outcome], {Ending.WHOLE})
        await assert_at_rest(stack, http)
    found = await _settled(stack)
    usage = await account_usage(stack, "acme")
    assert usage.charged == len(found)

    assert "Stop the services" in cli.fails("restore", "--from", str(saved)), "not into a system that works"
    # The same once more, beside a ledger that has all of it: nothing is charged twice.
    client = await nats.connect(nats_url)
    try:
        again = await restore(client, subjects.USAGE_STREAM, saved / subjects.USAGE_STREAM)
    finally:
        await client.close()
    assert again.messages > 0
    await eventually(empty, within_s=60, what="the copies are settled")
    assert await _settled(stack) == found
    cli.run("ledger", "verify")
