"""Token counts."""

import json
from time import process_time

import pytest

from trunkline.core import limits
from trunkline.protocol import tokens as figures
from trunkline.protocol.openai_chat.count import count_input
from trunkline.protocol.tokens import count_text


def request(*messages: dict[str, object], **fields: object) -> bytes:
    return json.dumps({"model": "m", "messages": messages, **fields}).encode()


def test_texts_are_counted_with_o200k() -> None:
    assert count_text("") == 0
    assert count_text("hello world") == 2
    assert count_text("The quick brown fox jumps over the lazy dog.") == 10
    assert count_text("<|endoftext|>") > 1


def test_a_lone_surrogate_is_counted_as_its_replacement() -> None:
    assert count_text("hi \ud83d") == count_text("hi ?")


def test_a_long_text_is_counted_by_its_beginning() -> None:
    text = "hello world " * (limits.COUNT_CHARS_MAX // 6)
    started = process_time()
    counted = count_text(text)
    assert process_time() - started < 2
    assert counted == pytest.approx(len(text) / 6, rel=0.01)


def test_a_message_costs_its_text_and_its_marks() -> None:
    one = count_input(request({"role": "user", "content": "hello world"}))
    assert one == figures.ANSWER_TOKENS + figures.MESSAGE_TOKENS + 2
    two = count_input(
        request({"role": "user", "content": [{"type": "text", "text": "hello world"}]}, {"content": None})
    )
    assert two == one + figures.MESSAGE_TOKENS


def test_tools_schemas_calls_and_reasoning_count() -> None:
    plain = count_input(request({"role": "user", "content": "x"}))
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    assert count_input(request({"role": "user", "content": "x"}, tools=tools)) > plain + 10
    calls = [{"id": "c", "function": {"name": "look", "arguments": "{}"}}]
    assert count_input(request({"role": "user", "content": "x", "tool_calls": calls})) > plain + 5
    assert count_input(request({"role": "user", "content": "x", "reasoning_content": "a b c"})) > plain


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUJD" * 10_000}}, figures.IMAGE_TOKENS),
        ({"type": "image_url", "image_url": {"url": "u", "detail": "low"}}, figures.IMAGE_LOW_TOKENS),
        ({"type": "image_url", "image_url": "https://x"}, figures.IMAGE_TOKENS),
        ({"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}, figures.AUDIO_TOKENS),
        ({"type": "file", "file": {"file_data": "QUJD"}}, figures.FILE_TOKENS),
    ],
)
def test_media_cost_a_fixed_figure(part: dict[str, object], tokens: int) -> None:
    counted = count_input(request({"role": "user", "content": [part]}))
    assert counted == figures.ANSWER_TOKENS + figures.MESSAGE_TOKENS + tokens


def test_a_large_image_does_not_hide_the_text() -> None:
    url = "data:image/png;base64," + "QUJD" * (limits.COUNT_BYTES_MAX // 4)
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "hello world"}]
    expected = figures.ANSWER_TOKENS + figures.MESSAGE_TOKENS + figures.IMAGE_TOKENS + 2
    assert count_input(request({"role": "user", "content": parts})) == expected


def test_what_is_too_large_or_odd_is_counted_by_its_bytes() -> None:
    large = request({"role": "user", "content": "hello, world. " * (limits.COUNT_BYTES_MAX // 10)})
    assert count_input(large) == len(large) // figures.BYTES_PER_TOKEN
    odd = request({"role": "user", "content": 5, "image": "QUJD" * 100_000})
    assert 0 < count_input(odd) < 100
    for broken in (b"", b"\xff", b"[" * 1_000, b'{"messages":5}'):
        assert count_input(broken) == len(broken) // figures.BYTES_PER_TOKEN
