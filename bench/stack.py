"""Starts the stack that is measured, with `trunkline dev`, in a folder of its own; ends it, and only it."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bench.processes import Watch
from trunkline.dev.ports import PortPicker
from trunkline.dev.ready import ReadyFile
from trunkline.policy import keys

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 60.0
POLL_S = 0.01

MODEL = "bench"
KEYS = 16
"""Requests take this many keys in turn, of two accounts, so that no account is a hot spot of its own."""

ACCOUNTS = 2
CREDIT_USD = 1_000_000
PRICE = {"input": 0.15, "output": 0.60, "cached_input": 0.075}
COST = {"input": 0.10, "output": 0.40}

_LIMITS = {"TRUNKLINE_DISPATCHER_JOBS_MAX": "20000", "TRUNKLINE_EDGE_JOBS_MAX": "20000"}
"""Room for 10,000 streams and whatever else is under way on one process of each role."""


class StackError(Exception):
    """The stack did not start; carries the end of what it said."""


class Stack:
    """A running stack.

    Args:
        process: of `trunkline dev`.
        ready: what it says of itself.
        api_keys: that requests use.
        started_s: how long it took to be ready.
    """

    def __init__(self, process: subprocess.Popen[bytes], ready: ReadyFile, api_keys: tuple[str, ...], started_s: float):
        self._process = process
        self.ready = ready
        self.api_keys = api_keys
        self.started_s = started_s

    @property
    def port(self) -> int:
        """Of the gateway."""
        return _port(self.ready.base_url)

    @property
    def upstream_port(self) -> int:
        """Of the demo upstream."""
        return _port(self.ready.upstream_url)

    def watch(self, more: Mapping[str, Sequence[int]] | None = None) -> Watch:
        """Return a watch over all roles, the demo upstream's too, and over ``more``."""
        roles = {role: [entry.pid for entry in entries] for role, entries in self.ready.processes.items()}
        return Watch({**roles, **(more or {})})

    def stop(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Home:
    """A data folder, and the configuration that its stacks apply.

    Args:
        directory: an empty folder.

    Attributes:
        data_dir: of the stacks.
        upstream_port: where the demo upstream of every stack listens.
        api_keys: that requests use.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.data_dir = directory / "data"
        self.upstream_port = PortPicker().pick()
        self.api_keys = tuple(keys.mint(secrets.token_bytes(64)) for _ in range(KEYS))
        (directory / "bench.json").write_text(json.dumps(self._configuration()))

    def _configuration(self) -> dict[str, object]:
        # JSON is YAML, and needs no quoting of ours.
        return {
            "channels": [channel("bench", self.upstream_port, MODEL)],
            "models": [{"name": MODEL, "price": PRICE}],
            "accounts": [
                {
                    "name": f"bench-{number}",
                    "credit": CREDIT_USD,
                    "keys": [
                        {"name": f"key-{index}", "secret": secret}
                        for index, secret in enumerate(self.api_keys[number::ACCOUNTS])
                    ],
                }
                for number in range(ACCOUNTS)
            ],
        }

    @contextmanager
    def stack(self) -> Iterator[Stack]:
        """Run a stack for the length of the block.

        Raises:
            StackError: it did not start.
        """
        stack = self._start()
        try:
            yield stack
        finally:
            stack.stop()

    def _start(self) -> Stack:
        ready_file, log = self._directory / "ready.json", self._directory / "dev.log"
        ready_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "trunkline.dev", "--port", "0", "--log-level", "info"]
        command += ["--config", str(self._directory / "bench.json"), "--ready-file", str(ready_file)]
        command += ["--data-dir", str(self.data_dir), "--upstream-port", str(self.upstream_port)]
        begun = time.monotonic()
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **_LIMITS},
                start_new_session=True,
            )
        while not ready_file.exists():
            if process.poll() is not None or time.monotonic() - begun > START_TIMEOUT_S:
                process.kill()
                process.wait()
                raise StackError(f"the stack did not start:\n{log.read_text()[-2000:]}")
            time.sleep(POLL_S)
        started_s = time.monotonic() - begun
        return Stack(process, msgspec.json.decode(ready_file.read_bytes(), type=ReadyFile), self.api_keys, started_s)


def _port(url: str) -> int:
    port = urlsplit(url).port
    if port is None:
        raise StackError(f"the ready file has an address without a port: {url}")
    return port


def channel(name: str, upstream_port: int, model: str) -> dict[str, object]:
    """Return a channel's entry in the configuration file."""
    return {
        "name": name,
        "dialect": "openai",
        "base_url": f"http://127.0.0.1:{upstream_port}/v1",
        "credentials": [f"sk-{name}"],
        "models": {model: "demo"},
        "costs": {model: COST},
    }


@contextmanager
def home() -> Iterator[Home]:
    """Make a folder for stacks and remove it afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="trunkline-bench-"))
    directory.chmod(0o711)  # Postgres may run as another user, who has to reach its own folder below
    try:
        yield Home(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
