"""Token counts of Responses requests."""

import json

import pytest

from trunkline.core import limits
from trunkline.protocol import tokens as figures
from trunkline.protocol.openai_responses.count import count_input, render_count


def request(value: object, **fields: object) -> bytes:
    return json.dumps({"model": "m", "input": value, **fields}).encode()


BASE = figures.ANSWER_TOKENS + figures.MESSAGE_TOKENS


@pytest.mark.parametrize(
    "value",
    [
        "hello world",
        [{"role": "user", "content": "hello world"}],
        [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello world"}]}],
        [{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "hello world"}]}],
        [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hello world"}], "encrypted_content": "A"}],
    ],
)
def test_an_item_costs_its_text_and_its_marks(value: object) -> None:
    assert count_input(request(value)) == BASE + 2


def test_instructions_tools_schema_and_calls_count() -> None:
    plain = count_input(request("x"))
    assert count_input(request("x", instructions="hello world")) == plain + figures.MESSAGE_TOKENS + 3
    assert count_input(request("x", tools=[{"type": "function", "name": "look", "parameters": {}}])) > plain + 10
    assert count_input(request("x", text={"format": {"type": "json_object"}})) > plain + 5
    calls = [{"type": "function_call", "call_id": "c", "name": "look", "arguments": '{"q":"weather"}'}]
    assert count_input(request(calls)) > BASE + 5


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        ({"type": "input_image", "image_url": "data:image/png;base64," + "QUJD" * 10_000}, figures.IMAGE_TOKENS),
        ({"type": "input_image", "image_url": "u", "detail": "low"}, figures.IMAGE_LOW_TOKENS),
        ({"type": "input_file", "file_data": "QUJD" * 10_000}, figures.FILE_TOKENS),
    ],
)
def test_media_cost_a_fixed_figure(part: dict[str, str], tokens: int) -> None:
    assert count_input(request([{"role": "user", "content": [part]}])) == BASE + tokens
    output = {"type": "function_call_output", "call_id": "c", "output": [part]}
    assert count_input(request([output])) == BASE + tokens


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"input":5}', b'{"input":"\xff"}', b'{"input":[{"output":["\xff"]}]}', b"[" * 100_000],
)
def test_any_bytes_have_a_count(body: bytes) -> None:
    assert count_input(body) >= 0


def test_a_huge_body_is_divided() -> None:
    body = request("x " * limits.COUNT_BYTES_MAX)
    assert count_input(body) == len(body) // figures.BYTES_PER_TOKEN


def test_the_answer_to_a_question_for_the_count() -> None:
    assert render_count(7) == b'{"object":"response.input_tokens","input_tokens":7}'
