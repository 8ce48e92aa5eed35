"""Logins as operators see to them, through the admin API on real Postgres; and the CLI's commands for them."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.console import ADMIN_KEY, AdminClient, running_console
from tests.support.people import PASSWORD, Browser, browser, first_operator, new_login, token_of
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def admin(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[AdminClient]:
    async with running_console(bus, tasks, database_dsn) as running:
        yield running.client


@pytest.fixture
async def root(admin: AdminClient) -> AsyncIterator[Browser]:
    async with browser(admin.url) as person:
        await first_operator(admin, person)
        yield person


async def test_an_operator_makes_a_login_and_hands_its_link_over(admin: AdminClient, root: Browser) -> None:
    made = await root.call("POST", "/logins", {"name": "kim", "email": "Kim@Example.EDU", "language": "zh"})
    assert made.status == 201
    login = made.body["login"]
    assert (login["name"], login["email"], login["email_confirmed"]) == ("kim", "Kim@example.edu", True)
    assert (login["state"], login["password"], login["accounts"]) == ("active", False, [])
    token = token_of(made.body["link"])
    # Of two links the later one alone works.
    again = token_of((await root.call("POST", "/logins/kim/link")).body)
    async with browser(admin.url) as kim:
        assert (await kim.sign_in("kim")).status == 401
        body = {"password": PASSWORD}
        assert (await kim.call("POST", "/password-resets/finish", {**body, "token": token})).status == 404
        # Used twice at once, it works once.
        answers = await asyncio.gather(
            *(kim.call("POST", "/password-resets/finish", {**body, "token": again}) for _ in range(2))
        )
        assert sorted(answer.status for answer in answers) == [200, 404]
        assert (await kim.sign_in("kim@example.edu")).status == 200
        assert (await kim.call("GET", "/logins")).status == 403
        assert (await kim.call("POST", "/first-operator/link")).status == 403


async def test_the_first_operator_owns_what_nobody_signs_in_to(admin: AdminClient) -> None:
    taken = {"name": "taken", "users": [{"name": "root"}]}
    assert (await admin.call("POST", "/apply", {"accounts": [{"name": "demo"}, taken]})).status == 200
    assert (await admin.call("POST", "/logins", {"name": "kim", "account": True})).status == 201
    async with browser(admin.url) as person:
        await first_operator(admin, person)
        session = (await person.call("GET", "/session")).body
    assert session["accounts"] == [{"name": "demo", "role": "owner", "user": "root"}]


async def test_a_login_may_come_with_an_account(admin: AdminClient) -> None:
    made = (await admin.call("POST", "/logins", {"name": "kim", "account": True})).body["login"]
    assert made["accounts"] == [{"name": "kim", "role": "owner", "user": "kim"}]


async def test_faults_of_a_new_login_are_told_together(admin: AdminClient) -> None:
    refused = await admin.call("POST", "/logins", {"name": "a/b", "email": "x", "language": "fr"})
    assert refused.body["error"]["faults"] == [
        "name: must not hold a slash",
        "email: must be an address such as name@example.com",
        "language: must be one of en, zh",
    ]
    await admin.call("POST", "/logins", {"name": "kim", "email": "kim@example.edu"})
    for body in ({"name": "KIM"}, {"name": "lee", "email": "KIM@example.edu"}):
        assert (await admin.call("POST", "/logins", body)).status == 409


async def test_logins_are_listed_page_by_page_and_searched(admin: AdminClient) -> None:
    for name in ("carol", "Alice", "bob"):
        await admin.call("POST", "/logins", {"name": name, "email": f"{name}@x.edu"})

    async def names(query: str) -> list[str]:
        return [view["name"] for view in (await admin.call("GET", f"/logins{query}")).body]

    assert await names("") == ["Alice", "bob", "carol"]
    assert await names("?limit=2") == ["Alice", "bob"]
    assert await names("?limit=2&after=bob") == ["carol"]
    assert await names("?search=O") == ["bob", "carol"]
    assert await names("?search=%25") == []
    assert await names("?search=ali") == ["Alice"]
    assert await names("?state=blocked") == []
    for query in ("?limit=0", "?limit=501", "?limit=x", "?state=gone"):
        assert (await admin.call("GET", f"/logins{query}")).status == 400
    assert (await admin.call("GET", "/logins/dave")).status == 404


async def test_what_is_changed_of_a_login_shows_and_the_rest_stays(admin: AdminClient, root: Browser) -> None:
    await new_login(admin, "kim", email="kim@example.edu")
    changed = (await root.call("PATCH", "/logins/kim", {"name": "kim-lee"})).body
    assert (changed["name"], changed["email"], changed["operator"]) == ("kim-lee", "kim@example.edu", False)
    changed = (await root.call("PATCH", "/logins/kim-lee", {"email": None, "operator": True})).body
    assert (changed["email"], changed["email_confirmed"], changed["operator"]) == (None, False, True)
    assert (await root.call("PATCH", "/logins/kim-lee", {"name": "ROOT"})).status == 409
    async with browser(admin.url) as kim:
        assert (await kim.sign_in("kim-lee")).status == 200
        assert (await kim.call("GET", "/logins")).status == 200


async def test_a_blocked_login_is_out_at_once(admin: AdminClient, root: Browser) -> None:
    await new_login(admin, "kim")
    async with browser(admin.url) as kim:
        await kim.sign_in("kim")
        link = (await root.call("POST", "/logins/kim/link")).body
        blocked = (await root.call("POST", "/logins/kim/block")).body
        assert (blocked["state"], blocked["sessions"]) == ("blocked", 0)
        assert (await kim.call("GET", "/session")).status == 401
        kim.csrf = ""
        refused = await kim.sign_in("kim")
        assert (refused.status, refused.body["error"]["message"]) == (
            403,
            "This login is blocked. Ask the site's operators.",
        )
        body = {"token": token_of(link), "password": PASSWORD}
        assert (await kim.call("POST", "/password-resets/finish", body)).status == 404
        assert (await root.call("POST", "/logins/kim/approve")).status == 409
        assert (await root.call("POST", "/logins/kim/unblock")).body["state"] == "active"
        assert (await kim.sign_in("kim")).status == 200
        assert (await root.call("DELETE", "/logins/kim")).status == 204
        assert (await kim.call("GET", "/session")).status == 401


@pytest.mark.parametrize(("method", "path", "status"), [("POST", "/block", 200), ("DELETE", "", 204)])
async def test_keys_go_with_a_login_if_that_is_asked_for(
    admin: AdminClient, root: Browser, method: str, path: str, status: int
) -> None:
    await new_login(admin, "kim", account=True)
    await admin.call("POST", "/apply", {"accounts": [{"name": "lab", "users": [{"name": "robot"}]}]})
    await admin.call("POST", "/accounts/lab/members", {"login": "kim", "role": "admin"})
    async with browser(admin.url) as kim:
        await kim.sign_in("kim")
        await kim.call("POST", "/accounts/kim/keys", {"name": "home"})
        await kim.call("POST", "/accounts/lab/keys", {"name": "robots", "user": "robot"})
        await kim.call("POST", "/accounts/lab/keys", {"name": "own", "user": "kim"})
        assert (await kim.call("GET", "/logins/kim/keys")).status == 403
    await admin.call("POST", "/accounts/lab/keys", {"name": "others"})
    await admin.call("POST", "/logins", {"name": "lee"})
    assert (await root.call("GET", "/logins/lee/keys")).body == []

    async def states() -> dict[str, str | None]:
        return {f"{key['account']}/{key['name']}": key["blocked_by"] for key in (await root.call("GET", "/keys")).body}

    shown = (await root.call("GET", "/logins/kim/keys")).body
    assert [f"{key['account']}/{key['name']}" for key in shown] == ["kim/home", "lab/own", "lab/robots"]
    assert (await root.call(method, f"/logins/kim{path}?withdraw_keys=maybe")).status == 400
    # Without being told to, it leaves them: they are their accounts'.
    assert (await root.call("POST", "/logins/kim/block")).status == 200
    assert (await root.call("POST", "/logins/kim/unblock")).status == 200
    assert set((await states()).values()) == {None}
    assert (await root.call(method, f"/logins/kim{path}?withdraw_keys=true")).status == status
    assert await states() == {
        "kim/home": "operator",
        "lab/others": None,
        "lab/own": "operator",
        "lab/robots": "operator",
    }
    for account, count in (("kim", 1), ("lab", 2)):
        log = (await root.call("GET", f"/accounts/{account}/audit?operation=block_key")).body["entries"]
        assert [(entry["actor"], entry["status"]) for entry in log] == [("root", 200)] * count


async def test_no_key_goes_with_a_login_that_stays(admin: AdminClient, root: Browser) -> None:
    await admin.call("POST", "/apply", {"accounts": [{"name": "lab"}]})
    await admin.call("POST", "/accounts/lab/members", {"login": "root", "role": "owner"})
    await root.call("POST", "/accounts/lab/keys", {"name": "own"})
    refused = await root.call("POST", "/logins/root/block?withdraw_keys=true")
    assert (refused.status, "last operator" in refused.body["error"]["message"]) == (409, True)
    assert (await root.call("GET", "/accounts/lab/keys/own")).body["blocked"] is False
    assert (await root.call("GET", "/accounts/lab/audit?operation=block_key")).body["entries"] == []


async def test_the_site_keeps_an_operator(admin: AdminClient, root: Browser) -> None:
    last = "'root' is the last operator; make another login one first."
    attempts = (
        ("PATCH", "/logins/root", {"operator": False}),
        ("DELETE", "/logins/root", None),
        ("POST", "/logins/root/block", None),
    )
    for method, path, body in attempts:
        refused = await root.call(method, path, body)
        assert (refused.status, refused.body["error"]["message"]) == (409, last)
    await new_login(admin, "kim", operator=True)
    # Both at once: one stays.
    answers = await asyncio.gather(
        *(admin.call("PATCH", f"/logins/{name}", {"operator": False}) for name in ("root", "kim"))
    )
    assert sorted(answer.status for answer in answers) == [200, 409]


async def test_registration_is_set_as_a_whole(admin: AdminClient, root: Browser) -> None:
    begun = (await root.call("GET", "/registration")).body
    assert (begun["open"], begun["approval"], begun["groups"], begun["per_day_max"]) == (False, True, ["default"], 50)
    wanted = {**begun, "open": True, "site_name": "Campus", "name_pattern": "[0-9]{10}"}
    assert (await root.call("PUT", "/registration", wanted)).body == wanted
    assert (await root.call("GET", "/registration")).body == wanted
    refused = await root.call("PUT", "/registration", {**wanted, "groups": ["gone"], "tier": "gone"})
    assert refused.body["error"]["faults"] == [
        "tier: unknown tier 'gone'; declare it under tiers",
        "groups[0]: unknown group 'gone'; declare it under groups",
    ]
    assert (await root.call("GET", "/site")).body["name"] == "Campus"


async def run(admin: AdminClient, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "trunkline.cli",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            "PATH": os.defpath,
            "COLUMNS": "300",
            "TRUNKLINE_CONSOLE_URL": admin.url,
            "TRUNKLINE_ADMIN_KEY": ADMIN_KEY,
        },
        cwd=ROOT,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_the_command_line_sees_to_logins(admin: AdminClient) -> None:
    code, link, err = await run(admin, "logins", "first-link")
    assert (code, link.startswith(f"{admin.url}/#/first/")) == (0, True)
    assert err.startswith("valid once, until ")
    code, out, _ = await run(admin, "logins", "create", "kim", "--email", "kim@example.edu", "--account")
    assert code == 0
    assert f"{admin.url}/#/set-password/" in out
    code, out, _ = await run(admin, "logins", "link", "kim")
    assert (code, out.startswith(f"{admin.url}/#/set-password/")) == (0, True)
    for action, state in (("block", "blocked"), ("unblock", "active"), ("approve", "active")):
        code, out, _ = await run(admin, "logins", action, "kim")
        assert (code, state in out) == (0, True)
    await admin.call("POST", "/accounts/kim/keys", {"name": "home", "user": "kim"})
    code, _, _ = await run(admin, "logins", "block", "kim", "--withdraw-keys")
    assert code == 0
    code, out, _ = await run(admin, "logins", "keys", "kim")
    assert (code, "kim/home" in out, "blocked by operator" in out) == (0, True, True)
    code, _, _ = await run(admin, "logins", "unblock", "kim")
    assert code == 0
    code, out, _ = await run(admin, "logins", "list", "--search", "kim")
    assert code == 0
    assert out.splitlines()[1].split()[:4] == ["kim", "active", "-", "kim@example.edu"]
    code, _, err = await run(admin, "logins", "link", "lee")
    assert (code, "There is no login 'lee'." in err) == (1, True)
