"""The playground's way through the console, against an edge that the test plays, on real Postgres and NATS."""

import asyncio
import base64
import contextlib
import io
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from services.console import playground_api
from services.console.audit import AuditLog
from services.console.context import Context
from services.console.edge_call import EdgeClient
from services.console.metrics import ConsoleMetrics
from services.console.playground_api import (
    CLIENT_CHECK_S,
    REQUEST_BYTES_MAX,
    STREAMS_PER_LOGIN_MAX,
    PlaygroundAPI,
)
from services.console.shell import CSRF_HEADER, Shell, SignedIn
from tests.support.console import ADMIN_KEY, MASTER_KEYS, PEPPER, running_console
from tests.support.waiting import eventually
from trunkline.policy.access import Caller, Place, Role
from trunkline.policy.keys import key_hash, well_formed
from trunkline.policy.playground import secret_of
from trunkline.policy.vault import Vault, parse_masters
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.http_client import HTTPClientPool
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database

CSRF = "token-of-the-session"
WITHIN_S = 10.0
CHUNK = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'


class FakeEdge:
    """Answers as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.secrets: list[str] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Callable[[web.Request], Any] = self._stream
        self.more = asyncio.Event()
        self.gone = asyncio.Event()
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.secrets.append(request.headers["authorization"].removeprefix("Bearer "))
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.bodies.append(await request.read())
        response: web.StreamResponse = await self.answer(request)
        return response

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream", "x-request-id": "job-1"})
        await response.prepare(request)
        await response.write(CHUNK)
        try:
            await self.more.wait()
        except asyncio.CancelledError:
            self.gone.set()
            raise
        await response.write(b"data: [DONE]\n\n")
        return response


class World(NamedTuple):
    """A playground, its edge, and a page that is signed in."""

    page: aiohttp.ClientSession
    url: str
    edge: FakeEdge
    database: Database
    admin: Any


class Sessions:
    """Everybody who asks is the login that the header names."""

    def __init__(self) -> None:
        self.callers: dict[str, Caller] = {}

    async def signed_in(self, request: web.Request) -> SignedIn | None:
        caller = self.callers.get(request.headers.get("x-test-login", "kim"))
        return None if caller is None else SignedIn(caller, 1, CSRF)


def caller(login: int, name: str, *, operator: bool = False, role: Role = Role.MEMBER, user: str = "") -> Caller:
    places = {"acme": Place(role, user)} if user else {}
    return Caller(name=name, login=login, operator=operator, places=places)


@pytest.fixture
async def world(bus: NATSBus, tasks: TaskSet, database: Database, database_dsn: str) -> AsyncIterator[World]:
    edge = FakeEdge()
    edge_app = web.Application(client_max_size=2**25)
    edge_app.router.add_post("/v1/chat/completions", edge.handle)
    sessions = Sessions()
    sessions.callers = {
        "kim": caller(1, "kim", user="kim"),
        "lee": caller(2, "lee", role=Role.OWNER, user="lee"),
        "view": caller(3, "view", role=Role.VIEWER, user="view"),
        "op": caller(4, "op", operator=True),
        "stranger": Caller("stranger", 5, False, {"other": Place(Role.OWNER, "stranger")}),
    }
    context = Context(
        database=database,
        clock=SystemClock(),
        pepper=PEPPER.encode(),
        vault=Vault(parse_masters(MASTER_KEYS)),
        projector=None,  # type: ignore[arg-type]  # nothing here rebuilds the projection
    )
    async with (
        running_console(bus, tasks, database_dsn) as running,
        TestServer(edge_app, handler_cancellation=True) as edge_server,
    ):
        edge.url = str(edge_server.make_url("")).rstrip("/")
        for user in ("kim", "lee", "view"):
            if user == "kim":
                await running.client.call("POST", "/accounts", {"name": "acme"})
            assert (await running.client.call("POST", "/accounts/acme/users", {"name": user})).status == 201
        api = PlaygroundAPI(context, EdgeClient(HTTPClientPool(clock=SystemClock(), tasks=tasks), edge.url))
        shell = Shell(ADMIN_KEY, sessions, AuditLog(database), ConsoleMetrics(CollectorRegistry()))
        app = web.Application(middlewares=[shell.middleware()])
        app.router.add_routes(api.routes())
        async with TestServer(app) as server, aiohttp.ClientSession() as page:
            url = str(server.make_url("/admin/v1/accounts/acme/playground/chat"))
            yield World(page, url, edge, database, running.client)
            edge.more.set()


def ask(world: World, body: object = None, *, login: str = "kim", csrf: str = CSRF) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body or {"model": "m", "stream": True}).encode()
    return world.page.post(world.url, data=io.BytesIO(data), headers={CSRF_HEADER: csrf, "x-test-login": login})


async def test_an_answer_comes_as_it_is_made_byte_for_byte(world: World) -> None:
    body = b'{"model":"m", "stream":true,"messages":[ ]}'
    async with ask(world, body) as answer:
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["x-request-id"] == "job-1"
        # The first piece is there while the edge still writes.
        assert await asyncio.wait_for(answer.content.readany(), WITHIN_S) == CHUNK
        world.edge.more.set()
        assert await answer.content.read() == b"data: [DONE]\n\n"
    assert world.edge.bodies == [body]
    assert world.edge.headers[0]["x-trunkline-include-cost"] == "true"
    assert "cookie" not in world.edge.headers[0]


async def test_a_page_that_leaves_stops_the_edge_soon(world: World) -> None:
    async with ask(world) as answer:
        await answer.content.readany()
        answer.close()
    await asyncio.wait_for(world.edge.gone.wait(), WITHIN_S)
    assert CLIENT_CHECK_S <= 0.5, "within a second, where nothing holds it up"


async def test_a_page_that_leaves_before_the_first_byte_stops_the_edge_too(world: World) -> None:
    begun = asyncio.Event()

    async def silent(_request: web.Request) -> web.StreamResponse:
        begun.set()
        try:
            await world.edge.more.wait()
        except asyncio.CancelledError:
            world.edge.gone.set()
            raise
        return web.Response()

    world.edge.answer = silent

    async def open_page() -> None:
        async with ask(world):
            pass

    asking = TaskSet().spawn(open_page(), name="page")
    await asyncio.wait_for(begun.wait(), WITHIN_S)
    asking.cancel()
    await asyncio.wait_for(world.edge.gone.wait(), WITHIN_S)


async def test_errors_of_the_gateway_come_through_as_they_are(world: World) -> None:
    error = b'{"error":{"message":"Too fast.","type":"rate_limit_error","param":null,"code":"rate_limited"}}'

    async def limited(_request: web.Request) -> web.StreamResponse:
        headers = {"content-type": "application/json", "retry-after": "7", "x-request-id": "job-2", "set-cookie": "a=b"}
        return web.Response(status=429, body=error, headers=headers)

    world.edge.answer = limited
    async with ask(world) as answer:
        assert (answer.status, await answer.read()) == (429, error)
        assert answer.headers["retry-after"] == "7"
        assert answer.headers["x-request-id"] == "job-2"
        assert "set-cookie" not in answer.headers


async def test_an_answer_that_breaks_off_is_not_taken_for_whole(world: World) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(CHUNK)
        assert request.transport is not None
        request.transport.abort()
        return response

    world.edge.answer = cut
    with pytest.raises(aiohttp.ClientError):
        async with ask(world) as answer:
            await answer.read()


async def key_of(world: World, user: str) -> dict[str, Any] | None:
    keys = (await world.admin.call("GET", "/accounts/acme/keys")).body
    return next((key for key in keys if key["playground"] and key["user"] == user), None)


async def finish(world: World, **options: Any) -> tuple[int, dict[str, Any] | None]:
    world.edge.more.set()
    async with ask(world, **options) as answer:
        body = await answer.read()
        return answer.status, json.loads(body) if answer.content_type == "application/json" else None


async def test_a_user_has_one_key_which_is_made_when_it_is_needed(world: World) -> None:
    assert await key_of(world, "kim") is None
    statuses = await asyncio.gather(*(finish(world) for _ in range(4)))
    assert [status for status, _ in statuses] == [200] * 4
    assert len(set(world.edge.secrets)) == 1
    assert well_formed(world.edge.secrets[0])
    await finish(world, login="lee")
    assert len(set(world.edge.secrets)) == 2
    key = await key_of(world, "kim")
    assert key is not None
    assert (key["name"], key["groups"], key["endpoints"]) == ("playground of kim", ["default"], ["chat_completions"])
    assert len((await world.admin.call("GET", "/accounts/acme/keys")).body) == 2


async def test_its_secret_is_stored_nowhere_and_every_console_can_compute_it(world: World) -> None:
    await finish(world)
    secret = world.edge.secrets[0]
    async with world.database.connection() as connection:
        seed = await connection.fetchval("select playground_seed from keys where playground_seed is not null")
        assert secret_of(seed, PEPPER.encode()) == secret
        assert secret_of(seed, b"another pepper") != secret
        assert await connection.fetchval("select hash from key_secrets") == key_hash(secret, PEPPER.encode())


async def test_a_key_that_was_deleted_or_rotated_by_hand_gets_another_secret(world: World) -> None:
    await finish(world)
    path = "/accounts/acme/keys/playground%20of%20kim"
    assert (await world.admin.call("POST", f"{path}/rotate", {"overlap_s": 0})).status == 200
    assert (await finish(world))[0] == 200
    assert (await world.admin.call("DELETE", path)).status == 204
    assert (await finish(world))[0] == 200
    assert len(set(world.edge.secrets)) == 3


async def test_a_key_that_was_blocked_stays_so(world: World) -> None:
    await finish(world)
    path = "/accounts/acme/keys/playground%20of%20kim"
    await world.admin.call("POST", f"{path}/block")
    status, body = await finish(world)
    assert status == 403
    assert body is not None
    assert body["error"]["type"] == "policy_key_blocked"
    assert "playground of kim" in body["error"]["message"]
    assert len(world.edge.secrets) == 1
    await world.admin.call("POST", f"{path}/unblock")
    assert (await finish(world))[0] == 200


async def test_its_groups_are_those_of_the_account(world: World) -> None:
    await finish(world)
    async with world.database.transaction() as connection:
        await connection.execute("update accounts set groups = '{default,vip}' where name = 'acme'")
    await finish(world)
    key = await key_of(world, "kim")
    assert key is not None
    assert key["groups"] == ["default", "vip"]
    assert len(set(world.edge.secrets)) == 1


async def test_a_name_that_is_taken_is_left_alone(world: World) -> None:
    await world.admin.call("POST", "/accounts/acme/keys", {"name": "playground of kim"})
    assert (await finish(world))[0] == 200
    key = await key_of(world, "kim")
    assert key is not None
    assert key["name"] == "playground of kim 2"


async def test_it_stays_its_users(world: World) -> None:
    await finish(world)
    await finish(world, login="lee")
    for user in ("lee", "view", None):
        answer = await world.admin.call("PATCH", "/accounts/acme/keys/playground%20of%20kim", {"user": user})
        assert (answer.status, answer.body["error"]["message"]) == (
            409,
            "Key acme/playground of kim is of the playground, and stays its user's.",
        )
    assert (await world.admin.call("PATCH", "/accounts/acme/keys/playground%20of%20kim", {"user": "kim"})).status == 200


async def test_what_waits_for_its_answer_is_bounded_in_bytes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playground_api, "WAITING_BYTES_MAX", 100)
    begun = asyncio.Event()
    stream = world.edge.answer

    async def late(request: web.Request) -> web.StreamResponse:
        begun.set()
        await world.edge.more.wait()
        response: web.StreamResponse = await stream(request)
        return response

    world.edge.answer = late

    found: list[int] = []

    async def wait_for_it() -> None:
        async with ask(world, b"x" * 60) as answer:
            found.append(answer.status)

    asking = TaskSet().spawn(wait_for_it(), name="page")
    await asyncio.wait_for(begun.wait(), WITHIN_S)
    async with ask(world, b"x" * 60, login="lee") as refused:
        assert (refused.status, (await refused.json())["error"]["type"]) == (503, "gateway_busy")
    async with ask(world, b"x" * 101, login="lee") as refused:
        assert refused.status == 503
    world.edge.more.set()
    await asyncio.wait_for(asking, WITHIN_S)
    assert found == [200]
    # What is under way needs it no more.
    world.edge.more.clear()
    world.edge.answer = stream
    async with ask(world, b"x" * 60) as first, ask(world, b"x" * 60, login="lee") as second:
        assert (first.status, second.status) == (200, 200)


async def test_a_user_can_be_deleted_with_it(world: World) -> None:
    await finish(world)
    assert (await world.admin.call("DELETE", "/accounts/acme/users/kim")).status == 204
    assert (await world.admin.call("GET", "/accounts/acme/keys")).body == []


async def test_a_key_that_the_edge_does_not_know_yet_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playground_api, "KNOWN_WITHIN_S", 30.0)  # it is given up before, else, where much is to do
    answers = iter([401, 401])
    stream = world.edge.answer

    async def later(request: web.Request) -> web.StreamResponse:
        status = next(answers, 200)
        response: web.StreamResponse = web.Response(status=401) if status == 401 else await stream(request)
        return response

    world.edge.answer = later
    assert (await finish(world))[0] == 200
    assert len(world.edge.bodies) == 3


@pytest.mark.parametrize(
    ("login", "status", "type_"),
    [
        ("view", 403, "policy_access_denied"),
        ("op", 403, "policy_access_denied"),
        ("stranger", 404, "client_not_found"),
        ("nobody", 401, "client_unauthenticated"),
    ],
)
async def test_who_may_not_play(world: World, login: str, status: int, type_: str) -> None:
    found, body = await finish(world, login=login)
    assert body is not None
    assert (found, body["error"]["type"]) == (status, type_)
    assert world.edge.bodies == []


async def test_another_sites_page_cannot_play(world: World) -> None:
    assert (await finish(world, csrf="guessed"))[0] == 403
    assert world.edge.bodies == []


async def test_answers_at_a_time_are_bounded_by_login(world: World) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(STREAMS_PER_LOGIN_MAX):
            await (await stack.enter_async_context(ask(world))).content.readany()
        async with ask(world) as refused:
            assert refused.status == 429
        async with ask(world, login="lee") as other:
            assert other.status == 200

    async def room() -> bool:
        async with ask(world) as answer:
            return bool(answer.status == 200)

    await eventually(room, within_s=WITHIN_S, what="a place is free again")


async def test_a_body_that_is_too_large_is_refused(world: World) -> None:
    status, body = await finish(world, body=b"x" * (REQUEST_BYTES_MAX + 1))
    assert body is not None
    assert (status, body["error"]["type"]) == (413, "client_body_too_large")
    assert world.edge.bodies == []


async def test_a_large_body_passes(world: World) -> None:
    picture = base64.b64encode(bytes(12 * 1024 * 1024))
    assert (await finish(world, body=b'{"x":"' + picture + b'"}'))[0] == 200
    assert len(world.edge.bodies[0]) == len(picture) + 8


async def test_nothing_is_audited_or_stored(world: World) -> None:
    await finish(world, body={"model": "m", "messages": [{"role": "user", "content": "planted-prompt"}]})
    async with world.database.connection() as connection:
        assert await connection.fetchval("select count(*) from audit where operation = 'playground_chat'") == 0
