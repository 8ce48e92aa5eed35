"""A service's wall clock can be set wrong while it runs, and its monotonic clock stays right."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.network import ROOT
from tests.support.skewed_service import write_offset

PROGRAM = """
import sys, time
from trunkline.runtime.clock import SystemClock
clock = SystemClock()
for _ in sys.stdin:
    print(clock.wall_ms() / 1000, time.time(), clock.now(), flush=True)
"""


def test_a_wall_clock_is_set_while_the_service_runs(tmp_path: Path) -> None:
    offset = tmp_path / "offset"
    write_offset(offset, 0)
    (tmp_path / "clock_program.py").write_text(PROGRAM)
    command = [sys.executable, "-P", "-m", "tests.support.skewed_service", "clock_program", str(offset)]
    environment = {"PATH": os.defpath, "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = []
        for ahead_s in (0.0, 7200.0, -90.0):
            write_offset(offset, ahead_s)
            process.stdin.write("\n")
            process.stdin.flush()
            said.append([float(word) for word in process.stdout.readline().split()])
        process.stdin.close()
        assert process.wait(10) == 0
    began = said[0]
    for (wall_s, other_s, monotonic_s), ahead_s in zip(said, (0.0, 7200.0, -90.0), strict=True):
        assert wall_s - began[0] == pytest.approx(ahead_s, abs=5)
        assert other_s == pytest.approx(wall_s, abs=1)
        assert 0 <= monotonic_s - began[2] < 5
