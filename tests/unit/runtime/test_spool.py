"""Usage on disk: in order, adopted from the dead and not from the living, and never more than was written."""

import os
import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from trunkline.bus.spool_record import encode_record
from trunkline.runtime import spool as module
from trunkline.runtime.spool import Spool, SpooledFile, SpoolError, open_spool

MIB = 1024 * 1024


def opened(directory: Path, process: str = "dispatcher-1", *, bytes_max: int = MIB) -> Spool:
    return open_spool(directory, process, bytes_max=bytes_max)


async def drained(spool: Spool) -> list[SpooledFile]:
    files = []
    while len(spool):
        files.append(await spool.oldest())
        await spool.drop_oldest()
    return files


async def payloads(spool: Spool) -> list[bytes]:
    return [payload for file in await drained(spool) for payload in file.payloads]


def names(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


async def test_what_was_appended_comes_back_in_order(tmp_path: Path) -> None:
    spool = opened(tmp_path / "made" / "here")
    assert (len(spool), spool.size_bytes, spool.full) == (0, 0, False)
    await spool.append([b"one", b"two"])
    await spool.append([b"three"])
    assert (len(spool), spool.size_bytes) == (1, 3 * 8 + 11)
    assert await spool.oldest() == SpooledFile([b"one", b"two", b"three"], "dispatcher-1-00000001", True, 0)
    # The file that is being sent gets nothing more.
    await spool.append([b"four"])
    assert (await spool.oldest()).payloads == [b"one", b"two", b"three"]
    await spool.drop_oldest()
    assert await payloads(spool) == [b"four"]
    assert (len(spool), spool.size_bytes) == (0, 0)
    spool.close()
    assert names(tmp_path) == ["made", "made/here", "made/here/lock"]


async def test_a_large_file_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILE_BYTES_MAX", 100)
    spool = opened(tmp_path)
    written = [bytes([number]) * 30 for number in range(10)]
    for payload in written:
        await spool.append([payload])
    assert len(spool) == 4
    assert await payloads(spool) == written


async def test_it_says_when_it_is_full(tmp_path: Path) -> None:
    spool = opened(tmp_path, bytes_max=100)
    await spool.append([bytes(91)])
    assert not spool.full
    await spool.append([b""])
    assert spool.full
    await drained(spool)
    assert not spool.full


async def test_the_files_of_the_dead_are_adopted_and_come_first(tmp_path: Path) -> None:
    first = opened(tmp_path, "dispatcher-1")
    await first.append([b"one"])
    living = opened(tmp_path, "edge-1")
    await living.append([b"other"])
    assert len(living) == 1
    first.close()
    heir = opened(tmp_path, "dispatcher-2")
    await heir.append([b"two"])
    assert heir.size_bytes == 2 * (8 + 3)
    late = opened(tmp_path, "dispatcher-3")
    assert len(late) == 0
    assert await drained(heir) == [
        SpooledFile([b"one"], "dispatcher-1-00000001", False, 0),
        SpooledFile([b"two"], "dispatcher-2-00000001", True, 0),
    ]
    assert await payloads(living) == [b"other"]
    for spool in (heir, late, living):
        spool.close()
    assert names(tmp_path) == ["lock"]


async def test_what_an_heir_leaves_goes_to_the_next(tmp_path: Path) -> None:
    first = opened(tmp_path, "dispatcher-1")
    await first.append([b"one"])
    first.close()
    opened(tmp_path, "dispatcher-2").close()
    assert await payloads(opened(tmp_path, "dispatcher-3")) == [b"one"]


async def test_a_torn_end_is_left_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "dispatcher-1").mkdir()
    whole = encode_record(b"one") + encode_record(b"two")
    (tmp_path / "dispatcher-1" / "00000001.usage").write_bytes(whole[:-2])
    (tmp_path / "dispatcher-1" / "00000002.usage").write_bytes(b"")
    spool = opened(tmp_path, "dispatcher-2")
    assert await drained(spool) == [
        SpooledFile([b"one"], "dispatcher-1-00000001", False, 9),
        SpooledFile([], "dispatcher-1-00000002", False, 0),
    ]
    spool.close()
    assert names(tmp_path) == ["lock"]


async def test_a_file_that_cannot_be_read_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "dispatcher-1" / "00000001.usage").mkdir(parents=True)
    spool = opened(tmp_path, "dispatcher-2")
    with capture_logs() as lines:
        assert await payloads(spool) == []
    assert [line["event"] for line in lines] == ["spool_file_unreadable"]
    spool.close()
    assert names(tmp_path) == ["dispatcher-1", "dispatcher-1/00000001.unreadable", "lock"]


async def test_own_records_that_are_gone_are_an_error(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    await spool.append([b"one", b"two"])
    path = tmp_path / "dispatcher-1" / "00000001.usage"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SpoolError, match="has 1 of 2 records"):
        await spool.oldest()


async def test_what_failed_to_be_written_spoils_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = opened(tmp_path)
    await spool.append([b"one"])

    def half(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "_write_all", half)
        with pytest.raises(SpoolError, match="No space left on device"):
            await spool.append([b"two"])
    await spool.append([b"three"])
    assert await payloads(spool) == [b"one", b"three"]


async def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    shutil.rmtree(tmp_path / "dispatcher-1")
    with pytest.raises(SpoolError, match="cannot be written"):
        await spool.append([b"one"])
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        opened(tmp_path / "file")
