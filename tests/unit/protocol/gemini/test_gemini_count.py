"""Counting the input of a generateContent request."""

import json

import pytest

from trunkline.core import limits
from trunkline.protocol.gemini.count import count_input, render_count
from trunkline.protocol.tokens import (
    ANSWER_TOKENS,
    AUDIO_TOKENS,
    BYTES_PER_TOKEN,
    FILE_TOKENS,
    IMAGE_TOKENS,
    MESSAGE_TOKENS,
    count_text,
)


def count(**members: object) -> int:
    return count_input(json.dumps(members, separators=(",", ":")).encode())


def test_texts_calls_results_tools_and_instructions_count() -> None:
    call = {"functionCall": {"name": "look", "args": {"at": "it"}}}
    result = {"function_response": {"name": "look", "response": {"output": "seen"}}}
    tools = [{"functionDeclarations": [{"name": "look"}]}]
    tokens = count(
        system_instruction={"parts": {"text": "Be kind."}},
        contents=[{"parts": [{"text": "Hello"}]}, {"role": "model", "parts": [call]}, {"parts": [result]}],
        tools=tools,
        generationConfig={"responseSchema": {"type": "STRING"}},
    )
    texts = (
        '[{"functionDeclarations":[{"name":"look"}]}]\n{"type":"STRING"}\nBe kind.\nHello\nlook\n{"at":"it"}\n'
        'look\n{"output":"seen"}'
    )
    assert tokens == ANSWER_TOKENS + 4 * MESSAGE_TOKENS + count_text(texts)


def test_media_count_a_fixed_figure() -> None:
    parts = [
        {"inlineData": {"mimeType": "image/png", "data": "A" * 5000}},
        {"inline_data": {"mime_type": "audio/wav", "data": "A" * 5000}},
        {"fileData": {"fileUri": "https://x/y.pdf"}},
    ]
    expected = ANSWER_TOKENS + MESSAGE_TOKENS + IMAGE_TOKENS + AUDIO_TOKENS + FILE_TOKENS
    assert count(contents={"parts": parts}) == expected


def test_a_whole_request_inside_a_question_counts() -> None:
    contents = [{"parts": [{"text": "Hello there"}]}]
    assert count(generateContentRequest={"contents": contents}) == count(contents=contents)
    assert count(generate_content_request={"contents": contents}) == count(contents=contents)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"contents":5}', b"\xff" * 40, b'{"contents":' + b"[" * 5000])
def test_what_cannot_be_read_is_estimated(body: bytes) -> None:
    assert count_input(body) == len(body) // BYTES_PER_TOKEN


def test_a_huge_body_is_estimated_by_its_bytes() -> None:
    body = b'{"contents":[{"parts":[{"text":"' + b"a b " * (limits.COUNT_BYTES_MAX // 3) + b'"}]}]}'
    assert count_input(body) == len(body) // BYTES_PER_TOKEN


def test_the_answer_to_the_question() -> None:
    assert render_count(7) == b'{"totalTokens":7}'
