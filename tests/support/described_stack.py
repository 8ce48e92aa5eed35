"""What tests ask of a running stack, however it was started: its processes, metrics, counts and admin API."""

import abc
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from tests.support.waiting import eventually
from trunkline.dev.demo.counts import Answer, Counts
from trunkline.dev.ready import ProcessEntry, ReadyFile

RESTART_TIMEOUT_S = 20.0


class DescribedStack(abc.ABC):
    """A stack that says where its parts are."""

    @property
    @abc.abstractmethod
    def ready(self) -> ReadyFile:
        """What it says of itself now."""

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

    async def answers(self, http: aiohttp.ClientSession) -> list[Answer]:
        """Return the upstream's answers to requests with a tag."""
        async with http.get(f"{self.ready.upstream_url}/answers") as response:
            return msgspec.json.decode(await response.read(), type=list[Answer])

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
