"""The outbox, its spool and a real NATS that goes away and comes back."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from tests.support.servers import NATSServer, running_nats
from tests.support.usage_events import usage_event
from tests.support.waiting import eventually
from trunkline.bus import messages, subjects
from trunkline.bus.messages import UsageEvent
from trunkline.runtime import nats_bus
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.spool import Spool, open_spool
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.usage_outbox import UsageMetrics, UsageOutbox

DEADLINE_S = 20.0


@pytest.fixture
def own_nats() -> Iterator[NATSServer]:
    with running_nats() as server:
        yield server


async def stored_events(bus: NATSBus) -> list[UsageEvent]:
    """Return what the stream holds, in its order."""
    subscription = await bus.jetstream.pull_subscribe(subjects.USAGE_SUBJECTS, stream=subjects.USAGE_STREAM)
    events: list[UsageEvent] = []
    state = (await bus.jetstream.stream_info(subjects.USAGE_STREAM)).state
    for _ in range(state.messages):
        [message] = await subscription.fetch(1, timeout=5)
        events += messages.decode_usage_batch(message.data).events
    await subscription.unsubscribe()
    return events


def new_outbox(bus: NATSBus, process: str, tasks: TaskSet, spool: Spool) -> UsageOutbox:
    metrics = UsageMetrics(CollectorRegistry(), "dispatcher")
    return UsageOutbox(bus, "dispatcher", process, clock=SystemClock(), tasks=tasks, metrics=metrics, spool=spool)


async def until_stored(outbox: UsageOutbox, spool: Spool, count: int) -> None:
    """Return once so many are stored, and nothing of them is on disk: it may have been there if NATS took its time."""

    async def stored() -> bool:
        return outbox.stored == count and len(spool) == 0

    await eventually(stored, within_s=DEADLINE_S, what=f"{count} events are stored")


async def test_nats_is_stopped_and_started_again(own_nats: NATSServer, tasks: TaskSet, tmp_path: Path) -> None:
    bus = await nats_bus.connect(own_nats.url, name="test", tasks=tasks)
    await bus.ensure_streams()
    spool = open_spool(tmp_path, "dispatcher-1", bytes_max=1 << 30)
    outbox = new_outbox(bus, "dispatcher-1", tasks, spool)
    events = [usage_event() for _ in range(2000)]
    for event in events[:500]:
        outbox.add(event)
    await until_stored(outbox, spool, 500)
    await asyncio.to_thread(own_nats.stop)
    for event in events[500:1500]:
        outbox.add(event)
    await outbox.flushed()
    assert (outbox.stored, len(outbox)) == (500, 1000)
    assert len(spool) == 1
    await asyncio.to_thread(own_nats.start)
    for event in events[1500:]:
        outbox.add(event)
    await until_stored(outbox, spool, 2000)
    assert await stored_events(bus) == events
    await outbox.close()
    await bus.close()


async def test_a_process_that_ends_while_nats_is_away_leaves_its_usage_to_the_next(
    own_nats: NATSServer, tasks: TaskSet, tmp_path: Path
) -> None:
    bus = await nats_bus.connect(own_nats.url, name="test", tasks=tasks)
    await bus.ensure_streams()
    first = new_outbox(bus, "dispatcher-1", tasks, open_spool(tmp_path, "dispatcher-1", bytes_max=1 << 30))
    await asyncio.to_thread(own_nats.stop)
    events = [usage_event() for _ in range(600)]
    for event in events:
        first.add(event)
    await first.close()
    await asyncio.to_thread(own_nats.start)
    spool = open_spool(tmp_path, "dispatcher-2", bytes_max=1 << 30)
    second = new_outbox(bus, "dispatcher-2", tasks, spool)

    async def sent() -> bool:
        return len(spool) == 0

    await eventually(sent, within_s=DEADLINE_S, what="what was left is sent")
    assert await stored_events(bus) == events
    await second.close()
    await bus.close()


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from prometheus_client import CollectorRegistry
from trunkline.bus import messages
from trunkline.runtime import nats_bus
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.spool import open_spool
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.usage_outbox import UsageMetrics, UsageOutbox

async def main():
    tasks = TaskSet()
    bus = await nats_bus.connect(sys.argv[1], name="killed", tasks=tasks)
    outbox = UsageOutbox(
        bus, "dispatcher", "dispatcher-1", clock=SystemClock(), tasks=tasks,
        metrics=UsageMetrics(CollectorRegistry(), "dispatcher"),
        spool=open_spool(Path(sys.argv[2]), "dispatcher-1", bytes_max=1 << 30),
    )
    for event in messages.decode_usage_batch(sys.stdin.buffer.read()).events:
        outbox.add(event)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_process_that_is_killed_with_usage_in_its_hands_leaves_it_to_the_next(
    own_nats: NATSServer, tasks: TaskSet, tmp_path: Path
) -> None:
    events = [usage_event() for _ in range(500)]
    bus = await nats_bus.connect(own_nats.url, name="test", tasks=tasks)
    await bus.ensure_streams()
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, own_nats.url, str(tmp_path), stdin=asyncio.subprocess.PIPE
    )
    await killed.communicate(messages.encode(messages.UsageBatch(tuple(events))))
    assert killed.returncode == -signal.SIGKILL
    assert (await bus.jetstream.stream_info(subjects.USAGE_STREAM)).state.messages == 0
    spool = open_spool(tmp_path, "dispatcher-2", bytes_max=1 << 30)
    outbox = new_outbox(bus, "dispatcher-2", tasks, spool)

    async def sent() -> bool:
        return len(spool) == 0

    await eventually(sent, within_s=DEADLINE_S, what="what was left is sent")
    assert await stored_events(bus) == events
    await outbox.close()
    await bus.close()
