"""The edge's cache of keys, on a broker that announces a change before it has stored it."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from services.edge import key_ring
from services.edge.key_ring import CHECKED_AGAIN_S, CHECKED_EVERY_S, DOUBTED_KEPT_S, STORED_WITHIN_S, KeyRing
from services.edge.metrics import EdgeMetrics
from tests.support.manual_clock import ManualClock
from trunkline.bus import snapshots, subjects
from trunkline.bus.port import Bus, BusError, Message
from trunkline.bus.snapshots import KeyPolicy
from trunkline.core.errors import ErrorType, FaultError
from trunkline.policy import keys
from trunkline.policy.keys import CompiledKey
from trunkline.runtime.tasks import TaskSet

PEPPER = b"pepper-of-the-tests"
SECRET = keys.mint(bytes(range(64)))
NAME = keys.key_hash(SECRET, PEPPER)
OPEN = snapshots.encode(KeyPolicy(key=1, key_name="k", account=1, account_name="a"))
BLOCKED = snapshots.encode(KeyPolicy(key=1, key_name="k", account=1, account_name="a", blocked=True))


class SlowStore:
    """A broker whose announcements are ahead of its storage."""

    def __init__(self) -> None:
        self.entries: dict[str, bytes | BusError] = {}
        self.reads = 0
        self.handler: Callable[[Message], None]
        self.connection_changed: Callable[[bool], None]

    async def subscribe(self, subject: str, handler: Callable[[Message], None]) -> None:
        assert subject == f"$KV.{subjects.KV_KEYS}.>"
        self.handler = handler

    def on_connection(self, callback: Callable[[bool], None]) -> None:
        self.connection_changed = callback

    async def kv_get(self, bucket: str, token: str) -> bytes | None:
        assert bucket == subjects.KV_KEYS
        self.reads += 1
        stored = self.entries.get(token)
        if isinstance(stored, BusError):
            raise stored
        return stored

    def announce(self, data: bytes) -> None:
        """Announce a write that is not stored yet."""
        self.handler(Message(f"$KV.{subjects.KV_KEYS}.{NAME}", "", data))


class Rig:
    """A key ring on a slow store."""

    def __init__(self, tasks: TaskSet | None = None) -> None:
        self.store = SlowStore()
        self.clock = ManualClock()
        metrics = EdgeMetrics(CollectorRegistry())
        self.ring = KeyRing(
            cast("Bus", self.store), PEPPER, clock=self.clock, tasks=tasks or TaskSet(), metrics=metrics
        )

    async def look_up(self) -> CompiledKey | None:
        """Return the key as a request finds it, None if it does not exist."""
        try:
            return self.ring.cached(SECRET) or await self.ring.find(SECRET)
        except FaultError:
            return None

    async def used(self) -> CompiledKey | None:
        """Return the same, once what that has begun beside it is done."""
        found = await self.look_up()
        await asyncio.gather(*self.ring._reading.values())
        return found

    async def blocked(self) -> bool:
        key = await self.look_up()
        assert key is not None
        return key.policy.blocked


@pytest.fixture
async def rig() -> Rig:
    rig = Rig()
    await rig.ring.start()
    return rig


async def test_key_is_read_once(rig: Rig) -> None:
    rig.store.entries[NAME] = OPEN
    assert not await rig.blocked()
    assert not await rig.blocked()
    assert rig.store.reads == 1


async def test_blocked_key_is_refused_before_the_broker_has_stored_it(rig: Rig) -> None:
    rig.store.entries[NAME] = OPEN
    assert not await rig.blocked()
    rig.store.announce(BLOCKED)
    assert await rig.blocked()
    rig.store.entries[NAME] = BLOCKED
    assert await rig.blocked()
    assert await rig.blocked()
    assert rig.store.reads == 3  # of what was not stored yet nothing is remembered


async def test_deleted_key_is_refused_before_the_broker_has_stored_it(rig: Rig) -> None:
    rig.store.entries[NAME] = OPEN
    assert await rig.look_up()
    rig.store.announce(b"")
    assert await rig.look_up() is None


async def test_new_key_is_known_before_the_broker_has_stored_it(rig: Rig) -> None:
    assert await rig.look_up() is None
    rig.store.announce(OPEN)
    assert await rig.look_up()


async def test_what_is_stored_counts_in_the_end(rig: Rig) -> None:
    rig.store.entries[NAME] = OPEN
    rig.store.announce(BLOCKED)  # overtaken by a change of another writer, and never stored
    assert await rig.blocked()
    await rig.clock.advance(STORED_WITHIN_S)
    assert not await rig.blocked()


async def test_reconnect_drops_what_was_announced(rig: Rig) -> None:
    rig.store.entries[NAME] = OPEN
    rig.store.announce(BLOCKED)
    rig.store.connection_changed(True)
    assert not await rig.blocked()


@pytest.mark.parametrize("stored", [BusError("no leader"), b"{not a policy"])
async def test_a_bucket_that_cannot_be_read_is_told_and_stops_nothing(stored: bytes | BusError) -> None:
    failures: list[BaseException] = []
    rig = Rig(TaskSet(failures.append))
    await rig.ring.start()
    rig.store.entries[NAME] = stored
    with pytest.raises(FaultError) as raised:
        await rig.ring.find(SECRET)
    assert raised.value.fault.type is ErrorType.GATEWAY_NOT_READY
    assert failures == []
    rig.store.entries[NAME] = OPEN
    assert await rig.blocked() is False, "nothing of it is remembered"


async def test_a_known_key_is_good_after_a_reconnect_while_the_bucket_has_no_leader(rig: Rig) -> None:
    rig.store.entries[NAME] = OPEN
    assert await rig.look_up()
    rig.store.entries[NAME] = BusError("no leader")
    rig.store.connection_changed(True)
    assert not await rig.blocked()
    rig.store.connection_changed(True)  # which doubts nothing anew: it was not read in between
    await rig.clock.advance(DOUBTED_KEPT_S)
    assert await rig.look_up() is None


async def test_a_key_that_can_be_read_after_a_reconnect_is_as_it_is_read(rig: Rig) -> None:
    rig.store.entries[NAME] = OPEN
    assert await rig.look_up()
    rig.store.connection_changed(True)
    rig.store.entries[NAME] = BLOCKED
    assert await rig.blocked()
    rig.store.connection_changed(True)
    del rig.store.entries[NAME]
    assert await rig.look_up() is None


async def test_a_change_that_is_heard_after_a_reconnect_ends_what_was_known(rig: Rig) -> None:
    rig.store.entries[NAME] = OPEN
    assert await rig.look_up()
    rig.store.entries[NAME] = BusError("no leader")
    rig.store.connection_changed(True)
    rig.store.announce(b"")
    assert await rig.look_up() is None


async def test_a_key_that_was_never_known_is_not_good_while_the_bucket_has_no_leader(rig: Rig) -> None:
    rig.store.entries[NAME] = BusError("no leader")
    rig.store.connection_changed(True)
    assert await rig.look_up() is None


async def test_a_known_key_does_not_wait_for_a_bucket_that_says_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(_bucket: str, _token: str) -> bytes | None:
        await asyncio.get_running_loop().create_future()
        return None

    rig.store.entries[NAME] = OPEN
    assert await rig.look_up()
    rig.store.connection_changed(True)
    monkeypatch.setattr(rig.store, "kv_get", silent)
    monkeypatch.setattr(key_ring, "DOUBTED_READ_S", 0.0)
    assert not await rig.blocked()


async def test_a_revocation_that_was_not_announced_holds_once_the_key_is_read_again(rig: Rig) -> None:
    rig.store.entries[NAME] = OPEN
    assert await rig.look_up()
    del rig.store.entries[NAME]
    await rig.clock.advance(CHECKED_EVERY_S - 0.001)
    assert await rig.used()
    assert rig.store.reads == 1
    await rig.clock.advance(0.001)
    assert await rig.used(), "nothing waits for the read"
    assert await rig.look_up() is None
    assert rig.store.reads == 2


async def test_a_key_is_read_again_while_it_is_used(rig: Rig) -> None:
    rig.store.entries[NAME] = OPEN
    for reads in (1, 2, 3):
        for _ in range(3):
            assert await rig.used()
        assert rig.store.reads == reads
        await rig.clock.advance(CHECKED_EVERY_S)


async def test_a_known_key_is_good_as_long_as_it_cannot_be_read_again(rig: Rig) -> None:
    rig.store.entries[NAME] = OPEN
    assert await rig.look_up()
    rig.store.entries[NAME] = BusError("home is away")
    await rig.clock.advance(CHECKED_EVERY_S)
    for _ in range(2):
        assert await rig.used()
        assert await rig.used()
        await rig.clock.advance(CHECKED_AGAIN_S)
    assert rig.store.reads == 3
    rig.store.entries[NAME] = BLOCKED
    assert not await rig.blocked()
    await asyncio.gather(*rig.ring._reading.values())
    assert await rig.blocked()


async def test_a_change_that_is_heard_during_a_check_goes_before_what_is_read(rig: Rig) -> None:
    rig.store.entries[NAME] = OPEN
    assert await rig.look_up()
    await rig.clock.advance(CHECKED_EVERY_S)
    assert await rig.look_up()
    reading = list(rig.ring._reading.values())
    rig.store.announce(BLOCKED)
    await asyncio.gather(*reading)
    assert await rig.blocked()
