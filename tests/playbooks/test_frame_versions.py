"""All frames of an offer, and of its answer, are of the version in which it was made."""

import msgspec

from tests.support.frame_releases import WRITES_NEW
from tests.support.job_scripts import HEAD, JOB, USAGE, envelope
from trunkline.bus import frames, messages
from trunkline.bus.dispatch_job import DispatchJob
from trunkline.bus.edge_commands import Command, Reoffer, Send
from trunkline.bus.edge_job import EdgeJob
from trunkline.bus.frames import Credit, Frame, Kind
from trunkline.bus.messages import Accepted, End, Fail
from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault

LARGE = bytes(limits.OPEN_BODY_BYTES_MAX + 2 * limits.DATA_BYTES_MAX)
FAULT = Fault(ErrorType.GATEWAY_BUSY, "")


def _sent(commands: tuple[Command, ...]) -> list[tuple[Kind, int]]:
    with WRITES_NEW.acting():
        found = [frames.decode(command.frame) for command in commands if isinstance(command, Send)]
    return [(frame.kind, frame.version) for frame in found]


def _took(version: int, offer: int, seq: int, body_credit: int) -> Frame:
    return Frame(version, Kind.ACCEPTED, offer, JOB, seq, messages.encode(Accepted("d1", body_credit)))


def test_an_edge_stays_with_the_version_of_its_offer() -> None:
    job = EdgeJob(JOB, envelope(body_bytes=len(LARGE), credit=100), LARGE, 0.0)
    assert _sent(job.offer(0.0, 2)) == [(Kind.OPEN, 2)]
    assert _sent(job.receive(_took(2, 0, 0, len(LARGE)), 0.1)) == [(Kind.BODY, 2)] * 2
    assert _sent(job.tick(0.1 + limits.SYNC_AFTER_QUIET_S)) == [(Kind.CREDIT, 2)]
    head = frames.join_parts(messages.encode(HEAD), b"")
    job.receive(Frame(2, Kind.HEAD, 0, JOB, 1, head), 0.2)
    assert _sent(job.drained(limits.CREDIT_STEP_BYTES)) == [(Kind.CREDIT, 2)]
    assert _sent(job.client_gone()) == [(Kind.CANCEL, 2)]


def test_each_offer_has_its_own_version() -> None:
    job = EdgeJob(JOB, envelope(body_bytes=len(LARGE)), LARGE, 0.0)
    job.offer(0.0, 2)
    refusal = messages.encode(Fail(FAULT, elsewhere=True, dispatcher="d1"))
    assert job.receive(Frame(2, Kind.FAIL, 0, JOB, 0, refusal), 0.1) == (Reoffer(FAULT, full=True),)
    assert _sent(job.offer(0.1, 1, "d2")) == [(Kind.OPEN, 1)]
    assert _sent(job.receive(_took(1, 1, 0, len(LARGE)), 0.1)) == [(Kind.BODY, 1)] * 2
    assert _sent(job.give_up(FAULT)) == [(Kind.CANCEL, 1)]


def _kinds(sent: list[bytes]) -> list[tuple[Kind, int]]:
    return [(Kind(message[1]), message[0]) for message in sent]


def test_a_dispatcher_answers_in_the_version_of_the_offer() -> None:
    for version in (1, 2):
        opened = envelope(body_bytes=10, credit=4)
        job = DispatchJob("d1", JOB, 0, opened, b"12345", version=version)
        assert _kinds(job.accept()) == [(Kind.ACCEPTED, version)]
        assert _kinds(job.receive_body(Frame(version, Kind.BODY, 0, JOB, 1, b"67"))) == [(Kind.CREDIT, version)]
        job.receive_body(Frame(version, Kind.BODY, 0, JOB, 2, b"890"))
        assert _kinds(job.head(HEAD, b"abcd")) == [(Kind.HEAD, version)]
        assert _kinds(job.receive_credit(Credit(4, 2, sync=True))) == [(Kind.DATA, version)]
        assert _kinds(job.end(End(USAGE, 7), b"efgh")) == []
        assert _kinds(job.receive_credit(Credit(8, 3, sync=False))) == [(Kind.DATA, version), (Kind.END, version)]


def test_so_it_does_with_an_answer_in_one_piece_and_with_a_failure() -> None:
    opened = msgspec.structs.replace(envelope(), body_bytes=0)
    whole, failing = (DispatchJob("d1", JOB, 0, opened, b"", version=2) for _ in range(2))
    assert _kinds(whole.whole(HEAD, End(USAGE, 7), b"all")) == [(Kind.WHOLE, 2)]
    assert _kinds(failing.fail(Fail(FAULT))) == [(Kind.FAIL, 2)]
