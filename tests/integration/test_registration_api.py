"""How logins begin: registration, proof of an address by a real mail, approval, and links that set a password."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from tests.support.console import AdminClient, RunningConsole, running_console
from tests.support.people import PASSWORD, Browser, browser
from tests.support.smtp_server import Mail, Mailbox, running_smtp
from tests.support.waiting import eventually
from trunkline.policy.logins.lifetimes import CONFIRM_LINK_S
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database

PUBLIC_URL = "http://llm.example.edu"
CONFIGURATION = {
    "groups": [{"name": "campus"}],
    "tiers": [{"name": "student", "rpm": 30}],
    "trial": {"amount": "2.50", "days": 30},
}
OPEN: dict[str, Any] = {"open": True, "approval": False}


class Site(NamedTuple):
    """A console with a mail server, and a person at a browser."""

    running: RunningConsole
    mailbox: Mailbox
    person: Browser

    @property
    def admin(self) -> AdminClient:
        return self.running.client

    async def setting(self, **fields: Any) -> None:
        answer = await self.admin.call("PUT", "/registration", {**OPEN, **fields})
        assert answer.status == 200, answer.body

    async def register(self, name: str = "2024000012", **fields: Any) -> tuple[int, Any]:
        answer = await self.person.call("POST", "/registrations", {"name": name, "password": PASSWORD, **fields})
        return answer.status, answer.body

    async def mail(self, number: int) -> Mail:
        async def come() -> Mail | None:
            return self.mailbox.mails[number] if len(self.mailbox.mails) > number else None

        return await eventually(come, within_s=10, what=f"mail {number}")

    async def token(self, number: int, page: str) -> str:
        """Return the token of the link in a mail."""
        text = (await self.mail(number)).message.get_content()
        found = re.findall(rf"^{re.escape(PUBLIC_URL)}/#/{page}/([A-Za-z0-9_-]{{43}})\r?$", text, re.MULTILINE)
        assert len(found) == 1, "not one link in the mail"
        token: str = found[0]
        return token


@pytest.fixture
async def site(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[Site]:
    async with running_smtp() as mailbox:
        others = {
            "TRUNKLINE_SMTP_HOST": "127.0.0.1",
            "TRUNKLINE_SMTP_PORT": str(mailbox.port),
            "TRUNKLINE_SMTP_SECURITY": "none",
            "TRUNKLINE_CONSOLE_PUBLIC_URL": PUBLIC_URL,
        }
        async with (
            running_console(bus, tasks, database_dsn, **others) as running,
            browser(running.client.url) as person,
        ):
            assert (await running.client.call("POST", "/apply", CONFIGURATION)).status == 200
            yield Site(running, mailbox, person)


@pytest.fixture
async def bare(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[Site]:
    """A console that can send no mail."""
    async with running_console(bus, tasks, database_dsn) as running, browser(running.client.url) as person:
        yield Site(running, Mailbox(), person)


async def test_nobody_registers_until_an_operator_lets_them(bare: Site) -> None:
    shown = (await bare.person.call("GET", "/site")).body
    assert shown["features"] == {"registration": False, "email": False, "password_reset": False, "oidc": None}
    status, body = await bare.register()
    assert (status, body["error"]["type"]) == (403, "policy_access_denied")


async def test_who_registers_gets_an_account_as_the_settings_say(site: Site) -> None:
    await site.setting(tier="student", groups=["default", "campus"], trial=True, site_name="Campus")
    assert await site.register(language="zh") == (201, {"name": "2024000012", "state": "active"})
    assert site.person.cookies == {}
    assert (await site.person.sign_in("2024000012")).status == 200
    account = (await site.admin.call("GET", "/accounts/2024000012")).body
    assert (account["tier"], account["groups"], account["balance_nano"]) == (
        "student",
        ["default", "campus"],
        2_500_000_000,
    )
    (user,) = (await site.admin.call("GET", "/accounts/2024000012/users")).body
    assert (user["name"], user["login"], user["role"]) == ("2024000012", "2024000012", "owner")
    view = (await site.admin.call("GET", "/logins/2024000012")).body
    assert view["accounts"] == [{"name": "2024000012", "role": "owner", "user": "2024000012"}]
    assert (view["language"], view["operator"], view["email"]) == ("zh", False, None)
    status, body = await site.register()
    assert (status, body["error"]["message"]) == (409, "There is a login '2024000012' already; take another name.")


async def test_an_account_that_is_there_is_nobodys_for_having_its_name(site: Site) -> None:
    await site.setting()
    assert (await site.admin.call("POST", "/accounts", {"name": "acme"})).status == 201
    assert await site.register("acme") == (201, {"name": "acme", "state": "active"})
    view = (await site.admin.call("GET", "/logins/acme")).body
    assert view["accounts"] == []


async def test_every_fault_of_a_registration_is_told(site: Site) -> None:
    await site.setting(
        name_pattern="^[0-9]{10}$", name_help={"en": "your student number"}, email_domains=["example.edu"]
    )
    status, body = await site.register("kim", password="short", email="kim@example.com", language="fr")
    assert status == 400
    assert body["error"]["faults"] == [
        "name: your student number",
        "email: must end in @example.edu",
        "password: must have 12 characters or more",
        "language: must be one of en, zh",
    ]
    shown = (await site.person.call("GET", "/site")).body
    assert (shown["name_pattern"], shown["name_help"]) == ("^[0-9]{10}$", {"en": "your student number"})
    assert (shown["email_required"], shown["email_domains"]) == (True, ["example.edu"])
    assert (await site.admin.call("GET", "/logins")).body == []


async def test_an_address_is_proved_by_a_link_that_works_once(site: Site) -> None:
    await site.setting(email_required=True, site_name="Campus")
    registered = await site.register(email="Kim@Example.EDU", language="zh")
    assert registered == (201, {"name": "2024000012", "state": "unconfirmed"})
    refused = await site.person.sign_in("2024000012")
    assert (refused.status, refused.body["error"]["message"]) == (
        403,
        "Open the link in the mail that was sent to you first.",
    )
    assert (await site.admin.call("GET", "/accounts")).body == []
    mail = await site.mail(0)
    assert (mail.recipients, mail.message["subject"]) == (["Kim@example.edu"], "请确认您在 Campus 的邮箱地址")
    token = await site.token(0, "confirm")
    assert (await site.person.call("POST", "/registrations/confirm", {"token": token[::-1]})).status == 404
    confirmed = await site.person.call("POST", "/registrations/confirm", {"token": token})
    assert (confirmed.status, confirmed.body) == (200, {"name": "2024000012", "state": "active"})
    assert (await site.person.call("POST", "/registrations/confirm", {"token": token})).status == 404
    assert (await site.person.sign_in("KIM@example.edu")).status == 200
    assert (await site.person.call("GET", "/session")).body["accounts"] == [
        {"name": "2024000012", "role": "owner", "user": "2024000012"}
    ]


async def test_an_address_is_one_persons(site: Site) -> None:
    await site.setting(email_required=True)
    for name in ("one", "two"):
        assert (await site.register(name, email="kim@example.edu"))[0] == 201
    first, second = [await site.token(number, "confirm") for number in (0, 1)]
    assert (await site.person.call("POST", "/registrations/confirm", {"token": second})).status == 200
    taken = await site.person.call("POST", "/registrations/confirm", {"token": first})
    assert taken.status == 409
    assert (await site.admin.call("GET", "/logins/one")).body["state"] == "unconfirmed"


async def test_what_nobody_proves_goes_away(site: Site, database: Database) -> None:
    await site.setting(email_required=True)
    assert (await site.register(email="kim@example.edu"))[0] == 201
    await site.running.console._upkeep.once()
    assert len((await site.admin.call("GET", "/logins")).body) == 1
    async with database.connection() as connection:
        await connection.execute("update logins set created_at = now() - make_interval(secs => $1)", CONFIRM_LINK_S + 5)
    await site.running.console._upkeep.once()
    assert (await site.admin.call("GET", "/logins")).body == []


async def test_an_operator_approves_whoever_registers(site: Site) -> None:
    await site.setting(approval=True)
    assert await site.register() == (201, {"name": "2024000012", "state": "waiting"})
    refused = await site.person.sign_in("2024000012")
    assert (refused.status, refused.body["error"]["message"]) == (403, "An operator has not approved this login yet.")
    assert (await site.person.sign_in("2024000012", f"{PASSWORD}?")).status == 401
    (waiting,) = (await site.admin.call("GET", "/logins?state=waiting")).body
    assert waiting["name"] == "2024000012"
    # Twice at once: it is let in once.
    for approved in await asyncio.gather(*(site.admin.call("POST", "/logins/2024000012/approve") for _ in range(2))):
        assert (approved.status, approved.body["state"]) == (200, "active")
        assert [place["role"] for place in approved.body["accounts"]] == ["owner"]
    assert (await site.person.sign_in("2024000012")).status == 200


async def test_a_network_registers_so_often_a_day(site: Site) -> None:
    await site.setting(per_day_max=2)
    statuses = [(await site.register(f"student-{number}"))[0] for number in range(3)]
    assert statuses == [201, 201, 429]


async def test_a_forgotten_password_is_set_by_a_mail(site: Site) -> None:
    await site.setting(email_required=True)
    await site.register(email="kim@example.edu")
    token = await site.token(0, "confirm")
    await site.person.call("POST", "/registrations/confirm", {"token": token})
    assert (await site.person.sign_in("2024000012")).status == 200
    answers = [
        await site.person.call("POST", "/password-resets", {"name": name})
        for name in ("nobody-here", "kim@example.edu")
    ]
    assert [(answer.status, answer.body) for answer in answers] == [(202, None)] * 2
    token = await site.token(1, "set-password")
    finish = {"token": token, "password": "nine lazy harbours"}
    weak = await site.person.call("POST", "/password-resets/finish", {"token": token, "password": "2024000012"})
    assert weak.status == 400
    assert (await site.person.call("POST", "/password-resets/finish", finish)).status == 200
    assert (await site.person.call("POST", "/password-resets/finish", finish)).status == 404
    assert (await site.person.call("GET", "/session")).status == 401
    site.person.csrf = ""
    assert (await site.person.sign_in("2024000012")).status == 401
    assert (await site.person.sign_in("2024000012", "nine lazy harbours")).status == 200
    assert len(site.mailbox.mails) == 2


async def test_mails_to_one_address_are_bounded(site: Site) -> None:
    assert (await site.admin.call("POST", "/logins", {"name": "kim", "email": "kim@example.edu"})).status == 201
    statuses = [(await site.person.call("POST", "/password-resets", {"name": "kim"})).status for _ in range(4)]
    assert statuses == [202, 202, 202, 429]


async def test_a_link_that_is_over_opens_nothing(site: Site, database: Database) -> None:
    await site.admin.call("POST", "/logins", {"name": "kim", "email": "kim@example.edu"})
    await site.person.call("POST", "/password-resets", {"name": "kim"})
    token = await site.token(0, "set-password")
    async with database.connection() as connection:
        await connection.execute("update login_links set ends_at = now()")
    body = {"token": token, "password": PASSWORD}
    over = await site.person.call("POST", "/password-resets/finish", body)
    assert over.status == 404
    for page in ("/registrations/confirm", "/first-operator"):
        assert (
            await site.person.call("POST", page, {**body, "name": "kim"} if "first" in page else {"token": token})
        ).status == 404


async def test_a_new_address_ends_the_links_that_were_mailed_to_the_old_one(site: Site) -> None:
    await site.setting(email_required=True)
    await site.admin.call("POST", "/logins", {"name": "kim", "email": "kim@example.edu"})
    await site.person.call("POST", "/password-resets", {"name": "kim"})
    await site.register("lee", email="lee@example.edu")
    reset, confirm = await site.token(0, "set-password"), await site.token(1, "confirm")
    for name in ("kim", "lee"):
        given = await site.admin.call("PATCH", f"/logins/{name}", {"email": f"{name}@example.org"})
        assert given.status == 200, given.body
    finish = {"token": reset, "password": PASSWORD}
    assert (await site.person.call("POST", "/password-resets/finish", finish)).status == 404
    assert (await site.person.call("POST", "/registrations/confirm", {"token": confirm})).status == 404
    assert (await site.admin.call("GET", "/logins/lee")).body["email"] == "lee@example.org"


async def test_a_mail_is_tried_again(site: Site) -> None:
    site.mailbox.answers.append("451 later")
    await site.admin.call("POST", "/logins", {"name": "kim", "email": "kim@example.edu"})
    await site.person.call("POST", "/password-resets", {"name": "kim"})
    assert (await site.mail(0)).recipients == ["kim@example.edu"]


async def test_without_mail_nothing_is_asked_that_needs_it(bare: Site) -> None:
    refused = await bare.admin.call("PUT", "/registration", {**OPEN, "email_required": True})
    assert refused.body["error"]["faults"] == [
        "email_required: no mail can be sent: set TRUNKLINE_SMTP_HOST and TRUNKLINE_CONSOLE_PUBLIC_URL"
    ]
    refused = await bare.admin.call("PUT", "/registration", {**OPEN, "email_domains": ["example.edu"]})
    assert refused.body["error"]["faults"] == [
        "email_domains: no mail can be sent: set TRUNKLINE_SMTP_HOST and TRUNKLINE_CONSOLE_PUBLIC_URL"
    ]
    await bare.setting()
    assert (await bare.person.call("GET", "/site")).body["features"]["registration"] is True
    assert await bare.register(email="kim@example.edu") == (201, {"name": "2024000012", "state": "active"})
    assert (await bare.admin.call("GET", "/logins/2024000012")).body["email_confirmed"] is False
    assert (await bare.person.sign_in("kim@example.edu")).status == 401
    assert (await bare.person.call("POST", "/password-resets", {"name": "2024000012"})).status == 202
