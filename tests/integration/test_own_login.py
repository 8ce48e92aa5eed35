"""What people change of their own login: password, language, authenticator app, recovery codes."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import pyotp
import pytest

from tests.support.console import AdminClient, Answer, running_console
from tests.support.people import PASSWORD, Browser, browser, new_login, stretch_windows, token_of
from trunkline.policy.logins.guesses import OF_SECOND_FACTOR
from trunkline.policy.logins.totp import STEP_S
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database

OTHER = "nine lazy harbours"


@pytest.fixture
async def admin(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[AdminClient]:
    async with running_console(bus, tasks, database_dsn) as running:
        await new_login(running.client, "kim")
        yield running.client


@pytest.fixture
async def kim(admin: AdminClient) -> AsyncIterator[Browser]:
    async with browser(admin.url) as person:
        assert (await person.sign_in("kim")).status == 200
        yield person


def code_of(secret: str, *, later: int = 0) -> str:
    """Return the code of now, or of steps later."""
    return pyotp.TOTP(secret).generate_otp(SystemClock().wall_ms() // 1000 // STEP_S + later)


class App(NamedTuple):
    """An app that is set up: its secret, the code that proved it, and the recovery codes."""

    secret: str
    used: str
    codes: list[str]

    def next_code(self) -> str:
        """Return a code that is good now and in the next half minute, and was not used for setting it up."""
        return code_of(self.secret, later=1)


async def set_up(person: Browser) -> App:
    """Set an app up."""
    begun = await person.call("POST", "/me/totp", {"password": PASSWORD})
    assert begun.status == 200, begun.body
    secret = begun.body["secret"]
    assert begun.body["otpauth"] == f"otpauth://totp/Trunkline:kim?secret={secret}&issuer=Trunkline"
    used = code_of(secret)
    confirmed = await person.call("POST", "/me/totp/confirm", {"code": used})
    assert confirmed.status == 200, confirmed.body
    return App(secret, used, confirmed.body["recovery_codes"])


async def finish(person: Browser, token: str, code: str) -> Answer:
    answer = await person.call("POST", "/session/second-factor", {"token": token, "code": code})
    person.take(answer)
    return answer


async def test_a_new_password_ends_all_other_sessions(admin: AdminClient, kim: Browser) -> None:
    async with browser(admin.url) as phone:
        await phone.sign_in("kim")
        wrong = await kim.call("POST", "/me/password", {"password": OTHER, "new_password": OTHER})
        assert (wrong.status, wrong.body["error"]["message"]) == (403, "The password is wrong.")
        common = await kim.call("POST", "/me/password", {"password": PASSWORD, "new_password": "password12345"})
        assert common.status == 400
        assert common.body["error"]["faults"][0].startswith("new_password: is one of the commonest")
        assert (await phone.call("GET", "/session")).status == 200
        changed = await kim.call("POST", "/me/password", {"password": PASSWORD, "new_password": OTHER})
        assert changed.status == 204
        assert (await kim.call("GET", "/session")).status == 200
        assert (await phone.call("GET", "/session")).status == 401
        assert (await phone.sign_in("kim")).status == 401
        assert (await phone.sign_in("kim", OTHER)).status == 200


async def test_a_new_password_ends_the_links_that_would_set_another(admin: AdminClient, kim: Browser) -> None:
    link = await admin.call("POST", "/logins/kim/link")
    wanted = {"password": PASSWORD, "new_password": OTHER}
    assert (await kim.call("POST", "/me/password", wanted)).status == 204
    body = {"token": token_of(link.body), "password": "two lazy harbours"}
    assert (await admin.call("POST", "/password-resets/finish", body)).status == 404
    assert (await kim.sign_in("kim", OTHER)).status == 200


async def test_an_unknown_language_is_refused(kim: Browser) -> None:
    refused = await kim.call("PUT", "/me/language", {"language": "fr"})
    assert (refused.status, refused.body["error"]["faults"]) == (400, ["language: must be one of en, zh"])


async def test_with_an_app_signing_in_takes_its_code_once(admin: AdminClient, kim: Browser) -> None:
    app = await set_up(kim)
    assert len(set(app.codes)) == 10
    shown = (await kim.call("GET", "/session")).body["login"]
    assert (shown["totp"], shown["recovery_codes_left"]) == (True, 10)
    async with browser(admin.url) as phone:
        first = await phone.sign_in("kim")
        assert (first.status, list(first.body)) == (200, ["state", "token"])
        assert first.body["state"] == "second_factor"
        assert phone.cookies == {}
        token = first.body["token"]
        assert (await finish(phone, token, app.used)).status == 401
        code = app.next_code()
        done = await finish(phone, token, code)
        assert (done.status, done.body["state"]) == (200, "signed_in")
        assert list(phone.cookies) == ["trunkline_session"]
        assert (await phone.call("GET", "/session")).body["csrf"] == done.body["csrf"]
        async with browser(admin.url) as thief:
            assert (await finish(thief, token, code)).status == 401
            assert thief.cookies == {}


async def test_of_many_who_use_a_code_at_once_one_gets_in(admin: AdminClient, kim: Browser) -> None:
    app = await set_up(kim)
    async with browser(admin.url) as phone:
        for code in (app.next_code(), app.codes[0]):
            token = (await phone.sign_in("kim")).body["token"]
            answers = await asyncio.gather(*(finish(phone, token, code) for _ in range(3)))
            assert sorted(answer.status for answer in answers) == [200, 401, 401]


async def test_recovery_codes_stand_in_once_each(admin: AdminClient, kim: Browser) -> None:
    codes = (await set_up(kim)).codes
    async with browser(admin.url) as phone:
        token = (await phone.sign_in("kim")).body["token"]
        assert (await finish(phone, token, f" {codes[3].lower()} ")).status == 200
        shown = (await phone.call("GET", "/session")).body["login"]
        assert shown["recovery_codes_left"] == 9
        token = (await phone.sign_in("kim")).body["token"]
        assert (await finish(phone, token, codes[3])).status == 401
        fresh = (await kim.call("POST", "/me/recovery-codes", {"password": PASSWORD})).body["recovery_codes"]
        assert not set(fresh) & set(codes)
        assert (await finish(phone, token, codes[4])).status == 401
        assert (await finish(phone, token, fresh[0])).status == 200


async def test_the_token_between_the_steps_is_bound_to_the_password(admin: AdminClient, kim: Browser) -> None:
    secret = (await set_up(kim)).secret
    async with browser(admin.url) as phone:
        token = (await phone.sign_in("kim")).body["token"]
        for other in ("", token[:-1], f"{token.partition('.')[0]}.{'A' * 43}"):
            refused = await finish(phone, other, code_of(secret))
            assert (refused.status, refused.body["error"]["message"]) == (401, "This took too long. Begin anew.")
        changed = await kim.call("POST", "/me/password", {"password": PASSWORD, "new_password": OTHER})
        assert changed.status == 204
        assert (await finish(phone, token, code_of(secret))).status == 401


async def test_codes_of_the_app_are_not_guessed(
    admin: AdminClient, kim: Browser, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stretch_windows(monkeypatch)
    app = await set_up(kim)
    limit = OF_SECOND_FACTOR[0].failures_max
    async with browser(admin.url) as phone:
        token = (await phone.sign_in("kim")).body["token"]
        right = app.next_code()
        wrong = f"{(int(right) + 500_000) % 1_000_000:06}"
        statuses = [(await finish(phone, token, wrong)).status for _ in range(limit + 1)]
        assert statuses == [401] * limit + [429]
        assert (await finish(phone, token, right)).status == 429
        async with database.connection() as connection:
            await connection.execute("delete from sign_in_failures")
        assert (await finish(phone, token, app.next_code())).status == 200


async def test_an_app_is_set_up_and_removed_with_the_password(admin: AdminClient, kim: Browser) -> None:
    assert (await kim.call("POST", "/me/totp", {"password": OTHER})).status == 403
    assert (await kim.call("POST", "/me/totp/confirm", {"code": "123456"})).status == 409
    assert (await kim.call("POST", "/me/recovery-codes", {"password": PASSWORD})).status == 409
    earlier = (await kim.call("POST", "/me/totp", {"password": PASSWORD})).body["secret"]
    # Nobody has proved yet that an app has it: the password is enough.
    async with browser(admin.url) as phone:
        assert (await phone.sign_in("kim")).body["state"] == "signed_in"
    secret = (await set_up(kim)).secret
    assert secret != earlier
    assert (await kim.call("POST", "/me/totp", {"password": PASSWORD})).status == 409
    assert (await kim.call("POST", "/me/totp/confirm", {"code": code_of(secret)})).status == 409
    assert (await kim.call("POST", "/me/totp/remove", {"password": OTHER})).status == 403
    assert (await kim.call("POST", "/me/totp/remove", {"password": PASSWORD})).status == 204
    shown = (await kim.call("GET", "/session")).body["login"]
    assert (shown["totp"], shown["recovery_codes_left"]) == (False, 0)
    async with browser(admin.url) as phone:
        assert (await phone.sign_in("kim")).body["state"] == "signed_in"


async def test_operators_help_who_has_lost_the_app(admin: AdminClient, kim: Browser) -> None:
    await set_up(kim)
    view = (await admin.call("POST", "/logins/kim/remove-second-factor")).body
    assert (view["totp"], view["sessions"]) == (False, 0)
    assert (await kim.call("GET", "/session")).status == 401
    kim.csrf = ""
    assert (await kim.sign_in("kim")).body["state"] == "signed_in"


async def test_a_link_sets_the_password_and_not_the_app_aside(admin: AdminClient, kim: Browser) -> None:
    await set_up(kim)
    link = (await admin.call("POST", "/logins/kim/link")).body
    body = {"token": token_of(link), "password": OTHER}
    assert (await admin.call("POST", "/password-resets/finish", body)).body == {"name": "kim", "state": "active"}
    assert (await admin.call("POST", "/password-resets/finish", body)).status == 404
    assert (await kim.call("GET", "/session")).status == 401
    kim.csrf = ""
    assert (await kim.sign_in("kim", OTHER)).body["state"] == "second_factor"


async def test_a_sealed_secret_of_another_login_opens_nothing(
    admin: AdminClient, kim: Browser, database: Database
) -> None:
    secret = (await set_up(kim)).secret
    await new_login(admin, "lee")
    async with database.connection() as connection:
        await connection.execute(
            "update logins l set totp_master = k.totp_master, totp_nonce = k.totp_nonce, totp_secret = k.totp_secret,"
            " totp_confirmed_at = now() from logins k where l.name = 'lee' and k.name = 'kim'"
        )
    async with browser(admin.url) as lee:
        token = (await lee.sign_in("lee")).body["token"]
        assert (await finish(lee, token, code_of(secret))).status == 500
        assert lee.cookies == {}
