"""A bucket in memory follows what is announced, also when the broker stores it only after it has announced it."""

from collections.abc import AsyncIterator, Callable
from typing import cast

import pytest

from tests.support.manual_clock import ManualClock
from trunkline.bus.port import Message
from trunkline.runtime.kv_view import STORE_WAIT_MAX_S, KVView
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet


class SlowStore:
    """A broker whose announcements are ahead of its storage."""

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}
        self.reads = 0
        self.announce: Callable[[Message], None]

    async def subscribe(self, subject: str, handler: Callable[[Message], None]) -> Callable[[], object]:
        assert subject == "$KV.channels.>"
        self.announce = handler
        return lambda: None

    def on_connection(self, callback: Callable[[bool], None]) -> None:
        assert callable(callback)

    async def kv_all(self, bucket: str) -> dict[str, bytes]:
        assert bucket == "channels"
        return dict(self.entries)

    async def kv_get(self, bucket: str, token: str) -> bytes | None:
        assert bucket == "channels"
        self.reads += 1
        return self.entries.get(token)

    def hear(self, token: str, data: bytes) -> None:
        """Announce a write that is not stored yet."""
        self.announce(Message(f"$KV.channels.{token}", "", data))


class Rig:
    """A view on a slow store, and what it was told."""

    def __init__(self, tasks: TaskSet) -> None:
        self.store = SlowStore()
        self.clock = ManualClock()
        self.seen: dict[str, bytes | None] = {}
        self.view = KVView(
            cast("NATSBus", self.store), "channels", self.seen.__setitem__, clock=self.clock, tasks=tasks
        )


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    tasks = TaskSet()
    rig = Rig(tasks)
    await rig.view.start()
    yield rig
    await tasks.cancel()


async def test_entry_that_is_stored_after_it_was_announced_is_seen(rig: Rig) -> None:
    rig.store.hear("1", b"one")
    await rig.clock.advance(0)
    assert rig.seen == {}
    rig.store.entries["1"] = b"one"
    await rig.clock.advance(0.01)
    assert rig.seen == {"1": b"one"}


async def test_change_that_is_stored_late_is_seen(rig: Rig) -> None:
    rig.store.entries["1"] = b"old"
    rig.store.hear("1", b"old")
    rig.store.hear("1", b"new")
    await rig.clock.advance(0)
    assert rig.seen == {"1": b"old"}
    rig.store.entries["1"] = b"new"
    await rig.clock.advance(0.5)
    assert rig.seen == {"1": b"new"}


async def test_deletion_that_is_stored_late_is_seen(rig: Rig) -> None:
    rig.store.entries["1"] = b"one"
    rig.store.hear("1", b"one")
    await rig.clock.advance(0)
    rig.store.hear("1", b"")
    await rig.clock.advance(0)
    del rig.store.entries["1"]
    await rig.clock.advance(0.5)
    assert rig.seen == {"1": None}


async def test_what_is_never_stored_is_not_looked_for_without_end(rig: Rig) -> None:
    rig.store.hear("1", b"one")
    await rig.clock.advance(3 * STORE_WAIT_MAX_S)
    reads = rig.store.reads
    assert reads < 20
    await rig.clock.advance(30)
    assert rig.store.reads == reads


async def test_entry_that_is_there_is_read_once(rig: Rig) -> None:
    rig.store.entries["1"] = b"one"
    rig.store.hear("1", b"one")
    await rig.clock.advance(5)
    assert rig.store.reads == 1


async def test_changes_are_seen_in_the_order_in_which_they_were_announced(rig: Rig) -> None:
    names = [str(number) for number in range(5)]
    rig.store.entries.update(dict.fromkeys(names, b"value"))
    for name in names:
        rig.store.hear(name, b"value")
    await rig.clock.advance(0)
    assert list(rig.seen) == names
