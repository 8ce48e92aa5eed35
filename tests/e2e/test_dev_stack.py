"""`trunkline dev` starts, keeps running and stops everything cleanly, keeps its state, refuses in one message."""

# ruff: noqa: S310 - addresses of a stack of our own; processes are looked at from outside

import json
import os
import signal
import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import running_nats, running_postgres
from tests.support.stack import GONE_TIMEOUT_S, START_TIMEOUT_S, DevStack, alive, descendants, running_stack, until
from trunkline.dev.ready import ReadyFile

ROLES = ("edge", "dispatcher", "metering", "health", "console", "nats", "postgres", "upstream")
RESTART_TIMEOUT_S = 20.0
BOOKED_TIMEOUT_S = 10.0
EXIT_USAGE = 64


def call(url: str, bearer: str, body: object = None) -> Any:
    """Return the JSON of a good answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"authorization": f"Bearer {bearer}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def chat(base_url: str, api_key: str) -> dict[str, Any]:
    """Have one request answered."""
    body = {"model": "demo", "messages": [{"role": "user", "content": "Hello!"}]}
    answer: dict[str, Any] = call(f"{base_url}/v1/chat/completions", api_key, body)
    return answer


def booked_answers(ready: ReadyFile) -> int:
    """Return how many answers the ledger knows."""
    return sum(row["answers"] for row in call(f"{ready.console_url}/admin/v1/usage", ready.admin_key))


def balance_nano(ready: ReadyFile) -> int:
    """Return what the demo account has left."""
    balance: int = call(f"{ready.console_url}/admin/v1/accounts", ready.admin_key)[0]["balance_nano"]
    return balance


def test_stack_runs_stops_and_keeps_its_state(stack_directory: Path) -> None:
    with running_stack(stack_directory, "--edges", "2", "--dispatchers", "2") as stack:
        first = stack.wait_ready()
        counts = {role: len(entries) for role, entries in first.processes.items()}
        assert counts == {**dict.fromkeys(ROLES, 1), "edge": 2, "dispatcher": 2}
        assert all(alive(entry.pid) for entries in first.processes.values() for entry in entries)
        assert first.processes["edge"][0].base_url == first.base_url
        for edge in first.processes["edge"]:
            assert chat(edge.base_url, first.api_key)["usage"]
        until(lambda: booked_answers(first) == 2, BOOKED_TIMEOUT_S, "both answers are in the ledger")
        balance = balance_nano(first)
        assert stack.stop() == 0
        assert not stack.ready_path.exists()
    with running_stack(stack_directory) as stack:
        second = stack.wait_ready()
        assert (second.api_key, second.admin_key) == (first.api_key, first.admin_key)
        # The same balance: what was spent stays spent, and the credit was not granted again.
        assert (booked_answers(second), balance_nano(second)) == (2, balance)
        assert chat(second.base_url, second.api_key)["usage"]
        assert stack.stop(signal.SIGINT) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stack_that_is_stopped_while_it_starts_says_nothing_of_it(
    stack_directory: Path, number: signal.Signals
) -> None:
    with running_stack(stack_directory) as stack:
        until(lambda: len(descendants(stack.pid)) >= 2, START_TIMEOUT_S, "it has begun to start its parts")
        assert stack.stop(number) == 0
        assert "Traceback" not in stack.said


def test_every_part_that_is_killed_is_started_again(stack_directory: Path) -> None:
    with running_stack(stack_directory) as stack:
        first = stack.wait_ready()
        for role in ROLES:
            old = stack.ready.processes[role][0].pid
            os.kill(old, signal.SIGKILL)
            new = until(lambda: _successor(stack, role, old), RESTART_TIMEOUT_S, f"{role} runs again")  # noqa: B023
            assert alive(new)
        assert stack.ready.base_url == first.base_url
        until(lambda: _answers(stack), RESTART_TIMEOUT_S, "requests are answered again")
        assert stack.stop() == 0


def _successor(stack: DevStack, role: str, old: int) -> int | None:
    pid = stack.ready.processes[role][0].pid
    return None if pid == old else pid


def _answers(stack: DevStack) -> bool:
    try:
        return "choices" in chat(stack.ready.base_url, stack.ready.api_key)
    except OSError:
        return False


def test_killed_stack_leaves_nothing_and_starts_again_at_once(stack_directory: Path) -> None:
    with running_stack(stack_directory) as stack:
        stack.wait_ready()
        family = descendants(stack.pid)
        stack.kill()
        with running_stack(stack_directory) as second:
            second.wait_ready()
            assert second.stop() == 0
        until(lambda: not any(map(alive, family)), GONE_TIMEOUT_S, "all processes of the killed stack are gone")


def test_process_that_does_not_hear_is_killed_when_the_stack_stops(stack_directory: Path) -> None:
    with running_stack(stack_directory, environment={"TRUNKLINE_GRACE_S": "0"}) as stack:
        ready = stack.wait_ready()
        # A client that keeps an answer of a day open keeps its edge from ending by itself.
        edge = ready.base_url.removeprefix("http://").partition(":")
        with socket.create_connection((edge[0], int(edge[2])), timeout=10) as client:
            client.sendall(_endless_request(ready))
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
            os.kill(ready.processes["health"][0].pid, signal.SIGSTOP)
            assert stack.stop(signal.SIGINT) == 0
        assert not stack.ready_path.exists()


def _endless_request(ready: ReadyFile) -> bytes:
    script = {"chunks": 100_000, "delay_ms": 1000}
    body = {
        "model": "demo",
        "stream": True,
        "messages": [{"role": "user", "content": "Go on!"}],
        "trunkline_demo": script,
    }
    content = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ready.api_key}\r\n"
    return f"{head}content-length: {len(content)}\r\n\r\n".encode() + content


def test_all_faults_are_named_at_once_and_nothing_is_started(stack_directory: Path) -> None:
    configuration = stack_directory / "broken.yaml"
    configuration.write_text(
        "channels: [{name: a, dialect: french, base_url: x, models: {}, credentials: ['env:NOT_SET']}]"
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running_stack(
            stack_directory,
            "--config",
            str(configuration),
            "--edges=0",
            environment={"TRUNKLINE_GRACE_S": "soon", "NOT_SET": None},
            port=port,
        ) as stack:
            assert stack.wait_end() == EXIT_USAGE
            said = stack.said
    for words in ("channels[0].dialect", "channels[0].base_url", "NOT_SET is not set", "--edges", "TRUNKLINE_GRACE_S"):
        assert words in said
    assert not stack.data_dir.exists()


@pytest.mark.parametrize("what", ["port", "data folder"])
def test_what_another_stack_holds_is_refused(stack_directory: Path, what: str) -> None:
    elsewhere = stack_directory / "elsewhere"
    elsewhere.mkdir()
    with running_stack(stack_directory) as stack:
        ready = stack.wait_ready()
        if what == "port":
            port = int(ready.base_url.rpartition(":")[2])
            with running_stack(elsewhere, port=port) as second:
                assert second.wait_end() == EXIT_USAGE
                assert f"port {port}" in second.said
        else:
            args = ("--data-dir", str(stack.data_dir), "--ready-file", str(elsewhere / "ready.json"))
            with running_stack(elsewhere, *args) as second:
                assert second.wait_end() == EXIT_USAGE
                assert f"process {stack.pid}" in second.said
        assert chat(ready.base_url, ready.api_key)["usage"]
        assert stack.stop() == 0


def test_servers_of_the_environment_replace_the_embedded_ones(stack_directory: Path) -> None:
    with running_nats() as nats, running_postgres() as postgres:
        environment = {"NATS_URL": nats.url, "DATABASE_URL": postgres.admin_dsn}
        with running_stack(stack_directory, environment=environment) as stack:
            ready = stack.wait_ready()
            assert (ready.nats_url, ready.postgres_dsn) == (nats.url, postgres.admin_dsn)
            assert ready.processes["nats"] == ready.processes["postgres"] == []
            assert chat(ready.base_url, ready.api_key)["usage"]
            assert stack.stop() == 0
        assert not (stack.data_dir / "postgres").exists()


def test_database_of_the_environment_that_is_not_there_is_told(stack_directory: Path) -> None:
    environment = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    with running_stack(stack_directory, environment=environment) as stack:
        assert stack.wait_end() == 1
        assert "DATABASE_URL" in stack.said
        assert "Traceback" not in stack.said
