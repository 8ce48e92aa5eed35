"""Statuses that a channel reads as others: what they mean changes, what the books say of them does not."""

from typing import Any

import msgspec
import pytest

from services.dispatcher.attempt import Attempt, AttemptResult
from services.dispatcher.catalog import Seat
from services.dispatcher.job_entry import JobEntry
from services.dispatcher.passage import Leg, open_passage
from tests.support.job_scripts import envelope
from tests.support.manual_clock import ManualClock
from trunkline.bus.dispatch_job import DispatchJob
from trunkline.bus.snapshots import ChannelSnapshot
from trunkline.core.errors import ErrorType
from trunkline.core.ids import JobIDMint
from trunkline.policy.credentials import CredentialStates
from trunkline.policy.figures import LiveFigures
from trunkline.policy.model_terms import model_terms
from trunkline.policy.routing import Candidate
from trunkline.protocol.upstream_error import RetryClass
from trunkline.runtime.memory_bus import MemoryBroker

BODY = b'{"model":"public","messages":[{"role":"user","content":"Hello"}]}'


def attempt(status_map: dict[int, int]) -> Attempt:
    clock = ManualClock()
    offered = msgspec.structs.replace(envelope(body_bytes=len(BODY)), model="public", stream=False)
    machine = DispatchJob("dispatcher-1", JobIDMint(1).mint(0), 0, offered, BODY, version=1)
    channel = ChannelSnapshot(1, "main", "openai", "https://p.example/v1", (), {"public": "own"}, status_map=status_map)
    candidate = Candidate(channel, None, "default", "own", last_resort=False, model="public")
    terms = model_terms(channel, "public")
    return Attempt(
        JobEntry(machine, MemoryBroker().connect("dispatcher-1"), clock.now() + 600),
        candidate,
        0,
        open_passage(Leg(offered, machine.job, BODY, candidate, terms.rules, 0)),
        seat=Seat(CredentialStates(), LiveFigures(), candidate, 0.0),
        timeouts=terms.timeouts,
        hear=lambda *_: None,
        clock=clock,
    )


async def ended(status: int, body: bytes, status_map: dict[int, int], headers: dict[str, str] | None = None) -> Any:
    answer = attempt(status_map)
    answer.on_head(status, headers or {"content-type": "application/json"})
    answer.on_body(body)
    answer.on_end()
    result: AttemptResult = await answer.ended
    assert answer.status == status
    return result


REFUSAL = b'{"error":{"message":"Quota of the day is used up."}}'


@pytest.mark.parametrize(
    ("status", "status_map", "kind", "retry"),
    [
        (403, {}, ErrorType.UPSTREAM_CREDENTIAL, RetryClass.OTHER_CREDENTIAL),
        (403, {403: 429}, ErrorType.UPSTREAM_RATE_LIMITED, RetryClass.OTHER_CREDENTIAL),
        (400, {403: 429}, ErrorType.UPSTREAM_BAD_REQUEST, RetryClass.NEVER),
        (400, {400: 503}, ErrorType.UPSTREAM_OVERLOADED, RetryClass.OTHER_CHANNEL),
        (500, {500: 400, 400: 503}, ErrorType.UPSTREAM_BAD_REQUEST, RetryClass.NEVER),
    ],
)
async def test_a_status_is_read_as_the_channel_says(
    status: int, status_map: dict[int, int], kind: ErrorType, retry: RetryClass
) -> None:
    result = await ended(status, REFUSAL, status_map)
    assert (result.fault.type, result.retry) == (kind, retry)


async def test_a_wait_that_comes_with_it_counts() -> None:
    headers = {"content-type": "application/json", "retry-after": "7"}
    assert (await ended(403, REFUSAL, {403: 429}, headers)).cool_ms == 7000


async def test_a_good_answer_is_one() -> None:
    body = b'{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"content":"Yes"}}]}'
    assert (await ended(200, body, {200: 500})).fault is None
