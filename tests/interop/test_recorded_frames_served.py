"""A release that writes the next version of frames, beside one of which there is nothing but the recorded bytes."""

import json
import struct
from typing import Any
from unittest import mock

import msgspec
import pytest

from tests.interop.recorded_bus import BODY, FRAMES, JOB, ROOT, read_as_recorded
from tests.support.bus_world import SMALL_LIMITS
from tests.support.frame_releases import WRITES_NEW
from tests.support.job_scripts import HEAD, USAGE, envelope
from trunkline.bus import frames, messages
from trunkline.bus.dispatch_job import DispatchJob, DispatchState
from trunkline.bus.edge_commands import Command, Finish, Forget, Reoffer, Send, Settle, Start, Write
from trunkline.bus.edge_job import EdgeJob
from trunkline.bus.fleet import Fleet
from trunkline.bus.frames import Kind
from trunkline.bus.messages import End
from trunkline.core import limits

FOLDER = ROOT / "bus-1"
HEADER = struct.Struct("!BBH16sI")
LENGTH = struct.Struct("!I")
REQUEST = bytes(range(40))


@pytest.fixture(autouse=True)
def _next_release() -> Any:
    with WRITES_NEW.acting(), mock.patch.multiple(limits, **SMALL_LIMITS):
        yield


class Recorded:
    """The other end: says what was recorded, and reads by what was recorded of the fields."""

    def __init__(self) -> None:
        self._frames: dict[str, Any] = json.loads((FOLDER / FRAMES).read_text())
        self._structs: dict[str, Any] = json.loads((FOLDER / "messages.json").read_text())

    def says(self, name: str, offer: int, seq: int, payload: bytes | None = None) -> frames.Frame:
        """Return a recorded frame as it is read here, at a place in the conversation."""
        message = bytes.fromhex(self._frames[name]["bytes"])
        version, kind, _, job, _ = HEADER.unpack_from(message)
        payload = message[HEADER.size :] if payload is None else payload
        return frames.decode(HEADER.pack(version, kind, offer, job, seq) + payload)

    def struct(self, name: str) -> bytes:
        return bytes.fromhex(self._structs[name]["bytes"])

    def beat(self) -> messages.Beat:
        """Return the beat of a dispatcher: the sample has a number of its own where the release said which it reads."""
        names = [name for name, _ in self._structs["Beat"]["schema"][2]]
        values = dict(zip(names, msgspec.msgpack.decode(self.struct("Beat")), strict=True))
        values |= {"lanes": ["default"], "frames": 1}
        return messages.decode_beat(msgspec.msgpack.encode(list(values.values())))

    def reads(self, message: bytes) -> str:
        """Read a frame as the recorded release would; returns its kind."""
        version, kind, _, job, _ = HEADER.unpack_from(message)
        assert (version, job) == (1, JOB)
        payload = message[HEADER.size :]
        match Kind(kind):
            case Kind.OPEN:
                self._read("Envelope", self._parts(payload)[0])
            case Kind.HEAD:
                self._read("Head", self._parts(payload)[0])
            case Kind.END:
                self._read("End", self._parts(payload)[0])
            case Kind.WHOLE:
                head, rest = self._parts(payload)
                self._read("Head", head)
                self._read("End", self._parts(rest)[0])
            case Kind.ACCEPTED | Kind.FAIL:
                self._read(Kind(kind).name.title(), payload)
            case Kind.CREDIT:
                assert len(payload) == 13
        return Kind(kind).name

    def _read(self, name: str, data: bytes) -> None:
        read_as_recorded(self._structs[name]["schema"], msgspec.msgpack.decode(data), name, binary=True)

    def _parts(self, payload: bytes) -> tuple[bytes, bytes]:
        end = LENGTH.size + LENGTH.unpack_from(payload)[0]
        return payload[LENGTH.size : end], payload[end:]


def _commanded(other: Recorded, commands: tuple[Command, ...]) -> list[Any]:
    """Return the kinds of frames that were sent, and the types of the other commands."""
    return [other.reads(each.frame) if isinstance(each, Send) else type(each) for each in commands]


def _offered(other: Recorded) -> EdgeJob:
    fleet = Fleet()
    fleet.receive(other.beat(), 0.0)
    job = EdgeJob(JOB, envelope(body_bytes=len(REQUEST), credit=16), REQUEST, 0.0)
    assert _commanded(other, job.offer(0.0, fleet.frame_version(None, "default"))) == ["OPEN"]
    return job


def test_an_edge_is_served_by_a_recorded_dispatcher() -> None:
    other = Recorded()
    job = _offered(other)
    assert _commanded(other, job.receive(other.says("ACCEPTED", 0, 0), 0.1)) == ["BODY"] * 4
    assert _commanded(other, job.tick(6.0)) == ["CREDIT"]
    assert _commanded(other, job.receive(other.says("CREDIT", 0, 0), 6.1)) == []
    assert _commanded(other, job.receive(other.says("HEAD", 0, 1), 6.2)) == [Start, Write]
    assert _commanded(other, job.drained(len(BODY))) == ["CREDIT"]
    assert job.receive(other.says("DATA", 0, 2), 6.3) == (Write(BODY),)
    assert _commanded(other, job.drained(len(BODY))) == ["CREDIT"]
    assert _commanded(other, job.receive(other.says("END", 0, 3), 6.4)) == [Write, Settle, Finish]


def test_an_edge_takes_a_recorded_answer_in_one_piece() -> None:
    other = Recorded()
    job = _offered(other)
    parts = [other.struct("Head"), other.struct("End")]
    payload = b"".join(LENGTH.pack(len(part)) + part for part in parts) + BODY
    assert _commanded(other, job.receive(other.says("WHOLE", 0, 0, payload), 0.1)) == [Start, Write, Settle, Finish]


def test_an_edge_goes_on_from_a_recorded_refusal_and_can_leave() -> None:
    other = Recorded()
    job = _offered(other)
    assert _commanded(other, job.receive(other.says("FAIL", 0, 0), 0.1)) == [Reoffer]
    assert _commanded(other, job.offer(0.2, frames.agreed(other.beat().frames), "d2")) == ["OPEN"]
    job.receive(other.says("ACCEPTED", 1, 0), 0.3)
    assert _commanded(other, job.client_gone()) == ["CANCEL", Forget]


def test_a_dispatcher_serves_a_recorded_edge() -> None:
    other = Recorded()
    opened = other.says("OPEN", 0, 0)
    encoded, part = frames.split_parts(opened.payload)
    told = messages.decode_envelope(encoded)
    job = DispatchJob("d1", opened.job, opened.offer, told, part, version=opened.version)
    answers = [*job.accept()]
    seq, missing = 1, told.body_bytes - len(part)
    while missing:
        size = min(missing, len(BODY))
        answers += job.receive_body(other.says("BODY", 0, seq, BODY[:size]))
        seq, missing = seq + 1, missing - size
    assert {other.reads(each) for each in answers} == {"ACCEPTED", "CREDIT"}
    assert job.state is DispatchState.CALLING
    assert [other.reads(each) for each in job.head(HEAD, b"abc")] == ["HEAD"]
    assert [other.reads(each) for each in job.data(b"def")] == ["DATA"]
    credit = frames.decode_credit(other.says("CREDIT", 0, 0).payload)
    assert [other.reads(each) for each in job.receive_credit(credit)] == ["DATA"]
    assert [other.reads(each) for each in job.end(End(USAGE, 7))] == ["END"]
