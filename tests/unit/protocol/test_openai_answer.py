"""Whole chat answers."""

import json

import pytest

from trunkline.core.errors import ErrorType
from trunkline.core.usage import Units
from trunkline.protocol.openai_chat.answer import read_answer
from trunkline.protocol.tokens import count_text
from trunkline.protocol.upstream_error import RetryClass


def answer(content: object = "Hello there", usage: object = None, **members: object) -> bytes:
    message = {"role": "assistant", "content": content}
    tree = {"id": "1", "model": "up", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    return json.dumps({**tree, "usage": usage, **members}).encode()


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_reported_usage_is_taken_and_nothing_is_counted() -> None:
    read = read_answer(answer(usage=USAGE))
    assert read.valid
    assert read.units == Units(input=3, output=2)
    assert read.output_tokens_counted == 0


@pytest.mark.parametrize("usage", [None, {}, {**USAGE, "completion_tokens": 0}, {"prompt_tokens": 0}])
def test_missing_usage_is_counted(usage: object) -> None:
    read = read_answer(answer(usage=usage))
    assert read.valid
    assert read.units is None
    assert read.output_tokens_counted == count_text("Hello there") > 0


def test_an_empty_answer_may_report_no_output() -> None:
    assert read_answer(answer("", {**USAGE, "completion_tokens": 0})).units == Units(input=3)


def test_content_of_another_type_is_still_an_answer() -> None:
    read = read_answer(answer([{"type": "text", "text": "Hello"}]))
    assert read.valid
    assert read.output_tokens_counted > 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"<html></html>",
        b"data: {}\n\n",
        b"null",
        b"[]",
        b"5",
        b"{}",
        answer()[:-5],
        answer(choices=[]),
        answer(choices=None),
        b"[" * 100_000,
        b'{"choices":[{"message":{"content":"\xff"}}]}',
        b'{"\xff":1}',
    ],
)
def test_what_is_no_answer_is_invalid(body: bytes) -> None:
    read = read_answer(body)
    assert not read.valid
    assert read.error is not None
    assert read.error.fault.type is ErrorType.UPSTREAM_INVALID
    assert read.error.cls is RetryClass.OTHER_CHANNEL
    assert read.units is None


def test_an_error_inside_a_200_is_understood() -> None:
    read = read_answer(b'{"error":{"message":"Too many requests, try again in 2s","code":429}}')
    assert read.error is not None
    assert read.error.fault.type is ErrorType.UPSTREAM_RATE_LIMITED
    assert read.error.cool_ms == 2000


def test_a_finish_that_means_failure_is_an_error() -> None:
    failed = answer(choices=[{"message": {"content": "x"}, "finish_reason": "error"}])
    assert not read_answer(failed).valid
