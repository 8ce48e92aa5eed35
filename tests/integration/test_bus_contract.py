"""One contract for every bus: what `bus.port.Bus` promises, asked of the one in memory and of a real NATS."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from tests.support.waiting import eventually, until_done
from trunkline.bus import subjects
from trunkline.bus.port import Bus, BusError, BusFullError, Message, NoRespondersError
from trunkline.runtime import memory_bus, nats_bus, nats_link
from trunkline.runtime.memory_bus import MemoryBroker, MemoryBus
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet

WITHIN_S = 15.0


class Cluster:
    """Two processes on one bus, and what the contract does not offer: snapshots, the stream's content, an outage."""

    first: Bus
    second: Bus

    async def put(self, bucket: str, token: str, value: bytes) -> None:
        raise NotImplementedError

    async def stored(self) -> list[bytes]:
        raise NotImplementedError

    async def break_first(self) -> None:
        raise NotImplementedError

    async def settle(self) -> None:
        """Return once what the second has asked for is known to all."""


class MemoryCluster(Cluster):
    def __init__(self) -> None:
        self._broker = MemoryBroker()
        self.first: MemoryBus = self._broker.connect("first")
        self.second: MemoryBus = self._broker.connect("second")

    async def put(self, bucket: str, token: str, value: bytes) -> None:
        self._broker.put(bucket, token, value)

    async def stored(self) -> list[bytes]:
        return [message.data for message in self._broker.stored]

    async def break_first(self) -> None:
        self.first.disconnect()
        asyncio.get_running_loop().call_later(0.01, self.first.reconnect)


class NATSCluster(Cluster):
    def __init__(self, first: NATSBus, second: NATSBus) -> None:
        self.first: NATSBus = first
        self.second: NATSBus = second

    async def put(self, bucket: str, token: str, value: bytes) -> None:
        await self.first.kv_put(bucket, token, value)

    async def stored(self) -> list[bytes]:
        info = await self.first.jetstream.stream_info(subjects.USAGE_STREAM)
        messages = [
            await self.first.jetstream.get_msg(subjects.USAGE_STREAM, number + info.state.first_seq)
            for number in range(info.state.messages)
        ]
        return [bytes(message.data) for message in messages]

    async def break_first(self) -> None:
        # What a broker that goes away looks like from here: the socket ends.
        connection = self.first._link._connection
        assert connection is not None
        connection.abort()

    async def settle(self) -> None:
        await self.first.flush()
        await self.second.flush()


@pytest.fixture(params=["memory", "nats"])
async def cluster(request: pytest.FixtureRequest, tasks: TaskSet) -> AsyncIterator[Cluster]:
    if request.param == "memory":
        yield MemoryCluster()
        return
    url = request.getfixturevalue("nats_url")
    first = await nats_bus.connect(url, name="first", tasks=tasks)
    second = await nats_bus.connect(url, name="second", tasks=tasks)
    for stream in await first.jetstream.streams_info():
        await first.jetstream.delete_stream(stream.config.name)
    # The broker refuses a name whose files it has not removed yet.
    await until_done(first.ensure_streams, within_s=WITHIN_S, what="the streams are there")
    yield NATSCluster(first, second)
    await first.close()
    await second.close()


class Inbox:
    """A handler that keeps what it gets."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def data(self) -> list[bytes]:
        return [message.data for message in self.messages]

    async def has(self, count: int) -> None:
        await until(lambda: len(self.messages) >= count, f"{count} messages")
        assert len(self.messages) == count


async def until(condition: Callable[[], bool], what: str) -> None:
    async def look() -> bool:
        return condition()

    await eventually(look, within_s=WITHIN_S, what=what)


async def test_messages_arrive_in_order_with_subject_and_reply(cluster: Cluster) -> None:
    inbox = Inbox()
    await cluster.second.subscribe("t.order", inbox)
    await cluster.settle()
    for number in range(500):
        cluster.first.publish("t.order", b"%d" % number, reply="t.back" if number == 0 else "")
    await inbox.has(500)
    assert inbox.data == [b"%d" % number for number in range(500)]
    assert inbox.messages[0] == Message("t.order", "t.back", b"0")
    assert inbox.messages[1].reply == ""


async def test_publishing_calls_no_handler_before_the_loop_turns(cluster: Cluster) -> None:
    inbox = Inbox()
    await cluster.first.subscribe("t.later", inbox)
    await cluster.settle()
    cluster.first.publish("t.later", b"x")
    assert inbox.messages == []
    await inbox.has(1)


async def test_wildcards(cluster: Cluster) -> None:
    one, rest, exact = Inbox(), Inbox(), Inbox()
    await cluster.second.subscribe("t.wild.*", one)
    await cluster.second.subscribe("t.wild.>", rest)
    await cluster.second.subscribe("t.wild.a", exact)
    await cluster.settle()
    for subject in ("t.wild.a", "t.wild.a.b", "t.wild", "t.wilder.a", "t.wild.end"):
        cluster.first.publish(subject, subject.encode())
    await until(lambda: rest.data[-1:] == [b"t.wild.end"], "the last message")
    assert one.data == [b"t.wild.a", b"t.wild.end"]
    assert rest.data == [b"t.wild.a", b"t.wild.a.b", b"t.wild.end"]
    assert exact.data == [b"t.wild.a"]


async def test_one_of_a_queue_group_gets_each_message_and_everybody_else_all(cluster: Cluster) -> None:
    first, second, plain = Inbox(), Inbox(), Inbox()
    await cluster.first.subscribe("t.queue", first, queue="group")
    await cluster.second.subscribe("t.queue", second, queue="group")
    await cluster.second.subscribe("t.queue", plain)
    await cluster.settle()
    for number in range(100):
        cluster.first.publish("t.queue", b"%d" % number)
    await plain.has(100)
    await until(lambda: len(first.messages) + len(second.messages) >= 100, "every message once")
    assert sorted(first.data + second.data) == sorted(plain.data)
    assert first.messages
    assert second.messages


async def test_after_unsubscribing_nothing_comes(cluster: Cluster) -> None:
    inbox, witness = Inbox(), Inbox()
    unsubscribe = await cluster.second.subscribe("t.stop", inbox)
    await cluster.second.subscribe("t.stop", witness)
    await cluster.settle()
    cluster.first.publish("t.stop", b"1")
    await inbox.has(1)
    await unsubscribe()
    await cluster.settle()
    cluster.first.publish("t.stop", b"2")
    await witness.has(2)
    assert inbox.data == [b"1"]


async def test_who_leaves_a_queue_group_still_gets_what_was_sent_to_it(cluster: Cluster) -> None:
    """Nobody else would: of a group only one gets each message."""
    leaver, stayer = Inbox(), Inbox()
    unsubscribe = await cluster.second.subscribe("t.leave", leaver, queue="group")
    await cluster.second.subscribe("t.leave", stayer, queue="group")
    await cluster.settle()
    sent = 0
    leaving = asyncio.ensure_future(unsubscribe())  # noqa: TID251 - of this test alone
    while not leaving.done():
        for _ in range(20):
            cluster.first.publish("t.leave", b"%d" % sent)
            sent += 1
        await asyncio.sleep(0)  # noqa: TID251 - one turn of the loop
    await until(lambda: len(leaver.messages) + len(stayer.messages) >= sent, "every message once")
    assert sorted(leaver.data + stayer.data) == sorted(b"%d" % number for number in range(sent))


async def test_the_publisher_alone_hears_that_nobody_listens(cluster: Cluster) -> None:
    mine, others = Inbox(), Inbox()
    await cluster.first.subscribe("t.reply.*", mine)
    await cluster.second.subscribe("t.reply.*", others)
    await cluster.settle()
    cluster.first.publish("t.nobody", b"hello", reply="t.reply.7")
    cluster.first.publish("t.nobody", b"without a reply subject")
    await mine.has(1)
    assert mine.messages == [Message("t.reply.7", "", b"", no_responders=True)]
    cluster.first.publish("t.reply.8", b"end")
    await others.has(1)
    assert others.data == [b"end"]


async def test_a_reply_subject_with_a_listener_gives_no_such_answer(cluster: Cluster) -> None:
    answers, asked = Inbox(), Inbox()
    await cluster.first.subscribe("t.reply.*", answers)
    await cluster.second.subscribe("t.somebody", asked)
    await cluster.settle()
    cluster.first.publish("t.somebody", b"?", reply="t.reply.1")
    await asked.has(1)
    cluster.second.publish(asked.messages[0].reply, b"!")
    await answers.has(1)
    assert answers.messages == [Message("t.reply.1", "", b"!")]


async def test_request_gets_the_first_answer(cluster: Cluster) -> None:
    def answer(message: Message) -> None:
        cluster.second.publish(message.reply, message.data[::-1])
        cluster.second.publish(message.reply, b"too late")

    await cluster.second.subscribe("t.ask", answer, queue="group")
    await cluster.settle()
    answers = await asyncio.gather(*(cluster.first.request("t.ask", b"%d!" % n, timeout_s=WITHIN_S) for n in range(10)))
    assert answers == [b"!%d" % n for n in range(10)]


async def test_request_without_a_listener_or_an_answer(cluster: Cluster) -> None:
    with pytest.raises(NoRespondersError):
        await cluster.first.request("t.ask.nobody", b"", timeout_s=WITHIN_S)
    await cluster.second.subscribe("t.ask.silent", Inbox())
    await cluster.settle()
    with pytest.raises(BusError) as caught:
        await cluster.first.request("t.ask.silent", b"", timeout_s=0.02)
    assert not isinstance(caught.value, NoRespondersError)


async def test_store_keeps_each_message_id_once(cluster: Cluster) -> None:
    async def store(payload: bytes, message_id: str) -> None:
        await cluster.first.store(subjects.usage("edge", "p"), payload, message_id=message_id, timeout_s=WITHIN_S)

    await store(b"a", "1")
    await store(b"b", "2")
    await store(b"a again", "1")
    assert await cluster.stored() == [b"a", b"b"]


async def test_storing_where_no_stream_listens_fails(cluster: Cluster) -> None:
    with pytest.raises(BusError):
        await cluster.first.store("t.no.stream", b"", message_id="1", timeout_s=WITHIN_S)


async def test_kv_get(cluster: Cluster) -> None:
    assert await cluster.second.kv_get(subjects.KV_KEYS, "k") is None
    await cluster.put(subjects.KV_KEYS, "k", b"1")
    assert await cluster.second.kv_get(subjects.KV_KEYS, "k") == b"1"
    await cluster.put(subjects.KV_KEYS, "k", b"2")
    assert await cluster.second.kv_get(subjects.KV_KEYS, "k") == b"2"
    with pytest.raises(BusError):
        await cluster.second.kv_get("no-such-bucket", "k")


async def test_a_write_of_a_snapshot_is_announced(cluster: Cluster) -> None:
    inbox = Inbox()
    await cluster.second.subscribe(f"$KV.{subjects.KV_KEYS}.>", inbox)
    await cluster.settle()
    await cluster.put(subjects.KV_KEYS, "k", b"1")
    await inbox.has(1)
    assert inbox.messages[0].subject == f"$KV.{subjects.KV_KEYS}.k"


async def test_loss_and_return_of_the_connection(cluster: Cluster) -> None:
    changes: list[bool] = []
    inbox, heard = Inbox(), Inbox()
    cluster.first.on_connection(changes.append)
    await cluster.first.subscribe("t.away", inbox)
    await cluster.second.subscribe("t.sent.away", heard)
    await cluster.settle()
    assert cluster.first.connected
    await cluster.break_first()
    await until(lambda: changes[:1] == [False], "the loss")
    cluster.first.publish("t.sent.away", b"kept")
    await until(lambda: changes == [False, True], "the return")
    assert cluster.first.connected
    await heard.has(1)

    async def delivered() -> bool:
        cluster.second.publish("t.away", b"x")
        return bool(inbox.messages)

    await eventually(delivered, within_s=WITHIN_S, what="the subscription is back")


async def test_more_than_fits_is_refused_at_once_and_nothing_of_it_taken(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (memory_bus, nats_link):
        monkeypatch.setattr(module, "OUTBOUND_BYTES_MAX", 1000)
    inbox = Inbox()
    await cluster.second.subscribe("t.full", inbox)
    await cluster.settle()
    cluster.first.publish("t.full", bytes(600))
    with pytest.raises(BusFullError):
        cluster.first.publish("t.full", bytes(600))
    cluster.first.publish("t.full", bytes(300))
    await inbox.has(2)
    cluster.first.publish("t.full", bytes(600))
    await inbox.has(3)
    assert [len(data) for data in inbox.data] == [600, 300, 600]


async def test_a_handler_that_fails_does_not_end_its_subscription(cluster: Cluster) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    inbox = Inbox()

    def fail_first(message: Message) -> None:
        inbox(message)
        if len(inbox.messages) == 1:
            raise RuntimeError("on purpose")

    await cluster.second.subscribe("t.fails", fail_first)
    await cluster.settle()
    for number in range(3):
        cluster.first.publish("t.fails", b"%d" % number)
    await inbox.has(3)
