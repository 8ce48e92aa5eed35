"""Reading the head of a generateContent request, and preparing it for a Gemini upstream."""

import json

import pytest

from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.conversation import opening_digest
from trunkline.protocol.dialect import ClientRequest
from trunkline.protocol.gemini.request import prepare, read_count_head, read_head
from trunkline.protocol.rules import RequestRules

CONTENTS = b'"contents":[{"parts":[{"text":"hi"}]}]'
OPENING = opening_digest(b'[{"parts":[{"text":"hi"}]}]')


def body(fields: bytes = b"") -> bytes:
    return b"{" + fields + (b"," if fields else b"") + CONTENTS + b"}"


def refused(source: bytes) -> Fault:
    with pytest.raises(FaultError) as caught:
        read_head(source)
    return caught.value.fault


def test_the_bound_on_output_is_read_in_either_spelling() -> None:
    assert read_head(body()) == ClientRequest(model="", stream=False, opening=OPENING)
    for source in (
        b'"generationConfig":{"maxOutputTokens":5}',
        b'"generation_config":{"max_output_tokens":5}',
        b'"generationConfig":{"max_output_tokens":5}',
        b'"generation_config":{"maxOutputTokens":"5"}',
        b'"generationConfig":{"maxOutputTokens":5.0,"temperature":1}',
    ):
        assert read_head(body(source)) == ClientRequest(model="", stream=False, max_output=5, opening=OPENING)


def test_the_number_of_answers_is_read_in_either_spelling() -> None:
    for source in (
        b'"generationConfig":{"candidateCount":3}',
        b'"generation_config":{"candidate_count":"3"}',
        b'"generation_config":{"candidateCount":3.0},"generationConfig":{"candidate_count":1}',
    ):
        assert read_head(body(source)).choices == 3


def test_one_content_needs_no_list() -> None:
    assert read_head(b'{"contents":{"parts":{"text":"hi"}}}').max_output == 0


@pytest.mark.parametrize("source", [b"{}", b'{"contents":[]}', b'{"contents":"hi"}', b'{"contents":null}'])
def test_contents_must_be_there(source: bytes) -> None:
    fault = refused(source)
    assert (fault.type, fault.param) == (ErrorType.CLIENT_BAD_REQUEST, "contents")


@pytest.mark.parametrize("value", [b"0", b"-1", b'"x"', b"1.5", b"3000000000", b"true", b"[]"])
def test_a_bound_must_be_a_positive_whole_number(value: bytes) -> None:
    fault = refused(body(b'"generationConfig":{"maxOutputTokens":' + value + b"}"))
    assert (fault.type, fault.param) == (ErrorType.CLIENT_BAD_REQUEST, "generationConfig.maxOutputTokens")


def test_what_is_no_json_is_refused() -> None:
    assert refused(b"{").type is ErrorType.CLIENT_BAD_JSON
    assert refused(b"[]").type is ErrorType.CLIENT_BAD_JSON
    assert refused(body(b'"x":"\xff"')).type is ErrorType.CLIENT_BAD_JSON
    assert refused(body(b'"x":' + b"[" * 200 + b"]" * 200)).type is ErrorType.CLIENT_BAD_REQUEST


def test_large_tools_and_instructions_are_no_small_fields() -> None:
    large = b'"' + b"x" * limits.CHAT_FIELDS_BYTES_MAX + b'"'
    read_head(body(b'"tools":[' + large + b'],"system_instruction":' + large))
    assert refused(body(b'"labels":' + large)).type is ErrorType.CLIENT_BAD_REQUEST


def test_a_question_for_a_count_has_contents_or_a_whole_request() -> None:
    assert read_count_head(body()) == ClientRequest(model="", stream=False)
    read_count_head(b'{"generateContentRequest":{' + CONTENTS + b"}}")
    read_count_head(b'{"generate_content_request":{' + CONTENTS + b"}}")
    with pytest.raises(FaultError):
        read_count_head(b'{"generateContentRequest":5}')


def test_a_body_within_the_dialect_is_the_same_object() -> None:
    source = body(b'"generation_config": {"max_output_tokens": 5}, "new_field": [1.10]')
    assert prepare(source) is source
    assert prepare(source, rules=RequestRules()) is source


def test_private_fields_go_and_rules_apply() -> None:
    source = body(b'"fallback_models":["b"],"safetySettings":[],"labels":{}')
    rules = RequestRules(drop=("labels",), set={"serviceTier": b'"flex"'})
    assert json.loads(prepare(source, rules=rules)) == {
        "serviceTier": "flex",
        "safetySettings": [],
        "contents": [{"parts": [{"text": "hi"}]}],
    }
