"""The wall clock of a running process is set wrong, and that of nobody else; monotonic time stays right."""

import datetime as dt
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.support.network_clocks import set_ahead, why_unavailable
from tests.support.servers import NATSServer, PostgresServer, free_port
from trunkline.runtime.clock import SystemClock

pytestmark = pytest.mark.skipif(bool(why_unavailable()), reason=why_unavailable())

PROGRAM = """
import sys, time
for _ in sys.stdin:
    print(time.time(), time.clock_gettime(time.CLOCK_REALTIME), time.monotonic(), flush=True)
"""

AHEAD_S = (7200, -90, 2, 0)

clock = SystemClock()


def is_ahead(ahead_s: int, wall_s: float, asked_s: float, *, exact_s: float = 0.1) -> bool:
    """Return whether a clock is ahead by so much: what it said lies between when it was asked and now.

    Args:
        ahead_s: by so much.
        wall_s: what it said.
        asked_s: our own clock when it was asked.
        exact_s: how exactly it tells the time.
    """
    return asked_s - exact_s <= wall_s - ahead_s <= wall_clock_s() + exact_s


def wall_clock_s() -> float:
    return clock.wall_ms() / 1000


@pytest.fixture
def program() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def ask(program: subprocess.Popen[str]) -> list[float]:
    """Return its wall clock, asked for in two ways, and its monotonic one."""
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.write("\n")
    program.stdin.flush()
    return [float(word) for word in program.stdout.readline().split()]


def test_the_wall_clock_of_one_process_is_set(program: subprocess.Popen[str]) -> None:
    for ahead_s in AHEAD_S:
        set_ahead(program.pid, ahead_s)
        asked_s, began = wall_clock_s(), clock.now()
        wall_s, same_s, monotonic_s = ask(program)
        assert is_ahead(ahead_s, wall_s, asked_s)
        assert is_ahead(ahead_s, same_s, asked_s)
        assert began <= monotonic_s <= clock.now()


async def test_all_of_postgres_has_the_same_wrong_time(postgres_server: PostgresServer) -> None:
    before = await asyncpg.connect(postgres_server.admin_dsn)
    try:
        for ahead_s in AHEAD_S:
            set_ahead(postgres_server.pid, ahead_s)
            after = await asyncpg.connect(postgres_server.admin_dsn)  # a process that is born now
            for connection in (before, after):
                for function in ("now()", "clock_timestamp()"):
                    asked_s = wall_clock_s()
                    wall_s = await connection.fetchval(f"select extract(epoch from {function})::float8")  # noqa: S608 - ours
                    assert is_ahead(ahead_s, wall_s, asked_s)
            await after.close()
    finally:
        set_ahead(postgres_server.pid, 0)
        await before.close()


def test_a_static_binary_has_it_too(tmp_path: Path) -> None:
    monitor = free_port()
    configuration = tmp_path / "nats.conf"
    configuration.write_text(f'http: "127.0.0.1:{monitor}"\n')
    server = NATSServer(tmp_path, configuration).start()
    try:
        for ahead_s in AHEAD_S:
            set_ahead(server.pid, ahead_s)
            asked_s = wall_clock_s()
            with urllib.request.urlopen(f"http://127.0.0.1:{monitor}/varz", timeout=5) as answer:
                said = json.load(answer)["now"]
            said_s = dt.datetime.fromisoformat(said[:19] + "+00:00").timestamp()
            assert is_ahead(ahead_s, said_s, asked_s, exact_s=1.0)
    finally:
        server.stop()


def test_who_is_not_there_is_told_so() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        with pytest.raises(OSError, match="No such file"):
            set_ahead(process.pid, 1)
