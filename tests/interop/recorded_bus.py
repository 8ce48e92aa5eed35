"""What a version of the program said on the bus and kept, as bytes: so that later ones can be held against it.

``recorded/<version>/`` has one file for each group of `GROUPS`, and one for frames. An entry is a message with a value
of its own in every field: its bytes, what they mean, and the fields by their names and types, as far as a reader
needs them. A folder is made once, when a version ships, and never again::

    python -m tests.interop.recorded_bus bus-2

test_recorded_bus.py has today's code read all of it, and has `read_as_recorded`, which knows no struct but what a
folder says of it, read what today's code writes.
"""

import json
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from trunkline.bus import allowance, frames, inquiry, messages, snapshots, spool_record
from trunkline.bus.frames import Credit, Kind
from trunkline.core.ids import JobID
from trunkline.policy import grants

ROOT = Path(__file__).parent / "recorded"
FRAMES = "frames.json"

JOB = JobID(bytes(range(16)))
BODY = b"raw bytes"


class Group(NamedTuple):
    """Structs of one module.

    Attributes:
        structs: all that can stand at the top of a message or an entry, or inside one.
        encode, decode: as the program does it; ``decode`` takes the type, too.
        binary: bytes are kept as hex, else as the text that they are.
    """

    structs: tuple[type[msgspec.Struct], ...]
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes, Any], Any]
    binary: bool = True


def _structs_of(module: Any) -> tuple[type[msgspec.Struct], ...]:
    found = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, msgspec.Struct)]
    return tuple(value for value in found if value.__module__ == module.__name__)


def _decode(data: bytes, kind: Any) -> Any:
    return msgspec.msgpack.decode(data, type=kind)


GROUPS: dict[str, Group] = {
    "messages.json": Group(_structs_of(messages), messages.encode, _decode),
    "allowance.json": Group(_structs_of(allowance), messages.encode, _decode),
    "inquiry.json": Group(_structs_of(inquiry), messages.encode, _decode),
    "snapshots.json": Group(
        _structs_of(snapshots), snapshots.encode, lambda data, kind: msgspec.json.decode(data, type=kind), binary=False
    ),
    # Metering's own, but read by its next version while this one writes it.
    "grants.json": Group((grants.LeaseState, grants.AccountState), messages.encode, _decode),
}


# --- A message with a value of its own in every field ----------------------------------------------------------------


def sample(kind: type[msgspec.Struct]) -> msgspec.Struct:
    """Return a struct in which no field has its default, nor the value of another one of its type."""
    return _Sampler().struct(inspect.type_info(kind))


class _Sampler:
    def __init__(self) -> None:
        self._number = 0

    def struct(self, info: Any) -> msgspec.Struct:
        values = {field.name: self.value(field.type, field.name, field.default) for field in info.fields}
        made: msgspec.Struct = info.cls(**values)
        return made

    def value(self, info: Any, name: str, default: object = None) -> Any:  # noqa: C901, PLR0911 - a line for each
        self._number += 1
        match info:
            case inspect.StructType():
                return self.struct(info)
            case inspect.UnionType():
                return self.value(next(one for one in info.types if not isinstance(one, inspect.NoneType)), name)
            case inspect.VarTupleType():
                return (self.value(info.item_type, name),)
            case inspect.TupleType():
                return tuple(self.value(one, name) for one in info.item_types)
            case inspect.DictType():
                return {self.value(info.key_type, name): self.value(info.value_type, name)}
            case inspect.EnumType():
                return next(word for word in reversed(list(info.cls)) if word is not default)
            case inspect.BoolType():
                return default is not True
            case inspect.IntType():
                return self._number + 1000
            case inspect.FloatType():
                return self._number + 0.5
            case inspect.StrType():
                return f"{name} {self._number}"
            case inspect.BytesType():
                return bytes([self._number % 256]) * 16
            case inspect.RawType():
                return msgspec.Raw(str(self._number).encode())
        raise AssertionError(f"a message holds {info}, which is new: say here what a value of it is")


def meaning(value: Any) -> Any:
    """Return a value as JSON has it, structs by the names of their fields."""
    match value:
        case msgspec.Struct():
            return {name: meaning(getattr(value, name)) for name in value.__struct_fields__}
        case dict():
            return {str(key): meaning(one) for key, one in value.items()}
        case tuple():
            return [meaning(one) for one in value]
        case Enum():
            return value.value
        case msgspec.Raw():
            return msgspec.json.decode(value)
        case bytes():
            return value.hex()
    return value


# --- Types as data, and a reader that knows nothing else -------------------------------------------------------------


def schema_of(info: Any) -> Any:
    """Return a type as JSON: a word, or a list that begins with one."""
    match info:
        case inspect.StructType():
            fields = [[field.encode_name, schema_of(field.type)] for field in info.fields]
            return ["array" if info.array_like else "object", info.tag, fields]
        case inspect.UnionType():
            return ["optional", schema_of(next(one for one in info.types if not isinstance(one, inspect.NoneType)))]
        case inspect.VarTupleType():
            return ["tuple", schema_of(info.item_type)]
        case inspect.TupleType():
            return ["row", [schema_of(one) for one in info.item_types]]
        case inspect.DictType():
            return ["dict", schema_of(info.value_type)]
        case inspect.EnumType():
            return ["enum", [word.value for word in info.cls]]
    return type(info).__name__.removesuffix("Type").lower()


class UnreadableError(Exception):
    """A reader of the recorded version would refuse this; says where."""


_PLAIN: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "bytes": (bytes,),
}


def read_as_recorded(schema: Any, value: Any, where: str, *, binary: bool) -> Any:
    """Return the meaning of a decoded message to a reader that knows the fields of a recorded version alone.

    Args:
        schema: see `schema_of`.
        value: plain lists, dicts, texts and numbers.
        where: for errors.
        binary: bytes are bytes; else they are base64, as in JSON.

    Raises:
        UnreadableError: see there.
    """
    match schema:
        case ["array", tag, fields]:
            items = list(value) if tag is None else list(value[1:])
            if tag is not None and value[0] != tag:
                raise UnreadableError(f"{where}: tag {value[0]} in place of {tag}")
            if len(items) < len(fields):
                raise UnreadableError(f"{where}: {fields[len(items)][0]} is missing")
            pairs = zip(fields, items, strict=False)  # what was appended since is passed over
            return {
                name: read_as_recorded(kind, item, f"{where}.{name}", binary=binary) for (name, kind), item in pairs
            }
        case ["object", _, fields]:
            return {
                name: read_as_recorded(kind, value[name], f"{where}.{name}", binary=binary)
                for name, kind in fields
                if name in value  # else it has its default
            }
        case ["optional", inner]:
            return None if value is None else read_as_recorded(inner, value, where, binary=binary)
        case ["tuple", inner]:
            return [read_as_recorded(inner, one, where, binary=binary) for one in value]
        case ["row", kinds]:
            return [read_as_recorded(kind, one, where, binary=binary) for kind, one in zip(kinds, value, strict=True)]
        case ["dict", inner]:
            return {str(key): read_as_recorded(inner, one, where, binary=binary) for key, one in value.items()}
        case ["enum", words]:
            if value not in words:
                raise UnreadableError(f"{where}: {value} is no word that it knows")
            return value
    return _plain(schema, value, where, binary=binary)


def _plain(schema: str, value: Any, where: str, *, binary: bool) -> Any:
    if schema == "raw":
        return value
    if schema == "bytes" and not binary:
        return msgspec.convert(value, bytes).hex()  # base64, as JSON has it
    if type(value) not in _PLAIN[schema]:
        raise UnreadableError(f"{where}: {type(value).__name__} in place of {schema}")
    return value.hex() if schema == "bytes" else value


# --- Frames ----------------------------------------------------------------------------------------------------------


def frame_payloads() -> Iterator[tuple[str, Kind, bytes]]:
    """Return a name, a kind and a payload for every sort of frame and record."""
    parts: dict[Kind, type[msgspec.Struct]] = {
        Kind.OPEN: messages.Envelope,
        Kind.HEAD: messages.Head,
        Kind.END: messages.End,
    }
    for kind in Kind:
        match kind:
            case Kind.CREDIT:
                yield "CREDIT", kind, frames.encode_credit(Credit(total=1 << 40, expects=7, sync=True))
            case Kind.CANCEL:
                yield "CANCEL", kind, frames.encode_void(void=False)
                yield "CANCEL void", kind, frames.encode_void(void=True)
            case Kind.ACCEPTED:
                yield "ACCEPTED", kind, messages.encode(sample(messages.Accepted))
            case Kind.FAIL:
                yield "FAIL", kind, messages.encode(sample(messages.Fail))
            case Kind.BODY | Kind.DATA:
                yield kind.name, kind, BODY
            case Kind.WHOLE:
                head = frames.join_parts(messages.encode(sample(messages.Head)), BODY)
                yield "WHOLE", kind, frames.join_parts(messages.encode(sample(messages.End)), head)
            case _:
                yield kind.name, kind, frames.join_parts(messages.encode(sample(parts[kind])), BODY)


def record_frames() -> dict[str, Any]:
    """Return all frames of today, and a record of the spool."""
    found: dict[str, Any] = {}
    for number, (name, kind, payload) in enumerate(frame_payloads()):
        frame = frames.encode(frames.NEWEST_WRITTEN, kind, 300 + number, JOB, 70_000 + number, payload)
        found[name] = {
            "kind": int(kind),
            "offer": 300 + number,
            "sequence": 70_000 + number,
            "payload": payload.hex(),
            "bytes": frame.hex(),
        }
    found["spool record"] = {"payload": BODY.hex(), "bytes": spool_record.encode_record(BODY).hex()}
    return found


def record(group: Group) -> dict[str, Any]:
    """Return all messages of a group."""
    found: dict[str, Any] = {}
    for kind in group.structs:
        message = sample(kind)
        data = group.encode(message)
        found[kind.__name__] = {
            "bytes": data.hex() if group.binary else data.decode(),
            "meaning": meaning(message),
            "schema": schema_of(inspect.type_info(kind)),
        }
    return found


def main(version: str) -> None:
    """Record today's code as a version; refuses to write one anew."""
    folder = ROOT / version
    folder.mkdir(parents=True)
    for name, group in GROUPS.items():
        _write(folder / name, record(group))
    _write(folder / FRAMES, record_frames())


def _write(path: Path, entries: dict[str, Any]) -> None:
    # Readable to people, and one entry to a line: what differs between versions shows in a diff.
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
    path.write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main(sys.argv[1])
