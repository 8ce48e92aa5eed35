"""Each command of `trunkline` against a running stack, as an operator uses it."""

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.cli import CLI, Terminal
from tests.support.stack import until
from tests.support.surface import ACCOUNT, Surface
from trunkline.bus import subjects
from trunkline.dev.demo.pieces import SENTENCE
from trunkline.policy.keys import well_formed
from trunkline.runtime import nats_bus
from trunkline.runtime.tasks import TaskSet

LOST_TIMEOUT_S = 15.0
SLOW_MODEL = "demo?delay_ms=40&chunks=12"
STALLING_MODEL = "demo?stall_after=4"


@pytest.fixture(scope="module")
def cli(surface: Surface) -> CLI:
    """The CLI, with a channel and an account of its own to play with."""
    return CLI.of(surface)


def write(tmp_path: Path, surface: Surface, *, weight: int = 100) -> Path:
    """Return a configuration file."""
    path = tmp_path / "configuration.yaml"
    path.write_text(
        f"""
channels:
  - name: of-the-cli
    dialect: openai
    base_url: {surface.ready.upstream_url}/v1
    credentials: ["env:SECRET_OF_THE_CLI"]
    models: {{cli-model: demo, cli-slow: "{SLOW_MODEL}", cli-stalls: "{STALLING_MODEL}"}}
    weight: {weight}
models:
  - {{name: cli-model, price: {{input: 1.5, output: 2}}}}
  - {{name: cli-slow, free: true}}
  - {{name: cli-stalls, free: true}}
accounts:
  - {{name: cli, credit: 5}}
"""
    )
    return path


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory, surface: Surface, cli: CLI) -> CLI:
    """A CLI whose configuration has been applied; on the way there the ways of `apply` are tested."""
    file = str(write(tmp_path_factory.mktemp("cli"), surface))
    cli = cli.having(SECRET_OF_THE_CLI="sk-secret-of-the-cli")
    for _ in range(2):
        planned = cli.run("apply", "-f", file, "--dry-run").out
        assert re.search(r"^\+ channel of-the-cli$", planned, re.MULTILINE), planned
        assert "would be made." in planned
        assert "sk-secret-of-the-cli" not in planned
    assert "of-the-cli" not in cli.run("channels", "list").out
    done = cli.run("apply", "--file", file).out
    assert re.search(r"^\d+ changes made\.$", done, re.MULTILINE), done
    assert "sk-secret-of-the-cli" not in done
    for arguments in (("apply", "-f", file), ("apply", "-f", file, "--dry-run")):
        assert cli.run(*arguments).out.strip() == "Nothing to change."
    for model in ("cli-model", "cli-slow", "cli-stalls"):
        surface.wait_for_status(surface.ready.api_key, 200, f"/v1/models/{model}")
    return cli


def test_changed_file_shows_what_changes(applied: CLI, tmp_path: Path, surface: Surface) -> None:
    planned = applied.run("apply", "-f", str(write(tmp_path, surface, weight=7)), "--dry-run").out
    assert "~ channel of-the-cli\n    weight: 100 → 7\n1 change would be made." in planned


def test_accounts(applied: CLI) -> None:
    assert applied.run("accounts", "create", "made", "--credit", "1.25", "--daily", "3").rows[1][:4] == [
        *("made", "-", "1.25", "3.00"),
    ]
    assert "granted 2.5 USD; the balance is 3.75 USD" in (
        applied.run("accounts", "credit", "made", "2.5", "--reference", "invoice-1").out
    )
    assert "granted before; the balance is 3.75 USD" in (
        applied.run("accounts", "credit", "made", "2.5", "--reference", "invoice-1").out.replace("was ", "")
    )
    names = [row[0] for row in applied.run("accounts", "list").rows[1:]]
    assert {"cli", "demo", "made", ACCOUNT} <= set(names)
    assert applied.run("accounts", "show", "made").rows[1][2] == "3.75"
    assert "there is" in applied.fails("accounts", "create", "made").lower()


def test_key_is_shown_once_and_lives_as_told(applied: CLI, surface: Surface) -> None:
    created = applied.run("keys", "create", "cli/ci", "--model", "cli-*")
    secret = created.out.strip()
    assert well_formed(secret)
    assert "not shown again" in created.err
    assert secret not in created.err
    surface.wait_for_status(secret, 200)
    assert surface.get("/v1/models/demo", secret) == 403
    for arguments in (("keys", "list"), ("keys", "list", "--account", "cli"), ("accounts", "show", "cli")):
        listed = applied.run(*arguments).out
        assert "cli/ci" in listed
        assert secret not in listed
        assert secret[-20:] not in listed
    assert "blocked" in applied.run("keys", "block", "cli/ci").out
    surface.wait_for_status(secret, 401)
    assert "active" in applied.run("keys", "unblock", "cli/ci").out
    surface.wait_for_status(secret, 200)
    assert "revoked cli/ci" in applied.run("keys", "revoke", "cli/ci").out
    surface.wait_for_status(secret, 401)
    assert "cli/ci" not in applied.run("keys", "list").out
    assert "no key" in applied.fails("keys", "revoke", "cli/ci")


def test_channels(applied: CLI, surface: Surface) -> None:
    shown = applied.run("channels", "show", "of-the-cli").out
    assert "cli-model" in shown
    assert "sk-secret" not in shown
    row = next(row for row in applied.run("channels", "list").rows if row[0] == "of-the-cli")
    assert row[1:3] == ["enabled", "openai"]
    assert "disabled" in applied.run("channels", "disable", "of-the-cli").out
    surface.wait_for_status(surface.ready.api_key, 404, "/v1/models/cli-model")
    assert "enabled" in applied.run("channels", "enable", "of-the-cli").out
    assert [row[:1] + row[3:4] for row in applied.run("credentials", "list").rows if row[0] == "of-the-cli"] == [
        ["of-the-cli", "serving"],
    ]
    surface.wait_for_status(surface.ready.api_key, 200, "/v1/models/cli-model")


def test_deleted_channel_is_gone(applied: CLI, surface: Surface) -> None:
    channel = {
        "name": "short-lived",
        "dialect": "openai",
        "base_url": surface.ready.upstream_url,
        "models": {"short-lived": "demo"},
    }
    surface.admin("POST", "/apply", {"channels": [channel], "models": [{"name": "short-lived", "free": True}]})
    assert "short-lived" in applied.run("channels", "list").out
    assert "deleted channel short-lived" in applied.run("channels", "delete", "short-lived").out
    assert "short-lived" in applied.fails("channels", "delete", "short-lived")
    surface.admin("DELETE", "/models/short-lived")


def test_models(applied: CLI) -> None:
    models = applied.run("models", "list").out
    row = next(line for line in models.splitlines() if line.startswith("cli-model "))
    assert "1.5" in row
    assert "of-the-cli" in row
    assert "free" in next(line for line in models.splitlines() if line.startswith("cli-slow "))


# --- chat ---------------------------------------------------------------------------------------------------------


def test_chat_prints_the_answer_alone(applied: CLI) -> None:
    result = applied.run("chat", "cli-model", "hello there")
    assert result.out.rstrip() == SENTENCE
    assert result.err == ""


def test_usage_shows_what_was_asked_of_whom(applied: CLI) -> None:
    applied.run("chat", "cli-model", "one two three")
    until(
        lambda: "cli-model" in applied.run("usage", "--by", "model,channel").out, LOST_TIMEOUT_S, "the usage is booked"
    )
    row = next(row for row in applied.run("usage", "--by", "model,channel").rows if row[0] == "cli-model")
    attempts = int(row[2])
    assert row[1] == "of-the-cli"
    assert attempts >= 1
    assert int(row[6]) == attempts * len(SENTENCE.split())
    assert float(row[7]) > 0
    assert "demo/demo" in applied.run("usage", "--by", "key", "--account", "demo").out
    assert "cli-model" not in applied.run("usage", "--by", "model", "--until", "2020-01-01").out
    assert "by must name" in applied.fails("usage", "--by", "colour")


@contextmanager
def conversation(cli: CLI, model: str) -> Iterator[Terminal]:
    """Have a conversation in a terminal for the length of the block; it has asked what to say."""
    terminal = Terminal(cli.environment, "chat", model)
    try:
        terminal.wait_for("> ")
        yield terminal
    finally:
        terminal.close()


def test_conversation_in_a_terminal(applied: CLI) -> None:
    with conversation(applied, "cli-slow") as terminal:
        terminal.type("hello\n")
        terminal.wait_for("knows nothing,")
        terminal.type("again\n")
        terminal.type("\x04")
        assert terminal.wait_end() == 0
        assert terminal.text.count("knows nothing,") == 2


def test_conversation_streams_and_can_be_interrupted(applied: CLI) -> None:
    with conversation(applied, "cli-stalls") as terminal:
        terminal.type("hello\n")
        terminal.wait_for("Hello! This")  # the beginning is on the screen, and the end is never made
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.wait_end() == 130
        assert "Traceback" not in terminal.text


# --- doctor, projection, database -----------------------------------------------------------------------------------


def test_doctor_of_a_healthy_system(applied: CLI, surface: Surface) -> None:
    ops = [entry.ops_url for _, entry in surface.processes()]
    said = applied.run("doctor", *(argument for url in ops for argument in ("--ops", url))).out.splitlines()
    left = ("warn  models: ", "warn  channels: ", "warn  credentials: ")  # what other tests have left
    lines = [line for line in said if not line.startswith(left)]
    names = [line.removeprefix("ok  ").strip().partition(": ")[0] for line in lines]
    assert [line for line in lines if not line.startswith("ok ")] == []
    assert names[:8] == ["console", "postgres", "nats", "edge", "dispatcher", "metering", "health", "gateway"]
    assert names[8:] == [f"ops {url}" for url in ops]


def test_doctor_names_the_part_that_is_broken(applied: CLI, surface: Surface) -> None:
    pid = surface.ready.processes["metering"][0].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: not _well(surface, "metering"), LOST_TIMEOUT_S, "metering is missed")
        lines = applied.run("doctor", code=1).out.splitlines()
    finally:
        os.kill(pid, signal.SIGCONT)
    failed = [line for line in lines if line.startswith("FAIL")]
    assert len(failed) == 1
    assert failed[0].startswith("FAIL  metering: None is alive: usage waits")
    until(lambda: _well(surface, "metering"), LOST_TIMEOUT_S, "metering is heard again")


def _well(surface: Surface, role: str) -> bool:
    return any(check["ok"] for check in surface.admin("GET", "/health")["checks"] if check["name"] == role)


async def _forget_model(nats_url: str, model: str) -> None:
    """Delete a model from the projection behind the console's back."""
    tasks = TaskSet()
    bus = await nats_bus.connect(nats_url, name="test", tasks=tasks)
    try:
        bucket = await bus.jetstream.key_value(subjects.KV_MODELS)
        await bucket.delete(subjects.kv_token(model))
    finally:
        await bus.close()
        await tasks.cancel()


def test_projection_is_rebuilt(applied: CLI, surface: Surface) -> None:
    asyncio.run(_forget_model(surface.ready.nats_url, "cli-model"))
    surface.wait_for_status(surface.ready.api_key, 404, "/v1/models/cli-model")
    rows = {row[0]: row[1:] for row in applied.run("projection", "rebuild").rows}
    assert rows["bucket"] == ["written", "deleted"]
    assert int(rows["models"][0]) >= 6
    assert int(rows["keys"][0]) >= 1
    surface.wait_for_status(surface.ready.api_key, 200, "/v1/models/cli-model")


def test_migrate_of_a_database_that_is_up_to_date(surface: Surface) -> None:
    result = CLI(DATABASE_URL=surface.ready.postgres_dsn).run("migrate")
    assert result.out.strip() == "The database is up to date."


def test_help_names_every_command(applied: CLI) -> None:
    money = ("accounts", "users", "keys", "limits", "budgets", "usage")
    commands = (*money, "apply", "channels", "models", "credentials", "history", "chat", "doctor", "projection", "dev")
    shown = applied.run("--help").out
    assert [command for command in commands if command not in shown] == []
    assert "--data-dir" in applied.run("dev", "--help").out
