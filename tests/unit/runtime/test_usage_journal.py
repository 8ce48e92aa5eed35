"""The journal of a process's usage: what is not safe is in it, as far as there is room, and nothing else."""

import resource
import stat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.support.usage_events import usage_event
from trunkline.bus import journal_record, messages, usage_batches
from trunkline.bus.messages import UsageEvent, VoidJob
from trunkline.core import limits
from trunkline.runtime import spool as spool_module
from trunkline.runtime.spool import open_spool
from trunkline.runtime.usage_journal import UsageJournal

MIB = 1024 * 1024
RECORD_BYTES = len(journal_record.encode(1, b"payload 1"))


def held(path: Path) -> list[bytes]:
    return journal_record.read(path.read_bytes())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def payloads(first: int, last: int) -> list[bytes]:
    return [f"payload {number}".encode() for number in range(first, last + 1)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def write(journal: UsageJournal, first: int, last: int) -> None:
    for number, payload in enumerate(payloads(first, last), first):
        journal.write(number, payload)


def test_what_is_written_is_there_at_once_and_gone_when_it_is_safe(path: Path) -> None:
    journal = UsageJournal(path)
    assert held(path) == []
    write(journal, 1, 3)
    assert held(path) == payloads(1, 3)
    journal.safe(2)
    assert held(path) == payloads(3, 3)
    write(journal, 4, 4)
    assert held(path) == payloads(3, 4)
    journal.safe(4)
    assert held(path) == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_its_blocks_are_there_before_they_are_written(path: Path) -> None:
    UsageJournal(path, half_bytes=MIB)
    assert path.stat().st_blocks * 512 >= 2 * MIB


def test_where_there_is_no_room_for_it_nothing_is_left(path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            UsageJournal(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not path.exists()


def test_a_half_is_written_anew_once_all_in_it_is_safe(path: Path) -> None:
    journal = UsageJournal(path, half_bytes=3 * RECORD_BYTES + 5)
    write(journal, 1, 5)
    assert held(path) == payloads(1, 5)
    journal.safe(3)
    write(journal, 6, 8)
    assert held(path) == payloads(4, 8)
    journal.safe(8)
    write(journal, 9, 9)
    assert held(path) == payloads(9, 9), "what stands behind it is of an earlier run"


def test_what_finds_no_room_is_left_out_until_there_is_some(path: Path) -> None:
    journal = UsageJournal(path, half_bytes=2 * RECORD_BYTES)
    write(journal, 1, 6)
    assert held(path) == payloads(1, 4)
    journal.safe(1)
    write(journal, 7, 7)
    assert held(path) == payloads(2, 4), "the first half has one that is not safe"
    journal.safe(2)
    write(journal, 8, 9)
    assert held(path) == payloads(3, 4) + payloads(8, 9)
    journal.safe(9)
    journal.write(10, bytes(200))
    assert held(path) == [], "larger than a half"


def test_its_end_removes_it_unless_it_holds_something(path: Path) -> None:
    journal = UsageJournal(path)
    write(journal, 1, 2)
    journal.safe(2)
    journal.close()
    assert not path.exists()
    journal = UsageJournal(path)
    write(journal, 1, 2)
    journal.close()
    assert held(path) == payloads(1, 2)


def test_it_takes_no_file_of_anothers(path: Path) -> None:
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        UsageJournal(path)
    assert path.read_bytes() == b"mine"


def events_in(payload: bytes) -> list[UsageEvent | VoidJob]:
    batch = messages.decode_usage_batch(payload)
    return [*batch.events, *batch.void]


async def test_a_dead_process_leaves_it_to_whoever_comes_next(tmp_path: Path) -> None:
    first = open_spool(tmp_path, "dispatcher-1", bytes_max=MIB)
    assert first.journal is not None
    await first.append([b"older"])
    events = [usage_event() for _ in range(limits.USAGE_BATCH_MAX + 2)]
    for number, event in enumerate(events, 1):
        first.journal.write(number, usage_batches.encoded((event,)))
    first.journal.write(len(events) + 1, b"of another version")
    first.journal.safe(1)
    first.close()
    heir = open_spool(tmp_path, "dispatcher-2", bytes_max=MIB)
    assert heir.size_bytes < MIB / 4, "no more than what is in it"
    assert names(tmp_path / "dispatcher-1") == ["00000001.usage", "journal.usage", "lock"]
    assert stat.S_IMODE((tmp_path / "dispatcher-1" / "journal.usage").stat().st_mode) == 0o600
    assert (await heir.oldest()).payloads == [b"older"], "what is in the spool came first"
    await heir.drop_oldest()
    file = await heir.oldest()
    assert (file.name, file.own, file.torn_bytes) == ("dispatcher-1-journal", False, 0)
    *batches, unread = file.payloads
    assert [events_in(batch) for batch in batches] == [events[1:-1], events[-1:]]
    assert unread == b"of another version"
    await heir.drop_oldest()
    assert (len(heir), heir.size_bytes) == (0, 0)
    heir.close()
    assert names(tmp_path) == ["lock"]


def test_a_dead_process_that_left_nothing_leaves_no_file(tmp_path: Path) -> None:
    first = open_spool(tmp_path, "dispatcher-1", bytes_max=MIB)
    assert first.journal is not None
    write(first.journal, 1, 2)
    first.close()
    (tmp_path / "dispatcher-1" / "journal").write_bytes(journal_record.encode_header(2) + bytes(100))
    with capture_logs() as lines:
        heir = open_spool(tmp_path, "dispatcher-2", bytes_max=MIB)
    assert lines == []
    assert (len(heir), heir.full) == (0, False)
    assert names(tmp_path) == ["dispatcher-2", "lock"]


async def test_a_journal_that_cannot_be_kept_is_tried_again_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_spool(tmp_path, "dispatcher-1", bytes_max=MIB)
    assert first.journal is not None
    event = usage_event()
    first.journal.write(1, usage_batches.encoded((event,)))
    first.close()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, capture_logs() as lines:
        patch.setattr(spool_module.os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            open_spool(tmp_path, "dispatcher-2", bytes_max=MIB)
    assert [line["event"] for line in lines] == ["usage_journal_not_kept"]
    [payload] = (await open_spool(tmp_path, "dispatcher-3", bytes_max=MIB).oldest()).payloads
    assert events_in(payload) == [event]


async def test_without_room_for_it_there_is_a_spool_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> UsageJournal:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool_module, "UsageJournal", full)
    with capture_logs() as lines:
        spool = open_spool(tmp_path, "dispatcher-1", bytes_max=MIB)
    assert [line["event"] for line in lines] == ["usage_journal_off"]
    await spool.append([b"one"])
    assert (await spool.oldest()).payloads == [b"one"]
