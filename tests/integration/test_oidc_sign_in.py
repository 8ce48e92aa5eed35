"""Signing in at an OpenID provider: a real one, over real HTTP, with real signatures, that can be told to lie."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import structlog

from services.console.people import settings_faults
from tests.support.console import AdminClient, RunningConsole, running_console, settings
from tests.support.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIDProvider, running_provider
from tests.support.people import PASSWORD, Browser, browser, first_operator, new_login
from tests.support.servers import free_port
from tests.support.stream_server import stream_server
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database

NAME = "Campus sign-in"


class Campus(NamedTuple):
    """A console, a provider, and a person at a browser."""

    running: RunningConsole
    provider: OpenIDProvider
    person: Browser

    @property
    def admin(self) -> AdminClient:
        return self.running.client

    async def open_registration(self, **fields: Any) -> None:
        answer = await self.admin.call("PUT", "/registration", {"open": True, "approval": False, **fields})
        assert answer.status == 200, answer.body

    async def start(self) -> str:
        """Go to the provider, and return where that sends the browser back."""
        response = await self.person.get(f"{self.person.url}/oidc/start")
        assert response.status == 303
        return await self.agree(response.headers["location"])

    async def agree(self, url: str) -> str:
        """Agree at the provider."""
        async with aiohttp.ClientSession() as elsewhere, elsewhere.get(url, allow_redirects=False) as response:
            assert response.status == 302
            back: str = response.headers["location"]
            return back

    async def come_back(self, url: str) -> str:
        """Follow the way back, and return the page that it ends at."""
        response = await self.person.get(url)
        assert response.status == 303
        assert response.headers["cache-control"] == "no-store"
        page = response.headers["location"]
        assert page.startswith(f"{self.person.url}/#/")
        return page.removeprefix(f"{self.person.url}/")

    async def sign_in(self) -> str:
        return await self.come_back(await self.start())


@pytest.fixture
def allowed() -> str:
    """Networks that the provider may be in although they are not public."""
    return "127.0.0.0/8"


@pytest.fixture
async def campus(bus: NATSBus, tasks: TaskSet, database_dsn: str, allowed: str) -> AsyncIterator[Campus]:
    port = free_port()
    async with running_provider() as provider:
        others = {
            "TRUNKLINE_CONSOLE_PORT": str(port),
            "TRUNKLINE_CONSOLE_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "TRUNKLINE_OIDC_ISSUER": provider.issuer,
            "TRUNKLINE_OIDC_CLIENT_ID": CLIENT_ID,
            "TRUNKLINE_OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "TRUNKLINE_OIDC_NAME": NAME,
            "TRUNKLINE_UPSTREAM_ALLOW": allowed,
        }
        async with (
            running_console(bus, tasks, database_dsn, **others) as running,
            browser(running.client.url) as person,
        ):
            yield Campus(running, provider, person)


async def test_a_new_person_gets_a_login_as_registration_says(campus: Campus) -> None:
    shown = (await campus.person.call("GET", "/site")).body["features"]["oidc"]
    assert shown == {"name": NAME, "start": "oidc/start"}
    assert await campus.sign_in() == "#/sign-in?oidc=closed"
    await campus.open_registration()
    assert await campus.sign_in() == "#/"
    session = (await campus.person.call("GET", "/session")).body
    assert session["login"]["name"] == "kim"
    assert (session["login"]["password"], session["login"]["elsewhere"]) == (False, True)
    assert session["accounts"] == [{"name": "kim", "role": "owner", "user": "kim"}]
    assert list(campus.person.cookies) == ["trunkline_session"]
    # The same person under another name is the same login.
    campus.provider.person["preferred_username"] = "kim-lee"
    assert await campus.sign_in() == "#/"
    assert (await campus.person.call("GET", "/session")).body["login"]["name"] == "kim"


async def test_both_kinds_of_signature_are_taken(campus: Campus) -> None:
    await campus.open_registration()
    campus.provider.algorithm = "ES256"
    assert await campus.sign_in() == "#/"


async def test_metadata_and_keys_are_kept_and_new_keys_are_learned(campus: Campus) -> None:
    await campus.open_registration()
    assert await campus.sign_in() == "#/"
    assert await campus.sign_in() == "#/"
    asked = campus.provider.asked
    assert (asked.count("/.well-known/openid-configuration"), asked.count("/keys")) == (1, 1)
    campus.provider.rotate()
    # So soon after the last time keys are not asked for again: anybody can write a token that names an unknown one.
    assert await campus.sign_in() == "#/sign-in?oidc=failed"
    provider = campus.running.console._people.provider
    assert provider is not None
    provider._keys_at -= 61
    assert await campus.sign_in() == "#/"
    assert asked.count("/keys") == 2


@pytest.mark.parametrize(
    "lies",
    [
        {"nonce": "another question's"},
        {"nonce": None},
        {"aud": "another-client"},
        {"aud": [CLIENT_ID, "another-client"]},
        {"aud": None},
        {"azp": "another-client"},
        {"iss": "https://another.example"},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"iat": 4_000_000_000},
        {"iat": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
    ],
)
async def test_a_token_that_says_something_wrong_lets_nobody_in(campus: Campus, lies: dict[str, Any]) -> None:
    await campus.open_registration()
    campus.provider.lies = lies
    assert await campus.sign_in() == "#/sign-in?oidc=failed"
    assert campus.person.cookies == {}
    assert (await campus.admin.call("GET", "/logins")).body == []


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_a_token_without_the_providers_signature_lets_nobody_in(campus: Campus, algorithm: str) -> None:
    await campus.open_registration()
    campus.provider.algorithm = algorithm
    assert await campus.sign_in() == "#/sign-in?oidc=failed"
    campus.provider.algorithm, campus.provider.stranger = "RS256", True
    assert await campus.sign_in() == "#/sign-in?oidc=failed"
    assert campus.person.cookies == {}


async def test_an_answer_is_taken_once_and_at_the_browser_that_asked(campus: Campus) -> None:
    await campus.open_registration()
    back = await campus.start()
    kept = campus.person.cookies["trunkline_elsewhere"]
    async with browser(campus.person.url) as thief:
        other = campus._replace(person=thief)
        assert await other.come_back(back) == "#/sign-in?oidc=expired"
        assert await other.start() != back
        assert await other.come_back(back) == "#/sign-in?oidc=expired"
    assert await campus.come_back(back) == "#/"
    assert list(campus.person.cookies) == ["trunkline_session"]
    assert await campus.come_back(back) == "#/sign-in?oidc=expired"
    # Also with the cookie that the console has taken back, and a code that is still good.
    state = parse_qs(urlsplit(back).query)["state"][0]
    campus.person.plant("trunkline_elsewhere", kept, path="/oidc/callback")
    again = f"{campus.person.url}/oidc/callback?state={state}&code=another"
    assert await campus.come_back(again) == "#/sign-in?oidc=expired"


async def test_a_cookie_of_somebodys_own_making_is_no_question(campus: Campus) -> None:
    await campus.open_registration()
    back = await campus.start()
    body, _, mark = campus.person.cookies["trunkline_elsewhere"].partition(".")
    for forged in (f"{body}.{'A' * len(mark)}", f"{body[:-2]}AA.{mark}", "x"):
        campus.person.plant("trunkline_elsewhere", forged, path="/oidc/callback")
        assert await campus.come_back(back) == "#/sign-in?oidc=expired"


async def test_what_the_provider_refuses_is_told(campus: Campus) -> None:
    back = await campus.start()
    state = parse_qs(urlsplit(back).query)["state"][0]
    denied = f"{campus.person.url}/oidc/callback?state={state}&error=access_denied&error_description=planted"
    assert await campus.come_back(denied) == "#/sign-in?oidc=denied"
    back = await campus.start()
    code = parse_qs(urlsplit(back).query)["code"][0]
    assert await campus.come_back(back.replace(code, "guessed")) == "#/sign-in?oidc=failed"


async def test_a_provider_that_is_away_or_elsewhere_is_told(campus: Campus) -> None:
    campus.provider.redirects = True
    response = await campus.person.get(f"{campus.person.url}/oidc/start")
    assert response.headers["location"] == f"{campus.person.url}/#/sign-in?oidc=failed"
    assert campus.provider.asked == ["/.well-known/openid-configuration"]  # a redirect is not followed
    campus.provider.redirects, campus.provider.down = False, True
    response = await campus.person.get(f"{campus.person.url}/oidc/start")
    assert response.headers["location"] == f"{campus.person.url}/#/sign-in?oidc=failed"
    campus.provider.down = False
    await campus.open_registration()
    assert await campus.sign_in() == "#/"


@pytest.mark.parametrize("endpoint", ["token_endpoint", "jwks_uri"])
async def test_a_providers_document_leads_nowhere_inside(campus: Campus, endpoint: str) -> None:
    """The console has more within its reach than a provider: what that says of itself is no reason to ask there."""
    await campus.open_registration()
    reached: list[str] = []

    async def trap(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        reached.append((await reader.readline()).decode())

    async with stream_server(trap) as inside:
        # The same machine under an address that is not allowed.
        campus.provider.endpoints[endpoint] = f"http://0.0.0.0:{inside}/inside"
        assert await campus.sign_in() == "#/sign-in?oidc=failed"
    assert reached == []


@pytest.mark.parametrize("allowed", [""])
async def test_a_provider_inside_is_asked_only_if_its_network_is_named(campus: Campus) -> None:
    with structlog.testing.capture_logs() as lines:
        response = await campus.person.get(f"{campus.person.url}/oidc/start")
    assert response.headers["location"] == f"{campus.person.url}/#/sign-in?oidc=failed"
    assert campus.provider.asked == []
    (refused,) = [line for line in lines if line["event"] == "upstream_address_refused"]
    assert "TRUNKLINE_UPSTREAM_ALLOW" in refused["message"]
    (failed,) = [line for line in lines if line["event"] == "oidc_failed"]
    assert failed["reason"] == "the provider cannot be asked: its address is not allowed"


async def test_a_name_that_is_here_already_is_not_taken_over(campus: Campus) -> None:
    await campus.open_registration()
    await new_login(campus.admin, "kim", email="kim@example.edu")
    assert await campus.sign_in() == "#/sign-in?oidc=name"
    campus.provider.person |= {"preferred_username": "lee", "email": "kim@example.edu", "email_verified": True}
    assert await campus.sign_in() == "#/sign-in?oidc=name"
    assert campus.person.cookies == {}
    assert [login["name"] for login in (await campus.admin.call("GET", "/logins")).body] == ["kim"]


async def test_the_rules_of_registration_hold(campus: Campus) -> None:
    await campus.open_registration(name_pattern="[0-9]{10}", email_domains=["example.edu"], approval=True)
    assert await campus.sign_in() == "#/sign-in?oidc=name"
    campus.provider.person["preferred_username"] = "2024000012"
    for said in ({}, {"email": "kim@example.com", "email_verified": True}, {"email": "kim@example.edu"}):
        campus.provider.lies = said
        assert await campus.sign_in() == "#/sign-in?oidc=email"
    campus.provider.lies = {"email": "kim@example.edu", "email_verified": True}
    for _ in range(2):
        assert await campus.sign_in() == "#/sign-in?oidc=waiting"
    (login,) = (await campus.admin.call("GET", "/logins")).body
    assert (login["name"], login["state"], login["email"]) == ("2024000012", "waiting", "kim@example.edu")
    await campus.admin.call("POST", "/logins/2024000012/approve")
    assert await campus.sign_in() == "#/"
    await campus.admin.call("POST", "/logins/2024000012/block")
    assert await campus.sign_in() == "#/sign-in?oidc=blocked"


async def test_who_is_signed_in_links_the_provider_and_takes_it_off(campus: Campus) -> None:
    kim = campus.person
    await new_login(campus.admin, "kim")
    await kim.sign_in("kim")
    assert (await kim.call("POST", "/me/oidc", {"password": "wrong"})).status == 403
    url = (await kim.call("POST", "/me/oidc", {"password": PASSWORD})).body["url"]
    assert await campus.come_back(await campus.agree(url)) == "#/me?oidc=linked"
    assert (await kim.call("GET", "/session")).body["login"]["elsewhere"] is True
    await kim.call("DELETE", "/session")
    kim.csrf = ""
    assert await campus.sign_in() == "#/"
    session = (await kim.call("GET", "/session")).body
    assert session["login"]["name"] == "kim"
    kim.csrf = session["csrf"]
    async with browser(kim.url) as lee:
        await new_login(campus.admin, "lee")
        await lee.sign_in("lee")
        theirs = campus._replace(person=lee)
        url = (await lee.call("POST", "/me/oidc", {"password": PASSWORD})).body["url"]
        assert await theirs.come_back(await theirs.agree(url)) == "#/me?oidc=taken"
    assert (await kim.call("POST", "/me/oidc/unlink", {"password": PASSWORD})).status == 204
    await kim.call("DELETE", "/session")
    assert await campus.sign_in() == "#/sign-in?oidc=closed"


async def test_a_link_ends_with_the_session_that_asked_for_it(campus: Campus) -> None:
    kim = campus.person
    await new_login(campus.admin, "kim")
    await kim.sign_in("kim")
    url = (await kim.call("POST", "/me/oidc", {"password": PASSWORD})).body["url"]
    back = await campus.agree(url)
    await campus.admin.call("POST", "/logins/kim/end-sessions")
    assert await campus.come_back(back) == "#/me?oidc=expired"


async def test_without_a_password_a_young_session_is_the_proof(campus: Campus, database: Database) -> None:
    await campus.open_registration()
    assert await campus.sign_in() == "#/"
    kim = campus.person
    kim.csrf = (await kim.call("GET", "/session")).body["csrf"]
    assert (await kim.call("POST", "/me/oidc/unlink", {"password": ""})).status == 409
    async with database.connection() as connection:
        await connection.execute("update sessions set created_at = now() - interval '11 minutes'")
    body = {"new_password": PASSWORD}
    refused = await kim.call("POST", "/me/password", body)
    assert (refused.status, refused.body["error"]["message"]) == (403, "Sign in again first, and then do this.")
    assert await campus.sign_in() == "#/"
    kim.csrf = (await kim.call("GET", "/session")).body["csrf"]
    assert (await kim.call("POST", "/me/password", body)).status == 204
    assert (await kim.call("POST", "/me/oidc/unlink", {"password": PASSWORD})).status == 204


async def test_without_a_provider_there_is_none(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> None:
    async with running_console(bus, tasks, database_dsn) as running, browser(running.client.url) as person:
        await first_operator(running.client, person)
        assert (await person.call("POST", "/me/oidc", {"password": PASSWORD})).status == 409
        for path in ("oidc/start", "oidc/callback"):
            response = await person.get(f"{person.url}/{path}")
            assert response.status == 303
            assert response.headers["location"].startswith("/#/sign-in?oidc=")


def test_settings_that_belong_together_are_asked_for_together() -> None:
    wanted = settings("postgresql://x", TRUNKLINE_OIDC_ISSUER="https://id.example.com")
    assert settings_faults(wanted) == [
        "TRUNKLINE_OIDC_CLIENT_ID is not set, which TRUNKLINE_OIDC_ISSUER needs",
        "TRUNKLINE_CONSOLE_PUBLIC_URL is not set, which TRUNKLINE_OIDC_ISSUER needs",
    ]
    assert settings_faults(settings("postgresql://x")) == []
