"""Sealing anew with another master key: of all that is sealed, in any number, again and again, with a key missing."""

import base64
from typing import Any

import pyotp
import pytest
import structlog

from services.console import peers
from services.console.reseal_api import READERS
from tests.support.console import AdminClient, Answer, running_console
from tests.support.people import PASSWORD, browser, new_login
from tests.support.waiting import eventually
from trunkline.bus import messages, snapshots, subjects
from trunkline.bus.messages import Beat
from trunkline.policy.logins.totp import STEP_S
from trunkline.policy.vault import Vault, parse_masters
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store import outbox, reseal
from trunkline.store.database import Database

FIRST = "1:" + base64.b64encode(bytes(range(32))).decode()
SECOND = "2:" + base64.b64encode(bytes(range(32, 64))).decode()
BOTH = f"{FIRST},{SECOND}"
WITHIN_S = 20.0
SECRETS = [f"sk-planted-{number}" for number in range(7)]

pytestmark = pytest.mark.usefixtures("quick_beats")


@pytest.fixture
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the console wait for others only a moment."""
    monkeypatch.setattr(peers, "BEAT_INTERVAL_S", 0.05)


class Site:
    """A database and a bus, for one console after the other, each with its own master keys.

    Attributes:
        app: secret of the authenticator app of ``kim``.
    """

    def __init__(self, bus: NATSBus, tasks: TaskSet, dsn: str) -> None:
        self.bus, self._tasks, self._dsn = bus, tasks, dsn
        self.app = ""

    def console(self, masters: str) -> Any:
        """Run a console for the length of a block."""
        return running_console(self.bus, self._tasks, self._dsn, TRUNKLINE_MASTER_KEYS=masters)

    async def fill(self) -> None:
        """Store credentials in two channels, and an app of a login, under the first key."""
        async with self.console(FIRST) as running:
            channels = [
                {
                    "name": name,
                    "dialect": "openai",
                    "base_url": "https://api.example.com/v1",
                    "credentials": secrets,
                    "models": {"m": "m"},
                }
                for name, secrets in (("one", SECRETS[:4]), ("two", SECRETS[4:]))
            ]
            body = {"channels": channels, "models": [{"name": "m", "free": True}]}
            applied = await running.client.call("POST", "/apply", body)
            assert applied.status == 200, applied.body
            await new_login(running.client, "kim")
            async with browser(running.client.url) as kim:
                kim.take(await kim.sign_in("kim"))
                self.app = (await kim.call("POST", "/me/totp", {"password": PASSWORD})).body["secret"]
                assert (await kim.call("POST", "/me/totp/confirm", {"code": self._code()})).status == 200

    def _code(self, later: int = 0) -> str:
        return pyotp.TOTP(self.app).generate_otp(SystemClock().wall_ms() // 1000 // STEP_S + later)

    async def signs_in(self, url: str) -> int:
        """Return the status of signing in with the app."""
        async with browser(url) as kim:
            begun = await kim.call("POST", "/session", {"name": "kim", "password": PASSWORD})
            body = {"token": begun.body["token"], "code": self._code(later=1)}
            return (await kim.call("POST", "/session/second-factor", body)).status


@pytest.fixture
async def site(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> Site:
    site = Site(bus, tasks, database_dsn)
    await site.fill()
    return site


async def resealed(client: AdminClient, query: str = "") -> Answer:
    return await client.call("POST", f"/credentials/reseal{query}")


def counts(answer: Answer) -> tuple[int, int, dict[int, tuple[int, int, bool]]]:
    """Return the newest version, how many were sealed anew, and by version what there is, and whether it is known."""
    assert answer.status == 200, answer.body
    body = answer.body
    return (
        body["newest"],
        body["resealed"],
        {one["master"]: (one["credentials"], one["apps"], one["known"]) for one in body["sealed"]},
    )


@pytest.mark.parametrize("batch_rows", [3, 500])
async def test_all_is_sealed_anew_and_the_old_key_is_not_needed_any_more(
    site: Site, database: Database, monkeypatch: pytest.MonkeyPatch, batch_rows: int
) -> None:
    monkeypatch.setattr(reseal, "BATCH_ROWS", batch_rows)
    async with site.console(BOTH) as running:
        assert counts(await resealed(running.client, "?dry_run=true")) == (2, 0, {1: (7, 1, True)})
        assert counts(await resealed(running.client)) == (2, 8, {2: (7, 1, True)})
        assert counts(await resealed(running.client)) == (2, 0, {2: (7, 1, True)})
        entries = (await running.client.call("GET", "/audit?operation=reseal_credentials")).body["entries"]
        assert [entry["status"] for entry in entries] == [200, 200, 200]
        assert not [secret for secret in SECRETS if secret in str(entries)]

    vault = Vault(parse_masters(SECOND))
    async with database.connection() as connection:
        found = await outbox.read_channels(connection, None)
    assert sorted(vault.open(sealed) for channel in found for sealed in channel.credentials) == SECRETS
    async with site.console(SECOND) as running:
        assert await site.signs_in(running.client.url) == 200


async def test_what_was_sealed_anew_reaches_the_bus(site: Site) -> None:
    async with site.console(BOTH) as running:
        await resealed(running.client)
        await running.client.call("GET", "/health")  # the projector has been woken by the change
        vault, clock = Vault(parse_masters(SECOND)), SystemClock()
        for token, secrets in (("1", SECRETS[:4]), ("2", SECRETS[4:])):
            deadline = clock.now() + 5.0
            while True:
                value = await site.bus.kv_get(subjects.KV_CHANNELS, token)
                channel = None if value is None else snapshots.decode_channel(value)
                if channel is not None and {sealed.master for sealed in channel.credentials} == {2}:
                    break
                assert clock.now() < deadline, "the snapshot is not there"
                await clock.sleep(0.02)
            assert sorted(vault.open(sealed) for sealed in channel.credentials) == secrets


async def test_without_the_old_key_nothing_is_lost_and_all_is_said(site: Site) -> None:
    async with site.console(SECOND) as running:
        with structlog.testing.capture_logs() as logs:
            assert counts(await resealed(running.client)) == (2, 0, {1: (7, 1, False)})
        said = [line["error"] for line in logs if line["event"] == "not_resealed"]
        assert len(said) == 8
        assert all("sealed with master key 1, which is not in TRUNKLINE_MASTER_KEYS here" in error for error in said)
    async with site.console(BOTH) as running:
        assert counts(await resealed(running.client)) == (2, 8, {2: (7, 1, True)})


async def test_nothing_is_sealed_with_a_key_that_a_reader_does_not_hold(
    site: Site, tasks: TaskSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "BEAT_INTERVAL_S", 0.5)  # of what is said all the time some is heard in time
    beats = [
        Beat("dispatcher", "dispatcher-new", 0, masters=(1, 2)),
        Beat("dispatcher", "dispatcher-old", 0, masters=(1,)),
        Beat("health", "health-old", 0),
        Beat("console", "console-old", 0, masters=(1,)),
        Beat("edge", "edge", 0),
    ]

    async def say() -> None:
        while True:
            for beat in beats:
                site.bus.publish(subjects.alive(beat.role, beat.process), messages.encode(beat))
            await SystemClock().sleep(0.02)

    async with site.console(BOTH) as running:
        saying = tasks.spawn(say(), name="beats")

        async def lack_it(*processes: str) -> bool:
            return bool(running.console._peers.without_master(READERS, 2) == list(processes))

        old = ("console-old", "dispatcher-old", "health-old")
        await eventually(lambda: lack_it(*old), within_s=WITHIN_S, what="they are heard")
        refused = await resealed(running.client)
        assert refused.status == 409
        assert refused.body["error"]["message"] == (
            "Console-old, dispatcher-old, health-old do not hold master key 2; add it to TRUNKLINE_MASTER_KEYS of every"
            " dispatcher, health and console, restart them, and try again."
        )
        assert counts(await resealed(running.client, "?dry_run=true")) == (2, 0, {1: (7, 1, True)})
        del beats[1:4]
        await eventually(lack_it, within_s=WITHIN_S, what="their beats count no more")
        assert counts(await resealed(running.client)) == (2, 8, {2: (7, 1, True)})
        await tasks.end(saying)
