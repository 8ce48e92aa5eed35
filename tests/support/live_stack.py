"""A whole stack of real processes, started with `trunkline dev`: for the tests that break parts of it."""

# ruff: noqa: S603, TID251 - real processes, started and waited for from synchronous fixtures

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from tests.support.servers import server_directory
from tests.support.waiting import eventually
from trunkline.dev.demo.counts import Counts
from trunkline.dev.ports import PortPicker
from trunkline.dev.ready import ProcessEntry, ReadyFile
from trunkline.policy import keys

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0
RESTART_TIMEOUT_S = 20.0
POLL_S = 0.02
MODEL = "demo"
"""The upstream's only model; what follows a question mark in a channel's name for it is a script."""


class StackError(Exception):
    """The stack did not start; carries the end of what it said."""


def new_key() -> str:
    """Return a fresh API key for a configuration."""
    return keys.mint(secrets.token_bytes(64))


class LiveStack:
    """A running stack.

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

    @property
    def edges(self) -> list[str]:
        """Base URLs of the edges, without ``/v1``."""
        return [entry.base_url for entry in self.ready.processes["edge"]]

    def process(self, role: str, index: int = 0) -> ProcessEntry:
        """Return one of the processes of a role."""
        return self.ready.processes[role][index]

    def signal(self, role: str, index: int = 0, *, number: int = signal.SIGKILL) -> int:
        """Send a signal to a process; returns its id."""
        pid = self.process(role, index).pid
        os.kill(pid, number)
        return pid

    async def restarted(self, role: str, index: int, old_pid: int) -> int:
        """Return the new process id once a successor of a process is ready."""

        async def look() -> int:
            pid = self.process(role, index).pid
            return 0 if pid == old_pid else pid

        return await eventually(look, within_s=RESTART_TIMEOUT_S, what=f"{role} is started again")

    def rss_bytes(self, role: str, index: int = 0) -> int:
        """Return the resident memory of a process."""
        status = Path(f"/proc/{self.process(role, index).pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    async def metrics(self, http: aiohttp.ClientSession, role: str, index: int) -> dict[str, float]:
        """Return a process's metrics; those with labels under ``name{label=value,…}``."""
        async with http.get(f"{self.process(role, index).ops_url}/metrics") as response:
            text = await response.text()
        found = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
        return found

    async def metric_sum(self, http: aiohttp.ClientSession, role: str, name: str) -> float:
        """Return a metric, added up over the processes of a role."""
        count = len(self.ready.processes[role])
        return sum([(await self.metrics(http, role, index)).get(name, 0.0) for index in range(count)])

    async def counts(self, http: aiohttp.ClientSession) -> Counts:
        """Return what the upstream has counted."""
        async with http.get(f"{self.ready.upstream_url}/counts") as response:
            return msgspec.json.decode(await response.read(), type=Counts)

    async def order(self, http: aiohttp.ClientSession, script: Mapping[str, object] | None, credential: str) -> None:
        """Have the upstream follow a script with all requests of a credential, until told otherwise."""
        body = {"script": script, "credential": credential}
        async with http.post(f"{self.ready.upstream_url}/script", json=body) as response:
            assert response.status == 200, await response.text()

    async def admin(self, http: aiohttp.ClientSession, method: str, path: str, body: object = None) -> Any:
        """Call the admin API; returns the JSON of a good answer."""
        ready = self.ready
        data = None if body is None else msgspec.json.encode(body)
        headers = {"authorization": f"Bearer {ready.admin_key}"}
        async with http.request(method, f"{ready.console_url}/admin/v1{path}", data=data, headers=headers) as response:
            content = await response.read()
            assert response.status < 300, content.decode()
            return msgspec.json.decode(content) if content else None

    async def apply(self, http: aiohttp.ClientSession, **sections: list[dict[str, object]]) -> None:
        """Apply a configuration, such as ``channels=[channel_entry(…)]``."""
        await self.admin(http, "POST", "/apply", sections)

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
        """
        with server_directory("stack") as directory:
            stack = self._start(directory)
            try:
                yield stack
            finally:
                stack.stop()

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
