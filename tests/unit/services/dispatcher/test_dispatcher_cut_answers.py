"""A plain answer of which the end does not come: whatever came of it is read, in every dialect, and counted."""

import json
from typing import Any

import msgspec
import pytest

from services.dispatcher.answers import AnswerFacts, PlainAnswer
from services.dispatcher.passage import Leg, open_passage
from tests.support.job_scripts import envelope
from trunkline.bus.snapshots import ChannelSnapshot
from trunkline.core.ids import JobIDMint
from trunkline.core.usage import Units, UsageSource
from trunkline.policy.routing import Candidate
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES
from trunkline.protocol.rules import RequestRules

TEXT = "one two three four five six seven eight nine ten"
SAID = [{"role": "user", "content": "Hi"}]
ASKED: dict[str, dict[str, Any]] = {
    OPENAI_CHAT: {"model": "public", "messages": SAID},
    OPENAI_RESPONSES: {"model": "public", "input": "Hi"},
    ANTHROPIC: {"model": "public", "max_tokens": 99, "messages": SAID},
    GEMINI: {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
}
ANSWERS: dict[str, dict[str, Any]] = {
    "openai": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "own",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 10, "total_tokens": 17},
    },
    "openai-responses": {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "own",
        "output": [
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": TEXT, "annotations": []}],
            }
        ],
        "usage": {"input_tokens": 7, "output_tokens": 10, "total_tokens": 17},
    },
    "anthropic": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "own",
        "content": [{"type": "text", "text": TEXT}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 10},
    },
    "gemini": {
        "candidates": [{"content": {"role": "model", "parts": [{"text": TEXT}]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 10, "totalTokenCount": 17},
        "modelVersion": "own",
    },
}


def answer_of(dialect: str, upstream: str) -> PlainAnswer:
    channel = ChannelSnapshot(1, "c", upstream, "https://provider.example/v1", (), {"public": "own"})
    offered = msgspec.structs.replace(envelope(), dialect=dialect, model="public", stream=False)
    candidate = Candidate(channel, None, "default", "own", last_resort=False)
    body = json.dumps(ASKED[dialect]).encode()
    answer = open_passage(Leg(offered, JobIDMint(1).mint(0), body, candidate, RequestRules(), 0)).answer
    assert isinstance(answer, PlainAnswer)
    return answer


@pytest.mark.parametrize("dialect", ASKED)
@pytest.mark.parametrize("upstream", ANSWERS)
def test_any_cut_of_an_answer_is_counted_as_far_as_it_came(dialect: str, upstream: str) -> None:
    whole = json.dumps(ANSWERS[upstream]).encode()
    begins, ends = whole.index(b"one"), whole.index(TEXT.encode()) + len(TEXT)
    for size in range(len(whole)):
        answer = answer_of(dialect, upstream)
        assert answer.receive(whole[:size])
        answer.cut()
        units, source = answer.facts().usage.units, answer.facts().usage.source
        if size <= begins:
            assert (units.output, source) == (0, UsageSource.COUNTED)
        elif size >= ends and source is UsageSource.COUNTED:
            assert (units.input > 0, units.output) == (True, 10)
        elif source is UsageSource.COUNTED:
            # A word of which a part is missing may be one token or two.
            assert abs(units.output - len(whole[begins:size].split())) <= 1
        else:
            assert units == Units(input=7, output=10)


def test_an_answer_that_is_no_json_is_not_counted() -> None:
    for came in (b"", b"<html>", b"\xff\xfe", b"[[[", b'{"choices": [1, 2'):
        answer = answer_of(OPENAI_CHAT, "openai")
        assert answer.receive(came)
        answer.cut()
        assert answer.facts().output is False


def test_an_error_that_was_cut_costs_nothing() -> None:
    answer = answer_of(OPENAI_CHAT, "openai")
    assert answer.receive(b'{"error": {"message": "overloaded, please')
    answer.cut()
    assert answer.facts() == AnswerFacts.none()
