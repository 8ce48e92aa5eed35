"""Starts LiteLLM's proxy for `bench.compare`, in a virtual environment of its own; ends it, and only it.

One process, one key, no database, its telemetry and its look-ups on the network off: the least that it does for a
request. What Trunkline does beside that (limits, balances, ledger, several hops) stays on.
"""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.stack import MODEL
from trunkline.dev.ports import PortPicker

NAME: Final = "litellm"
KEY: Final = "sk-compared-with"
LOCK: Final = Path("requirements/compare.txt")
INSTALL_TIMEOUT_S: Final = 600.0
START_TIMEOUT_S: Final = 120.0
"""It imports for some ten seconds."""
STOP_TIMEOUT_S: Final = 20.0
POLL_S: Final = 0.2


class RivalError(Exception):
    """It could not be installed or started; says why."""


class Rival:
    """A running proxy.

    Args:
        process: its.
        port: where it listens.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self._process = process
        self.port = port

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def install(folder: Path) -> Path:
    """Return the proxy's program, installed into ``folder`` from the locked list unless it is there already.

    Raises:
        RivalError: see there.
    """
    program = folder / "bin" / NAME
    stamp = folder / "installed"
    if stamp.exists() and stamp.stat().st_mtime > LOCK.stat().st_mtime:
        return program
    uv = (sys.executable, "-m", "uv")
    python = str(folder / "bin" / "python")
    for command in (
        (*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)),
        (*uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", str(LOCK)),
    ):
        done = subprocess.run(command, capture_output=True, timeout=INSTALL_TIMEOUT_S, check=False)
        if done.returncode:
            raise RivalError(f"{NAME} cannot be installed:\n{done.stderr.decode(errors='replace')[-2000:]}")
    stamp.touch()
    return program


@contextmanager
def running(program: Path, directory: Path, upstream_port: int) -> Iterator[Rival]:
    """Run the proxy in front of an upstream for the length of the block.

    Args:
        program: see `install`.
        directory: for its configuration and log.
        upstream_port: of the demo upstream, on the loopback.

    Raises:
        RivalError: it did not start.
    """
    configuration = directory / "rival.yaml"
    configuration.write_text(
        f"model_list:\n  - model_name: {MODEL}\n    litellm_params:\n      model: openai/demo\n"
        f"      api_base: http://127.0.0.1:{upstream_port}/v1\n      api_key: sk-direct\n"
        f"general_settings:\n  master_key: {KEY}\n"
    )
    port = PortPicker().pick()
    log = directory / "rival.log"
    command = [str(program), "--config", str(configuration), "--host", "127.0.0.1", "--port", str(port)]
    environment = {
        **os.environ,
        "PATH": f"{program.parent}:{os.environ.get('PATH', '')}",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--telemetry", "False"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
        )
    rival = Rival(process, port)
    try:
        _wait(rival, process, log)
        yield rival
    finally:
        rival.stop()


def _wait(rival: Rival, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{rival.port}/health/liveliness", timeout=2.0):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(POLL_S)
    raise RivalError(f"{NAME} did not start:\n{log.read_text(errors='replace')[-2000:]}")
