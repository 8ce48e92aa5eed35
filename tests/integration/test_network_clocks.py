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


def off_s(wall_s: float) -> int:
    """Return how far a clock is ahead, in whole seconds."""
    return round(wall_s - clock.wall_ms() / 1000)


@pytest.fixture
def program() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def ask(program: subprocess.Popen[str]) -> tuple[int, int, float]:
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.write("\n")
    program.stdin.flush()
    wall_s, same_s, monotonic_s = map(float, program.stdout.readline().split())
    return off_s(wall_s), off_s(same_s), abs(monotonic_s - clock.now())


def test_the_wall_clock_of_one_process_is_set(program: subprocess.Popen[str]) -> None:
    for ahead_s in AHEAD_S:
        set_ahead(program.pid, ahead_s)
        wall_s, same_s, monotonic_s = ask(program)
        assert (wall_s, same_s) == (ahead_s, ahead_s)
        assert monotonic_s < 1


async def test_all_of_postgres_has_the_same_wrong_time(postgres_server: PostgresServer) -> None:
    before = await asyncpg.connect(postgres_server.admin_dsn)
    try:
        for ahead_s in AHEAD_S:
            set_ahead(postgres_server.pid, ahead_s)
            after = await asyncpg.connect(postgres_server.admin_dsn)  # a process that is born now
            for connection in (before, after):
                for function in ("now()", "clock_timestamp()"):
                    wall_s = await connection.fetchval(f"select extract(epoch from {function})::float8")  # noqa: S608 - ours
                    assert off_s(wall_s) == ahead_s
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
            with urllib.request.urlopen(f"http://127.0.0.1:{monitor}/varz", timeout=5) as answer:
                said = json.load(answer)["now"]
            assert off_s(dt.datetime.fromisoformat(said[:19] + "+00:00").timestamp() + 0.5) == ahead_s
    finally:
        server.stop()


def test_who_is_not_there_is_told_so() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        with pytest.raises(OSError, match="No such file"):
            set_ahead(process.pid, 1)
