"""Usage on its way to JetStream: what is not taken goes to disk, comes back from there, and is numbered throughout."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from tests.support.usage_events import usage_event
from tests.support.waiting import eventually
from trunkline.bus import journal_record, messages, subjects
from trunkline.bus.messages import UsageBatch, UsageEvent, VoidJob
from trunkline.bus.port import Bus, BusError
from trunkline.core import limits
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.config import EXIT_USAGE
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.process import Process
from trunkline.runtime.spool import Spool, open_spool
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.usage_outbox import SpoolSettings, UsageMetrics, UsageOutbox, open_outbox

DEADLINE_S = 10.0


class Stream:
    """A JetStream that can be away, and that keeps each message id once."""

    def __init__(self) -> None:
        self.away = False
        self.forgets_to_answer = False
        self.batches: dict[str, tuple[UsageEvent, ...]] = {}
        self.void: list[VoidJob] = []

    async def store(self, subject: str, payload: bytes, *, message_id: str, timeout_s: float) -> None:
        assert subject.startswith("tl.usage.dispatcher.")
        if self.away:
            raise BusError("away")
        batch = messages.decode_usage_batch(payload)
        self.batches.setdefault(message_id, batch.events)
        self.void += batch.void
        if self.forgets_to_answer:
            raise BusError("not acknowledged")

    @property
    def events(self) -> list[UsageEvent]:
        return [event for batch in self.batches.values() for event in batch]


class Rig:
    def __init__(self, directory: Path) -> None:
        self.stream = Stream()
        self.directory = directory
        self.tasks = TaskSet()
        self.registry = CollectorRegistry()

    def outbox(self, process: str = "dispatcher-1", *, spool: bool = True, bytes_max: int = 1 << 20) -> UsageOutbox:
        self.registry = CollectorRegistry()
        self.spool: Spool | None = open_spool(self.directory, process, bytes_max=bytes_max) if spool else None
        return UsageOutbox(
            cast("Bus", self.stream),
            "dispatcher",
            process,
            clock=SystemClock(),
            tasks=self.tasks,
            metrics=UsageMetrics(self.registry, "dispatcher"),
            spool=self.spool,
        )

    def metric(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"trunkline_dispatcher_{name}")


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    await rig.tasks.cancel()


def filled(outbox: UsageOutbox, count: int) -> list[UsageEvent]:
    events = [usage_event() for _ in range(count)]
    first = len(outbox) + outbox.stored + 1
    assert [outbox.add(event) for event in events] == list(range(first, first + count))
    return events


async def until_stored(outbox: UsageOutbox, count: int) -> None:
    async def stored() -> bool:
        return outbox.stored == count

    await eventually(stored, within_s=DEADLINE_S, what=f"{count} events are stored")
    assert len(outbox) == 0


async def until_removed(rig: Rig) -> None:
    """Wait for the files: they go once what is in them is known to be stored."""

    async def removed() -> bool:
        return rig.metric("spool_bytes") == 0

    await eventually(removed, within_s=DEADLINE_S, what="no file is left")


async def test_with_jetstream_there_the_disk_is_not_touched(rig: Rig) -> None:
    outbox = rig.outbox()
    events = filled(outbox, limits.USAGE_BATCH_MAX + 3)
    await until_stored(outbox, len(events))
    await outbox.flushed()
    assert rig.stream.events == events
    assert list(rig.stream.batches) == ["dispatcher-1-0-256", "dispatcher-1-256-3"]
    assert rig.metric("usage_spooled_total") == 0
    assert subjects.usage("dispatcher", "dispatcher-1") == "tl.usage.dispatcher.dispatcher-1"
    await outbox.close()
    assert [path.name for path in rig.directory.iterdir()] == ["lock"]


async def test_what_jetstream_does_not_take_goes_to_disk_and_from_there_when_it_is_back(rig: Rig) -> None:
    outbox = rig.outbox()
    events = filled(outbox, 2)
    await until_stored(outbox, 2)
    rig.stream.away = True
    events += filled(outbox, 600)
    await outbox.flushed()
    assert rig.metric("usage_spooled_total") == 600
    size_bytes = rig.metric("spool_bytes") or 0
    assert size_bytes > 0
    events += filled(outbox, 10)
    await outbox.flushed()
    assert (len(outbox), outbox.stored) == (610, 2)
    assert (rig.metric("spool_bytes") or 0) > size_bytes
    rig.stream.away = False
    await until_stored(outbox, 612)
    assert rig.stream.events == events
    await until_removed(rig)
    events += filled(outbox, 1)
    await until_stored(outbox, 613)
    assert rig.stream.events == events


async def test_what_is_said_of_jobs_goes_the_way_of_usage(rig: Rig) -> None:
    outbox = rig.outbox()
    words = [VoidJob(bytes([number]) * 16, 7, number) for number in range(3)]
    events = filled(outbox, 1)
    outbox.add(words[0])
    await until_stored(outbox, 2)
    assert (rig.stream.events, rig.stream.void, list(rig.stream.batches)) == (events, words[:1], ["dispatcher-1-0-2"])
    rig.stream.away = True
    outbox.add(words[1])
    events += [usage_event()]
    outbox.add(events[1])
    outbox.add(words[2])
    await outbox.flushed()
    assert rig.metric("usage_spooled_total") == 3
    rig.stream.away = False
    await until_stored(outbox, 5)
    assert (rig.stream.events, rig.stream.void) == (events, words)


async def test_a_batch_that_was_stored_and_not_acknowledged_is_there_once(rig: Rig) -> None:
    outbox = rig.outbox()
    rig.stream.forgets_to_answer = True
    events = filled(outbox, 5)
    await outbox.flushed()
    events += filled(outbox, 5)
    await outbox.flushed()
    rig.stream.forgets_to_answer = False
    await until_stored(outbox, 10)
    assert rig.stream.events == events


async def test_what_a_process_left_on_disk_is_sent_by_its_successor(rig: Rig) -> None:
    rig.stream.away = True
    first = rig.outbox("dispatcher-1")
    events = filled(first, 300)
    await first.flushed()
    await first.close()
    rig.stream.away = False
    second = rig.outbox("dispatcher-2")

    async def sent() -> bool:
        return len(rig.stream.events) == 300 and rig.metric("spool_bytes") == 0

    await eventually(sent, within_s=DEADLINE_S, what="what was left is sent")
    assert rig.stream.events == events
    assert (second.stored, len(second)) == (0, 0)
    events += filled(second, 1)
    await until_stored(second, 1)
    assert rig.stream.events == events
    await second.close()
    assert [path.name for path in rig.directory.iterdir()] == ["lock"]


async def test_what_is_neither_stored_nor_on_disk_is_in_the_journal(rig: Rig) -> None:
    outbox = rig.outbox()

    def noted() -> list[UsageEvent | VoidJob]:
        [path] = rig.directory.glob("*/journal")
        batches = [messages.decode_usage_batch(payload) for payload in journal_record.read(path.read_bytes())]
        return [each for batch in batches for each in (*batch.events, *batch.void)]

    await until_stored(outbox, len(filled(outbox, 5)))
    assert noted() == []
    rig.stream.away = True
    events: list[UsageEvent | VoidJob] = [*filled(outbox, 2)]
    word = VoidJob(events[0].job, 7, 0)
    outbox.add(word)
    assert noted() == [*events, word], "before anything else has run"
    await outbox.flushed()
    assert noted() == [], "it is in the spool"
    rig.stream.away = False
    await until_stored(outbox, 8)
    assert noted() == []


async def test_what_is_in_memory_at_the_end_goes_to_disk(rig: Rig) -> None:
    first = rig.outbox("dispatcher-1")
    rig.stream.away = True
    events = filled(first, 3)
    await first.close()
    rig.stream.away = False
    rig.outbox("dispatcher-2")

    async def sent() -> bool:
        return rig.stream.events == events

    await eventually(sent, within_s=DEADLINE_S, what="what was left is sent")


async def test_a_torn_file_is_counted(rig: Rig) -> None:
    rig.stream.away = True
    first = rig.outbox("dispatcher-1")
    events = filled(first, 2)
    await first.flushed()
    await first.close()
    [path] = rig.directory.glob("*/*.usage")
    with path.open("ab") as file:
        file.write(b"torn")
    rig.stream.away = False
    with capture_logs() as lines:
        rig.outbox("dispatcher-2")

        async def sent() -> bool:
            return rig.stream.events == events

        await eventually(sent, within_s=DEADLINE_S, what="what was left is sent")
    assert rig.metric("usage_torn_bytes_total") == 4
    assert "usage_torn" in [line["event"] for line in lines]


async def test_at_its_bound_it_is_full_and_nothing_is_lost(rig: Rig) -> None:
    rig.stream.away = True
    outbox = rig.outbox(bytes_max=500)
    events = filled(outbox, 20)
    await outbox.flushed()
    assert outbox.full
    events += filled(outbox, 20)

    async def tried() -> bool:
        return (rig.metric("usage_store_failures_total") or 0) >= 3

    await eventually(tried, within_s=DEADLINE_S, what="it is tried again")
    assert rig.metric("usage_spooled_total") == 20
    rig.stream.away = False
    await until_stored(outbox, 40)
    assert not outbox.full
    assert rig.stream.events == events


async def test_without_a_disk_it_waits_in_memory(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "USAGE_PENDING_MAX", 30)
    rig.stream.away = True
    outbox = rig.outbox(spool=False)
    events = filled(outbox, 29)
    assert not outbox.full
    events += filled(outbox, 1)
    assert outbox.full
    rig.stream.away = False
    await until_stored(outbox, 30)
    assert rig.stream.events == events
    rig.stream.away = True
    filled(outbox, 2)
    with capture_logs() as lines:
        await outbox.close()
    assert {"event": "usage_left_behind", "events": 2, "log_level": "error"} in lines


async def test_a_disk_that_fails_loses_nothing(rig: Rig) -> None:
    outbox = rig.outbox()
    rig.stream.away = True
    shutil.rmtree(rig.directory / "dispatcher-1")
    events = filled(outbox, 3)

    async def tried() -> bool:
        return (rig.metric("usage_store_failures_total") or 0) >= 2

    with capture_logs() as lines:
        await eventually(tried, within_s=DEADLINE_S, what="it is tried again")
    assert "usage_not_spooled" in [line["event"] for line in lines]
    rig.stream.away = False
    await until_stored(outbox, 3)
    assert rig.stream.events == events


def process_of(rig: Rig) -> Process:
    bus = cast("NATSBus", rig.stream)
    return Process("dispatcher", "dispatcher-1", 1, SystemClock(), rig.tasks, bus, CollectorRegistry())


async def test_without_a_folder_it_is_said_that_there_is_none(rig: Rig) -> None:
    with capture_logs() as lines:
        outbox = await open_outbox(process_of(rig), SpoolSettings())
    assert [line["event"] for line in lines] == ["usage_spool_off"]
    assert not outbox.full


async def test_a_folder_that_cannot_be_used_ends_the_process(
    rig: Rig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as ended:
        await open_outbox(process_of(rig), SpoolSettings(spool_dir=str(tmp_path / "file")))
    assert ended.value.code == EXIT_USAGE
    assert "TRUNKLINE_SPOOL_DIR: " in capsys.readouterr().err


def test_a_batch_is_as_small_as_is_said() -> None:
    assert len(messages.encode(UsageBatch((usage_event(),) * limits.USAGE_BATCH_MAX))) < 100_000
