"""What a stack leaves behind after good and bad days, gathered for the tests that look for planted secrets in it."""

import asyncio
import base64
import dataclasses
import json
import secrets
import signal
from pathlib import Path
from typing import cast

from tests.support.leaky_upstream import BEHAVIOURS, LeakyUpstream, running_leaky_upstream
from tests.support.raw_http import NoAnswerError, RawClient, exchange, request
from tests.support.servers import server_directory
from tests.support.stack import until
from tests.support.surface import Surface, running_surface
from trunkline.cli import http
from trunkline.cli.failure import CLIError
from trunkline.policy import keys
from trunkline.store.database import single_connection

SETTLED_TIMEOUT_S = 20.0
CHAT = "/v1/chat/completions"


@dataclasses.dataclass(frozen=True)
class Planted:
    """Strings that occur nowhere else; only the first two are a client's own to see again."""

    prompt: str = dataclasses.field(default_factory=lambda: f"planted prompt {secrets.token_hex(6)}")
    answer: str = dataclasses.field(default_factory=lambda: f"planted answer {secrets.token_hex(6)}")
    credential: str = dataclasses.field(default_factory=lambda: f"planted.credential_{secrets.token_hex(4)}")
    key: str = dataclasses.field(default_factory=lambda: keys.mint(secrets.token_bytes(64)))
    collector_key: str = dataclasses.field(default_factory=lambda: f"planted.collector_{secrets.token_hex(4)}")

    def all(self) -> dict[str, str]:
        """Return them by name."""
        return dataclasses.asdict(self)


@dataclasses.dataclass
class Evidence:
    """Everything that the stack has left behind.

    Attributes:
        planted: what must not be found in it.
        own: secrets of the stack itself, from its own file.
        refusals: bodies and headers of error answers by what was asked for.
        metrics: of every process.
        tables: the database's rows as text, by table.
        files: content by path: logs, NATS's and Postgres's folders, and what `trunkline dev` printed.
        environments, commands: of every process, by role.
    """

    planted: Planted
    own: dict[str, str] = dataclasses.field(default_factory=dict)
    refusals: dict[str, str] = dataclasses.field(default_factory=dict)
    metrics: str = ""
    tables: dict[str, str] = dataclasses.field(default_factory=dict)
    files: dict[str, bytes] = dataclasses.field(default_factory=dict)
    environments: dict[str, str] = dataclasses.field(default_factory=dict)
    commands: dict[str, str] = dataclasses.field(default_factory=dict)

    def holders(self, secret: str, under: str = "") -> set[str]:
        """Return the files that hold a secret in any of its usual forms."""
        forms = [secret.encode(), secret.encode().hex().encode(), base64.b64encode(secret.encode()).rstrip(b"=")]
        return {
            path
            for path, content in self.files.items()
            if path.startswith(under) and any(form in content for form in forms)
        }


def gather() -> Evidence:
    """Run a stack in front of an upstream without discretion, use and abuse it, and return what is left."""
    planted = Planted()
    with running_leaky_upstream(planted.answer) as upstream, server_directory("configuration") as directory:
        file = directory / "configuration.json"
        file.write_text(json.dumps(_configuration(planted, upstream.url)))
        settings = {
            # Nobody listens there: what is not sent is logged.
            "TRUNKLINE_TRACE_URL": "http://127.0.0.1:9",
            "TRUNKLINE_TRACE_HEADERS": f"x-collector-key={planted.collector_key}",
            "TRUNKLINE_TRACE_RATIO": "1",
        }
        with running_surface("--config", str(file), "--log-level", "debug", settings=settings) as surface:
            evidence = Evidence(planted, _own_secrets(surface.stack.data_dir))
            _ask_for_everything(surface, evidence)
            _ask_in_every_dialect(surface, planted)
            _ask_in_the_playground(surface, planted)
            _have_a_bad_day(surface, upstream, planted)
            _settle(surface)
            _look_at_processes(surface, evidence)
            evidence.tables = asyncio.run(_dump(surface.ready.postgres_dsn))
            assert surface.stack.stop() == 0
            for path in [surface.stack.output, *surface.stack.data_dir.rglob("*")]:
                if path.is_file():
                    evidence.files[str(path.relative_to(surface.stack.output.parent))] = path.read_bytes()
    return evidence


def _configuration(planted: Planted, url: str) -> dict[str, object]:
    return {
        "channels": [
            {
                "name": behaviour,
                "dialect": "openai",
                "base_url": url,
                "credentials": [planted.credential],
                "models": {f"model-{behaviour}": behaviour},
            }
            for behaviour in BEHAVIOURS
        ],
        "models": [{"name": f"model-{behaviour}", "price": {"input": 1, "output": 1}} for behaviour in BEHAVIOURS],
        "accounts": [{"name": "planted", "credit": 100, "keys": [{"name": "planted", "secret": planted.key}]}],
    }


def _chat(planted: Planted, behaviour: str, *, stream: bool, connection: str = "keep-alive") -> bytes:
    """Return a request with the prompt, and with secrets in every other place where a client may put them."""
    body = {
        "model": f"model-{behaviour}",
        "messages": [{"role": "user", "content": planted.prompt}],
        "stream": stream,
        "user": planted.prompt,
        "metadata": {"key": planted.key},
        "tools": [{"type": "function", "function": {"name": "f", "description": planted.prompt}}],
    }
    headers = [
        ("authorization", f"Bearer {planted.key}"),
        ("traceparent", planted.prompt),
        ("x-key", planted.key),
        ("connection", connection),
    ]
    return request("POST", f"{CHAT}?api_key={planted.key}", headers=headers, body=json.dumps(body).encode())


def _ask_for_everything(surface: Surface, evidence: Evidence) -> None:
    planted = evidence.planted
    for stream in (False, True):
        for behaviour in BEHAVIOURS:
            if behaviour == "held":
                continue
            try:
                answer = exchange(surface.ready.base_url, _chat(planted, behaviour, stream=stream))
            except NoAnswerError as cut:
                assert stream, f"{behaviour} has no answer"
                evidence.refusals[f"{behaviour}, cut"] = str(cut)
                continue
            assert behaviour != "good" or (answer.status == 200 and planted.answer.encode() in answer.body)
            if answer.status != 200:
                evidence.refusals[f"{behaviour}, {stream}"] = f"{answer.headers} {answer.body.decode()}"
            elif stream and behaviour != "good":
                # Behind the output that was delivered stands an event with the error.
                evidence.refusals[f"{behaviour}, {stream}"] = answer.body.decode().rpartition("data: ")[2]
    base_url, own_key = surface.ready.base_url, ("authorization", f"Bearer {planted.key}")
    unreadable = {
        "no JSON": request("POST", CHAT, headers=[own_key], body=f'{{"{planted.prompt}'.encode()),
        "wrong model": request("POST", CHAT, headers=[own_key], body=json.dumps({"model": planted.prompt}).encode()),
        "wrong key": request("POST", CHAT, headers=[("authorization", f"Bearer {planted.key}x")], body=b"{}"),
        "no HTTP": planted.prompt.encode() + b" " + planted.key.encode() + b"\r\n\r\n",
        "path": request("GET", f"/v1/models/{planted.key}", headers=[own_key]),
        "endpoint": request("GET", f"/{planted.key}", headers=[own_key]),
    }
    for name, wire in unreadable.items():
        evidence.refusals[name] = exchange(base_url, wire).body.decode()
    ready = surface.ready
    for path, bearer in (("/accounts", planted.key), (f"/accounts/{planted.key}", ready.admin_key)):
        headers = {"authorization": f"Bearer {bearer}"}
        refusal = http.call("POST", f"{ready.console_url}/admin/v1{path}", body=b"{", headers=headers)
        assert refusal.status >= 400
        evidence.refusals[f"console {path}"] = refusal.body.decode()


def _ask_in_every_dialect(surface: Surface, planted: Planted) -> None:
    """Ask in the other dialects' words and places for a key; all are translated, as the upstream speaks chat."""
    said = [{"role": "user", "content": planted.prompt}]
    tool = {"name": "f", "description": planted.prompt, "input_schema": {"type": "object"}}
    google: dict[str, object] = {
        "contents": [{"role": "user", "parts": [{"text": planted.prompt}]}],
        "systemInstruction": {"parts": [{"text": planted.prompt}]},
        "labels": {"key": planted.key},
    }
    asked: list[tuple[str, dict[str, str], dict[str, object]]] = [
        ("/v1/responses", {"authorization": planted.key}, {"input": planted.prompt, "instructions": planted.prompt}),
        ("/v1/messages", {"x-api-key": planted.key}, {"max_tokens": 99, "messages": said, "tools": [tool]}),
        ("/v1beta/models/model-good:generateContent", {"x-goog-api-key": planted.key}, google),
        (f"/v1beta/models/model-good:streamGenerateContent?alt=sse&key={planted.key}", {}, google),
        ("/v1/messages/count_tokens", {"x-api-key": planted.key}, {"messages": said}),
    ]
    for path, headers, body in asked:
        for stream in (False, True):
            model = {} if "models/" in path or "count" in path else {"stream": stream}
            named = {} if "models/" in path else {"model": "model-good"}
            content = json.dumps({**named, **model, **body}).encode()
            answer = exchange(surface.ready.base_url, request("POST", path, headers=headers.items(), body=content))
            assert answer.status == 200, f"{path}: {answer.body.decode()}"
            assert "count" in path or planted.answer.encode() in answer.body, path


def _ask_in_the_playground(surface: Surface, planted: Planted) -> None:
    """Ask through the console, as a person who is signed in: a good answer, one that breaks off, and refusals."""
    url, password = f"{surface.ready.console_url}/admin/v1", secrets.token_urlsafe(24)
    link = surface.admin("POST", "/logins", {"name": "planter"})["link"]["url"]
    surface.admin("POST", "/password-resets/finish", {"token": link.rpartition("/")[2], "password": password})
    surface.admin("POST", "/accounts/planted/members", {"login": "planter", "role": "member"})
    content = json.dumps({"name": "planter", "password": password}).encode()
    json_type = {"content-type": "application/json"}
    with http.opened("POST", f"{url}/session", body=content, headers=json_type) as signed_in:
        cookie = signed_in.headers["set-cookie"].partition(";")[0]
        headers = {"cookie": cookie, "x-csrf-token": json.loads(signed_in.read())["csrf"]}
    said = [{"role": "user", "content": planted.prompt}]
    for behaviour in BEHAVIOURS:
        if behaviour == "held":
            continue
        body = {"model": f"model-{behaviour}", "stream": True, "messages": said, "user": planted.prompt}
        try:
            answer = http.call(
                "POST", f"{url}/accounts/planted/playground/chat", body=json.dumps(body).encode(), headers=headers
            )
        except CLIError:
            assert behaviour != "good", "its answer broke off"
            continue
        assert behaviour != "good" or planted.answer.encode() in answer.body
    for content in (f'{{"{planted.prompt}'.encode(), json.dumps({"model": planted.prompt}).encode()):
        assert http.call("POST", f"{url}/accounts/planted/playground/chat", body=content, headers=headers).status >= 400


def _have_a_bad_day(surface: Surface, upstream: LeakyUpstream, planted: Planted) -> None:
    """Kill the dispatcher in the middle of a stream, then metering, then Postgres, and ask on."""
    with RawClient(surface.ready.base_url, timeout_s=SETTLED_TIMEOUT_S) as client:
        client.send(_chat(planted, "held", stream=True, connection="close"))
        assert client.receive_interim() == 200
        for role in ("dispatcher", "metering"):
            surface.restart(role, signal.SIGKILL)
        upstream.release.set()
        answer = client.read_to_end()
    assert planted.answer.encode() in answer
    assert b"[DONE]" not in answer
    surface.restart("postgres", signal.SIGKILL)
    good = _chat(planted, "good", stream=False)
    until(lambda: exchange(surface.ready.base_url, good).status == 200, SETTLED_TIMEOUT_S, "it serves again")


def _settle(surface: Surface) -> None:
    """Wait until the usage of all is in the database: Postgres is back, and metering has caught up."""

    async def attempts() -> int:
        async with single_connection(surface.ready.postgres_dsn, application="test", command_timeout_s=5) as connection:
            count: int = await connection.fetchval("select count(*) from usage where charged")
        return count

    def look() -> bool:
        try:
            return asyncio.run(attempts()) >= 3
        except Exception:
            return False

    until(look, SETTLED_TIMEOUT_S, "usage is in the ledger")


def _look_at_processes(surface: Surface, evidence: Evidence) -> None:
    for _, entry in surface.processes():
        evidence.metrics += http.call("GET", f"{entry.ops_url}/metrics").body.decode()
    for role, entry in surface.processes(surface.ready.processes):
        evidence.commands[role] = Path(f"/proc/{entry.pid}/cmdline").read_text()
        evidence.environments[role] = Path(f"/proc/{entry.pid}/environ").read_text()


def _own_secrets(data_dir: Path) -> dict[str, str]:
    """Return the stack's secrets by name; passwords of NATS as ``nats_edge`` and so on."""
    found: dict[str, str] = json.loads((data_dir / "secrets.json").read_text())
    passwords = cast("dict[str, str]", found.pop("nats_passwords"))
    return found | {f"nats_{user}": password for user, password in passwords.items()}


async def _dump(dsn: str) -> dict[str, str]:
    """Return every row of every table."""
    async with single_connection(dsn, application="test", command_timeout_s=30) as connection:
        names = await connection.fetch("select format('%I.%I', schemaname, tablename) as name from pg_tables")
        tables = {}
        for name in [
            row["name"] for row in names if not row["name"].startswith(("pg_catalog.", "information_schema."))
        ]:
            rows = await connection.fetch(f"select t::text as line from {name} t")  # noqa: S608 - its own catalogue's names
            tables[name] = "\n".join(row["line"] for row in rows)
    return tables
