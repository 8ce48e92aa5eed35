"""A whole stack of real processes, started with `trunkline dev`: for the tests that break parts of it."""

# ruff: noqa: S603, TID251 - real processes, started and waited for from synchronous fixtures

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from tests.support.described_stack import DescribedStack
from tests.support.servers import server_directory
from tests.support.stack import permission_refusals
from trunkline.dev.ports import PortPicker
from trunkline.dev.ready import ReadyFile
from trunkline.policy import keys

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0
POLL_S = 0.02
MODEL = "demo"
"""The upstream's only model; what follows a question mark in a channel's name for it is a script."""


class StackError(Exception):
    """The stack did not start; carries the end of what it said."""


def new_key() -> str:
    """Return a fresh API key for a configuration."""
    return keys.mint(secrets.token_bytes(64))


class LiveStack(DescribedStack):
    """A stack that `trunkline dev` runs.

    Args:
        process: of `trunkline dev`.
        ready_file: where it describes itself.
        logs: folder of its processes' logs.
    """

    def __init__(self, process: subprocess.Popen[bytes], ready_file: Path, logs: Path) -> None:
        self._process = process
        self._ready_file = ready_file
        self.logs = logs

    @property
    def ready(self) -> ReadyFile:
        """What it says of itself now."""
        return msgspec.json.decode(self._ready_file.read_bytes(), type=ReadyFile)

    def log_tail(self) -> str:
        """Return the end of the log of `trunkline dev` itself."""
        return (self.logs / "dev.log").read_text()[-2000:]

    def stop(self) -> None:
        """End it and all its processes."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


class StackPlan:
    """What a stack is to be; its upstream's port is known before it starts, for channels to name it.

    Attributes:
        upstream_port: of the demo upstream.
        environment: settings of its services.
    """

    def __init__(self, *, edges: int = 2, dispatchers: int = 2, meterings: int = 1) -> None:
        self.upstream_port = PortPicker().pick()
        self.environment: dict[str, str] = {}
        self._options = {"edges": edges, "dispatchers": dispatchers, "meterings": meterings}
        self._configuration: dict[str, list[dict[str, object]]] = {"channels": [], "models": [], "accounts": []}
        self._models: set[str] = set()

    @property
    def upstream_url(self) -> str:
        """Base URL of the demo upstream, for channels."""
        return f"http://127.0.0.1:{self.upstream_port}/v1"

    def channel(self, name: str, model: str, *, script: str = "", base_url: str = "", **fields: Any) -> None:
        """Add a channel for a model, and the model; ``script`` is a query such as ``status=500``."""
        self._configuration["channels"].append(
            channel_entry(name, model, base_url or self.upstream_url, script=script, **fields)
        )
        if model not in self._models:
            self._models.add(model)
            self._configuration["models"].append(model_entry(model))

    def model(self, model: str, **fields: object) -> None:
        """Change fields of a model that a channel has brought, such as its fallbacks."""
        next(entry for entry in self._configuration["models"] if entry["name"] == model).update(fields)

    def account(self, name: str, *, credit_usd: float = 1000.0, **fields: Any) -> str:
        """Add an account with one key and return the key; ``fields`` are further ones of the account."""
        secret = new_key()
        self._configuration["accounts"].append(
            {"name": name, "credit": credit_usd, "keys": [{"name": name, "secret": secret}], **fields}
        )
        return secret

    @contextmanager
    def running(self) -> Iterator[LiveStack]:
        """Run the stack for the length of the block.

        Raises:
            StackError: it did not start.
            AssertionError: a service did what its role may not.
        """
        with server_directory("stack") as directory:
            stack = self._start(directory)
            try:
                yield stack
            finally:
                stack.stop()
            assert not permission_refusals(directory / "data" / "logs")

    def _start(self, directory: Path) -> LiveStack:
        ready_file, configuration = directory / "ready.json", directory / "stack.json"
        configuration.write_bytes(msgspec.json.encode(self._configuration))  # JSON is YAML, too
        command = [sys.executable, "-m", "trunkline.dev", "--port", "0", "--config", str(configuration)]
        command += ["--ready-file", str(ready_file), "--data-dir", str(directory / "data")]
        command += ["--upstream-port", str(self.upstream_port)]
        for name, count in self._options.items():
            command += [f"--{name}", str(count)]
        with (directory / "dev.log").open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        stack = LiveStack(process, ready_file, directory)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ready_file.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                stack.stop()
                raise StackError(stack.log_tail())
            time.sleep(POLL_S)
        return stack


def channel_entry(
    name: str, model: str, base_url: str, *, upstream_model: str = MODEL, script: str = "", **fields: Any
) -> dict[str, object]:
    """Return a channel as a configuration has it; its credential is ``sk-`` and its name."""
    return {
        "name": name,
        "dialect": "openai",
        "base_url": base_url,
        "credentials": [f"sk-{name}"],
        "models": {model: f"{upstream_model}?{script}" if script else upstream_model},
        **fields,
    }


def model_entry(name: str) -> dict[str, object]:
    """Return a model as a configuration has it: one input token costs 10 micro-USD, one output token 20."""
    return {"name": name, "price": {"input": 10, "output": 20}}
