"""The shipped permissions on a real NATS: who may say and hear what, cell by cell, and what each role lives by."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from functools import partial

import msgspec
import pytest
from nats.js.api import AckPolicy, ConsumerConfig
from structlog.testing import capture_logs

from docs.generate import nats_permissions_text
from tests.support.guarded_nats import SHIPPED, GuardedNATS, guarded_nats
from tests.support.waiting import eventually, until_done
from trunkline.bus import snapshots, subjects
from trunkline.bus.permissions import AWAITED, OPERATOR, PERMISSIONS, ROLES, STREAMS
from trunkline.bus.port import BusError, Message
from trunkline.runtime import nats_bus
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.nats_link import NATSLink
from trunkline.runtime.nats_servers import parse_servers
from trunkline.runtime.tasks import TaskSet

E, D, M, H, C = ROLES

WITHIN_S = 10.0

MAY_PUBLISH: dict[str, set[str]] = {
    # --- jobs
    "tl.job.default": {E},
    "tl.disp.dispatcher-1": {E},
    "tl.withdraw": {E},
    "tl.edge.edge-1.a": {D},
    "tl.room.edge-1": {D},
    "tl.outcome": {D},
    "tl.checkpoint.dispatcher-1.0": {D},
    # --- beats: each in its own role's name
    **{f"tl.alive.{role}.x": {role} for role in ROLES},
    "tl.alive.operator.x": set(),
    # --- money
    "tl.allow": {E},
    "tl.ask": {E},
    "tl.recall.edge-1": {M},
    "tl.usage.edge.edge-1": {E},
    "tl.usage.dispatcher.dispatcher-1": {D},
    "tl.usage.metering.metering-1": set(),
    "tl.usage.edge-1": set(),
    # --- health
    "tl.health.1": {H},
    "tl.health.1.credential.2": {H},
    # --- answers: of edges alone there is a service that they ask
    "_INBOX.edge.x.1": {M},
    **{f"_INBOX.{role}.x.1": set() for role in (D, M, H, C, OPERATOR)},
    "_INBOX.x": set(),
    # --- snapshots
    **{f"$KV.{bucket}.x": {C} for bucket in ("keys", "channels", "models", "settings")},
    **{f"$KV.{bucket}.x": {H} for bucket in ("weights", "access")},
    # --- reading them: credentials are in ``channels``
    "$JS.API.STREAM.MSG.GET.KV_channels": {D, H, C},
    "$JS.API.STREAM.INFO.KV_channels": {D, H, C},
    "$JS.API.CONSUMER.CREATE.KV_channels": {C},
    "$JS.API.STREAM.MSG.GET.KV_keys": {E},
    "$JS.API.STREAM.INFO.KV_keys": {C},
    "$JS.API.CONSUMER.CREATE.KV_keys": {C},
    "$JS.API.STREAM.MSG.GET.KV_models": {E, C},
    "$JS.API.STREAM.INFO.KV_models": {E, C},
    "$JS.API.STREAM.MSG.GET.KV_access": {E, H, C},
    "$JS.API.STREAM.MSG.GET.KV_weights": {D, H, C},
    "$JS.API.STREAM.MSG.GET.KV_settings": set(),
    **{
        f"$JS.API.{call}": set()
        for stream in ("KV_channels", "KV_keys")
        for call in (
            f"DIRECT.GET.{stream}",
            f"DIRECT.GET.{stream}.$KV.{stream[3:]}.1",
            f"CONSUMER.CREATE.{stream}.x",
            f"CONSUMER.CREATE.{stream}.x.$KV.{stream[3:]}.>",
            f"CONSUMER.DURABLE.CREATE.{stream}.x",
            f"CONSUMER.MSG.NEXT.{stream}.x",
            f"CONSUMER.DELETE.{stream}.x",
            f"STREAM.SNAPSHOT.{stream}",
            f"STREAM.RESTORE.{stream}",
            f"STREAM.UPDATE.{stream}",
            f"STREAM.DELETE.{stream}",
            f"STREAM.PURGE.{stream}",
            f"STREAM.MSG.DELETE.{stream}",
        )
    },
    # --- making streams: each by its owner, and no others, which could be made to copy one
    **{f"$JS.API.STREAM.CREATE.{name}": {role} for role, names in STREAMS.items() for name in names},
    "$JS.API.STREAM.CREATE.COPY": set(),
    "$JS.API.STREAM.UPDATE.USAGE": set(),
    "$JS.API.STREAM.UPDATE.HEALTH": {H},
    "$JS.API.STREAM.LIST": set(),
    "$JS.API.STREAM.NAMES": set(),
    "$JS.API.INFO": set(),
    # --- reading streams
    "$JS.API.STREAM.INFO.USAGE": {M, C},
    "$JS.API.CONSUMER.INFO.USAGE.metering": {M, C},
    "$JS.API.CONSUMER.MSG.NEXT.USAGE.metering": {M},
    "$JS.API.CONSUMER.CREATE.USAGE.metering.tl.usage.>": {M},
    "$JS.API.CONSUMER.CREATE.USAGE.other.tl.usage.>": set(),
    "$JS.API.CONSUMER.DELETE.USAGE.metering": set(),
    "$JS.API.STREAM.MSG.GET.USAGE": set(),
    "$JS.ACK.USAGE.metering.1.1.1.1.0": {M},
    "$JS.API.STREAM.PURGE.USAGE": set(),
    "$JS.API.STREAM.DELETE.USAGE": set(),
    "$JS.API.STREAM.MSG.DELETE.USAGE": set(),
    "$JS.API.STREAM.MSG.GET.CHECKPOINTS": {M},
    "$JS.API.STREAM.PURGE.CHECKPOINTS": {M},
    "$JS.API.STREAM.MSG.GET.HEALTH": {H},
    "$JS.API.STREAM.INFO.HEALTH": {H, C},
    "$JS.API.CONSUMER.CREATE.HEALTH.x.tl.health.>": {C},
    "$JS.API.CONSUMER.MSG.NEXT.HEALTH.x": {C},
    "$JS.API.STREAM.PURGE.HEALTH": set(),
    # --- the broker itself
    "$SYS.REQ.SERVER.PING": set(),
    "anything": set(),
}
"""Who may publish on a subject. All edges are one user, and all dispatchers: what belongs to another process of a role
is as open as one's own."""

MAY_SUBSCRIBE: dict[str, set[str]] = {
    ">": set(),
    "*.>": set(),
    "tl.>": set(),
    "tl.*.*": set(),
    "tl.job.*": set(),
    "tl.job.* dispatchers": {D},
    "tl.job.* others": set(),
    "tl.disp.*": {D},
    "tl.withdraw": {D},
    "tl.edge.*.*": {E},
    "tl.edge.edge-1.*": {E},
    "tl.edge.>": set(),
    "tl.room.edge-1": {E},
    "tl.recall.edge-1": {E},
    "tl.outcome": {H, C},
    "tl.allow": set(),
    "tl.allow metering": {M},
    "tl.ask": set(),
    "tl.ask metering": {M},
    "tl.alive.dispatcher.*": {E, D, M, C},
    "tl.alive.edge.*": {D, M, C},
    "tl.alive.health.*": {H, C},
    "tl.alive.metering.*": {C},
    "tl.alive.*.*": {C},
    "tl.usage.>": set(),
    "tl.checkpoint.>": set(),
    "tl.health.>": set(),
    "_INBOX.>": set(),
    **{f"_INBOX.{role}.x.*": {role} for role in ROLES},
    "_INBOX.operator.>": set(),
    "$KV.>": set(),
    "$KV.channels.>": {D, H, C},
    "$KV.keys.>": {E},
    "$KV.models.>": {E},
    "$KV.access.>": {E},
    "$KV.weights.>": {D, C},
    "$KV.settings.>": set(),
    "$JS.>": set(),
    "$JS.API.>": set(),
    "$JS.EVENT.ADVISORY.>": set(),
    "$SYS.>": set(),
}
"""Who may subscribe, with the queue group behind the subject where there is one."""


@pytest.fixture(scope="module")
def guarded() -> Iterator[GuardedNATS]:
    with guarded_nats() as server:
        yield server


class Complaining(NATSLink):
    """A link that keeps what the broker complains of."""

    texts: list[str]

    def complained(self, text: str) -> None:
        """See `NATSLink.complained`."""
        self.texts.append(text)

    def refused_subjects(self, operation: str) -> set[str]:
        """Return what was refused; with the queue group, if there was one."""
        pattern = re.compile(rf'Permissions Violation for {operation} to "([^"]+)"(?: using queue "([^"]+)")?')
        found = [pattern.fullmatch(text) for text in self.texts]
        return {" ".join(part for part in match.groups() if part) for match in found if match}


async def complaining(guarded: GuardedNATS, role: str, tasks: TaskSet) -> Complaining:
    link = Complaining(parse_servers(guarded.url_of(role)), f"{role}-1", clock=SystemClock(), tasks=tasks)
    link.texts = []
    await link.connect()
    return link


def test_shipped_file_is_what_the_table_says() -> None:
    assert SHIPPED.read_text() == nats_permissions_text()


def test_every_pattern_of_the_table_is_looked_at() -> None:
    def matches(pattern: str, subject: str) -> bool:
        regex = re.escape(pattern).replace(r"\*", r"[^. ]+").replace(">", ".+")
        return re.fullmatch(regex, subject) is not None

    for permissions in PERMISSIONS.values():
        for pattern in permissions.publish:
            assert pattern.startswith(("$JS.FC.", "$JS.API.CONSUMER.", "$JS.API.STREAM.INFO.")) or any(
                matches(pattern, subject) for subject in MAY_PUBLISH
            ), pattern
        for pattern in permissions.subscribe:
            assert any(matches(pattern, subject) for subject in MAY_SUBSCRIBE), pattern


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_publishes_what_is_its_own_and_nothing_else(
    guarded: GuardedNATS, tasks: TaskSet, role: str
) -> None:
    link = await complaining(guarded, role, tasks)
    for subject in MAY_PUBLISH:
        link.publish(subject, b"{}")
    await link.flush()
    refused = {subject for subject, roles in MAY_PUBLISH.items() if role not in roles}
    assert link.refused_subjects("Publish") == refused
    assert len(link.texts) == len(refused)
    await link.close()


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_hears_what_is_meant_for_it_and_nothing_else(
    guarded: GuardedNATS, tasks: TaskSet, role: str
) -> None:
    link = await complaining(guarded, role, tasks)
    for wanted in MAY_SUBSCRIBE:
        subject, _, queue = wanted.partition(" ")
        await link.subscribe(subject, lambda _message: None, queue=queue)
    await link.flush()
    refused = {wanted for wanted, roles in MAY_SUBSCRIBE.items() if role not in roles}
    assert link.refused_subjects("Subscription") == refused
    assert len(link.texts) == len(refused)
    await link.close()


@pytest.mark.parametrize("user", ["", "nobody:x@", "edge:x@", "operator:x@"])
async def test_nobody_comes_in_without_a_password(guarded: GuardedNATS, tasks: TaskSet, user: str) -> None:
    servers = parse_servers(f"nats://{user}127.0.0.1:{guarded.port}")
    link = Complaining(servers, "stranger", clock=SystemClock(), tasks=tasks)
    link.texts = []
    with pytest.raises(BusError, match="not reachable"):
        await link.connect()
    assert link.texts == ["Authorization Violation"]


# --- what each role does -------------------------------------------------------------------------------------------


class Fleet:
    """A bus for each role, as its service opens it.

    Attributes:
        refusals: how many a test is to bring about.
    """

    def __init__(self, buses: dict[str, NATSBus]) -> None:
        self.edge, self.dispatcher, self.metering, self.health, self.console = (buses[role] for role in ROLES)
        self.all = buses
        self.refusals = dict.fromkeys(buses, 0)


@pytest.fixture
async def fleet(guarded: GuardedNATS, tasks: TaskSet) -> AsyncIterator[Fleet]:
    """All roles on a broker that had nothing; at the end, none of them was refused anything."""
    operator = await nats_bus.connect(guarded.url_of(OPERATOR), name=OPERATOR, tasks=tasks)
    for stream in await operator.jetstream.streams_info():
        await operator.jetstream.delete_stream(stream.config.name)
    buses = {
        role: await nats_bus.connect(guarded.url_of(role), name=f"{role}-1", tasks=tasks, inbox=subjects.inbox(role))
        for role in ROLES
    }
    for role in reversed(ROLES):
        # The broker refuses a name whose files it has not removed yet.
        made = partial(buses[role].ensure_streams, STREAMS[role])
        await until_done(made, within_s=WITHIN_S, what="the streams are there")
    fleet = Fleet(buses)
    yield fleet
    refused = {role: bus.refused for role, bus in buses.items()}
    for bus in buses.values():
        await bus.close()
    await operator.close()
    assert refused == fleet.refusals


class Heard:
    """The messages of a subscription."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Message] = asyncio.Queue()

    def take(self, message: Message) -> None:
        self._queue.put_nowait(message)

    async def next(self) -> Message:
        async with asyncio.timeout(WITHIN_S):
            return await self._queue.get()


async def heard(bus: NATSBus, subject: str, queue: str = "") -> Heard:
    mailbox = Heard()
    await bus.subscribe(subject, mailbox.take, queue=queue)
    return mailbox


async def test_a_job_goes_to_a_dispatcher_and_its_frames_come_back(fleet: Fleet) -> None:
    offers = await heard(fleet.dispatcher, subjects.job("default"), subjects.JOB_QUEUE)
    own = await heard(fleet.dispatcher, subjects.dispatcher_inbox("dispatcher-1"))
    withdrawn = await heard(fleet.dispatcher, subjects.WITHDRAW)
    frames = await heard(fleet.edge, subjects.edge_inbox("edge-1"))
    room = await heard(fleet.edge, subjects.room("edge-1"))
    fleet.edge.publish(subjects.job("default"), b"offer", subjects.edge_job("edge-1", 10))
    offer = await offers.next()
    for number in range(3):
        fleet.dispatcher.publish(offer.reply, b"frame %d" % number)
    assert [(await frames.next()).data for _ in range(3)] == [b"frame 0", b"frame 1", b"frame 2"]
    fleet.edge.publish(subjects.dispatcher_inbox("dispatcher-1"), b"credit")
    fleet.edge.publish(subjects.WITHDRAW, b"void")
    fleet.dispatcher.publish(subjects.room("edge-1"), b"room")
    assert ((await own.next()).data, (await withdrawn.next()).data, (await room.next()).data) == (
        b"credit",
        b"void",
        b"room",
    )


@pytest.mark.parametrize("subject", [subjects.ALLOW, subjects.ASK])
async def test_an_edge_asks_metering_and_is_answered(fleet: Fleet, subject: str) -> None:
    def answer(message: Message) -> None:
        fleet.metering.publish(message.reply, b"answer to " + message.data)

    await fleet.metering.subscribe(subject, answer, queue=subjects.ALLOW_QUEUE)
    recalls = await heard(fleet.edge, subjects.recall("edge-1"))
    assert await fleet.edge.request(subject, b"one", timeout_s=5) == b"answer to one"
    assert await fleet.edge.request(subject, b"two", timeout_s=5) == b"answer to two"
    fleet.metering.publish(subjects.recall("edge-1"), b"recall")
    assert (await recalls.next()).data == b"recall"


async def test_an_edge_cannot_have_metering_answer_elsewhere(fleet: Fleet) -> None:
    def answer(message: Message) -> None:
        fleet.metering.publish(message.reply, b"grants")

    await fleet.metering.subscribe(subjects.ALLOW, answer, queue=subjects.ALLOW_QUEUE)
    changes = await heard(fleet.dispatcher, "$KV.channels.>")
    fleet.edge.publish(subjects.ALLOW, b"draw", "$KV.channels.7")
    assert await fleet.edge.request(subjects.ALLOW, b"draw", timeout_s=5) == b"grants"
    await fleet.metering.flush()
    fleet.refusals["metering"] = 1
    assert fleet.metering.refused == 1
    assert await fleet.dispatcher.kv_get("channels", "7") is None
    await fleet.console.kv_put("channels", "8", b"ours")
    assert (await changes.next()).subject == "$KV.channels.8"


async def test_snapshots_are_written_by_their_owners_and_read_as_a_whole(fleet: Fleet) -> None:
    owners = dict.fromkeys(subjects.KV_BUCKETS, fleet.console) | {"weights": fleet.health, "access": fleet.health}
    for bucket, owner in owners.items():
        for token in ("1", "2", "3"):
            await owner.kv_put(bucket, token, f"{bucket} {token}".encode())
        await owner.kv_delete(bucket, "3")
    for role, buckets in AWAITED.items():
        assert await fleet.all[role].missing_buckets(buckets) == []
        for bucket in buckets:
            entries = await fleet.all[role].kv_all(bucket)
            assert entries == {"1": f"{bucket} 1".encode(), "2": f"{bucket} 2".encode()}
    changes = await heard(fleet.edge, "$KV.keys.>")
    assert await fleet.edge.kv_get("keys", "1") == b"keys 1"
    assert (await fleet.edge.kv_get("keys", "3"), await fleet.edge.kv_get("keys", "4")) == (None, None)
    await fleet.console.kv_put("keys", "1", b"blocked")
    assert (await changes.next()).data == b"blocked"
    for bucket in ("keys", "channels", "models", "settings"):
        assert set(await (await fleet.console.jetstream.key_value(bucket)).keys()) == {"1", "2"}


async def unsettled(bus: NATSBus) -> int:
    return (await bus.unconfirmed(subjects.USAGE_STREAM, subjects.USAGE_CONSUMER)).length


async def test_usage_is_stored_by_both_holders_and_consumed_by_metering(fleet: Fleet) -> None:
    await fleet.dispatcher.store(subjects.usage("dispatcher", "dispatcher-1"), b"d", message_id="1", timeout_s=5)
    await fleet.edge.store(subjects.usage("edge", "edge-1"), b"e", message_id="2", timeout_s=5)
    assert await unsettled(fleet.console) == 2
    subscription = await fleet.metering.jetstream.pull_subscribe(
        subjects.USAGE_SUBJECTS,
        durable=subjects.USAGE_CONSUMER,
        stream=subjects.USAGE_STREAM,
        config=ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=30),
    )
    found = await subscription.fetch(2, timeout=5)
    assert [message.data for message in found] == [b"d", b"e"]
    for message in found:
        await message.ack_sync()
    info = await fleet.metering.jetstream.consumer_info(subjects.USAGE_STREAM, subjects.USAGE_CONSUMER)
    assert (info.num_pending, info.num_ack_pending) == (0, 0)
    assert await unsettled(fleet.console) == await unsettled(fleet.metering) == 0

    async def let_go() -> bool:
        return await fleet.metering.stream_span(subjects.USAGE_STREAM) == (3, 2)

    await eventually(let_go, within_s=WITHIN_S, what="the stream has let both go")
    await subscription.unsubscribe()


async def test_checkpoints_are_read_and_taken_away_by_metering(fleet: Fleet) -> None:
    subject = subjects.checkpoint("dispatcher-1", 0)
    fleet.dispatcher.publish(subject, b"so far")
    stream = subjects.CHECKPOINT_STREAM

    async def kept() -> list[str]:
        return await fleet.metering.subjects_of(stream, subjects.CHECKPOINT_SUBJECTS)

    assert await eventually(kept, within_s=WITHIN_S, what="the checkpoint is kept") == [subject]
    assert await fleet.metering.last_message(stream, subject) == b"so far"
    await fleet.metering.purge(stream, subject)
    assert await fleet.metering.last_message(stream, subject) is None


async def test_history_is_stored_by_health_and_read_by_the_console(fleet: Fleet) -> None:
    outcomes = await heard(fleet.health, subjects.OUTCOME)
    fleet.dispatcher.publish(subjects.OUTCOME, b"went well")
    assert (await outcomes.next()).data == b"went well"
    await fleet.health.store(subjects.health(1), b"sample", message_id="1", timeout_s=5)
    await fleet.health.store(subjects.credential(1, 2), b"refused", message_id="2", timeout_s=5)
    stream = subjects.HEALTH_STREAM
    assert await fleet.health.subjects_of(stream, subjects.CREDENTIAL_SUBJECTS) == [subjects.credential(1, 2)]
    assert await fleet.health.last_message(stream, subjects.credential(1, 2)) == b"refused"
    subscription = await fleet.console.jetstream.pull_subscribe(subjects.HEALTH_SUBJECTS, stream=stream)
    assert [message.data for message in await subscription.fetch(2, timeout=5)] == [b"sample", b"refused"]
    await subscription.unsubscribe()


async def test_beats_are_heard_by_whom_they_concern(fleet: Fleet) -> None:
    board = await heard(fleet.console, subjects.alive_of("*"))
    for role, bus in fleet.all.items():
        bus.publish(subjects.alive(role, f"{role}-1"), b"")
        assert (await board.next()).subject == subjects.alive(role, f"{role}-1")


async def test_a_refusal_is_counted_and_the_call_fails(guarded: GuardedNATS, tasks: TaskSet, fleet: Fleet) -> None:
    bus = await nats_bus.connect(guarded.url_of("edge"), name="edge-2", tasks=tasks, inbox=subjects.inbox("edge"))
    with capture_logs() as logs:
        with pytest.raises(BusError):
            await bus.store("tl.usage.dispatcher.dispatcher-1", b"false", message_id="1", timeout_s=0.2)

        async def counted() -> bool:
            return bus.refused == 1

        # Nothing waits for the broker's word, only for an answer.
        await eventually(counted, within_s=WITHIN_S, what="the refusal is counted")
        bus.publish("tl.outcome", b"false")
        await bus.flush()
        assert bus.refused == 2
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("bus_permission_refused", "error")] * 2
    assert await unsettled(fleet.console) == 0
    await bus.close()


async def test_what_the_broker_answers_into_a_bucket_is_no_snapshot(fleet: Fleet) -> None:
    # NATS looks at no reply subject, so an edge can have JetStream's answers stored where it may not write itself.
    asked = (subjects.usage("edge", "edge-1"), "$JS.API.STREAM.INFO.KV_models", "$JS.API.STREAM.MSG.GET.KV_models")
    for number, subject in enumerate(asked):
        fleet.edge.publish(subject, b'{"seq":1}', f"$KV.channels.{number}")

        async def stored(token: str = str(number)) -> bytes | None:
            return await fleet.dispatcher.kv_get("channels", token)

        answer = await eventually(stored, within_s=WITHIN_S, what="the answer is in the bucket")
        assert answer.startswith(b"{")
        with pytest.raises(msgspec.MsgspecError):
            snapshots.decode_channel(answer)
        with pytest.raises(msgspec.MsgspecError):
            snapshots.decode_key_policy(answer)
