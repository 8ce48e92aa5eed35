"""Every role against every operation, each cell over HTTP.

What is expected stands in `console_access.txt`, written out by hand: who may call which operation. A change of an
operation's access is therefore made in two places, and looked at twice.
"""

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest

from tests.support.console import ADMIN_KEY, AdminClient, RunningConsole, running_console
from trunkline.policy.admin_api import PREFIX
from trunkline.policy.operations import ALL
from trunkline.policy.operations.operation import Operation
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet

PASSWORD = "correct horse battery staple"
ACCOUNT = "acme"
ROLES = ("viewer", "member", "admin", "owner")
WHO = ("nobody", "stranger", *ROLES, "operator", "key")
ENDS_SESSIONS = ("revoke_other_sessions", "sign_out")
NAMES = {"id": "1", "batch": "1"}

_LINE = re.compile(r"([a-z_]+):((?: [a-z]+)*)")


def expected() -> dict[str, frozenset[str]]:
    """Return who may call which operation, by the operation's id."""
    text = Path(__file__).with_name("console_access.txt").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = [_LINE.fullmatch(line) for line in lines]
    assert None not in found
    return {match[1]: frozenset(match[2].split()) for match in found if match is not None}


class Person(NamedTuple):
    """Somebody who calls, with what they present."""

    headers: dict[str, str]


async def signed_in(http: aiohttp.ClientSession, url: str, name: str) -> Person:
    async with http.post(f"{url}{PREFIX}/session", json={"name": name, "password": PASSWORD}) as answer:
        assert answer.status == 200, await answer.text()
        cookie = answer.headers["set-cookie"].partition(";")[0]
        return Person({"cookie": cookie, "x-csrf-token": (await answer.json())["csrf"]})


async def made(client: AdminClient, name: str, *, operator: bool = False) -> None:
    created = await client.call("POST", "/logins", {"name": name, "operator": operator})
    assert created.status == 201, created.body
    token = created.body["link"]["url"].rpartition("/")[2]
    body = {"token": token, "password": PASSWORD}
    assert (await client.call("POST", "/password-resets/finish", body)).status == 200


@pytest.fixture
async def running(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[RunningConsole]:
    async with running_console(bus, tasks, database_dsn) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield http


@pytest.fixture
async def people(running: RunningConsole, http: aiohttp.ClientSession) -> Mapping[str, Person]:
    """Everybody of `WHO`, the roles in the account `ACCOUNT`."""
    client = running.client
    for account in (ACCOUNT, "elsewhere"):
        assert (await client.call("POST", "/accounts", {"name": account})).status == 201
    for name in ("stranger", *ROLES, "operator"):
        await made(client, name, operator=name == "operator")
        role, account = ("owner", "elsewhere") if name == "stranger" else (name, ACCOUNT)
        if name != "operator":
            joined = await client.call("POST", f"/accounts/{account}/members", {"login": name, "role": role})
            assert joined.status == 201, joined.body
    return {
        "nobody": Person({}),
        "key": Person({"authorization": f"Bearer {ADMIN_KEY}"}),
        **{name: await signed_in(http, client.url, name) for name in ("stranger", *ROLES, "operator")},
    }


async def refused(http: aiohttp.ClientSession, url: str, operation: Operation, person: Person) -> Any:
    """Call an operation with names that are not there and no body; return how the shell refused it, None if not."""
    path = re.sub(
        r"\{([a-z_]+)(?::[^}]*)?\}", lambda m: NAMES.get(m[1], ACCOUNT if m[1] == "account" else "none"), operation.path
    )
    async with http.request(operation.method, f"{url}{PREFIX}{path}", headers=person.headers) as answer:
        if answer.status not in {401, 403, 404}:
            return None
        error = msgspec.json.decode(await answer.read())["error"]
        if (answer.status, error["message"]) == (404, f"There is no account '{ACCOUNT}'."):
            return "no account"
        return {("client_unauthenticated", 401): "nobody", ("policy_access_denied", 403): "role"}.get(
            (error["type"], answer.status)
        )


def test_the_list_names_every_operation_once() -> None:
    assert sorted(expected()) == sorted(operation.id for operation in ALL)
    assert set().union(*expected().values()) == set(WHO)


async def test_each_may_call_what_is_written_and_nothing_else(
    running: RunningConsole, http: aiohttp.ClientSession, people: Mapping[str, Person]
) -> None:
    may, wrong = expected(), []
    url = running.client.url
    # What ends sessions comes last: nobody has one after it.
    for operation in sorted(
        ALL, key=lambda operation: ENDS_SESSIONS.index(operation.id) if operation.id in ENDS_SESSIONS else -1
    ):
        for who in WHO:
            found = await refused(http, url, operation, people[who])
            if who in may[operation.id]:
                right: Any = None
            elif who == "nobody":
                right = "nobody"
            else:
                hidden = who == "stranger" and "{account}" in operation.path and "owner" in may[operation.id]
                right = "no account" if hidden else "role"
            if found != right:
                wrong.append(f"{operation.id} by {who}: {found}, not {right}")
    assert wrong == []


async def test_a_change_needs_the_sessions_token_and_comes_from_no_other_site(
    running: RunningConsole, http: aiohttp.ClientSession, people: Mapping[str, Person]
) -> None:
    url = f"{running.client.url}{PREFIX}/accounts/{ACCOUNT}/keys"
    cookie, other = people["owner"].headers["cookie"], people["admin"].headers["x-csrf-token"]
    token = people["owner"].headers["x-csrf-token"]
    for headers in (
        {"cookie": cookie},
        {"cookie": cookie, "x-csrf-token": ""},
        {"cookie": cookie, "x-csrf-token": other},
        {"cookie": cookie, "x-csrf-token": token, "sec-fetch-site": "cross-site"},
        {"cookie": cookie, "x-csrf-token": token, "sec-fetch-site": "same-site"},
    ):
        async with http.post(url, json={"name": "ci"}, headers=headers) as answer:
            assert (answer.status, (await answer.json())["error"]["type"]) == (403, "policy_access_denied"), headers
    async with http.get(url, headers={"cookie": cookie}) as answer:
        assert await answer.json() == []
    headers = {"cookie": cookie, "x-csrf-token": token, "sec-fetch-site": "same-origin"}
    async with http.post(url, json={"name": "ci"}, headers=headers) as answer:
        assert answer.status == 201


async def test_what_no_operation_describes_does_not_run(
    running: RunningConsole, http: aiohttp.ClientSession, people: Mapping[str, Person]
) -> None:
    for who, status in (("nobody", 401), ("owner", 404), ("key", 404)):
        async with http.get(f"{running.client.url}{PREFIX}/no/such/path", headers=people[who].headers) as answer:
            assert answer.status == status


async def test_a_form_of_another_site_signs_nobody_in(
    running: RunningConsole, http: aiohttp.ClientSession, people: Mapping[str, Person]
) -> None:
    body = msgspec.json.encode({"name": "owner", "password": PASSWORD})
    for form in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        headers = {"content-type": form, "origin": "http://elsewhere.example"}
        async with http.post(f"{running.client.url}{PREFIX}/session", data=body, headers=headers) as answer:
            assert (answer.status, "set-cookie" in answer.headers) == (403, False)
