"""What a dispatcher says once a second of its streams: of those that count, in as few messages as can be."""

import json
from collections.abc import AsyncIterator
from typing import Any, cast

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from services.dispatcher.answers import InputCount
from services.dispatcher.attempt import OUT_OF_TIME, Attempt
from services.dispatcher.catalog import Seat
from services.dispatcher.checkpoints import Checkpoints
from services.dispatcher.job_entry import JobEntry
from services.dispatcher.metrics import DispatcherMetrics
from services.dispatcher.outcome_outbox import OutcomeOutbox
from services.dispatcher.passage import Leg, open_passage
from services.dispatcher.settlement import Settlement
from tests.support.job_scripts import envelope
from tests.support.manual_clock import ManualClock
from tests.support.usage_events import usage_event
from trunkline.bus import messages, subjects
from trunkline.bus.dispatch_job import DispatchJob
from trunkline.bus.messages import UsageEvent
from trunkline.bus.port import Message
from trunkline.bus.snapshots import ChannelSnapshot
from trunkline.core import limits
from trunkline.core.errors import ErrorType
from trunkline.core.ids import JobIDMint
from trunkline.core.usage import UsageSource
from trunkline.policy.credentials import CredentialStates
from trunkline.policy.figures import LiveFigures
from trunkline.policy.routing import Candidate
from trunkline.protocol.rules import RequestRules
from trunkline.runtime.memory_bus import MemoryBroker
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.usage_outbox import UsageOutbox

BODY = json.dumps({"model": "public", "messages": [{"role": "user", "content": "Hi"}], "stream": True}).encode()
mint = JobIDMint(3)


def chunk(text: str) -> bytes:
    delta: dict[str, Any] = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
    return b"data: " + json.dumps(delta).encode() + b"\n\n"


class Rig:
    """Attempts under way, and what is said of them."""

    def __init__(self, tasks: TaskSet) -> None:
        self.clock = ManualClock()
        self.broker = MemoryBroker()
        self.bus = self.broker.connect("dispatcher-1")
        self.attempts: list[Attempt] = []
        self.said: list[Message] = []
        metrics = DispatcherMetrics(CollectorRegistry())
        outcomes = OutcomeOutbox(self.bus, "dispatcher-1", clock=self.clock, tasks=tasks)
        settlement = Settlement(cast("UsageOutbox", None), outcomes, clock=self.clock, metrics=metrics)
        self.checkpoints = Checkpoints(
            self.bus, "dispatcher-1", lambda: self.attempts, settlement, clock=self.clock, tasks=tasks
        )

    def attempt(self, *, stream: bool = True) -> Attempt:
        offered = msgspec.structs.replace(envelope(body_bytes=len(BODY), credit=1 << 20), stream=stream, model="public")
        offered = msgspec.structs.replace(offered, user=5, lease=77)
        machine = DispatchJob("dispatcher-1", mint.mint(self.clock.wall_ms()), 0, offered, BODY, version=1)
        entry = JobEntry(machine, self.bus, self.clock.now() + 600)
        channel = ChannelSnapshot(1, "main", "openai", "https://provider.example/v1", (), {"public": "own"})
        candidate = Candidate(channel, None, "default", "own", last_resort=False)
        leg = Leg(offered, machine.job, machine.take_body(), candidate, RequestRules(), 0)
        seat = Seat(CredentialStates(), LiveFigures(), candidate, 0.0)
        passage = open_passage(leg)
        attempt = Attempt(
            entry,
            candidate,
            0,
            passage,
            seat=seat,
            timeouts=candidate.channel.timeouts,
            hear=lambda *_: None,
            clock=self.clock,
        )
        self.attempts.append(attempt)
        attempt.on_head(200, {"content-type": "text/event-stream"})
        return attempt

    async def second(self) -> list[tuple[str, tuple[UsageEvent, ...]]]:
        """Return what is said in the next second."""
        self.said.clear()
        await self.clock.advance(limits.CHECKPOINT_INTERVAL_S)
        return [(message.subject, messages.decode_checkpoint(message.data).events) for message in self.said]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    tasks = TaskSet()
    rig = Rig(tasks)
    await rig.broker.connect("broker").subscribe(subjects.CHECKPOINT_SUBJECTS, rig.said.append)
    yield rig
    await tasks.cancel()


async def test_of_a_stream_it_is_said_what_has_come_so_far(rig: Rig) -> None:
    assert await rig.second() == []
    attempt = rig.attempt()
    assert await rig.second() == []  # nothing has come
    attempt.on_body(chunk("one two three"))
    [(subject, (event,))] = await rig.second()
    assert subject == "tl.checkpoint.dispatcher-1.0"
    assert event.job == attempt.entry.machine.job
    assert (event.units.input > 0, event.units.output, event.source) == (True, 3, UsageSource.COUNTED)
    assert (event.charged, event.outcome, event.duration_ms) == (True, "gateway_dispatcher_lost", 2000)
    assert (event.user, event.lease, event.started_ms) == (5, 77, attempt.started_ms)
    attempt.on_body(chunk(" four five"))
    [(_, (later,))] = await rig.second()
    assert later == msgspec.structs.replace(
        event, units=msgspec.structs.replace(event.units, output=5), duration_ms=3000
    )
    attempt.entry.cancel()
    assert await rig.second() == [("tl.checkpoint.dispatcher-1.0", ())]
    assert await rig.second() == []


async def test_an_attempt_is_told_of_from_its_second_second_on(rig: Rig) -> None:
    await rig.clock.advance(0.5)
    attempt = rig.attempt()
    attempt.on_body(chunk("one"))
    assert await rig.second() == []
    assert len(await rig.second()) == 1


async def test_a_plain_answer_shows_nothing_before_its_end(rig: Rig) -> None:
    attempt = rig.attempt(stream=False)
    attempt.on_body(b'{"choices": [{"message": {"content": "one two')
    assert await rig.second() == []
    assert await rig.second() == []


async def test_the_end_of_the_jobs_time_is_no_fault_of_an_attempt_that_had_little_of_it(rig: Rig) -> None:
    late, early = rig.attempt(), rig.attempt()
    late.entry.deadline = rig.clock.now() + 1.0
    await rig.clock.advance(1.5)
    for attempt in (late, early):
        attempt.tick(rig.clock.now())
    assert late.ended.result().fault is OUT_OF_TIME
    assert not early.ended.done()
    await rig.clock.advance(limits.FIRST_TOKEN_TIMEOUT_S)
    early.entry.deadline = rig.clock.now() - 1.0
    early.tick(rig.clock.now())
    fault = early.ended.result().fault
    assert fault is not None
    assert (fault is OUT_OF_TIME, fault.type) == (False, ErrorType.UPSTREAM_TIMEOUT)


async def test_without_a_broker_nothing_is_said(rig: Rig) -> None:
    rig.attempt().on_body(chunk("one"))
    rig.bus.disconnect()
    assert await rig.second() == []
    await rig.second()
    rig.bus.reconnect()
    [(_, events)] = await rig.second()
    assert len(events) == 1


async def test_many_streams_go_in_parts_and_parts_that_are_not_needed_any_more_are_emptied(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CHECKPOINT_EVENTS_MAX", 2)
    for _ in range(5):
        rig.attempt().on_body(chunk("one"))
    said = await rig.second()
    assert [(subject[-1], len(events)) for subject, events in said] == [("0", 2), ("1", 2), ("2", 1)]
    for attempt in rig.attempts[1:]:
        attempt.entry.cancel()
    said = await rig.second()
    assert [(subject[-1], len(events)) for subject, events in said] == [("0", 1), ("1", 0), ("2", 0)]
    await rig.checkpoints.close()
    await rig.clock.advance(0)
    assert (rig.said[-1].subject, messages.decode_checkpoint(rig.said[-1].data).events) == (said[0][0], ())


async def test_what_is_too_large_for_a_message_is_divided(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    one = len(messages.encode(usage_event()))
    monkeypatch.setattr(limits, "FRAME_BYTES_MAX", 2 * one + 50)
    for _ in range(4):
        rig.attempt().on_body(chunk("one"))
    said = await rig.second()
    assert sum(len(events) for _, events in said) == 4
    assert len(said) > 1
    assert len({subject for subject, _ in said}) == len(said)


def test_a_large_request_is_estimated_and_not_counted() -> None:
    counted = []

    def count(body: bytes) -> int:
        counted.append(len(body))
        return 7

    small = InputCount(count, b"x" * limits.COUNT_AT_ONCE_BYTES_MAX)
    assert (small.so_far(), small(), counted) == (7, 7, [limits.COUNT_AT_ONCE_BYTES_MAX])
    large = InputCount(count, b"x " * limits.COUNT_AT_ONCE_BYTES_MAX)
    assert large.so_far() == large.so_far() == limits.COUNT_AT_ONCE_BYTES_MAX // 2
    assert len(counted) == 1
    assert (large(), large.so_far()) == (7, 7)
    picture = InputCount(count, b'{"image": "' + b"A" * (limits.COUNT_BYTES_MAX + 9) + b'"}')
    assert picture.so_far() < 10
