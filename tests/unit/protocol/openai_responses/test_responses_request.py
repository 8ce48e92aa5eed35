"""Reading the head of a Responses request, and preparing it for an upstream of its own dialect."""

import json

import pytest

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.conversation import opening_digest
from trunkline.protocol.dialect import ClientRequest
from trunkline.protocol.model import Proof
from trunkline.protocol.openai_responses import carried_proof
from trunkline.protocol.openai_responses.request import prepare, read_head
from trunkline.protocol.rules import RequestRules

OPENING = opening_digest(b'[{"role":"user","content":"hi"}]')
STATELESS = b'"store":false,"include":["reasoning.encrypted_content"]'


def head(**fields: object) -> ClientRequest:
    return read_head(json.dumps({"model": "m", "input": "hi", **fields}).encode())


def refused(**fields: object) -> Fault:
    with pytest.raises(FaultError) as caught:
        head(**fields)
    return caught.value.fault


def test_what_routing_needs_is_read() -> None:
    asked = ClientRequest(model="m", stream=True, max_output=7, opening=OPENING)
    assert head(stream=True, max_output_tokens=7) == asked
    assert head(stream=None, max_output_tokens=None) == ClientRequest(model="m", stream=False, opening=OPENING)


@pytest.mark.parametrize("value", ["hi", [{"role": "user", "content": "hi"}]])
def test_input_is_a_text_or_a_list(value: object) -> None:
    assert head(input=value).model == "m"


@pytest.mark.parametrize("value", ["", [], None, 5, {}, True])
def test_any_other_input_is_refused(value: object) -> None:
    fault = refused(input=value)
    assert (fault.type, fault.param) == (ErrorType.CLIENT_BAD_REQUEST, "input")


def test_an_absent_input_is_refused() -> None:
    with pytest.raises(FaultError) as caught:
        read_head(b'{"model":"m"}')
    assert caught.value.fault.param == "input"


@pytest.mark.parametrize(
    ("field", "value"),
    [("model", 5), ("model", " "), ("stream", "yes"), ("max_output_tokens", 0), ("background", 1)],
)
def test_a_wrong_field_is_named(field: str, value: object) -> None:
    assert refused(**{field: value}).param == field


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model":"m","input":"\xff"}'])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(FaultError) as caught:
        read_head(body)
    assert caught.value.fault.type is ErrorType.CLIENT_BAD_JSON


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("previous_response_id", "resp_1"),
        ("conversation", "conv_1"),
        ("conversation", {"id": "conv_1"}),
        ("prompt", {"id": "pmpt_1"}),
        ("background", True),
    ],
)
def test_what_needs_stored_state_is_refused(field: str, value: object) -> None:
    fault = refused(**{field: value})
    assert (fault.type, fault.param, fault.code) == (ErrorType.CLIENT_BAD_REQUEST, field, "unsupported_parameter")
    assert "none is kept here" in fault.message
    assert "send the full input" in fault.message


def test_a_reference_to_a_stored_item_is_refused() -> None:
    items = [{"role": "user", "content": "hi"}, {"type": "item_reference", "id": "msg_1"}]
    assert refused(input=items).param == "input[1]"


def test_words_about_a_reference_are_no_reference() -> None:
    assert head(input='say "item_reference"').model == "m"
    assert head(input=[{"role": "user", "content": '"item_reference"'}]).model == "m"


@pytest.mark.parametrize(
    "fields", [{"previous_response_id": None, "conversation": None, "prompt": None, "background": False}]
)
def test_state_that_is_not_wished_for_is_no_matter(fields: dict[str, object]) -> None:
    assert head(**fields).model == "m"


# --- prepare ---------------------------------------------------------------------------------------------------


def test_nothing_is_to_be_stored_and_reasoning_comes_back_encrypted() -> None:
    assert prepare(b'{"model":"m","input":"hi"}') == b"{" + STATELESS + b',"model":"m","input":"hi"}'


@pytest.mark.parametrize("store", [b"true", b"null"])
def test_a_wish_to_store_is_turned_off_in_place(store: bytes) -> None:
    body = b'{"model":"m", "store": ' + store + b', "include": [], "input":"hi"}'
    expected = b'{"model":"m", "store": false, "include": ["reasoning.encrypted_content"], "input":"hi"}'
    assert prepare(body) == expected


def test_a_stateless_body_is_the_very_same_object() -> None:
    body = b'{"model":"m",' + STATELESS + b',"input":"hi"}'
    assert prepare(body) is body
    assert prepare(body, upstream_model="m", ask_usage=True, rules=RequestRules()) is body


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        (b"null", b'["reasoning.encrypted_content"]'),
        (b'["a"]', b'["a","reasoning.encrypted_content"]'),
        (b"5", b"5"),
    ],
)
def test_what_is_included_already_stays(include: bytes, expected: bytes) -> None:
    body = b'{"store":false,"include":%b}'
    assert prepare(body % include) == body % expected


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (RequestRules(set={"store": b"true"}), b'{"store":true,"input":"hi"}'),
        (RequestRules(drop=("store",)), b'{"input":"hi"}'),
        (RequestRules(drop=("include",)), b'{"store":false,"input":"hi"}'),
    ],
)
def test_a_rule_for_store_or_include_wins(rules: RequestRules, expected: bytes) -> None:
    assert prepare(b'{"input":"hi"}', rules=rules) == expected


def test_only_the_model_and_private_fields_change_beside() -> None:
    body = (
        b'{"model":"public","models":["x"],'
        + STATELESS
        + b',"input":[{"role":"user","content":"\\u0068i"}],"metadata":{"model":"public"},"n":12345678901234567890.50}'
    )
    expected = (
        b'{"model":"up",'
        + STATELESS
        + b',"input":[{"role":"user","content":"\\u0068i"}],"metadata":{"model":"public"},"n":12345678901234567890.50}'
    )
    assert prepare(body, upstream_model="up") == expected


def test_reasoning_of_another_provider_is_left_out_and_all_else_kept_byte_for_byte() -> None:
    foreign = carried_proof.shown(Proof("anthropic", "sig")).encode()
    of_call = carried_proof.shown_before_call(Proof("gemini", "sig")).encode()
    items = (
        b'[ {"role":"user", "content":"tl1. is a tag"},'
        b'{"type":"reasoning","summary":[],"encrypted_content":"' + foreign + b'"},'
        b'{"type":"reasoning","summary":[],"encrypted_content":"gAAA"},'
        b'{"type":"reasoning","summary":[],"encrypted_content":"' + of_call + b'"},'
        b'{"type":"function_call" ,"call_id":"c","name":"f","arguments":"{}"}]'
    )
    expected = (
        b'[{"role":"user", "content":"tl1. is a tag"},'
        b'{"type":"reasoning","summary":[],"encrypted_content":"gAAA"},'
        b'{"type":"function_call" ,"call_id":"c","name":"f","arguments":"{}"}]'
    )
    body = b"{" + STATELESS + b',"input":%b}'
    assert prepare(body % items) == body % expected
