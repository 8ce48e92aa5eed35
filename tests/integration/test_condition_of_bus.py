"""What a real NATS tells the doctor."""

from collections.abc import AsyncIterator

import nats
import pytest
from nats.aio.client import Client

from tests.support.servers import Server, free_port, nats_binary, server_directory
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


class _Ahead(SystemClock):
    """A clock that is ahead, and does not wait for as long as it says."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def wall_ms(self) -> int:
        return super().wall_ms() + round(self._seconds * 1000)

    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds, 0.2))


@pytest.fixture
async def client(nats_url: str) -> AsyncIterator[Client]:
    client = await nats.connect(nats_url)
    yield client
    await client.close()


async def _beating(client: Client, **fields: object) -> None:
    clock = SystemClock()
    while True:
        for role in ROLES:
            beat = Beat(role, f"{role}-1", clock.wall_ms(), **(fields if role == "dispatcher" else {}))  # type: ignore[arg-type]
            await client.publish(subjects.alive(role, f"{role}-1"), messages.encode(beat))
        await client.flush()
        await clock.sleep(0.05)


def _names(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks if not check.ok}


async def test_a_broker_in_order(bus: NATSBus, client: Client, tasks: TaskSet) -> None:
    tasks.spawn(_beating(client), name="beat")
    checks = await read_condition(client, _Ahead(0))
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
    tasks.spawn(_beating(client, stored=7, unstored=3), name="beat")
    found = _names(await read_condition(client, _Ahead(0)))["spool"]
    assert found.message == "3 usage events wait at dispatcher-1: JetStream takes none. Look at its log and its disk."


async def test_clocks(bus: NATSBus, client: Client, tasks: TaskSet) -> None:
    tasks.spawn(_beating(client), name="beat")
    found = _names(await read_condition(client, _Ahead(60)))["clocks"]
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
