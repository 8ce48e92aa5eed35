"""Whole Gemini answers: usage, errors, and the public model name."""

import json

import pytest

from trunkline.core.errors import ErrorType
from trunkline.core.usage import Units
from trunkline.protocol.gemini.answer import read_whole
from trunkline.protocol.tokens import count_text


def answer(*parts: object, finish: object = "STOP", **members: object) -> bytes:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "finishReason": finish}
    return json.dumps({"candidates": [candidate], "modelVersion": "up", **members}).encode()


USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}


def test_usage_is_read() -> None:
    whole = read_whole(answer({"text": "Hello"}, usageMetadata=USAGE))
    assert (whole.units, whole.output_tokens_counted, whole.error) == (Units(input=3, output=2), 0, None)


@pytest.mark.parametrize("usage", [None, {}, {"promptTokenCount": 3}, {"promptTokenCount": -1}])
def test_what_is_not_reported_is_counted(usage: object) -> None:
    call = {"functionCall": {"name": "look_up", "args": {"where": "here"}}}
    whole = read_whole(answer({"text": "Hello", "thought": True}, call, usageMetadata=usage))
    assert whole.units is None
    assert whole.output_tokens_counted == count_text('Hello\nlook_up\n{"where": "here"}')


def test_a_blocked_prompt_and_an_empty_end_are_answers() -> None:
    blocked = read_whole(b'{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4}}')
    assert (blocked.units, blocked.error) == (Units(input=4), None)
    assert read_whole(b'{"candidates":[{"finishReason":"SAFETY","index":0}]}').valid


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", ErrorType.UPSTREAM_INVALID),
        (b"<html>", ErrorType.UPSTREAM_INVALID),
        (b"{}", ErrorType.UPSTREAM_INVALID),
        (b'{"candidates":[]}', ErrorType.UPSTREAM_INVALID),
        (b'{"candidates":[{"content":{"parts":[{"text":"\xff"}]}}]}', ErrorType.UPSTREAM_INVALID),
        (b'{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}', ErrorType.UPSTREAM_OVERLOADED),
        (b'[{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}]', ErrorType.UPSTREAM_OVERLOADED),
        (answer(finish="OTHER"), ErrorType.UPSTREAM_ERROR),
    ],
)
def test_what_is_no_answer_says_why(body: bytes, kind: ErrorType) -> None:
    error = read_whole(body).error
    assert error is not None
    assert error.fault.type is kind
