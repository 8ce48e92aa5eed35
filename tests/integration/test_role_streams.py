"""Streams are made by their owners only; the others wait, in whatever order they start."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest
from nats.errors import Error as NATSError
from structlog.testing import capture_logs

from tests.support.guarded_nats import GuardedNATS, guarded_nats
from tests.support.waiting import eventually
from trunkline.bus import subjects
from trunkline.bus.permissions import AWAITED, OPERATOR, ROLES, STREAMS
from trunkline.bus.port import BusError
from trunkline.runtime import nats_bus
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.nats_streams import ALL_STREAMS
from trunkline.runtime.role_streams import RoleStreams
from trunkline.runtime.tasks import TaskSet

WITHIN_S = 15.0


@pytest.fixture
def server() -> Iterator[GuardedNATS]:
    with guarded_nats() as server:
        yield server


@pytest.fixture
async def buses(server: GuardedNATS, tasks: TaskSet) -> AsyncIterator[dict[str, NATSBus]]:
    """A connection of each role, and the operator's."""
    opened = {
        user: await nats_bus.connect(server.url_of(user), name=user, tasks=tasks, inbox=subjects.inbox(user))
        for user in (*ROLES, OPERATOR)
    }
    yield opened
    for bus in opened.values():
        await bus.close()


async def streams(bus: NATSBus) -> set[str]:
    return {info.config.name for info in await bus.jetstream.streams_info()}


def test_every_stream_has_one_owner() -> None:
    owned = [name for names in STREAMS.values() for name in names]
    assert sorted(owned) == sorted(ALL_STREAMS)


async def test_those_who_read_wait_for_those_who_make(buses: dict[str, NATSBus], tasks: TaskSet) -> None:
    stop = asyncio.Event()
    waiting = {
        role: tasks.spawn(
            RoleStreams(buses[role], role, clock=SystemClock(), tasks=tasks).prepare(stop), name=f"prepare_{role}"
        )
        for role in ("edge", "dispatcher", "health")
    }
    with capture_logs() as logs:
        # Health's own are there at some time; until then others may say that they wait for those, too.
        last = Counter(
            tuple(bucket for bucket in AWAITED[role] if subjects.kv_stream(bucket) not in STREAMS["health"])
            for role in waiting
        )

        async def all_wait() -> bool:
            said = Counter(tuple(entry["buckets"]) for entry in logs if entry["event"] == "buckets_awaited")
            return said >= last

        await eventually(all_wait, within_s=WITHIN_S, what="all three say what they wait for")
    assert await streams(buses[OPERATOR]) == set(STREAMS["health"])
    assert not any(task.done() for task in waiting.values())
    assert await RoleStreams(buses["metering"], "metering", clock=SystemClock(), tasks=tasks).prepare(stop)
    assert await RoleStreams(buses["console"], "console", clock=SystemClock(), tasks=tasks).prepare(stop)
    async with asyncio.timeout(WITHIN_S):
        assert await asyncio.gather(*waiting.values()) == [True, True, True]
    assert await streams(buses[OPERATOR]) == set(ALL_STREAMS)
    assert {bus.refused for bus in buses.values()} == {0}


async def test_a_process_that_is_told_to_stop_waits_no_longer(buses: dict[str, NATSBus], tasks: TaskSet) -> None:
    stop = asyncio.Event()
    streams_of_edge = RoleStreams(buses["edge"], "edge", clock=SystemClock(), tasks=tasks)
    preparing = tasks.spawn(streams_of_edge.prepare(stop), name="prepare")
    stop.set()
    async with asyncio.timeout(WITHIN_S):
        assert await preparing is False


async def test_a_broker_that_has_lost_its_streams_gets_them_again(
    server: GuardedNATS, buses: dict[str, NATSBus], tasks: TaskSet
) -> None:
    stop = asyncio.Event()
    for role in reversed(ROLES):
        assert await RoleStreams(buses[role], role, clock=SystemClock(), tasks=tasks).prepare(stop)
    server.stop()
    server.forget()
    server.start()

    async def made() -> bool:
        try:
            return await streams(buses[OPERATOR]) == set(ALL_STREAMS)
        except (BusError, NATSError, OSError, TimeoutError):
            return False

    await eventually(made, within_s=WITHIN_S, what="all streams are there")
    assert {bus.refused for bus in buses.values()} == {0}
