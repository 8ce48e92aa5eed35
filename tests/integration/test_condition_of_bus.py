"""What a real NATS tells the doctor."""

from collections.abc import AsyncIterator

import nats
import pytest
from nats.aio.client import Client

from tests.support.servers import Server, free_port, nats_binary, server_directory
from tests.support.waiting import eventually
from trunkline.bus import messages, subjects
from trunkline.bus.messages import Beat
from trunkline.cli import bus as cli_bus
from trunkline.cli.failure import CLIError
from trunkline.cli.settings import BusAccess
from trunkline.policy.admin_api import Check
from trunkline.policy.diagnosis import ROLES
from trunkline.runtime.bus_condition import SETTLEMENT_LATE_S, read_condition
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet

WITHIN_S = 20.0

BEATS_HEARD = 3
"""The first may have been sent before anybody listened, and the last may still be in the reader's hands."""


class _Beating:
    """Has a process of each role beat.

    Attributes:
        rounds: how often each of them was heard by the client's own subscriptions.
    """

    def __init__(self, client: Client, tasks: TaskSet, **fields: object) -> None:
        self.rounds = 0
        self._client = client
        self._fields = fields
        tasks.spawn(self._run(), name="beat")

    async def _run(self) -> None:
        clock = SystemClock()
        while True:
            for role in ROLES:
                fields = self._fields if role == "dispatcher" else {}
                beat = Beat(role, f"{role}-1", clock.wall_ms(), **fields)  # type: ignore[arg-type]
                await self._client.publish(subjects.alive(role, f"{role}-1"), messages.encode(beat))
            await self._client.flush()
            self.rounds += 1
            await clock.sleep(0.05)


class _Ahead(SystemClock):
    """A clock that is ahead. It waits until some beats were heard if there are any, and else not as long as it says."""

    def __init__(self, seconds: float, beating: _Beating | None = None) -> None:
        self._seconds = seconds
        self._beating = beating

    def wall_ms(self) -> int:
        return super().wall_ms() + round(self._seconds * 1000)

    async def sleep(self, seconds: float) -> None:
        if self._beating is None:
            await super().sleep(min(seconds, 0.2))
            return
        enough = self._beating.rounds + BEATS_HEARD

        async def heard(beating: _Beating = self._beating) -> bool:
            return beating.rounds >= enough

        await eventually(heard, within_s=WITHIN_S, what="beats are heard")


@pytest.fixture
async def client(nats_url: str) -> AsyncIterator[Client]:
    client = await nats.connect(nats_url)
    yield client
    await client.close()


def _names(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks if not check.ok}


async def test_a_broker_in_order(bus: NATSBus, client: Client, tasks: TaskSet) -> None:
    checks = await read_condition(client, _Ahead(0, _Beating(client, tasks)))
    assert checks == [Check("nats", True, "connected"), *(Check(role, True, "1 alive") for role in ROLES)]


async def test_silence(bus: NATSBus, client: Client) -> None:
    assert list(_names(await read_condition(client, _Ahead(0)))) == list(ROLES)


async def test_a_stream_that_is_missing(bus: NATSBus, client: Client) -> None:
    await client.jetstream().delete_stream(subjects.CHECKPOINT_STREAM)
    found = _names(await read_condition(client, _Ahead(0)))["streams"]
    assert found.message == "Missing: CHECKPOINTS. Restart metering, health and console, which make them."


async def test_usage_that_nobody_settles(bus: NATSBus, client: Client) -> None:
    await client.jetstream().publish("tl.usage.dispatcher.x", b"")
    assert "settlement" not in _names(await read_condition(client, _Ahead(0)))
    found = _names(await read_condition(client, _Ahead(SETTLEMENT_LATE_S + 1)))["settlement"]
    assert found.message == "1 messages of usage wait. Look at metering's log, and whether Postgres answers it."
    assert found.since is not None
    assert abs(found.since.timestamp() * 1000 - SystemClock().wall_ms()) < 10_000


async def test_usage_that_jetstream_does_not_take(bus: NATSBus, client: Client, tasks: TaskSet) -> None:
    beating = _Beating(client, tasks, stored=7, unstored=3)
    found = _names(await read_condition(client, _Ahead(0, beating)))["spool"]
    assert found.message == "3 usage events wait at dispatcher-1: JetStream takes none. Look at its log and its disk."


async def test_clocks(bus: NATSBus, client: Client, tasks: TaskSet) -> None:
    found = _names(await read_condition(client, _Ahead(60, _Beating(client, tasks))))["clocks"]
    assert "dispatcher-1 (-60." in found.message


@pytest.mark.parametrize(
    ("arguments", "user", "why"),
    [
        (("--user", "someone", "--pass", "secret"), "someone:wrong@", "NATS refuses the user"),
        (("--user", "someone", "--pass", "secret"), "", "NATS refuses the user"),
    ],
)
async def test_who_is_refused_is_told_so(arguments: tuple[str, ...], user: str, why: str) -> None:
    with server_directory("nats") as directory:
        port = free_port()
        command = [nats_binary(), "-a", "127.0.0.1", "-p", str(port), *arguments]
        server = Server(command, port, directory / "nats.log", None).start()
        try:
            with pytest.raises(CLIError, match=why):
                async with cli_bus.connected(BusAccess(nats_url=f"nats://{user}127.0.0.1:{port}"), name="test"):
                    pass
        finally:
            server.stop()
    with pytest.raises(CLIError, match="NATS does not answer: start it, or correct NATS_URL"):
        async with cli_bus.connected(BusAccess(nats_url=f"nats://127.0.0.1:{port}"), name="test"):
            pass


async def test_a_broker_without_jetstream() -> None:
    with server_directory("nats") as directory:
        port = free_port()
        server = Server([nats_binary(), "-a", "127.0.0.1", "-p", str(port)], port, directory / "nats.log", None).start()
        try:
            client = await nats.connect(f"nats://127.0.0.1:{port}")
            found = _names(await read_condition(client, _Ahead(0)))["jetstream"]
            assert found.message.startswith("It does not answer. Enable it at the broker")
            await client.close()
        finally:
            server.stop()
