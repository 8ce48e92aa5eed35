"""The ops ports of every service: probes, metrics with bounded labels, and a drain that finishes what was begun."""

import asyncio
import json
import os
import secrets
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk

from tests.support.raw_http import exchange, request
from tests.support.stack import until
from tests.support.surface import RESTART_TIMEOUT_S, SERVICES, Surface, running_surface
from trunkline.cli import http
from trunkline.core.errors import ErrorType

CHUNKS = 25
CHUNK_MS = 160
STREAM_S = CHUNKS * CHUNK_MS / 1000
REQUESTS = 50


@pytest.mark.parametrize("role", SERVICES)
def test_probes(surface: Surface, role: str) -> None:
    for entry in surface.ready.processes[role]:
        live, ready = (http.call("GET", f"{entry.ops_url}/{probe}") for probe in ("livez", "readyz"))
        assert (live.status, live.body) == (200, b"ok\n")
        assert (ready.status, json.loads(ready.body)) == (200, {"ready": True})


@pytest.mark.parametrize("role", SERVICES)
def test_crash_dumps_hold_nothing(surface: Surface, role: str) -> None:
    for entry in surface.ready.processes[role]:
        process = Path(f"/proc/{entry.pid}")
        (limit,) = (line for line in (process / "limits").read_text().splitlines() if line.startswith("Max core file"))
        assert limit.split()[-3:-1] == ["0", "0"]
        assert int((process / "coredump_filter").read_text(), 16) == 0


@pytest.mark.parametrize("role", SERVICES)
def test_metrics_parse_and_say_what_they_are(surface: Surface, role: str) -> None:
    for entry in surface.ready.processes[role]:
        metrics = {metric.name: metric for metric in surface.metrics(entry.ops_url)}
        own = {name: metric for name, metric in metrics.items() if name.startswith(f"trunkline_{role}_")}
        assert own
        assert "process_cpu_seconds" in metrics
        assert "trunkline_bus_dropped" in metrics
        for name, metric in own.items():
            assert metric.documentation.endswith("."), name
            assert metric.type in {"counter", "gauge", "histogram", "summary"}, name


@pytest.mark.parametrize("role", SERVICES)
def test_ops_port_serves_nothing_else(surface: Surface, role: str) -> None:
    ops_url = surface.ready.processes[role][0].ops_url
    for path in ("/", "/admin/v1/accounts", "/v1/models", "/debug", "/metrics/../x"):
        assert http.call("GET", f"{ops_url}{path}").status == 404
    assert http.call("POST", f"{ops_url}/metrics").status == 405


def test_ops_paths_are_not_on_the_public_ports(surface: Surface) -> None:
    for url in (surface.ready.base_url, surface.ready.console_url):
        for path in ("/livez", "/readyz", "/metrics"):
            assert http.call("GET", f"{url}{path}").status in {401, 404}


# --- labels -------------------------------------------------------------------------------------------------------


def _series(surface: Surface) -> set[tuple[str, str, tuple[tuple[str, str], ...]]]:
    """Return every time series of every process."""
    return {
        (role, sample.name, tuple(sorted(sample.labels.items())))
        for role, entry in surface.processes()
        for metric in surface.metrics(entry.ops_url)
        for sample in metric.samples
    }


def _ask_in_many_ways(surface: Surface, words: Iterable[str]) -> None:
    """Put each word wherever a client can put one."""
    ready = surface.ready
    key, admin = f"Bearer {ready.api_key}", f"Bearer {ready.admin_key}"
    for word in words:
        body = {"model": word, "messages": [{"role": "user", "content": word}]}
        known = {**body, "model": "demo", "max_tokens": 1}
        for wire in (
            request("POST", "/v1/chat/completions", headers=[("authorization", key)], body=json.dumps(body).encode()),
            request("POST", "/v1/chat/completions", headers=[("authorization", key)], body=json.dumps(known).encode()),
            request("GET", f"/v1/models/{word}", headers=[("authorization", key), ("user-agent", word)]),
            request("GET", f"/{word}", headers=[("authorization", key)]),
            request("PUT", "/v1/models", headers=[(word, word)]),
            request("GET", "/v1/models", headers=[("authorization", word), ("host", word)]),
        ):
            exchange(ready.base_url, wire)
        for method, path in (("GET", f"/{word}"), ("GET", f"/admin/v1/accounts/{word}"), (word.upper(), "/")):
            http.call(method, f"{ready.console_url}{path}", headers={"authorization": admin})
        for _, entry in surface.processes():
            http.call("GET", f"{entry.ops_url}/{word}")


def test_series_do_not_grow_with_what_clients_write(surface: Surface) -> None:
    _ask_in_many_ways(surface, ["first"])
    surface.wait_until_idle()
    before = _series(surface)
    words = [f"w{secrets.token_hex(8)}" for _ in range(REQUESTS)]
    _ask_in_many_ways(surface, words)
    surface.wait_until_idle()
    after = _series(surface)
    assert not [series for series in after for word in words if word in str(series)]
    # What health or metering happens to meet for the first time meanwhile is a matter of its own closed words.
    assert len(after - before) < REQUESTS / 5, after - before


def test_outcomes_are_of_the_closed_vocabulary(surface: Surface) -> None:
    known = {"ok", *(kind.value for kind in ErrorType)}
    found = {labels["outcome"] for _, _, pairs in _series(surface) if "outcome" in (labels := dict(pairs))}
    assert "ok" in found
    assert found <= known


# --- drain --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def open_stream(surface: Surface) -> AsyncIterator[AsyncIterator[ChatCompletionChunk]]:
    """A stream of a few seconds, of which the first chunk has come."""
    ready = surface.ready
    async with AsyncOpenAI(base_url=ready.base_url, api_key=ready.api_key, max_retries=0, timeout=30) as client:
        script = {"chunks": CHUNKS, "delay_ms": CHUNK_MS}
        stream = await client.chat.completions.create(
            model="demo",
            messages=[{"role": "user", "content": "hi"}],
            stream=True,
            extra_body={"trunkline_demo": script},
        )
        assert (await anext(aiter(stream))).choices
        yield aiter(stream)


async def rest_of(stream: AsyncIterator[ChatCompletionChunk]) -> list[str]:
    """Return the words still to come; the SDK raises if the stream ends with an error."""
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices[0].finish_reason == "stop"
    return [chunk.choices[0].delta.content or "" for chunk in chunks]


@pytest.mark.parametrize("role", ["edge", "dispatcher"])
async def test_process_that_is_told_to_stop_finishes_its_stream(surface: Surface, role: str) -> None:
    entry = surface.ready.processes[role][0]
    async with open_stream(surface) as stream:
        os.kill(entry.pid, signal.SIGTERM)
        answer = await asyncio.to_thread(_wait_for_draining, entry.ops_url)
        assert answer["ready"] is False
        assert "draining" in answer["waiting_for"]
        words = await rest_of(stream)
    assert len([word for word in words if word.strip()]) >= CHUNKS - 1
    until(lambda: surface.ready.processes[role][0].pid != entry.pid, RESTART_TIMEOUT_S, f"{role} is started again")
    (ended,) = [line for line in _lines(surface) if line.get("pid") == entry.pid]
    assert (ended["event"], ended["part"], ended["code"]) == ("part_died", f"{role}-1", 0)
    surface.wait_for_status(surface.ready.api_key, 200)
    until(lambda: _chat(surface) == 200, RESTART_TIMEOUT_S, "it serves again")


@pytest.mark.parametrize("role", ["metering", "health", "console"])
def test_other_services_stop_with_exit_code_0(surface: Surface, role: str) -> None:
    pid = surface.ready.processes[role][0].pid
    surface.restart(role, signal.SIGTERM)
    assert [line["code"] for line in _lines(surface) if line.get("pid") == pid] == [0]
    assert _chat(surface) == 200


async def test_stack_that_is_told_to_stop_finishes_its_stream() -> None:
    with running_surface() as surface:
        ready = surface.ready
        async with open_stream(surface) as stream:
            os.kill(surface.stack.pid, signal.SIGTERM)
            words = await rest_of(stream)
        assert len([word for word in words if word.strip()]) >= CHUNKS - 1
        assert await asyncio.to_thread(surface.stack.wait_end) == 0
        assert not surface.stack.ready_path.exists()
        async with AsyncOpenAI(base_url=ready.base_url, api_key=ready.api_key, max_retries=0) as late:
            with pytest.raises(openai.APIConnectionError):
                await late.models.list()


def _wait_for_draining(ops_url: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        answer = http.call("GET", f"{ops_url}/readyz")
        found: dict[str, Any] = json.loads(answer.body)
        return found if answer.status == 503 else None

    return until(look, STREAM_S, "it says that it drains")


def _lines(surface: Surface) -> list[dict[str, object]]:
    """Return what `trunkline dev` has logged."""
    return [json.loads(line) for line in surface.stack.said.splitlines() if line.startswith("{")]


def _chat(surface: Surface) -> int:
    key = ("authorization", f"Bearer {surface.ready.api_key}")
    body = b'{"model":"demo","messages":[{"role":"user","content":"hi"}]}'
    wire = request("POST", "/v1/chat/completions", headers=[key], body=body)
    return exchange(surface.ready.base_url, wire).status
