"""No password, cookie, link, code or secret of an app is in the database, the logs or an error."""

import re
from collections.abc import AsyncIterator

import asyncpg
import pyotp
import pytest

from tests.support.console import RunningConsole, running_console
from tests.support.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIDProvider, running_provider
from tests.support.people import Browser, browser, token_of
from tests.support.servers import free_port
from trunkline.policy.logins.totp import STEP_S
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet

PASSWORD = "planted lazy harbours"
NEW_PASSWORD = "planted busy harbours"


async def contents(dsn: str) -> str:
    """Return all that is in the tables, as text; bytes also as what they may be text of."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            "select relname from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace"
        )
        rows: list[str] = []
        for table in tables:
            for row in await connection.fetch(f"select * from {table['relname']}"):  # noqa: S608 - of the catalogue
                rows += [
                    value.decode("latin-1") + value.hex() if isinstance(value, bytes) else str(value)
                    for value in row.values()
                ]
        return "\n".join(rows)
    finally:
        await connection.close()


@pytest.fixture
async def provider() -> AsyncIterator[OpenIDProvider]:
    async with running_provider() as provider:
        yield provider


@pytest.fixture
async def running(
    bus: NATSBus, tasks: TaskSet, database_dsn: str, provider: OpenIDProvider
) -> AsyncIterator[RunningConsole]:
    port = free_port()
    others = {
        "TRUNKLINE_CONSOLE_PORT": str(port),
        "TRUNKLINE_CONSOLE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "TRUNKLINE_OIDC_ISSUER": provider.issuer,
        "TRUNKLINE_OIDC_CLIENT_ID": CLIENT_ID,
        "TRUNKLINE_OIDC_CLIENT_SECRET": CLIENT_SECRET,
    }
    async with running_console(bus, tasks, database_dsn, **others) as running:
        yield running


class Planted:
    """What must be found nowhere, and every answer that came.

    Attributes:
        secrets: by what they are.
        errors: bodies of answers that refuse.
    """

    def __init__(self, running: RunningConsole, person: Browser) -> None:
        self.secrets = {"password": PASSWORD, "new password": NEW_PASSWORD}
        self.errors: list[str] = []
        self._running = running
        self._person = person

    async def send(self, method: str, path: str, body: object = None) -> dict[str, str]:
        answer = await self._person.call(method, path, body)
        if answer.status >= 400:
            self.errors.append(str(answer.body))
        self._person.take(answer)
        found: dict[str, str] = answer.body or {}
        return found

    async def live(self) -> None:
        """Do all that has to do with a secret, rightly and wrongly."""
        link = (await self._running.client.call("POST", "/first-operator/link")).body
        first = self.secrets["first operator's link"] = token_of(link)
        body = {"token": first, "name": "root", "password": PASSWORD}
        csrf = await self.send("POST", "/first-operator", body)
        self.secrets["csrf token"] = csrf["csrf"]
        await self.send("POST", "/first-operator", body)
        self.secrets["cookie"] = self._person.cookies["trunkline_session"]
        await self.send("POST", "/session", {"name": "root", "password": f"{PASSWORD}?"})
        await self.send("POST", "/session", {"name": PASSWORD, "passwort": PASSWORD})
        await self._app()
        await self._second_step()
        await self.send("POST", "/me/password", {"password": PASSWORD, "new_password": NEW_PASSWORD})
        given = await self.send("POST", "/logins/root/link")
        self.secrets["link for a password"] = given["url"].rpartition("/")[2]
        made = await self.send("POST", "/logins", {"name": "kim"})
        self.secrets["link of a new login"] = str(made["link"]).rpartition("/")[2][:43]
        await self.send("POST", "/password-resets/finish", {"token": given["url"][-43:], "password": "short"})

    async def _app(self) -> None:
        begun = await self.send("POST", "/me/totp", {"password": PASSWORD})
        self.secrets["app's secret"] = begun["secret"]
        await self.send("POST", "/me/totp/confirm", {"code": "planted"})
        step = SystemClock().wall_ms() // 1000 // STEP_S
        code = pyotp.TOTP(begun["secret"]).generate_otp(step)
        codes = await self.send("POST", "/me/totp/confirm", {"code": code})
        self.secrets |= {f"recovery code {number}": text for number, text in enumerate(codes["recovery_codes"])}

    async def _second_step(self) -> None:
        begun = await self.send("POST", "/session", {"name": "root", "password": PASSWORD})
        self.secrets["token between the steps"] = begun["token"]
        code = self.secrets["recovery code 0"]
        await self.send("POST", "/session/second-factor", {"token": begun["token"], "code": code[::-1]})
        await self.send("POST", "/session/second-factor", {"token": begun["token"], "code": code})
        self.secrets["second cookie"] = self._person.cookies["trunkline_session"]

    async def elsewhere(self, provider: OpenIDProvider) -> None:
        """Sign in elsewhere, in vain and then not."""
        async with browser(self._person.url) as kim:
            for nonce in ("planted", None):
                provider.lies = {} if nonce is None else {"nonce": nonce}
                response = await kim.get(f"{kim.url}/oidc/start")
                self.secrets[f"question {nonce}"] = kim.cookies["trunkline_elsewhere"]
                for name in ("state", "nonce"):
                    found = re.search(rf"[&?]{name}=([^&]+)", response.headers["location"])
                    assert found is not None
                    self.secrets[f"{name} {nonce}"] = found[1]
                back = (await kim.get(response.headers["location"])).headers["location"]
                self.secrets[f"code {nonce}"] = back.partition("code=")[2].partition("&")[0]
                await kim.get(back)
                self.secrets[f"token {nonce}"] = provider.id_token
            self.secrets["client's secret"] = CLIENT_SECRET


async def test_nothing_that_lets_somebody_in_is_kept_or_told(
    running: RunningConsole, provider: OpenIDProvider, database_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with browser(running.client.url) as person:
        planted = Planted(running, person)
        await planted.live()
        await planted.elsewhere(provider)
        stored = await contents(database_dsn)
    out, err = capsys.readouterr()
    # What is looked for can be found: names are in the tables, and each request has its line.
    assert "root" in stored
    assert "first_operator" in stored
    assert out.count("admin_request") + err.count("admin_request") > 10
    assert len(planted.errors) >= 5
    places = {"database": stored, "log": out + err, "errors": "\n".join(planted.errors)}
    found = [
        (what, place)
        for what, secret in planted.secrets.items()
        for place, text in places.items()
        if secret in text or secret.replace("-", "") in text
    ]
    assert found == []
    assert len(planted.secrets) > 20
