"""Two NATS, a JetStream domain each, joined by a leaf-node connection: what regions rest on."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import nats
import pytest
from nats.js.api import AckPolicy, ConsumerConfig, KeyValueConfig
from nats.js.errors import NotFoundError

from tests.support.cli import CLI, Result
from tests.support.servers import NATSServer, free_port
from tests.support.waiting import eventually, until_done
from trunkline.bus import subjects
from trunkline.bus.port import Message
from trunkline.runtime import nats_bus, stream_backup
from trunkline.runtime.bus_condition import read_condition
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.kv_view import KVView
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet

DEADLINE_S = 15.0
FETCHED_AT_ONCE, FETCH_S = 256, 0.1
HOME, ABROAD = "home", "abroad"
FAILED = 1
MODELS = subjects.KV_MODELS
USAGE = subjects.USAGE_STREAM
METERING = subjects.USAGE_CONSUMER
COPIES = (*subjects.KV_BUCKETS, USAGE)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NATSServer, NATSServer]]:
    with regions(tmp_path_factory.mktemp("regions")) as both:
        yield both


@contextmanager
def regions(folder: Path) -> Iterator[tuple[NATSServer, NATSServer]]:
    """Run home's and another region's NATS for the length of the block."""
    leaf = f"127.0.0.1:{free_port()}"
    home = _server(folder, HOME, f'listen: "{leaf}"')
    abroad = _server(folder, ABROAD, f'remotes: [{{ url: "nats://{leaf}" }}]')
    try:
        yield home, abroad
    finally:
        for server in (abroad, home):
            server.stop()


def _server(folder: Path, domain: str, leafnodes: str) -> NATSServer:
    own = folder / domain
    own.mkdir()
    configuration = own / "nats.conf"
    configuration.write_text(f"jetstream {{ domain: {domain} }}\nleafnodes {{ {leafnodes} }}\n")
    server = NATSServer(own, configuration)
    server.start()
    return server


@pytest.fixture
async def buses(servers: tuple[NATSServer, NATSServer], tasks: TaskSet) -> AsyncIterator[tuple[NATSBus, NATSBus]]:
    async with AsyncExitStack() as stack:
        connected = []
        for server in servers:
            connected.append(await nats_bus.connect(server.url, name="test", tasks=tasks))
            stack.push_async_callback(connected[-1].close)
        home, abroad = connected
        await home.ensure_streams()
        await wait_for_metering(home)
        await mirror(servers[1].url)
        yield home, abroad


async def mirror(url: str, code: int = 0) -> Result:
    """Run the command."""
    return await asyncio.to_thread(CLI(NATS_URL=url).run, "mirror", "--home", HOME, code=code)


async def made_anew(home: NATSBus) -> None:
    """Make what was deleted; the broker refuses a name whose files it has not removed yet."""
    await until_done(home.ensure_streams, within_s=DEADLINE_S, what="the streams are there")


async def wait_for_metering(home: NATSBus) -> None:
    """Have usage wait to be settled, as it does wherever metering has run once."""
    config = ConsumerConfig(durable_name=METERING, ack_policy=AckPolicy.EXPLICIT)
    await home.jetstream.add_consumer(USAGE, config)


async def heard(bus: NATSBus, subject: str, *, queue: str = "") -> list[bytes]:
    """Return a list to which what is heard is added."""
    found: list[bytes] = []

    def hear(message: Message) -> None:
        found.append(message.data)

    await bus.subscribe(subject, hear, queue=queue)
    await bus.flush()
    return found


async def test_the_command_makes_what_is_missing(servers: tuple[NATSServer, NATSServer]) -> None:
    assert {row[0] for row in _rows(await mirror(servers[1].url))} == set(COPIES)
    assert _rows(await mirror(servers[1].url)) == [[name, "there"] for name in COPIES]
    assert "this NATS is that of home" in (await mirror(servers[0].url, FAILED)).err


def _rows(result: Result) -> list[list[str]]:
    return [row[:2] for row in result.rows if row[:1] != ["copy"]]


async def test_a_bucket_that_is_no_mirror_is_left_alone(servers: tuple[NATSServer, NATSServer]) -> None:
    client = await nats.connect(servers[1].url)
    jetstream = client.jetstream()
    for stream in await jetstream.streams_info():
        await jetstream.delete_stream(str(stream.config.name))
    await jetstream.create_key_value(KeyValueConfig(bucket=subjects.KV_CHANNELS))
    assert "channels is here, and no mirror" in (await mirror(servers[1].url, FAILED)).err
    await jetstream.delete_stream(subjects.kv_stream(subjects.KV_CHANNELS))
    await client.close()


async def test_one_without_a_domain_is_no_region(nats_url: str) -> None:
    assert "this NATS has no JetStream domain" in (await mirror(nats_url, FAILED)).err


async def test_what_is_written_at_home_is_seen_abroad_and_does_not_come_back(
    buses: tuple[NATSBus, NATSBus], tasks: TaskSet
) -> None:
    home, abroad = buses
    await home.kv_put(MODELS, "early", b"0")
    seen: dict[str, bytes | None] = {}
    view = KVView(abroad, MODELS, seen.__setitem__, clock=SystemClock(), tasks=tasks)
    await eventually(lambda: _holds(abroad, "early", b"0"), within_s=DEADLINE_S, what="the mirror is filled")
    await view.start()
    echo = await heard(home, subjects.kv_entry(MODELS, ">"))

    await home.kv_put(MODELS, "name", b"1")
    await eventually(lambda: _is(seen.get("name"), b"1"), within_s=DEADLINE_S, what="the change is known")
    await home.kv_put(MODELS, "name", b"2")
    await eventually(lambda: _is(seen.get("name"), b"2"), within_s=DEADLINE_S, what="the next one is, too")
    await home.kv_delete(MODELS, "name")
    await eventually(lambda: _is(seen.get("name"), None), within_s=DEADLINE_S, what="the deletion is known")

    assert await abroad.kv_all(MODELS) == await home.kv_all(MODELS) == {"early": b"0"}
    await home.flush()
    assert echo == [b"1", b"2", b""]  # each once: what the mirror says again stays abroad
    assert (await home.stream_span(subjects.kv_stream(MODELS))).last == 4


async def test_a_bucket_that_home_makes_anew_is_mirrored_anew(
    buses: tuple[NATSBus, NATSBus], servers: tuple[NATSServer, NATSServer]
) -> None:
    home, abroad = buses
    for number in range(3):
        await home.kv_put(MODELS, "withdrawn", str(number).encode())
    await eventually(lambda: _holds(abroad, "withdrawn", b"2"), within_s=DEADLINE_S, what="the mirror is filled")
    client = await nats.connect(servers[0].url)
    await client.jetstream().delete_stream(subjects.kv_stream(MODELS))
    await client.close()
    await made_anew(home)
    await home.kv_put(MODELS, "name", b"3")
    assert [row[0] for row in _rows(await mirror(servers[1].url)) if row[1] == "made"] == [MODELS]
    await eventually(lambda: _holds(abroad, "name", b"3"), within_s=DEADLINE_S, what="the new one is mirrored")
    assert await abroad.kv_all(MODELS) == {"name": b"3"}
    assert {row[1] for row in _rows(await mirror(servers[1].url))} == {"there"}


async def test_usage_from_abroad_is_stored_at_home(buses: tuple[NATSBus, NATSBus]) -> None:
    home, abroad = buses
    before = await _length(home)
    await abroad.store(subjects.usage("edge", "e1"), b"usage", message_id="e1-1", timeout_s=DEADLINE_S)
    assert await _length(home) == before + 1


async def test_usage_that_is_settled_at_once_stays_in_the_mirror_and_is_sent_to_another_home(
    buses: tuple[NATSBus, NATSBus], servers: tuple[NATSServer, NATSServer]
) -> None:
    home, abroad = buses
    names = [f"d1-{number}" for number in range(300)]
    await home.store(subjects.usage("dispatcher", "d1"), b"first", message_id="d1-first", timeout_s=DEADLINE_S)
    await eventually(lambda: _mirrored(abroad, home), within_s=DEADLINE_S, what="the mirror has begun")
    async with settling(home) as settled:
        for name in names:
            await home.store(subjects.usage("dispatcher", "d1"), name.encode(), message_id=name, timeout_s=DEADLINE_S)
        await eventually(lambda: _is(names[-1] in settled, True), within_s=DEADLINE_S, what="all is settled")
    await eventually(lambda: _is_empty(home), within_s=DEADLINE_S, what="the stream is empty")
    await eventually(lambda: _mirrored(abroad, home), within_s=DEADLINE_S, what="all is mirrored")
    kept = await _length(abroad)

    client = await nats.connect(servers[0].url)
    await client.jetstream().delete_stream(USAGE)
    await client.close()
    await made_anew(home)
    await wait_for_metering(home)
    assert [row[0] for row in _rows(await mirror(servers[1].url)) if row[1] == "made"] == [USAGE]
    await eventually(lambda: _mirrored(abroad, home), within_s=DEADLINE_S, what="the new stream is mirrored")
    assert await _length(home) == kept
    async with settling(home) as sent:
        await eventually(lambda: _is(len(sent) == kept, True), within_s=DEADLINE_S, what="all is settled again")
    assert sorted(name for name in sent if name in set(names)) == sorted(names)
    assert {row[1] for row in _rows(await mirror(servers[1].url))} == {"there"}


async def test_what_home_lost_of_usage_after_its_backup_is_sent_there(
    buses: tuple[NATSBus, NATSBus], servers: tuple[NATSServer, NATSServer], tmp_path: Path
) -> None:
    home, abroad = buses
    subject = subjects.usage("dispatcher", "d2")
    await home.store(subject, b"d2-saved", message_id="d2-saved", timeout_s=DEADLINE_S)
    client = await nats.connect(servers[0].url)
    await stream_backup.save(client, USAGE, tmp_path)
    for name in ("d2-1", "d2-2"):
        await home.store(subject, name.encode(), message_id=name, timeout_s=DEADLINE_S)
    await eventually(lambda: _mirrored(abroad, home), within_s=DEADLINE_S, what="all is mirrored")
    await client.jetstream().delete_stream(USAGE)
    await stream_backup.restore(client, USAGE, tmp_path)
    await client.close()
    assert [row[0] for row in _rows(await mirror(servers[1].url)) if row[1] == "made"] == [USAGE]
    async with settling(home) as sent:
        wanted = {"d2-saved", "d2-1", "d2-2"}
        await eventually(lambda: _is(wanted <= set(sent), True), within_s=DEADLINE_S, what="all of it is there")


async def test_usage_is_not_sent_to_where_nobody_settles_it(
    buses: tuple[NATSBus, NATSBus], servers: tuple[NATSServer, NATSServer]
) -> None:
    home, abroad = buses
    await home.store(subjects.usage("dispatcher", "d3"), b"d3-1", message_id="d3-1", timeout_s=DEADLINE_S)
    await eventually(lambda: _mirrored(abroad, home), within_s=DEADLINE_S, what="it is mirrored")
    await home.jetstream.delete_stream(USAGE)
    await made_anew(home)
    kept = await _length(abroad)
    assert "start it, and try again" in (await mirror(servers[1].url, FAILED)).err
    assert (await _length(abroad), await _length(home)) == (kept, 0)
    await wait_for_metering(home)
    await mirror(servers[1].url)
    async with settling(home) as sent:
        await eventually(lambda: _is("d3-1" in sent, True), within_s=DEADLINE_S, what="it is sent")


async def test_usage_that_nobody_settles_yet_is_not_mirrored(
    buses: tuple[NATSBus, NATSBus], servers: tuple[NATSServer, NATSServer]
) -> None:
    home, abroad = buses
    await abroad.jetstream.delete_stream(USAGE)
    await home.jetstream.delete_consumer(USAGE, METERING)
    await home.store(subjects.usage("dispatcher", "d4"), b"d4-1", message_id="d4-1", timeout_s=DEADLINE_S)
    assert "start it, and try again" in (await mirror(servers[1].url, FAILED)).err
    with pytest.raises(NotFoundError):
        await abroad.jetstream.stream_info(USAGE)
    await wait_for_metering(home)
    await mirror(servers[1].url)
    await eventually(lambda: _confirmed(home), within_s=DEADLINE_S, what="the mirror has confirmed it")
    async with settling(home) as settled:
        await eventually(lambda: _is("d4-1" in settled, True), within_s=DEADLINE_S, what="it is settled all the same")


class _AnHourLater(SystemClock):
    def wall_ms(self) -> int:
        return super().wall_ms() + 3_600_000


async def test_usage_in_a_mirror_does_not_wait_for_settlement(
    buses: tuple[NATSBus, NATSBus], servers: tuple[NATSServer, NATSServer]
) -> None:
    home, abroad = buses
    await home.store(subjects.usage("edge", "e2"), b"usage", message_id="e2-1", timeout_s=DEADLINE_S)
    await eventually(lambda: _mirrored(abroad, home), within_s=DEADLINE_S, what="it is mirrored")
    late = []
    for server in servers:
        client = await nats.connect(server.url)
        late.append("settlement" in [check.name for check in await read_condition(client, _AnHourLater())])
        await client.close()
    assert late == [True, False]


async def test_what_is_settled_waits_for_no_mirror_that_is_away(tmp_path: Path, tasks: TaskSet) -> None:
    subject = subjects.usage("dispatcher", "d5")
    with regions(tmp_path) as (server, away):
        async with AsyncExitStack() as stack:
            home = await nats_bus.connect(server.url, name="test", tasks=tasks)
            stack.push_async_callback(home.close)
            client = await nats.connect(server.url)
            stack.push_async_callback(client.close)
            await home.ensure_streams()
            await wait_for_metering(home)
            await mirror(away.url)
            await home.store(subject, b"d5-1", message_id="d5-1", timeout_s=DEADLINE_S)
            await eventually(lambda: _confirmed(home), within_s=DEADLINE_S, what="the mirror has confirmed it")
            away.stop()
            await home.store(subject, b"d5-2", message_id="d5-2", timeout_s=DEADLINE_S)
            async with settling(home) as settled:
                await eventually(lambda: _is("d5-2" in settled, True), within_s=DEADLINE_S, what="all is settled")
            await eventually(lambda: _settled(home), within_s=DEADLINE_S, what="the settlement is known")
            await eventually(lambda: _holds_only(home, 2), within_s=DEADLINE_S, what="one is kept for the mirror alone")
            assert "settlement" not in [check.name for check in await read_condition(client, _AnHourLater())]


@asynccontextmanager
async def settling(home: NATSBus) -> AsyncIterator[list[str]]:
    """Take what comes from the stream at once, as metering does; gives a list that it is added to."""
    found: list[str] = []
    over = asyncio.Event()
    taking = await home.jetstream.pull_subscribe_bind(durable=METERING, stream=USAGE)

    async def settle() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                for message in await taking.fetch(FETCHED_AT_ONCE, timeout=FETCH_S):
                    await message.ack()
                    found.append(message.data.decode())

    running = TaskSet().spawn(settle(), name="settling")
    try:
        yield found
    finally:
        over.set()
        await running
        await taking.unsubscribe()


async def test_an_offer_stays_in_its_region_while_somebody_takes_it_there(buses: tuple[NATSBus, NATSBus]) -> None:
    home, abroad = buses
    lane, offers = subjects.job("default"), 50
    at_home = await heard(home, lane, queue=subjects.JOB_QUEUE)
    other = await heard(abroad, lane, queue=subjects.JOB_QUEUE)
    only_abroad = await heard(abroad, subjects.job("pinned"), queue=subjects.JOB_QUEUE)

    async def sent(bus: NATSBus, subject: str, counted: list[bytes]) -> None:
        for _ in range(offers):
            bus.publish(subject, b"offer")
        await eventually(lambda: _is(len(counted) >= offers, True), within_s=DEADLINE_S, what="all have arrived")

    await sent(home, lane, at_home)
    assert (len(at_home), len(other)) == (offers, 0)
    await sent(abroad, lane, other)
    assert (len(at_home), len(other)) == (offers, offers)
    await sent(home, subjects.job("pinned"), only_abroad)


async def _is(found: object, wanted: object) -> bool:
    return found == wanted


async def _holds(bus: NATSBus, token: str, value: bytes) -> bool:
    return await bus.kv_get(MODELS, token) == value


async def _length(bus: NATSBus) -> int:
    return int((await bus.jetstream.stream_info(USAGE)).state.messages)


async def _is_empty(bus: NATSBus) -> bool:
    return not await _length(bus)


async def _confirmed(home: NATSBus) -> bool:
    """Return whether the mirror has confirmed all, which it does a second after it has stored it."""
    last = (await home.stream_span(USAGE)).last
    readers = await home.jetstream.consumers_info(USAGE)
    return any(each.name != METERING and each.ack_floor and each.ack_floor.stream_seq == last for each in readers)


async def _holds_only(bus: NATSBus, number: int) -> bool:
    return await bus.stream_span(USAGE) == (number, number)


async def _settled(home: NATSBus) -> bool:
    return not (await home.unconfirmed(USAGE, METERING)).length


async def _mirrored(abroad: NATSBus, home: NATSBus) -> bool:
    return (await abroad.stream_span(USAGE)).last == (await home.stream_span(USAGE)).last
