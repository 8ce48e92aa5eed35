"""Today's code reads what earlier versions wrote, and they read what it writes: the bytes are kept in ``recorded``."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from tests.interop.recorded_bus import (
    FRAMES,
    GROUPS,
    JOB,
    ROOT,
    UnreadableError,
    frame_payloads,
    meaning,
    read_as_recorded,
    sample,
    schema_of,
)
from trunkline.bus import frames, messages, spool_record
from trunkline.bus.frames import FrameError, Kind

VERSIONS = sorted(ROOT.iterdir())

READ_ONLY: frozenset[str | int] = frozenset()
"""Words of enumerations that this version reads and does not send yet: the next one may."""


def _recorded() -> Iterator[Any]:
    for folder in VERSIONS:
        for name in GROUPS:
            entries = json.loads((folder / name).read_text())
            for struct, entry in entries.items():
                yield pytest.param(name, struct, entry, id=f"{folder.name}-{struct}")


def _frames(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / FRAMES).read_text())
    return found


def test_a_version_is_recorded() -> None:
    assert [folder.name for folder in VERSIONS] == ["bus-1"]


@pytest.mark.parametrize(("group", "name", "entry"), list(_recorded()))
def test_todays_code_reads_what_was_written(group: str, name: str, entry: dict[str, Any]) -> None:
    kind = next(kind for kind in GROUPS[group].structs if kind.__name__ == name)
    data = bytes.fromhex(entry["bytes"]) if GROUPS[group].binary else entry["bytes"].encode()
    assert_kept(GROUPS[group].decode(data, kind), entry["meaning"], name)


def assert_kept(value: Any, recorded: Any, where: str) -> None:
    """Assert that a value means what was recorded, and that fields which came later have their defaults."""
    match value:
        case msgspec.Struct():
            fields = {field.name: field for field in msgspec.structs.fields(value)}
            assert list(recorded) == list(fields)[: len(recorded)], f"{where}: fields are only ever appended"
            for name, field in fields.items():
                if name in recorded:
                    assert_kept(getattr(value, name), recorded[name], f"{where}.{name}")
                else:
                    default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
                    assert getattr(value, name) == default, f"{where}.{name} is new: it needs a default"
        case tuple():
            for one, kept in zip(value, recorded, strict=True):
                assert_kept(one, kept, where)
        case dict():
            for (key, one), (kept_key, kept) in zip(value.items(), recorded.items(), strict=True):
                assert str(key) == kept_key
                assert_kept(one, kept, where)
        case _:
            assert meaning(value) == recorded, where


@pytest.mark.parametrize(("group", "name", "entry"), list(_recorded()))
def test_earlier_versions_read_what_todays_code_writes(group: str, name: str, entry: dict[str, Any]) -> None:
    kind = next(kind for kind in GROUPS[group].structs if kind.__name__ == name)
    message, binary = sample(kind), GROUPS[group].binary
    data = GROUPS[group].encode(message)
    plain = msgspec.msgpack.decode(data, strict=False) if binary else msgspec.json.decode(data)
    read = read_as_recorded(entry["schema"], plain, name, binary=binary)
    assert_within(read, meaning(message), name)
    assert (
        not _words(_cut(schema_of(inspect.type_info(kind)), entry["schema"])) - _words(entry["schema"]) - READ_ONLY
    ), f"{name}: earlier versions refuse a message with this word; see docs/bus-protocol.md, Changes"


def assert_within(read: Any, whole: Any, where: str) -> None:
    """Assert that what an earlier version has read is what was meant, as far as it goes."""
    if isinstance(read, dict):
        for name, value in read.items():
            assert_within(value, whole[name], f"{where}.{name}")
    elif isinstance(read, list):
        assert len(read) == len(whole), where
        for one, meant in zip(read, whole, strict=True):
            assert_within(one, meant, where)
    else:
        assert read == whole, where


def _cut(schema: Any, recorded: Any) -> Any:
    """Return a schema without the fields that the recorded one lacks."""
    match schema, recorded:
        case ["array" | "object", tag, fields], [_, _, old]:
            kept = dict(old)
            return [schema[0], tag, [[name, _cut(one, kept[name])] for name, one in fields if name in kept]]
        case [word, [*inner]], [_, [*old]] if word in {"tuple", "optional", "dict"}:
            return [word, _cut(inner, old)]
    return schema


def _words(schema: Any) -> set[Any]:
    match schema:
        case ["enum", words]:
            return set(words)
        case list():
            return {found for one in schema for found in _words(one)}
    return set()


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)
def test_frames_are_read_and_written_as_they_were(folder: Path) -> None:
    recorded = _frames(folder)
    record = recorded.pop("spool record")
    assert {name for name, _, _ in frame_payloads()} == set(recorded)
    for name, entry in recorded.items():
        kind, payload, message = Kind(entry["kind"]), bytes.fromhex(entry["payload"]), bytes.fromhex(entry["bytes"])
        frame = (message[0], kind, entry["offer"], JOB, entry["sequence"], payload)
        assert frames.decode(message) == frame, name
        assert frames.encode(*frame) == message, name
    payload = bytes.fromhex(record["payload"])
    assert spool_record.read_records(bytes.fromhex(record["bytes"])) == ([payload], 0)
    assert spool_record.encode_record(payload) == bytes.fromhex(record["bytes"])


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)
def test_payloads_come_apart_as_they_were_joined(folder: Path) -> None:
    recorded = {name: bytes.fromhex(entry["payload"]) for name, entry in _frames(folder).items()}
    assert frames.decode_credit(recorded["CREDIT"]) == (1 << 40, 7, True)
    assert not frames.decode_void(recorded["CANCEL"])
    assert frames.decode_void(recorded["CANCEL void"])
    kept = json.loads((folder / "messages.json").read_text())
    for name, decode in (("OPEN", messages.decode_envelope), ("HEAD", messages.decode_head)):
        first, rest = frames.split_parts(recorded[name])
        assert rest == b"raw bytes"
        assert_kept(decode(first), kept["Envelope" if name == "OPEN" else "Head"]["meaning"], name)
    end, rest = frames.split_parts(recorded["WHOLE"])
    assert_kept(messages.decode_end(end), kept["End"]["meaning"], "WHOLE")
    head, data = frames.split_parts(rest)
    assert_kept(messages.decode_head(head), kept["Head"]["meaning"], "WHOLE")
    assert data == b"raw bytes"


def test_a_frame_of_another_version_or_kind_is_refused() -> None:
    frame = frames.encode(1, Kind.DATA, 0, JOB, 1, b"")
    for version in (b"\x00", b"\x02"):
        with pytest.raises(FrameError, match=f"frame version {version[0]}, this process reads 1 to 1"):
            frames.decode(version + frame[1:])
    with pytest.raises(FrameError, match="unknown frame kind 22"):
        frames.decode(frame[:1] + b"\x16" + frame[2:])


def test_the_reader_of_a_recorded_version_can_refuse() -> None:
    schema = ["array", None, [["number", "int"], ["word", ["enum", ["a"]]]]]
    assert read_as_recorded(schema, [1, "a", "appended"], "it", binary=True) == {"number": 1, "word": "a"}
    for wrong, why in (
        ([1], "it: word is missing"),
        (["1", "a"], "it.number: str in place of int"),
        ([1, "b"], "it.word: b is no word that it knows"),
    ):
        with pytest.raises(UnreadableError, match=why):
            read_as_recorded(schema, wrong, "it", binary=True)
