"""Logins as users of accounts, and what each role may do with keys, through the admin API on real Postgres."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import pytest

from services.console import keys_api, sessions
from tests.support.console import AdminClient, running_console
from tests.support.people import Browser, browser, new_login
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database

MEMBERS = "/accounts/acme/members"
KEYS = "/accounts/acme/keys"
CONFIGURATION: dict[str, Any] = {
    "channels": [
        {
            "name": "main",
            "dialect": "openai",
            "base_url": "http://upstream.example/v1",
            "models": {"gpt-4o": "gpt-4o"},
        }
    ],
    "groups": [{"name": "vip"}, {"name": "campus"}],
    "tiers": [{"name": "basic", "rpm": 50}],
    "accounts": [{"name": "acme", "users": [{"name": "robot"}]}, {"name": "other", "users": [{"name": "ola"}]}],
}


class Office(NamedTuple):
    """People of the account acme, each at a browser of their own."""

    site: AdminClient
    owner: Browser
    admin: Browser
    member: Browser
    viewer: Browser


@pytest.fixture
async def office(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[Office]:
    async with running_console(bus, tasks, database_dsn) as running, AsyncExitStack() as stack:
        site = running.client
        assert (await site.call("POST", "/apply", CONFIGURATION)).status == 200
        people = []
        for role in ("owner", "admin", "member", "viewer"):
            await new_login(site, role)
            added = await site.call("POST", MEMBERS, {"login": role, "role": role})
            assert added.status == 201, added.body
            person = await stack.enter_async_context(browser(site.url))
            await person.sign_in(role)
            people.append(person)
        yield Office(site, *people)


async def test_a_login_becomes_a_user_with_a_role(office: Office) -> None:
    users = (await office.viewer.call("GET", "/accounts/acme/users")).body
    assert [(user["name"], user["login"], user["role"]) for user in users] == [
        ("admin", "admin", "admin"),
        ("member", "member", "member"),
        ("owner", "owner", "owner"),
        ("robot", None, "member"),
        ("viewer", "viewer", "viewer"),
    ]
    shown = (await office.member.call("GET", "/session")).body
    assert shown["accounts"] == [{"name": "acme", "role": "member", "user": "member"}]
    assert (await office.member.call("GET", "/accounts/acme/users")).status == 403
    for account in ("other", "nowhere"):
        missing = await office.owner.call("GET", f"/accounts/{account}/users")
        assert (missing.status, missing.body["error"]["message"]) == (404, f"There is no account {account!r}.")


async def test_a_login_may_be_a_user_that_is_there_but_nobody_elses(office: Office) -> None:
    await new_login(office.site, "kim")
    taken = await office.owner.call("POST", MEMBERS, {"login": "kim", "user": "member"})
    assert taken.status == 409
    added = await office.owner.call("POST", MEMBERS, {"login": "KIM", "user": "robot"})
    assert (added.status, added.body["login"], added.body["name"]) == (201, "kim", "robot")
    again = await office.owner.call("POST", MEMBERS, {"login": "kim", "user": "kim"})
    assert again.status == 409
    unknown = await office.owner.call("POST", MEMBERS, {"login": "lee"})
    assert (unknown.status, unknown.body["error"]["message"]) == (400, "There is no login 'lee' that may sign in.")
    await office.site.call("POST", "/logins", {"name": "lee"})
    await office.site.call("POST", "/logins/lee/block")
    assert (await office.owner.call("POST", MEMBERS, {"login": "lee"})).status == 400


async def test_nobody_gives_or_takes_a_role_above_their_own(office: Office) -> None:
    await new_login(office.site, "kim")
    assert (await office.admin.call("POST", MEMBERS, {"login": "kim", "role": "owner"})).status == 403
    assert (await office.admin.call("PATCH", f"{MEMBERS}/member", {"role": "owner"})).status == 403
    assert (await office.admin.call("PATCH", f"{MEMBERS}/owner", {"role": "viewer"})).status == 403
    assert (await office.admin.call("DELETE", f"{MEMBERS}/owner")).status == 403
    assert (await office.admin.call("DELETE", "/accounts/acme/users/owner")).status == 403
    for person in (office.member, office.viewer):
        assert (await person.call("POST", MEMBERS, {"login": "kim", "role": "viewer"})).status == 403
        assert (await person.call("DELETE", f"{MEMBERS}/member")).status == 403
    assert (await office.admin.call("POST", MEMBERS, {"login": "kim", "role": "admin"})).status == 201
    assert (await office.admin.call("PATCH", f"{MEMBERS}/kim", {"role": "viewer"})).body["role"] == "viewer"
    assert (await office.owner.call("PATCH", f"{MEMBERS}/kim", {"role": "owner"})).body["role"] == "owner"


async def test_an_account_keeps_an_owner(office: Office) -> None:
    last = "This is the last owner of account 'acme'; make another user one first."
    for method, path, body in (
        ("PATCH", f"{MEMBERS}/owner", {"role": "admin"}),
        ("DELETE", f"{MEMBERS}/owner", None),
        ("DELETE", "/accounts/acme/users/owner", None),
    ):
        refused = await office.owner.call(method, path, body)
        assert (refused.status, refused.body["error"]["message"]) == (409, last)
    assert (await office.site.call("PATCH", f"{MEMBERS}/admin", {"role": "owner"})).status == 200
    assert (await office.owner.call("PATCH", f"{MEMBERS}/owner", {"role": "viewer"})).status == 200
    assert (await office.owner.call("PATCH", f"{MEMBERS}/owner", {"role": "owner"})).status == 403


async def test_who_is_taken_out_has_no_key_left(office: Office) -> None:
    for name in ("one", "two"):
        assert (await office.member.call("POST", KEYS, {"name": name})).status == 201
    await office.member.call("POST", f"{KEYS}/two/block")
    removed = await office.admin.call("DELETE", f"{MEMBERS}/member")
    assert (removed.status, removed.body) == (200, {"blocked_keys": 1})
    assert [key["blocked"] for key in (await office.owner.call("GET", KEYS)).body] == [True, True]
    assert (await office.member.call("GET", KEYS)).status == 404
    user = (await office.owner.call("GET", "/accounts/acme/users/member")).body
    assert (user["login"], user["keys"]) == (None, 2)
    assert (await office.admin.call("DELETE", f"{MEMBERS}/member")).status == 404


async def test_keys_that_somebody_has_seen_can_go_with_them(office: Office) -> None:
    """Who has made a key for others, or rotated one, has its secret."""
    await new_login(office.site, "kim")
    assert (await office.owner.call("POST", MEMBERS, {"login": "kim", "role": "admin"})).status == 201
    async with browser(office.site.url) as kim:
        await kim.sign_in("kim")
        for name, body in (("own", {"user": "kim"}), ("shared", {}), ("robots", {"user": "robot"}), ("lost", {})):
            assert (await kim.call("POST", KEYS, {"name": name, **body})).status == 201
        for name in ("theirs", "unseen"):
            assert (await office.owner.call("POST", KEYS, {"name": name})).status == 201
        assert (await kim.call("POST", f"{KEYS}/theirs/rotate", {"overlap_s": 0})).status == 200
        # One whose secret was drawn anew since is not theirs any more.
        assert (await office.owner.call("POST", f"{KEYS}/lost/rotate", {"overlap_s": 0})).status == 200
    shown = await office.viewer.call("GET", f"{MEMBERS}/kim/keys")
    assert [key["name"] for key in shown.body] == ["own", "robots", "shared", "theirs"]
    assert (await office.member.call("GET", f"{MEMBERS}/kim/keys")).status == 403
    await office.admin.call("POST", f"{KEYS}/robots/block")
    removed = await office.owner.call("DELETE", f"{MEMBERS}/kim?withdraw_keys=true")
    assert (removed.status, removed.body) == (200, {"blocked_keys": 3})
    keys = {key["name"]: key["blocked_by"] for key in (await office.owner.call("GET", KEYS)).body}
    # A block that stood already is lifted by nobody below who took the person out, either.
    assert keys == {
        "lost": None,
        "own": "owner",
        "robots": "owner",
        "shared": "owner",
        "theirs": "owner",
        "unseen": None,
    }
    log = (await office.owner.call("GET", "/accounts/acme/audit?operation=block_key")).body["entries"]
    assert [(entry["actor"], entry["subject"].rpartition("/keys/")[2], entry["status"]) for entry in log] == [
        ("owner", "theirs/block", 200),
        ("owner", "shared/block", 200),
        ("owner", "own/block", 200),
        ("admin", "robots/block", 200),
    ]
    assert (log[0]["before"], log[0]["after"]) == (
        {"blocked": False, "blocked_by": None},
        {"blocked": True, "blocked_by": "owner"},
    )


async def test_a_block_is_lifted_by_nobody_below_who_has_set_it(office: Office) -> None:
    assert (await office.member.call("POST", KEYS, {"name": "mine"})).status == 201
    people = {
        "member": office.member,
        "admin": office.admin,
        "owner": office.owner,
        "operator": office.site,
    }
    words = {
        "admin": "an admin of the account",
        "owner": "an owner of the account",
        "operator": "an operator of the site",
    }
    for number, (setter, by) in enumerate(people.items()):
        blocked = await by.call("POST", f"{KEYS}/mine/block")
        assert (blocked.status, blocked.body["blocked"], blocked.body["blocked_by"]) == (200, True, setter)
        for lower, person in list(people.items())[:number]:
            # Neither lifted, nor made one's own by a block of one's own, nor got rid of with the key.
            for method, path in (("POST", "/unblock"), ("DELETE", "")):
                refused = await person.call(method, f"{KEYS}/mine{path}")
                assert (refused.status, refused.body["error"]["message"]) == (
                    403,
                    f"Key acme/mine was blocked by {words[setter]}: ask them.",
                ), lower
            assert (await person.call("POST", f"{KEYS}/mine/block")).body["blocked_by"] == setter
        for person in reversed(list(people.values())[number:]):
            await by.call("POST", f"{KEYS}/mine/block")
            lifted = await person.call("POST", f"{KEYS}/mine/unblock")
            assert (lifted.status, lifted.body["blocked"], lifted.body["blocked_by"]) == (200, False, None)
    # Whose block it was is past with it: a later one is of who sets it.
    await office.site.call("POST", f"{KEYS}/mine/block")
    await office.site.call("POST", f"{KEYS}/mine/unblock")
    assert (await office.member.call("POST", f"{KEYS}/mine/block")).body["blocked_by"] == "member"
    assert (await office.member.call("DELETE", f"{KEYS}/mine")).status == 204


async def test_people_make_so_many_keys_and_operators_more(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever registers may have an account to themselves, and what is in keys is kept by all edges' broker."""
    monkeypatch.setattr(keys_api, "KEYS_OF_ACCOUNT_MAX", 2)
    assert (await office.member.call("POST", KEYS, {"name": "one"})).status == 201
    assert (await office.site.call("POST", KEYS, {"name": "two"})).status == 201
    for person in (office.member, office.owner):
        refused = await person.call("POST", KEYS, {"name": "three"})
        assert refused.status == 409
        assert refused.body["error"]["message"] == (
            "The account has 2 keys, as many as its people may make; delete some, or ask an operator."
        )
    assert (await office.site.call("POST", KEYS, {"name": "three"})).status == 201
    for name in ("two", "three"):
        assert (await office.site.call("DELETE", f"{KEYS}/{name}")).status == 204
    assert (await office.member.call("POST", KEYS, {"name": "three"})).status == 201


async def test_members_have_and_see_keys_of_their_own_alone(office: Office) -> None:
    assert (await office.admin.call("POST", KEYS, {"name": "shared"})).status == 201
    assert (await office.admin.call("POST", KEYS, {"name": "robots", "user": "robot"})).status == 201
    made = await office.member.call("POST", KEYS, {"name": "mine"})
    assert (made.status, made.body["key"]["user"]) == (201, "member")
    assert [key["name"] for key in (await office.member.call("GET", KEYS)).body] == ["mine"]
    assert len((await office.viewer.call("GET", KEYS)).body) == 3
    for user in ("robot", "admin"):
        refused = await office.member.call("POST", KEYS, {"name": "x", "user": user})
        assert refused.status == 400
        assert refused.body["error"]["faults"] == ["user: must be 'member': your role lets you have keys of your own"]
    for change in ({"user": None}, {"user": "robot"}):
        assert (await office.member.call("PATCH", f"{KEYS}/mine", change)).status == 400
    for name in ("shared", "robots"):
        for method, path, body in (
            ("GET", "", None),
            ("PATCH", "", {"name": "x"}),
            ("DELETE", "", None),
            ("POST", "/block", None),
            ("POST", "/unblock", None),
            ("POST", "/rotate", None),
            ("PUT", "/limits", {"rpm": 1}),
        ):
            refused = await office.member.call(method, f"{KEYS}/{name}{path}", body)
            assert (refused.status, method, path) == (404, method, path)
    assert (await office.member.call("PATCH", f"{KEYS}/mine", {"name": "own"})).status == 200
    assert (await office.member.call("POST", f"{KEYS}/own/rotate")).status == 200
    assert (await office.viewer.call("POST", f"{KEYS}/own/block")).status == 403
    assert (await office.admin.call("PATCH", f"{KEYS}/own", {"user": "robot"})).status == 200
    assert (await office.member.call("GET", KEYS)).body == []


async def test_account_people_give_the_accounts_groups_to_keys(office: Office) -> None:
    refused = await office.owner.call("POST", KEYS, {"name": "k", "groups": ["default", "vip"]})
    assert refused.status == 400
    assert refused.body["error"]["faults"] == ["groups[1]: the account's keys may be in default only"]
    changed = await office.site.call("PATCH", "/accounts/acme", {"groups": ["campus", "default"]})
    assert (changed.status, changed.body["groups"]) == (200, ["campus", "default"])
    assert (await office.member.call("GET", "/accounts/acme/place")).body["groups"] == ["campus", "default"]
    assert (await office.member.call("POST", KEYS, {"name": "k", "groups": ["campus"]})).status == 201
    assert (await office.admin.call("PATCH", f"{KEYS}/k", {"groups": ["vip"]})).status == 400
    assert (await office.site.call("PATCH", f"{KEYS}/k", {"groups": ["vip"]})).status == 200
    # What an operator has given stays when its people change something else.
    kept = await office.member.call("PATCH", f"{KEYS}/k", {"models": ["gpt-4o"]})
    assert (kept.status, kept.body["groups"]) == (200, ["vip"])


async def test_owners_change_the_time_zone_and_operators_the_rest(office: Office) -> None:
    changed = await office.owner.call("PATCH", "/accounts/acme", {"time_zone": "Asia/Shanghai"})
    assert (changed.status, changed.body["time_zone"]) == (200, "Asia/Shanghai")
    for change in ({"tier": "basic"}, {"tier": None}, {"groups": ["vip"]}):
        assert (await office.owner.call("PATCH", "/accounts/acme", change)).status == 403
    assert (await office.admin.call("PATCH", "/accounts/acme", {"time_zone": "UTC"})).status == 403
    assert (await office.site.call("PATCH", "/accounts/acme", {"tier": "basic"})).body["tier"] == "basic"
    for groups in ([], ["gone"], ["vip", "vip"]):
        assert (await office.site.call("PATCH", "/accounts/acme", {"groups": groups})).status == 400


async def test_a_deleted_login_leaves_its_users_and_their_keys(office: Office) -> None:
    assert (await office.member.call("POST", KEYS, {"name": "mine"})).status == 201
    assert (await office.site.call("DELETE", "/logins/member")).status == 204
    user = (await office.owner.call("GET", "/accounts/acme/users/member")).body
    assert (user["login"], user["keys"]) == (None, 1)


ENDED = {
    "blocked": "update logins set state = 'blocked' where name = $1",
    "signed out": "delete from sessions where login_id = (select id from logins where name = $1)",
    "another role": "update users set role = 'viewer' where name = $1",
    "taken out": "update users set login_id = null where name = $1",
}


@pytest.fixture
def believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a console believe what it has read of a session for longer than a test takes."""
    monkeypatch.setattr(sessions, "SESSION_CACHE_S", 3600.0)


@pytest.mark.usefixtures("believed")
@pytest.mark.parametrize("what", ENDED)
async def test_nobody_changes_anything_who_may_not_any_more(office: Office, database: Database, what: str) -> None:
    """A body may take half a minute to come, and another console may not know yet: what lasts is not made meanwhile."""
    assert (await office.admin.call("POST", KEYS, {"name": "before"})).status == 201
    async with database.connection() as connection:
        await connection.execute(ENDED[what], "admin")
    for method, path, body in (
        ("POST", KEYS, {"name": "after"}),
        ("POST", f"{KEYS}/before/rotate", {}),
        ("PATCH", f"{MEMBERS}/member", {"role": "admin"}),
    ):
        refused = await office.admin.call(method, path, body)
        assert (refused.status, refused.body["error"]["message"]) == (
            409,
            "What you may do here was changed just now; load the page anew.",
        )
    assert [key["name"] for key in (await office.owner.call("GET", KEYS)).body] == ["before"]
    # Who has got more meanwhile is not held up.
    assert (await office.member.call("GET", KEYS)).status == 200
    async with database.connection() as connection:
        await connection.execute("update users set role = 'admin' where name = 'member'")
    assert (await office.member.call("POST", KEYS, {"name": "more", "user": "member"})).status == 201


@pytest.mark.usefixtures("believed")
async def test_an_operator_who_is_none_any_more_leaves_nothing_behind(office: Office, database: Database) -> None:
    await new_login(office.site, "root", operator=True)
    await new_login(office.site, "kim", operator=True)
    async with browser(office.site.url) as kim:
        await kim.sign_in("kim")
        assert (await kim.call("GET", "/logins")).status == 200
        async with database.connection() as connection:
            await connection.execute("update logins set operator = false where name = 'kim'")
        for path, body in (
            ("/logins", {"name": "again", "operator": True}),
            ("/accounts/acme/credit", {"usd": "5", "reference": "gift"}),
            ("/codes", {"count": 1, "usd": "5"}),
        ):
            assert (await kim.call("POST", path, body)).status == 409, path
    assert "again" not in [login["name"] for login in (await office.site.call("GET", "/logins")).body]
