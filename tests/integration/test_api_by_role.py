"""What the roles of an account are shown of it, and whose keys' limits and budgets they may see and change."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from services.console.accounts_api import AccountsAPI
from services.console.alerts_api import AlertsAPI
from services.console.audit import AuditLog
from services.console.context import Context
from services.console.metrics import ConsoleMetrics
from services.console.shell import Shell, SignedIn
from services.console.terms_api import TermsAPI
from tests.support.console import ADMIN_KEY, MASTER_KEYS, PEPPER, AdminClient, Answer, running_console
from trunkline.policy.access import Caller, Place, Role
from trunkline.policy.vault import Vault, parse_masters
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database

CSRF = "token-of-the-session"

CallAs = Callable[..., Awaitable[Answer]]


class Somebody:
    """Sessions of which each request names its own: a role in acme, as its user ann."""

    async def signed_in(self, request: web.Request) -> SignedIn | None:
        place = Place(Role(request.headers["x-role"]), "ann")
        return SignedIn(Caller("ann", None, operator=False, places={"acme": place}), 1, CSRF)


@pytest.fixture
async def call_as(bus: NATSBus, tasks: TaskSet, database_dsn: str, database: Database) -> AsyncIterator[CallAs]:
    """Calls the API in a role: of an account with the users ann and bob, who have a key each, and a key of nobody."""
    async with running_console(bus, tasks, database_dsn) as running:
        await prepare(running.client)
    context = Context(
        database=database,
        clock=SystemClock(),
        pepper=PEPPER.encode(),
        vault=Vault(parse_masters(MASTER_KEYS)),
        projector=Mock(),
    )
    shell = Shell(ADMIN_KEY, Somebody(), AuditLog(database), ConsoleMetrics(CollectorRegistry()))
    app = web.Application(middlewares=[shell.middleware()])
    for api in (AccountsAPI(context), AlertsAPI(context), TermsAPI(context)):
        app.router.add_routes(api.routes())
    async with TestClient(TestServer(app)) as client:

        async def call(role: Role, method: str, path: str, body: object = None) -> Answer:
            headers = {"x-role": role, "x-csrf-token": CSRF}
            async with client.request(method, f"/admin/v1{path}", json=body, headers=headers) as response:
                return Answer(response.status, await response.json())

        yield call


async def prepare(client: AdminClient) -> None:
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("PUT", "/tiers/basic", {"rpm": 50}),
        ("POST", "/accounts", {"name": "acme", "tier": "basic", "limits": {"tpm": 1000}, "credit": 5}),
        ("POST", "/accounts", {"name": "other"}),
        ("POST", "/accounts/acme/users", {"name": "ann"}),
        ("POST", "/accounts/acme/users", {"name": "bob"}),
        ("POST", "/accounts/acme/keys", {"name": "hers", "user": "ann"}),
        ("POST", "/accounts/acme/keys", {"name": "his", "user": "bob", "limits": {"rpm": 7}}),
        ("POST", "/accounts/acme/keys", {"name": "nobodys"}),
    ]
    for method, path, body in calls:
        assert (await client.call(method, path, body)).status in {200, 201}, path


async def test_a_member_is_shown_the_account_without_its_money(call_as: CallAs) -> None:
    place = await call_as(Role.MEMBER, "GET", "/accounts/acme/place")
    assert place == Answer(
        200,
        {
            "name": "acme",
            "tier": "basic",
            "time_zone": "UTC",
            "limits": {"tpm": 1000},
            "tier_limits": {"rpm": 50},
            "groups": ["default"],
        },
    )
    for path in ("", "/budgets", "/alerts"):
        assert (await call_as(Role.MEMBER, "GET", f"/accounts/acme{path}")).status == 403, path
    assert (await call_as(Role.VIEWER, "GET", "/accounts/acme")).body["balance_nano"] == 5_000_000_000


async def test_another_account_is_answered_like_one_that_is_not_there(call_as: CallAs) -> None:
    other = await call_as(Role.OWNER, "GET", "/accounts/other/place")
    missing = await call_as(Role.OWNER, "GET", "/accounts/missing/place")
    assert other.status == missing.status == 404
    assert other.body["error"]["message"] == "There is no account 'other'."
    assert missing.body["error"]["message"] == "There is no account 'missing'."


async def test_a_member_sees_and_changes_the_terms_of_its_own_keys_alone(call_as: CallAs) -> None:
    for terms, body, shown in (
        ("limits", {"rpm": 3}, {"rpm": 3}),
        ("budgets", {"daily": "2"}, {"daily_nano": 2_000_000_000}),
    ):
        own = f"/accounts/acme/keys/hers/{terms}"
        assert await call_as(Role.MEMBER, "GET", own) == Answer(200, {})
        assert await call_as(Role.MEMBER, "PUT", own, body) == Answer(200, shown)
        assert await call_as(Role.MEMBER, "GET", own) == Answer(200, shown)
        for key in ("his", "nobodys", "missing"):
            path = f"/accounts/acme/keys/{key}/{terms}"
            for refused in (await call_as(Role.MEMBER, "GET", path), await call_as(Role.MEMBER, "PUT", path, body)):
                assert refused.status == 404
                assert refused.body["error"]["message"] == f"There is no key acme/{key}."
    assert await call_as(Role.ADMIN, "GET", "/accounts/acme/keys/his/limits") == Answer(200, {"rpm": 7})
    assert await call_as(Role.ADMIN, "PUT", "/accounts/acme/keys/his/limits", {"rpm": 8}) == Answer(200, {"rpm": 8})
    assert (await call_as(Role.VIEWER, "PUT", "/accounts/acme/keys/his/limits", {})).status == 403


async def test_what_an_account_may_do_at_most_is_not_for_its_people_to_change(call_as: CallAs) -> None:
    assert await call_as(Role.MEMBER, "GET", "/accounts/acme/limits") == Answer(200, {"tpm": 1000})
    assert (await call_as(Role.OWNER, "PUT", "/accounts/acme/limits", {})).status == 403
    assert await call_as(Role.OWNER, "PUT", "/accounts/acme/budgets", {"monthly": "9"}) == Answer(
        200, {"monthly_nano": 9_000_000_000}
    )
    for path in ("/tiers/basic/limits", "/groups/default/limits"):
        assert (await call_as(Role.OWNER, "GET", path)).status == 403


async def test_the_secret_of_alerts_is_for_those_who_may_change_them(call_as: CallAs) -> None:
    wanted = {"balance_below": "1", "email": ["ann@example.org"]}
    put = await call_as(Role.OWNER, "PUT", "/accounts/acme/alerts", wanted)
    assert put.status == 200
    assert len(put.body["signing_secret"]) > 20
    assert await call_as(Role.ADMIN, "GET", "/accounts/acme/alerts") == put
    assert await call_as(Role.VIEWER, "GET", "/accounts/acme/alerts") == Answer(
        200, put.body | {"signing_secret": None}
    )


async def test_the_openapi_document_is_shown_to_anybody(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> None:
    async with running_console(bus, tasks, database_dsn) as running:
        shown = await running.client.call("GET", "/openapi.json", headers={})
    assert (shown.status, shown.body["openapi"]) == (200, "3.1.0")
    assert shown.body["paths"]["/openapi.json"]["get"]["operationId"] == "show_openapi"
