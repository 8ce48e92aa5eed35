"""The CLI as a process, against a console in the test's own and an edge that is played."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from aiohttp import web

from tests.support.console import ADMIN_KEY, running_console
from tests.support.health_world import add_channel, add_credential, sample, store
from tests.support.servers import free_port
from tests.support.waiting import eventually
from trunkline.bus.messages import CredentialEvent
from trunkline.policy.keys import mint, well_formed
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60.0
SECRET = mint(bytes(range(64)))
CONFIGURATION = """
channels:
  - name: main
    dialect: openai
    base_url: http://upstream.example/v1
    credentials: ["env:UPSTREAM_SECRET"]
    models: {gpt-4o-mini: gpt-4o-mini}
accounts:
  - {name: acme, credit: 10, keys: [{name: ci, secret: "env:CI_SECRET"}]}
"""
CHAT_EVENTS = (
    b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
    b'data: {"choices":[{"delta":{"content":"Hello, "}}]}\n\ndata: {"choices":[{"delta":{"content":"world"}}]}\n\n'
    b"data: [DONE]\n\n"
)


class Run(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


class CLI(NamedTuple):
    """Runs commands in an environment."""

    environment: dict[str, str]

    async def run(self, *arguments: str, typed: str = "", **variables: str) -> Run:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "trunkline.cli",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.defpath, "COLUMNS": "300", "LC_ALL": "C.UTF-8", **self.environment, **variables},
            cwd=ROOT,
        )
        async with asyncio.timeout(TIMEOUT_S):
            out, err = await process.communicate(typed.encode())
        assert process.returncode is not None
        assert "Traceback" not in err.decode()
        return Run(process.returncode, out.decode(), err.decode())


@pytest.fixture
async def cli(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[CLI]:
    async with running_console(bus, tasks, database_dsn) as running:
        yield CLI({"TRUNKLINE_CONSOLE_URL": running.client.url, "TRUNKLINE_ADMIN_KEY": ADMIN_KEY})


@pytest.fixture
async def edge_url() -> AsyncIterator[str]:
    async def chat(request: web.Request) -> web.Response:
        body = await request.json()
        if body["model"] != "gpt-4o-mini":
            return web.json_response({"error": {"message": "There is no such model."}}, status=404)
        if body["messages"][-1]["content"] == "cut":
            return web.Response(body=CHAT_EVENTS[:-20], content_type="text/event-stream")
        return web.Response(body=CHAT_EVENTS, content_type="text/event-stream")

    async def models(request: web.Request) -> web.Response:
        return web.json_response({}, status=200 if request.headers.get("authorization") == f"Bearer {SECRET}" else 401)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_get("/v1/models", models)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_configuration_is_shown_applied_and_then_nothing_is_left_to_do(cli: CLI, tmp_path: Path) -> None:
    file = tmp_path / "trunkline.yaml"
    file.write_text(CONFIGURATION)
    secrets = {"UPSTREAM_SECRET": "planted-upstream-secret", "CI_SECRET": SECRET}
    missing = await cli.run("apply", "-f", str(file))
    assert missing.code == 64
    assert "channels[0].credentials[0]: the environment variable UPSTREAM_SECRET is not set" in missing.err
    assert "accounts[0].keys[0].secret: the environment variable CI_SECRET is not set" in missing.err
    dry = await cli.run("apply", "-f", str(file), "--dry-run", **secrets)
    assert dry.out.endswith("5 changes would be made.\n")
    done = await cli.run("apply", "-f", str(file), **secrets)
    assert "+ channel main" in done.out
    assert done.out.endswith("5 changes made.\n")
    again = await cli.run("apply", "-f", str(file), **secrets)
    assert again == (0, "Nothing to change.\n", "")
    for run in (missing, dry, done):
        assert SECRET not in run.out + run.err
        assert "planted-upstream-secret" not in run.out + run.err
    shown = await cli.run("channels", "show", "main")
    assert "http://upstream.example/v1" in shown.out
    assert "disabled" in (await cli.run("channels", "disable", "main")).out
    assert "enabled" in (await cli.run("channels", "enable", "main")).out
    assert "drained" in (await cli.run("channels", "drain", "main")).out
    assert "enabled" in (await cli.run("channels", "undrain", "main")).out
    assert "genai-prices" in (await cli.run("models", "list")).out
    assert "routing: none" in (await cli.run("models", "show", "gpt-4o-mini")).out


async def test_accounts_and_keys_from_birth_to_end(cli: CLI) -> None:
    assert (await cli.run("accounts", "create", "acme", "--credit", "1.50")).code == 0
    credit = await cli.run("accounts", "credit", "acme", "2", "--reference", "invoice-7")
    assert credit.out == "granted 2 USD; the balance is 3.50 USD\n"
    again = await cli.run("accounts", "credit", "acme", "2", "--reference", "invoice-7")
    assert again.out == "nothing granted: 'invoice-7' was granted before; the balance is 3.50 USD\n"
    created = await cli.run("keys", "create", "acme/ci", "--model", "gpt-*", "--expires", "2030-01-31")
    assert well_formed(created.out.strip())
    listed = await cli.run("keys", "list", "--account", "acme")
    assert "2030-01-31 00:00" in listed.out
    assert created.out.strip() not in listed.out
    assert "blocked" in (await cli.run("keys", "block", "acme/ci")).out
    assert "active" in (await cli.run("keys", "unblock", "acme/ci")).out
    assert (await cli.run("keys", "revoke", "acme/ci")).out == "revoked acme/ci\n"
    gone = await cli.run("keys", "revoke", "acme/ci")
    assert gone == (1, "", "trunkline: There is no key acme/ci.\n")


async def test_keys_are_changed_and_rotated(cli: CLI) -> None:
    await cli.run("accounts", "create", "acme", "--time-zone", "Asia/Shanghai")
    assert (await cli.run("users", "create", "acme/kim", "--rpm", "5")).out.splitlines()[1].split()[:4] == [
        *("acme/kim", "0", "rpm", "5")
    ]
    options = ("--user", "kim", "--endpoint", "embeddings", "--endpoint", "rerank", "--daily", "1.50")
    created = await cli.run("keys", "create", "acme/ci", *options, "--strategy", "cost")
    shown = await cli.run("keys", "show", "acme/ci")
    assert "embeddings, rerank" in shown.out
    assert shown.out.endswith("limits: none\nbudgets: daily 1.50 USD\nstrategy: cost\n")
    routed = await cli.run("keys", "change", "acme/ci", "--strategy", "least-busy")
    assert routed.out.endswith("strategy: least-busy\n")
    assert "strategy" not in (await cli.run("keys", "change", "acme/ci", "--no-strategy")).out
    changed = await cli.run("keys", "change", "acme/ci", "--name", "nightly", "--no-user", "--any-endpoint")
    assert changed.out.splitlines()[1].split()[0] == "acme/nightly"
    assert "embeddings" not in changed.out
    both = await cli.run("keys", "change", "acme/nightly", "--user", "kim", "--no-user")
    assert both == (1, "", "trunkline: --user and its opposite exclude each other\n")
    nothing = await cli.run("keys", "change", "acme/nightly")
    assert (nothing.code, "nothing to change is given" in nothing.err) == (1, True)
    rotated = await cli.run("keys", "rotate", "acme/nightly", "--overlap", "600")
    assert well_formed(rotated.out.strip())
    assert rotated.out != created.out
    listed = (await cli.run("keys", "list")).out
    assert f"{rotated.out[:10]}…, {created.out[:10]}… until " in listed
    assert rotated.out.strip() not in listed
    assert (await cli.run("users", "rename", "acme/kim", "kimberly")).out.splitlines()[1].startswith("acme/kimberly ")
    assert (await cli.run("users", "delete", "acme/kimberly")).out == "deleted user acme/kimberly\n"
    assert len((await cli.run("users", "list")).out.splitlines()) == 1
    zone = await cli.run("accounts", "change", "acme", "--time-zone", "Europe/Berlin")
    assert "Europe/Berlin" in zone.out


async def test_limits_and_budgets_are_set_shown_and_cleared(cli: CLI) -> None:
    await cli.run("accounts", "create", "acme")
    wanted = ("--rpm", "50", "--family", "gpt-*,o1:rpm=5,tpd=7")
    done = await cli.run("limits", "set", "account", "acme", *wanted)
    assert done.out.splitlines()[1:] == [
        "all models   50    -    -    -                  -            -",
        "gpt-*, o1     5    -    -    7                  -            -",
    ]
    assert (await cli.run("limits", "show", "account", "acme")).out == done.out
    assert (await cli.run("limits", "set", "group", "default", "--concurrency", "3")).code == 0
    assert (await cli.run("limits", "clear", "account", "acme")).out == "No limits.\n"
    budgets = await cli.run("budgets", "set", "account", "acme", "--daily", "5", "--family", "gpt-4*:monthly=1.50")
    assert [line.split() for line in budgets.out.splitlines()[1:]] == [
        ["all", "models", "5.00", "-"],
        ["gpt-4*", "-", "1.50"],
    ]
    assert (await cli.run("budgets", "show", "account", "acme")).out == budgets.out
    assert "budgets: daily 5.00 USD; gpt-4*: monthly 1.50 USD" in (await cli.run("accounts", "show", "acme")).out
    assert (await cli.run("budgets", "clear", "account", "acme")).out == "No budgets.\n"
    tier = await cli.run("budgets", "show", "tier", "basic")
    assert tier == (1, "", "trunkline: a tier has no budgets; account, user, key have\n")
    unknown = await cli.run("limits", "set", "user", "acme/nobody", "--rpm", "1")
    assert unknown == (1, "", "trunkline: There is no user acme/nobody.\n")
    faulty = await cli.run("limits", "set", "account", "acme", "--rpm", "0")
    assert (faulty.code, "  rpm: must be between 1 and" in faulty.err) == (1, True)


async def test_usage_and_the_projection_have_their_commands(cli: CLI) -> None:
    assert (await cli.run("usage")).out.split()[:2] == ["day", "model"]
    assert (await cli.run("usage", "--by", "colour")).err.startswith("trunkline: by must name each of day, account")
    rebuilt = await cli.run("projection", "rebuild")
    assert rebuilt.out.splitlines()[0].split() == ["bucket", "written", "deleted"]


async def test_credentials_and_history_have_their_commands(cli: CLI, bus: NATSBus, database: Database) -> None:
    async with database.connection() as connection:
        channel = await add_channel(connection, "main", ["m"])
        one = await add_credential(connection, channel, "0123456789abcdef")
        await add_credential(connection, channel, "fedcba9876543210")
    minute_ms = SystemClock().wall_ms() // 60_000 * 60_000 - 60_000
    await store(bus, CredentialEvent(channel, one, minute_ms, refused=True, status=401))
    await store(bus, sample(channel, "s", minute_ms + 10_000))
    await store(bus, sample(channel, "e", minute_ms + 10_000, "m", successes=4))

    async def refused() -> list[list[str]] | None:
        rows = [line.split() for line in (await cli.run("credentials", "list", "--refused")).out.splitlines()]
        return rows[1:] or None

    [row] = await eventually(refused, within_s=TIMEOUT_S, what="a credential is refused")
    assert (row[:4], row[6]) == (["main", str(one), "01234567", "refused"], "401")
    assert [line.split()[3] for line in (await cli.run("credentials", "list")).out.splitlines()[1:]] == [
        *("refused", "serving"),
    ]
    changed = await cli.run("credentials", "change", "main", str(one), "--weight", "3", "--rpm", "60")
    assert changed.out.splitlines()[1].split()[:5] == [str(one), "01234567", "3", "rpm", "60"]
    unlimited = await cli.run("credentials", "change", "main", str(one), "--no-rpm")
    assert unlimited.out.splitlines()[1].split()[2:4] == ["3", "none"]
    nothing = await cli.run("credentials", "change", "main", str(one))
    assert nothing.err == "trunkline: nothing to change is given; see `trunkline credentials change --help`\n"

    async def of_model() -> list[str] | None:
        shown = await cli.run("history", "main", "--by", "minute", "--model", "m")
        return [line.split()[2:] for line in shown.out.splitlines()[1:]] or None

    assert await eventually(of_model, within_s=TIMEOUT_S, what="history is kept") == [["4", "1", "200", "0", "10", "0"]]
    for span in ("minute", "hour", "day"):
        [_, whole] = (await cli.run("history", "main", "--by", span)).out.splitlines()
        assert whole.split()[2:] == ["6", "1", "200", "10", "0", "0"]
    assert (await cli.run("history", "other")).err == "trunkline: There is no channel 'other'.\n"
    assert (await cli.run("history", "main", "--by", "week")).err.startswith("trunkline: by must be one of minute")


async def test_sealing_anew_has_its_command_and_says_what_it_could_not_do(cli: CLI, database: Database) -> None:
    async with database.connection() as connection:
        await add_credential(connection, await add_channel(connection, "main", ["m"]), "mark")
        await connection.execute("update credentials set master = 7")
    for arguments, code in ((["--dry-run"], 0), ([], 1)):
        run = await cli.run("credentials", "reseal", *arguments)
        assert run.code == code, run.err
        first, _, row = run.out.splitlines()
        assert (first, row.split()) == ("0 sealed anew with master key 1", ["7", "1", "0", "no"])


async def test_chat_streams_an_answer_and_says_when_it_was_cut(edge_url: str) -> None:
    cli = CLI({"TRUNKLINE_BASE_URL": edge_url, "TRUNKLINE_API_KEY": SECRET})
    assert await cli.run("chat", "gpt-4o-mini", "hi") == (0, "Hello, world\n", "")
    cut = await cli.run("chat", "gpt-4o-mini", "cut")
    assert (cut.code, cut.err) == (1, "trunkline: the answer was cut off\n")
    unknown = await cli.run("chat", "nothing", "hi")
    assert unknown == (1, "", "trunkline: There is no such model. (404)\n")
    talk = await cli.run("chat", "gpt-4o-mini", typed="hi\nand again\n\n")
    assert talk.out.count("Hello, world") == 2


async def test_doctor_says_what_is_wrong_and_fails(cli: CLI, edge_url: str) -> None:
    found = await cli.run("doctor", "--ops", "http://127.0.0.1:1", TRUNKLINE_BASE_URL=edge_url, TRUNKLINE_API_KEY="bad")
    assert found.code == 1
    lines = {line.split(":")[0].split(None, 1)[1]: line for line in found.out.splitlines()}
    assert lines["console"].startswith("ok")
    assert lines["postgres"].startswith("ok")
    assert "None is alive: no request is served" in lines["dispatcher"]
    assert "refuses TRUNKLINE_API_KEY" in lines["gateway"]
    assert "Is the process running?" in lines["ops http"]


@pytest.mark.parametrize(
    ("arguments", "variables", "code", "says"),
    [
        (("accounts", "list"), {"TRUNKLINE_ADMIN_KEY": ""}, 1, "the admin key is missing or wrong"),
        (("accounts", "list"), {"TRUNKLINE_CONSOLE_URL": "http://127.0.0.1:1"}, 1, "nothing listens at"),
        (("accounts", "list"), {"TRUNKLINE_CONSOLE_URL": "nonsense"}, 1, "not an http or https address"),
        (("accounts", "show", "nobody"), {}, 1, "There is no account 'nobody'."),
        (("migrate",), {}, 64, "DATABASE_URL is not set"),
        (("migrate",), {"DATABASE_URL": "http://x"}, 1, "DATABASE_URL is not of the form"),
        (("no-such-command",), {}, 2, "No such command"),
    ],
)
async def test_each_failure_is_one_clear_line(
    cli: CLI, arguments: tuple[str, ...], variables: dict[str, str], code: int, says: str
) -> None:
    failed = await cli.run(*arguments, **variables)
    assert failed.code == code
    assert says in failed.err


async def test_migrate_runs_what_is_missing(database_dsn: str) -> None:
    run = await CLI({"DATABASE_URL": database_dsn}).run("migrate")
    assert run == (0, "The database is up to date.\n", "")


async def test_the_console_as_a_process_becomes_ready_and_stops_when_told(
    nats_url: str, bus: NATSBus, database_dsn: str
) -> None:
    heard = asyncio.Event()
    await bus.subscribe("tl.alive.console.*", lambda _message: heard.set())
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.console",
        stderr=asyncio.subprocess.DEVNULL,
        env={
            "PATH": os.defpath,
            "NATS_URL": nats_url,
            "DATABASE_URL": database_dsn,
            "TRUNKLINE_OPS_HOST": "127.0.0.1",
            "TRUNKLINE_OPS_PORT": str(free_port()),
            "TRUNKLINE_CONSOLE_PORT": "0",
            "TRUNKLINE_ADMIN_KEY": ADMIN_KEY,
            "TRUNKLINE_KEY_PEPPER": "pepper-of-the-tests",
            "TRUNKLINE_MASTER_KEYS": "1:" + "A" * 43 + "=",
        },
        cwd=ROOT,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await heard.wait()
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
