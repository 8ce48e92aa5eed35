"""NATS over TLS with certificates of both sides, on both of a process's connections."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.errors import Error as NATSError

from tests.support.authority import Authority
from tests.support.frozen import frozen
from tests.support.guarded_nats import GuardedNATS, over_tls
from tests.support.stream_server import stream_server
from tests.support.waiting import eventually
from trunkline.bus import subjects
from trunkline.bus.permissions import STREAMS
from trunkline.bus.port import BusError
from trunkline.runtime import jetstream_client, nats_bus
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.jetstream_client import CLOSE_TIMEOUT_S, socket_transport, tls_options
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.tls import TLSContext, client_tls

WITHIN_S = 30.0


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(tmp_path: Path, authority: Authority) -> Iterator[GuardedNATS]:
    server = GuardedNATS(tmp_path, over_tls(tmp_path, authority), host="localhost")
    server.start()
    yield server
    server.stop()


def context_of(authority: Authority, name: str = "console") -> TLSContext:
    issued = authority.issue(name)
    made = client_tls("nats", str(authority.path), str(issued.certificate), str(issued.key))
    assert made is not None
    return made


async def connect(server: GuardedNATS, tasks: TaskSet, tls: TLSContext | None) -> NATSBus:
    return await nats_bus.connect(
        server.url_of("console"), name="console-1", tasks=tasks, inbox=subjects.inbox("console"), tls=tls
    )


async def test_both_connections_work_with_a_certificate(
    server: GuardedNATS, authority: Authority, tasks: TaskSet
) -> None:
    bus = await connect(server, tasks, context_of(authority))
    await bus.ensure_streams(STREAMS["console"])
    await bus.kv_put("models", "1", b"one")
    assert await bus.kv_all("models") == {"1": b"one"}
    await bus.close()


@pytest.mark.parametrize("reconnecting", [False, True])
async def test_a_connection_is_closed_although_nats_has_stopped_answering(
    server: GuardedNATS, authority: Authority, tasks: TaskSet, *, reconnecting: bool
) -> None:
    bus = await connect(server, tasks, context_of(authority))
    await bus._link.close()  # which has its own time
    connected = socket_transport(bus._client)
    with frozen(server.pid):
        if reconnecting:
            await bus._client.force_reconnect()
            await SystemClock().sleep(0.1)  # it waits for the old connection's end
        async with asyncio.timeout(CLOSE_TIMEOUT_S + 5):
            await bus.close()
        for transport in (connected, socket_transport(bus._client)):
            assert transport is not None
            assert transport.get_extra_info("socket").fileno() == -1


async def test_who_has_no_certificate_or_trusts_another_authority_stays_outside(
    server: GuardedNATS, authority: Authority, tasks: TaskSet, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    stranger = Authority(elsewhere)
    theirs, ours = stranger.issue("console"), authority.issue("console")
    for ca, shown in ((stranger, ours), (authority, theirs), (authority, None)):
        pair = ("", "") if shown is None else (str(shown.certificate), str(shown.key))
        with pytest.raises(BusError, match="not reachable"):
            await connect(server, tasks, client_tls("nats", str(ca.path), *pair))
    with pytest.raises(BusError, match="not reachable"):
        await connect(server, tasks, None)


async def test_the_certificate_of_the_next_connection_is_the_one_that_is_there_then(
    server: GuardedNATS, authority: Authority, tasks: TaskSet, tmp_path: Path
) -> None:
    tls = context_of(authority)
    bus = await connect(server, tasks, tls)
    await bus.ensure_streams(STREAMS["console"])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    theirs = Authority(elsewhere).issue("console")
    own = authority.path.with_name("console.pem"), authority.path.with_name("console.key")
    for path, other in zip(own, (theirs.certificate, theirs.key), strict=True):
        path.write_bytes(other.read_bytes())
    tls.refresh()
    server.stop()
    server.start()
    refusals = (tmp_path / "nats.log").read_text().count("TLS handshake error")

    async def refused() -> bool:
        return (tmp_path / "nats.log").read_text().count("TLS handshake error") >= refusals + 4

    await eventually(refused, within_s=WITHIN_S, what="both connections are refused again and again")
    assert not bus.connected
    authority.issue("console")
    tls.refresh()

    async def works() -> bool:
        try:
            await bus.kv_put("models", "1", b"one")
        except BusError:
            return False
        return bus.connected

    await eventually(works, within_s=WITHIN_S, what="both connections are back")
    await bus.close()


async def test_a_server_without_tls_is_given_no_password(authority: Authority, tasks: TaskSet) -> None:
    received = bytearray()

    async def pretend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.12.0","auth_required":true,"max_payload":1000}\r\n')
        while data := await reader.read(1000):
            received.extend(data)

    async with stream_server(pretend) as port:
        url = f"nats://console:secret@localhost:{port}"
        tls = context_of(authority)
        with pytest.raises(BusError):
            await nats_bus.connect(url, name="console-1", tasks=tasks, tls=tls)
        for named, context in ((url, tls), (url.replace("nats:", "tls:"), None)):
            client = Client()
            options = tls_options(client, named, context)
            with pytest.raises(NATSError):
                await client.connect(named, allow_reconnect=False, connect_timeout=1, **options)
            await client.close()
    assert b"secret" not in received
    assert b"CONNECT" not in received


class Between:
    """Stands in front of a server, and answers some connections itself, without TLS; passes the others on.

    Args:
        server: the real one.
        plain: numbers of those that it answers; the first is 1.

    Attributes:
        connections: how many there were.
        received: what it was sent on those that it answered.
    """

    def __init__(self, server: GuardedNATS, plain: range) -> None:
        self.server = server
        self._plain = plain
        self.connections = 0
        self.received = bytearray()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.connections not in self._plain:
            onward = await asyncio.open_connection("127.0.0.1", self.server.port)
            await asyncio.gather(_pass_on(reader, onward[1]), _pass_on(onward[0], writer))
            return
        writer.write(b'INFO {"server_id":"x","version":"2.12.0","auth_required":true,"max_payload":1000}\r\n')
        while data := await reader.read(1000):
            self.received.extend(data)


@contextlib.asynccontextmanager
async def listening(between: Between) -> AsyncIterator[str]:
    """Let it take connections for the length of the block; yields the URL."""
    async with stream_server(between.take) as port:
        yield between.server.url_of("console").replace(f":{between.server.port}", f":{port}")


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


async def test_the_connection_for_jetstream_tells_no_password_to_who_takes_the_tls_away(
    server: GuardedNATS, authority: Authority, tasks: TaskSet
) -> None:
    between = Between(server, range(2, 3))
    async with listening(between) as url:
        async with asyncio.timeout(WITHIN_S):
            bus = await nats_bus.connect(url, name="console-1", tasks=tasks, tls=context_of(authority))
        assert between.connections == 3
        assert not between.received
        await bus.close()


async def test_where_the_connection_for_jetstream_does_not_come_about_neither_stays(
    server: GuardedNATS, authority: Authority, tasks: TaskSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is told to stop must hear of it, so connecting ends some time."""
    monkeypatch.setattr(jetstream_client, "CONNECT_TIMEOUT_S", 1.0)
    between = Between(server, range(2, 1000))
    async with listening(between) as url, asyncio.timeout(WITHIN_S):
        with pytest.raises(BusError, match="not reachable"):
            await nats_bus.connect(url, name="console-1", tasks=tasks, tls=context_of(authority))
    assert not between.received
