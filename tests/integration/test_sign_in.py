"""Signing in and out: the first operator, cookies, CSRF, sessions and bounds on guessing, on real Postgres."""

import asyncio
from collections.abc import AsyncIterator

import argon2
import pytest

from services.console import sessions
from tests.support.console import AdminClient, RunningConsole, running_console
from tests.support.people import PASSWORD, Browser, browser, first_operator, new_login, token_of
from tests.support.waiting import eventually
from trunkline.policy.logins.lifetimes import SESSION_CACHE_S, SESSION_IDLE_S, SESSION_S
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Connection, Database
from trunkline.store.sessions import SESSIONS_MAX, FoundSession, find_session

WITHIN_S = 20.0

now = SystemClock().now


async def until_ended(person: Browser) -> None:
    """Return once a session that has just been ended elsewhere is over here, too.

    What is asked when the console may not believe in it any more is refused, however long an answer takes.
    """
    ended_at = now()

    async def refused() -> bool:
        asked_at = now()
        status = (await person.call("GET", "/session")).status
        assert status == 401 or asked_at < ended_at + SESSION_CACHE_S, "believed for too long"
        return status == 401

    await eventually(refused, within_s=WITHIN_S, what="an end of the session")


@pytest.fixture
async def running(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[RunningConsole]:
    async with running_console(bus, tasks, database_dsn) as running:
        yield running


@pytest.fixture
def admin(running: RunningConsole) -> AdminClient:
    return running.client


@pytest.fixture
async def person(admin: AdminClient) -> AsyncIterator[Browser]:
    async with browser(admin.url) as person:
        yield person


async def test_the_first_operator_is_made_by_a_link_that_works_once(admin: AdminClient, person: Browser) -> None:
    assert (await person.call("GET", "/site")).body["first_operator_missing"] is True
    assert (await person.call("GET", "/session")).status == 401
    earlier = await admin.call("POST", "/first-operator/link")
    link = await admin.call("POST", "/first-operator/link")
    assert link.status == 201
    body = {"name": "root", "password": PASSWORD}
    assert (await person.call("POST", "/first-operator", {"token": token_of(earlier.body), **body})).status == 404
    made = await person.call("POST", "/first-operator", {"token": token_of(link.body), **body})
    assert (made.status, made.body["state"]) == (201, "signed_in")
    shown = (await person.call("GET", "/session")).body
    assert shown["login"]["name"] == "root"
    assert shown["login"]["operator"] is True
    assert shown["csrf"] == made.body["csrf"]
    assert (await person.call("POST", "/first-operator", {"token": token_of(link.body), **body})).status == 404
    assert (await admin.call("POST", "/first-operator/link")).status == 409
    assert (await person.call("GET", "/site")).body["first_operator_missing"] is False


async def test_people_sign_in_and_out(admin: AdminClient, person: Browser) -> None:
    await first_operator(admin, person)
    assert (await person.call("DELETE", "/session")).status == 204
    assert person.cookies == {}
    assert (await person.call("GET", "/session")).status == 401
    wrong = await person.sign_in("root", "seven lazy harbors")
    unknown = await person.sign_in("toor")
    assert wrong.status == unknown.status == 401
    assert wrong.body == unknown.body
    right = await person.sign_in("ROOT")
    assert (right.status, right.body["state"]) == (200, "signed_in")
    assert (await person.call("GET", "/session")).body["login"]["name"] == "root"


async def test_signing_in_gives_a_new_cookie_and_ends_what_the_browser_had(admin: AdminClient, person: Browser) -> None:
    await first_operator(admin, person)
    first, token = dict(person.cookies), person.csrf
    assert (await person.sign_in("root")).status == 200
    assert list(person.cookies) == ["trunkline_session"]
    assert person.cookies != first
    assert person.csrf != token
    entries = (await person.call("GET", "/me/sessions")).body
    assert [entry["current"] for entry in entries] == [True]
    async with browser(admin.url) as other:
        stale = await other.call("GET", "/session", cookie=f"trunkline_session={first['trunkline_session']}")
        assert stale.status == 401


async def test_a_cookie_of_somebodys_own_making_is_never_taken_over(admin: AdminClient, person: Browser) -> None:
    await first_operator(admin, person)
    planted = "A" * 43
    async with browser(admin.url) as victim:
        victim.plant("trunkline_session", planted)
        assert (await victim.sign_in("root")).status == 200
        assert victim.cookies["trunkline_session"] != planted
    async with browser(admin.url) as attacker:
        attacker.plant("trunkline_session", planted)
        assert (await attacker.call("GET", "/session")).status == 401


async def test_the_cookie_is_kept_from_scripts_and_other_sites(admin: AdminClient, person: Browser) -> None:
    await first_operator(admin, person)
    cookie = person.answered["set-cookie"]
    assert cookie.startswith("trunkline_session=")
    assert {part.strip() for part in cookie.split(";")[1:]} == {
        "HttpOnly",
        "Max-Age=2592000",
        "Path=/",
        "SameSite=Strict",
    }


@pytest.mark.parametrize(
    ("public_url", "name", "attributes"),
    [
        ("https://llm.example.com", "__Host-trunkline_session", {"Secure", "Path=/"}),
        ("https://llm.example.com/console/", "__Secure-trunkline_session", {"Secure", "Path=/console/"}),
        ("http://llm.example.com/console", "trunkline_session", {"Path=/console/"}),
    ],
)
async def test_over_https_the_cookie_is_never_sent_in_the_clear(
    bus: NATSBus, tasks: TaskSet, database_dsn: str, *, public_url: str, name: str, attributes: set[str]
) -> None:
    others = {"TRUNKLINE_CONSOLE_PUBLIC_URL": public_url}
    async with running_console(bus, tasks, database_dsn, **others) as running, browser(running.client.url) as person:
        link = await running.client.call("POST", "/first-operator/link")
        assert link.body["url"].startswith(f"{public_url.rstrip('/')}/#/first/")
        await first_operator(running.client, person)
        cookie = person.answered["set-cookie"]
        assert cookie.partition("=")[0] == name
        expected = {"HttpOnly", "Max-Age=2592000", "SameSite=Strict", *attributes}
        assert {part.strip() for part in cookie.split(";")[1:]} == expected


async def test_changes_need_the_sessions_token_and_no_other_sites_word(admin: AdminClient, person: Browser) -> None:
    await first_operator(admin, person)
    body = {"language": "zh"}
    right, person.csrf = person.csrf, ""
    missing = await person.call("PUT", "/me/language", body)
    assert (missing.status, missing.body["error"]["type"]) == (403, "policy_access_denied")
    async with browser(admin.url) as other:
        await other.sign_in("root")
        assert other.csrf != right
        assert (await person.call("PUT", "/me/language", body, x_csrf_token=other.csrf)).status == 403
    assert (await person.call("PUT", "/me/language", body, x_csrf_token=right[:-1])).status == 403
    for site in ("cross-site", "same-site"):
        elsewhere = await person.call("PUT", "/me/language", body, x_csrf_token=right, sec_fetch_site=site)
        assert elsewhere.status == 403
    signing_in = await person.call(
        "POST", "/session", {"name": "root", "password": PASSWORD}, sec_fetch_site="cross-site"
    )
    assert signing_in.status == 403
    assert (await person.call("GET", "/session")).body["login"]["language"] is None
    assert (await person.call("PUT", "/me/language", body, x_csrf_token=right)).status == 204
    assert (await person.call("GET", "/session")).body["login"]["language"] == "zh"


async def test_people_see_their_sessions_and_end_them(admin: AdminClient, person: Browser) -> None:
    await first_operator(admin, person)
    async with browser(admin.url) as phone, browser(admin.url) as stranger:
        phone.headers["user-agent"] = "Phone \u202e of root " + "x" * 300
        await phone.sign_in("root")
        await new_login(admin, "kim")
        await stranger.sign_in("kim")
        entries = (await person.call("GET", "/me/sessions")).body
        assert [(entry["current"], entry["address"]) for entry in entries] == [
            (False, "127.0.0.1"),
            (True, "127.0.0.1"),
        ]
        assert entries[0]["agent"].startswith("Phone  of root xxx")
        assert len(entries[0]["agent"]) <= 200
        assert (await stranger.call("DELETE", f"/me/sessions/{entries[0]['id']}")).status == 404
        assert (await phone.call("GET", "/session")).status == 200
        assert (await person.call("DELETE", "/me/sessions/x")).status == 404
        assert (await person.call("DELETE", f"/me/sessions/{entries[0]['id']}")).status == 204
        assert (await phone.call("GET", "/session")).status == 401
        phone.csrf = ""
        await phone.sign_in("root")
        assert (await person.call("POST", "/me/sessions/end-others")).body == {"ended": 1}
        assert (await phone.call("GET", "/session")).status == 401
        assert (await person.call("GET", "/session")).status == 200
        assert (await stranger.call("GET", "/session")).status == 200


async def test_a_login_has_so_many_sessions_at_most(admin: AdminClient, person: Browser, database: Database) -> None:
    await first_operator(admin, person)
    async with database.connection() as connection:
        await connection.execute(
            "insert into sessions (hash, login_id, seen_at, ends_at, address, agent)"
            " select sha256(n::text::bytea), (select id from logins), now() - n * interval '1 minute',"
            " now() + interval '1 day', '', 'old' from generate_series(1, $1) as n",
            SESSIONS_MAX,
        )
    async with browser(admin.url) as phone:
        await phone.sign_in("root")
        entries = (await phone.call("GET", "/me/sessions")).body
    assert len(entries) == SESSIONS_MAX
    assert [entry["agent"] for entry in entries].count("old") == SESSIONS_MAX - 2


@pytest.mark.parametrize(
    "aged",
    [f"seen_at = now() - make_interval(secs => {SESSION_IDLE_S})", "ends_at = now()"],
)
async def test_sessions_end_by_themselves(admin: AdminClient, person: Browser, database: Database, aged: str) -> None:
    await first_operator(admin, person)
    async with database.connection() as connection:
        ends_in_s = await connection.fetchval("select extract(epoch from ends_at - created_at)::float8 from sessions")
        await connection.execute(f"update sessions set {aged}")  # noqa: S608 - one of ours
    assert ends_in_s == pytest.approx(SESSION_S)
    await until_ended(person)


async def test_using_a_session_keeps_it(admin: AdminClient, person: Browser, database: Database) -> None:
    await first_operator(admin, person)
    async with database.connection() as connection:
        await connection.execute("update sessions set seen_at = now() - interval '2 minutes'")
        aged_at = now()

        async def seen() -> bool:
            asked_at = now()
            assert (await person.call("GET", "/session")).status == 200
            fresh: bool = await connection.fetchval("select seen_at > now() - interval '1 minute' from sessions")
            assert fresh or asked_at < aged_at + SESSION_CACHE_S, "not noted when it was read anew"
            return fresh

        await eventually(seen, within_s=WITHIN_S, what="a note that the session is used")


async def test_what_is_revoked_at_one_console_ends_at_all(
    running: RunningConsole, person: Browser, bus: NATSBus, tasks: TaskSet, database_dsn: str
) -> None:
    await first_operator(running.client, person)
    async with running_console(bus, tasks, database_dsn) as second:
        there = person.at(second.client.url)
        assert (await there.call("GET", "/session")).status == 200
        assert (await running.client.call("POST", "/logins/root/end-sessions")).body == {"ended": 1}
        assert (await person.call("GET", "/session")).status == 401
        await until_ended(there)


async def test_a_page_of_requests_reads_the_session_once(
    running: RunningConsole, person: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await first_operator(running.client, person)
    reads = 0

    async def counted(connection: Connection, hash_: bytes) -> FoundSession | None:
        nonlocal reads
        reads += 1
        return await find_session(connection, hash_)

    monkeypatch.setattr(sessions, "find_session", counted)
    monkeypatch.setattr(sessions, "SESSION_CACHE_S", 3600.0)  # however long the ten take here
    answers = await asyncio.gather(*(person.call("GET", "/me/sessions") for _ in range(10)))
    assert [answer.status for answer in answers] == [200] * 10
    assert reads == 1


async def test_what_is_read_while_it_is_revoked_is_not_believed_again(
    running: RunningConsole, person: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await first_operator(running.client, person)
    found, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(connection: Connection, hash_: bytes) -> FoundSession | None:
        session = await find_session(connection, hash_)
        found.set()
        await go_on.wait()
        return session

    monkeypatch.setattr(sessions, "SESSION_CACHE_S", 0.0)
    monkeypatch.setattr(sessions, "find_session", slowly)
    asked = asyncio.create_task(person.call("GET", "/me/sessions"))  # noqa: TID251 - awaited below
    await found.wait()
    monkeypatch.setattr(sessions, "find_session", find_session)
    monkeypatch.setattr(sessions, "SESSION_CACHE_S", 3600.0)
    assert (await running.client.call("POST", "/logins/root/end-sessions")).body == {"ended": 1}
    go_on.set()
    await asked
    assert (await person.call("GET", "/me/sessions")).status == 401


async def test_what_anybody_may_send_is_small(admin: AdminClient, person: Browser) -> None:
    for path in ("/session", "/registrations", "/password-resets/finish", "/first-operator"):
        refused = await person.call("POST", path, {"name": "x" * 20_000})
        assert (refused.status, refused.body["error"]["type"]) == (413, "client_body_too_large")
    assert (await person.call("POST", "/session", "no struct")).status == 400


async def test_the_admin_key_has_no_session(admin: AdminClient) -> None:
    assert (await admin.call("GET", "/session")).status == 403
    assert (await admin.call("POST", "/me/sessions/end-others")).status == 403


async def test_a_hash_of_older_parameters_is_renewed_when_its_person_comes(
    admin: AdminClient, person: Browser, database: Database
) -> None:
    await first_operator(admin, person)
    older = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    async with database.connection() as connection:
        await connection.execute("update logins set password_hash = $1", older)
        assert (await person.sign_in("root")).status == 200
        renewed = await connection.fetchval("select password_hash from logins")
    assert renewed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert (await person.sign_in("root")).status == 200
