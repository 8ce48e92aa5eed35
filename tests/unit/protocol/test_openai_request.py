"""Reading a chat request, and preparing it for an upstream."""

import json
from time import process_time

import pytest

from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.conversation import opening_digest
from trunkline.protocol.dialect import ClientRequest
from trunkline.protocol.openai_chat.request import prepare, read_head
from trunkline.protocol.rules import RequestRules

MESSAGES = b'"messages":[{"role":"user","content":"hi"}]'
OPENING = opening_digest(b'[{"role":"user","content":"hi"}]')


def body(fields: bytes) -> bytes:
    return b"{" + fields + b"," + MESSAGES + b"}"


def refused(source: bytes) -> Fault:
    with pytest.raises(FaultError) as caught:
        read_head(source)
    return caught.value.fault


def test_what_routing_needs_is_read() -> None:
    source = body(b'"model":"m","stream":true,"stream_options":{"include_usage":true,"x":1},"max_tokens":5,"n":2')
    asked = ClientRequest(model="m", stream=True, max_output=5, choices=2, wants_usage=True, opening=OPENING)
    assert read_head(source) == asked


@pytest.mark.parametrize(
    ("written", "choices"),
    [
        (b"1", 1),
        (b"128", 128),
        (b"2.5", 3),
        (b'"4"', 4),
        (b"0", 1),
        (b"-7", 1),
        (b"1e400", 1),
        (b"99999999999999999999", 1024),
        (b"null", 1),
        (b"true", 1),
        (b'"nan"', 1),
        (b"[2]", 1),
        (b'{"n":3}', 1),
    ],
)
def test_how_many_answers_are_asked_for_is_read_and_wrong_numbers_are_the_providers_to_refuse(
    written: bytes, choices: int
) -> None:
    assert read_head(body(b'"model":"m","n":' + written)).choices == choices


def test_absent_and_null_fields_take_their_defaults() -> None:
    expected = ClientRequest(model="m", stream=False, max_output=0, wants_usage=False, opening=OPENING)
    assert read_head(body(b'"model":"m"')) == expected
    nulls = b'"model":"m","stream":null,"max_tokens":null,"stream_options":null,"max_completion_tokens":null'
    assert read_head(body(nulls)) == expected


def test_the_newer_bound_on_output_wins() -> None:
    assert read_head(body(b'"model":"m","max_tokens":5,"max_completion_tokens":7')).max_output == 7


def test_escaped_and_repeated_keys_are_read_as_parsers_do() -> None:
    assert read_head(body(rb'"model":"a","m\u006fdel":"b"')).model == "b"


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"  ",
        b"[]",
        b"null",
        b'"text"',
        b"{",
        b'{"model":"m",}',
        b"{'model':'m'}",
        body(b'"model":"m","x":tru'),
        body(b'"model":"m","x":01'),
        body(b'"model":"m"') + b"x",
        body(b'"model":"m","x":"\xff"'),
        body(b'"model":"m","x":"\xed\xa0\x80"'),
        body(b'"model":"\xff"'),
        body('"model":"m","x":"é'.encode()[:-1] + b'"'),
        body(b'"model":"m","x":"\x01"'),
        b"\x00" * 100,
    ],
)
def test_what_is_not_a_json_object_is_refused(source: bytes) -> None:
    fault = refused(source)
    assert fault.type is ErrorType.CLIENT_BAD_JSON
    assert fault.message.endswith(".")


def test_invalid_utf8_is_found_at_the_border_of_steps() -> None:
    text = "é".encode()
    good = body(b'"model":"m","messages_note":"' + b"x" * (1024 * 1024 - 100) + text * 100 + b'"')
    with pytest.raises(FaultError) as caught:
        read_head(good)
    assert "repeated" in caught.value.fault.message
    assert refused(good[:-60] + b"\xc3" + good[-60:]).type is ErrorType.CLIENT_BAD_JSON


@pytest.mark.parametrize(
    ("source", "param"),
    [
        (b"{" + MESSAGES + b"}", "model"),
        (body(b'"model":null'), "model"),
        (body(b'"model":5'), "model"),
        (body(b'"model":["m"]'), "model"),
        (body(b'"model":""'), "model"),
        (body(b'"model":"  "'), "model"),
        (body(b'"model":"' + b"m" * 257 + b'"'), "model"),
        (body(b'"model":"m","stream":"yes"'), "stream"),
        (body(b'"model":"m","stream":1'), "stream"),
        (body(b'"model":"m","max_tokens":0'), "max_tokens"),
        (body(b'"model":"m","max_tokens":-1'), "max_tokens"),
        (body(b'"model":"m","max_tokens":1.5'), "max_tokens"),
        (body(b'"model":"m","max_tokens":"5"'), "max_tokens"),
        (body(b'"model":"m","max_tokens":true'), "max_tokens"),
        (body(b'"model":"m","max_tokens":1e400'), "max_tokens"),
        (body(b'"model":"m","max_completion_tokens":99999999999999999999'), "max_completion_tokens"),
        (body(b'"model":"m","stream_options":[]'), "stream_options"),
        (body(b'"model":"m","stream_options":{"include_usage":"x"}'), "stream_options.include_usage"),
        (b'{"model":"m"}', "messages"),
        (b'{"model":"m","messages":null}', "messages"),
        (b'{"model":"m","messages":"hi"}', "messages"),
        (b'{"model":"m","messages":{}}', "messages"),
        (b'{"model":"m","messages":[ ]}', "messages"),
    ],
)
def test_a_wrong_field_is_named_and_explained(source: bytes, param: str) -> None:
    fault = refused(source)
    assert fault.type is ErrorType.CLIENT_BAD_REQUEST
    assert fault.param == param
    assert f"`{param}`" in fault.message


def nested(depth: int) -> bytes:
    """Return a request in which the deepest list stands at ``depth``."""
    return b'{"model":"m","messages":[' + b"[" * (depth - 2) + b"]" * (depth - 2) + b"]}"


def test_nesting_is_bounded_exactly() -> None:
    assert read_head(nested(limits.JSON_DEPTH_MAX)).model == "m"
    fault = refused(nested(limits.JSON_DEPTH_MAX + 1))
    assert fault.type is ErrorType.CLIENT_BAD_REQUEST
    assert "nested" in fault.message


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_absurd_nesting_is_refused_at_once(opening: bytes) -> None:
    source = b'{"model":"m","messages":[' + opening * 100_000
    started = process_time()
    assert refused(source).type is ErrorType.CLIENT_BAD_REQUEST
    assert process_time() - started < 1


def test_brackets_in_texts_and_side_by_side_are_no_nesting() -> None:
    texts = json.dumps(['[{"' * 300, "\\", '"[[', "[\\"] * 50).encode()
    assert read_head(b'{"model":"m","messages":' + texts + b',"x":' + b"[" + b"[],{}," * 500 + b"0]}").model == "m"


def test_lists_and_objects_are_bounded_in_number() -> None:
    source = b'{"model":"m","messages":[' + b"[]," * limits.JSON_CONTAINERS_MAX + b"[]]}"
    assert "lists and objects" in refused(source).message


def test_many_members_are_refused_before_they_cost_memory() -> None:
    members = b",".join(b'"%d":1' % number for number in range(150_000))
    assert refused(body(b'"model":"m",' + members)).type is ErrorType.CLIENT_BAD_REQUEST


def test_a_large_request_is_no_trouble() -> None:
    image = b'{"model":"m","messages":[{"role":"user","content":"' + b"QUJD" * 1_000_000 + b'"}],"tools":[]}'
    assert read_head(image).model == "m"


def test_a_text_cut_inside_an_emoji_is_accepted() -> None:
    source = body(rb'"model":"m","user":"\ud83d"')
    assert read_head(source).model == "m"
    assert prepare(source, upstream_model="u") == source.replace(b'"m"', b'"u"')


# --- prepare --------------------------------------------------------------------------------------------


def test_nothing_to_change_is_the_same_object() -> None:
    source = body(b'"model":"m","stream_options":{"include_usage":true}')
    assert prepare(source) is source
    assert prepare(source, upstream_model="m", ask_usage=True, rules=RequestRules()) is source


def test_an_escaped_spelling_of_the_same_model_stays() -> None:
    source = body(rb'"model":"\u006d"')
    assert prepare(source, upstream_model="m") is source


def test_only_the_top_level_model_is_renamed() -> None:
    source = b'{ "tools":[{"model":"a"}], "m\\u006fdel" : "a" , ' + MESSAGES + b',"temperature":1.0}'
    assert prepare(source, upstream_model='b"') == source.replace(b' : "a"', rb' : "b\""')


def test_every_value_of_a_repeated_model_is_renamed() -> None:
    assert prepare(body(b'"model":"a","model":"b"'), upstream_model="c") == body(b'"model":"c","model":"c"')


def test_private_fields_are_removed() -> None:
    source = body(b'"fallback_models":["x"],"model":"m","zenmux-route":{"strategy":"cost"},"models":[],"modelsx":1')
    assert prepare(source) == body(b'"model":"m","modelsx":1')
    escaped = body(rb'"fallback\u005fmodels":["x"],"model":"m"')
    assert prepare(escaped) == body(b'"model":"m"')


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"model":"m"', b'"stream_options":{"include_usage":true},"model":"m"'),
        (b'"stream_options":null', b'"stream_options":{"include_usage":true}'),
        (b'"stream_options":{ }', b'"stream_options":{"include_usage":true }'),
        (b'"stream_options":{"a":[1]}', b'"stream_options":{"include_usage":true,"a":[1]}'),
        (b'"stream_options":{"include_usage" : false,"a":1}', b'"stream_options":{"include_usage" : true,"a":1}'),
    ],
)
def test_usage_is_asked_for(before: bytes, after: bytes) -> None:
    assert prepare(body(before), ask_usage=True) == body(after)


def test_rules_drop_then_set_then_clamp() -> None:
    rules = RequestRules(
        drop=("user", "seed"),
        set={"seed": b"7", "top_k": b"50", "top_p": b"2"},
        clamp={"top_p": (None, 0.99), "temperature": (0.5, None), "max_tokens": (None, 100.0), "absent": (1, 2)},
    )
    source = body(b'"user":"u","seed":1,"top_k":1,"temperature":0,"top_p":1.0,"max_tokens":4096')
    prepared = json.loads(prepare(source, rules=rules))
    assert prepared.pop("messages") == json.loads(source)["messages"]
    assert prepared == {"seed": 7, "top_k": 50, "temperature": 0.5, "top_p": 0.99, "max_tokens": 100}
    assert isinstance(prepared["max_tokens"], int)


def test_a_clamp_leaves_what_is_no_number() -> None:
    source = body(b'"top_p":"1","temperature":null,"n":0.5')
    rules = RequestRules(clamp={"top_p": (0, 0), "temperature": (0, 0), "n": (0, 1)})
    assert prepare(source, rules=rules) is source


def test_a_dropped_stream_option_is_not_asked_again() -> None:
    source = body(b'"stream_options":{"include_usage":true}')
    assert prepare(source, ask_usage=True, rules=RequestRules(drop=("stream_options",))) == b"{" + MESSAGES + b"}"


def test_preparing_what_is_no_object_is_a_fault() -> None:
    with pytest.raises(FaultError) as caught:
        prepare(b"[1]", upstream_model="m")
    assert caught.value.fault.type is ErrorType.CLIENT_BAD_JSON
