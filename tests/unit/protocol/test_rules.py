"""A channel's rules on requests in JSON: drop, set, default, clamp and rename, in this order."""

import json
from typing import Any

import pytest

from trunkline.core.errors import FaultError
from trunkline.protocol.anthropic.request import prepare as prepare_anthropic
from trunkline.protocol.gemini.request import prepare as prepare_gemini
from trunkline.protocol.openai_chat.request import prepare
from trunkline.protocol.openai_responses.request import prepare as prepare_responses
from trunkline.protocol.rules import NO_RULES, RequestRules
from trunkline.protocol.splice import BodyChanges, ruled

TAIL = b'"messages":[ {"role":"user","top_p":1} ] }'


def changed(fields: bytes, **rules: Any) -> bytes:
    """Return the fields of a body after rules; what stands behind them must be as it was."""
    result = prepare(b"{ " + fields + TAIL, rules=RequestRules(**rules))
    assert result.endswith(TAIL)
    return result.removesuffix(TAIL)


@pytest.mark.parametrize(
    ("before", "rules", "after"),
    [
        (b'"a":1,', {"drop": ("a", "b")}, b"{ "),
        (b'"a" : 1 ,', {"set": {"a": b"2"}}, b'{ "a" : 2 ,'),
        (b"", {"set": {"a": b"2"}}, b'{"a":2, '),
        (b'"a":1,', {"default": {"a": b"2"}}, b'{ "a":1,'),
        (b'"a":null,', {"default": {"a": b"2"}}, b'{ "a":2,'),
        (b"", {"default": {"a": b"2"}}, b'{"a":2, '),
        (b'"a":1,', {"clamp": {"a": (None, 0.99)}}, b'{ "a":0.99,'),
        (b'"a":1,', {"clamp": {"a": (2.0, 3.0)}}, b'{ "a":2,'),
        (b"", {"clamp": {"a": (2, 3)}}, b"{ "),
        (b'"a": [1, 2],', {"rename": {"a": "b"}}, b'{"b":[1, 2], '),
        (b"", {"rename": {"a": "b"}}, b"{ "),
        (rb'"\u0061":"\u00e9",', {"rename": {"a": "b"}}, rb'{"b":"\u00e9", '),
    ],
)
def test_each_rule_alone(before: bytes, rules: dict[str, Any], after: bytes) -> None:
    assert changed(before, **rules) == after


@pytest.mark.parametrize(
    ("before", "rules", "after"),
    [
        # Two at a time, in their order.
        (b'"a":1,', {"drop": ("a",), "set": {"a": b"2"}}, b'{"a":2, '),
        (b'"a":1,', {"drop": ("a",), "default": {"a": b"2"}}, b'{"a":2, '),
        (b'"a":1,', {"drop": ("a",), "clamp": {"a": (5, 9)}}, b"{ "),
        (b'"a":1,', {"drop": ("a",), "rename": {"a": "b"}}, b"{ "),
        (b'"a":1,', {"set": {"a": b"2"}, "default": {"a": b"3"}}, b'{ "a":2,'),
        (b"", {"set": {"a": b"2"}, "default": {"a": b"3"}}, b'{"a":2, '),
        (b'"a":1,', {"set": {"a": b"2"}, "clamp": {"a": (5, 9)}}, b'{ "a":5,'),
        (b"", {"set": {"a": b"2"}, "clamp": {"a": (5, 9)}}, b'{"a":5, '),
        (b'"a":1,', {"set": {"a": b"2"}, "rename": {"a": "b"}}, b'{"b":2, '),
        (b"", {"set": {"a": b"2"}, "rename": {"a": "b"}}, b'{"b":2, '),
        (b"", {"default": {"a": b"2"}, "clamp": {"a": (5, 9)}}, b'{"a":5, '),
        (b'"a":7,', {"default": {"a": b"2"}, "clamp": {"a": (5, 9)}}, b'{ "a":7,'),
        (b"", {"default": {"a": b"2"}, "rename": {"a": "b"}}, b'{"b":2, '),
        (b'"a":1,', {"clamp": {"a": (5, 9)}, "rename": {"a": "b"}}, b'{"b":5, '),
        # All of them on one field.
        (
            b'"a":1,',
            {
                "drop": ("a",),
                "set": {"a": b"2"},
                "default": {"a": b"3"},
                "clamp": {"a": (5, 9)},
                "rename": {"a": "b"},
            },
            b'{"b":5, ',
        ),
        # The names are those before anything is renamed.
        (b'"a":1,', {"clamp": {"b": (5, 9)}, "rename": {"a": "b"}}, b'{"b":1, '),
        (b'"a":1,', {"drop": ("b",), "set": {"c": b"2"}, "rename": {"a": "b"}}, b'{"c":2,"b":1, '),
    ],
)
def test_rules_follow_each_other(before: bytes, rules: dict[str, Any], after: bytes) -> None:
    assert changed(before, **rules) == after


@pytest.mark.parametrize(
    ("before", "names", "after"),
    [
        # The renamed one wins, and takes the other's place.
        (b'"a":1,"b" : 2 ,', {"a": "b"}, b'{ "b" : 1 ,'),
        (b'"b":2,"a":1,', {"a": "b"}, b'{ "b":1,'),
        (b'"b":2,', {"a": "b"}, b'{ "b":2,'),
        (b'"a":1,"b":2,', {"a": "b", "b": "a"}, b'{"b":1,"a":2, '),
        (b'"a":1,"b":2,', {"a": "b", "b": "c"}, b'{"b":1,"c":2, '),
        (b'"a":1,"b":2,', {"a": "c", "b": "c"}, b'{"c":2, '),
        (b'"a":1,"a":2,', {"a": "b"}, b'{"b":2, '),
    ],
)
def test_a_renamed_field_takes_the_place_of_another(before: bytes, names: dict[str, str], after: bytes) -> None:
    assert changed(before, rename=names) == after


def test_every_value_of_a_repeated_field_is_ruled() -> None:
    assert changed(b'"a":1,"a":"x","a":8,', clamp={"a": (2, 5)}) == b'{ "a":2,"a":"x","a":5,'
    assert changed(b'"a":1,"a":null,', default={"a": b"3"}) == b'{ "a":1,"a":3,'
    assert changed(b'"a":1,"b":0,"a":2,', drop=("a",)) == b'{ "b":0,'
    assert changed(b'"b":0,"b":1,"a":2,', rename={"a": "b"}) == b'{ "b":2,"b":2,'


@pytest.mark.parametrize("value", [b'"1"', b"true", b"null", b"[9]", b'{"a":9}', b"1e999"])
def test_a_clamp_leaves_what_is_no_number(value: bytes) -> None:
    field = b'"a":' + value + b","
    assert changed(field, clamp={"a": (2, 5)}) == b"{ " + field


def test_a_rule_for_what_only_lies_deeper_changes_nothing() -> None:
    source = b'{ "a":1,' + TAIL
    rules = RequestRules(drop=("role",), clamp={"top_p": (None, 0.5)}, rename={"role": "user"})
    assert prepare(source, rules=rules) is source


# --- one set of rules after the other --------------------------------------------------------------------------------


def test_later_rules_have_the_last_word() -> None:
    first: dict[str, Any] = {"set": {"a": b"1"}, "clamp": {"b": (None, 5)}, "default": {"c": b"1"}}
    then = RequestRules(set={"a": b"2"}, clamp={"b": (None, 3)}, drop=("c",))
    assert json.loads(changed(b'"b":9,', **first, then=then) + TAIL).items() >= {"a": 2, "b": 3}.items()
    assert b'"c"' not in changed(b'"b":9,', **first, then=then)
    assert changed(b'"a":9,', drop=("a",), then=RequestRules(default={"a": b"7"})) == b'{"a":7, '
    assert changed(b"", set={"a": b"1"}, then=RequestRules(clamp={"a": (4, None)}, then=NO_RULES)) == b'{"a":4, '


def test_nothing_is_renamed_before_the_last_rules() -> None:
    then = RequestRules(clamp={"a": (None, 3)})
    assert changed(b'"a":9,', rename={"a": "b"}, then=then) == b'{"b":3, '
    assert changed(b'"a":9,', rename={"a": "b"}, then=RequestRules(rename={"a": "c"})) == b'{"c":9, '
    assert changed(b'"a":9,', then=RequestRules(rename={"a": "c"})) == b'{"c":9, '


def test_rules_know_whether_they_do_anything() -> None:
    assert NO_RULES.empty
    body = b'{"a" : 1}'
    assert ruled(body, NO_RULES) is body
    assert ruled(body, RequestRules(default={"a": b"2"})) is body
    for rules in (
        RequestRules(drop=("a",)),
        RequestRules(set={"a": b"1"}),
        RequestRules(default={"a": b"1"}),
        RequestRules(clamp={"a": (1, None)}),
        RequestRules(rename={"a": "b"}),
        RequestRules(then=RequestRules(drop=("a",))),
    ):
        assert not rules.empty
    assert RequestRules(drop=("a",)).decides("a")
    assert RequestRules(then=RequestRules(set={"a": b"1"})).decides("a")
    assert not RequestRules(default={"a": b"1"}, clamp={"a": (1, 2)}, rename={"a": "b"}).decides("a")


# --- paths -----------------------------------------------------------------------------------------------------------

CONFIG = b'{"generationConfig": {"topP": 1, "x":{"y":2}},"contents":[{"parts":[{"text":"h"}]}]}'


@pytest.mark.parametrize(
    ("rules", "before", "after"),
    [
        ({"clamp": {"generationConfig.topP": (None, 0.95)}}, b'"topP": 1', b'"topP": 0.95'),
        ({"drop": ("generationConfig.topP", "generationConfig.x.z")}, b'"topP": 1, ', b""),
        ({"set": {"generationConfig.x.y": b"3"}}, b'"y":2', b'"y":3'),
        ({"default": {"generationConfig.topK": b"9", "generationConfig.topP": b"0"}}, b'{"topP"', b'{"topK":9,"topP"'),
        ({"default": {"labels.a": b'"b"'}}, b'{"generationConfig"', b'{"labels":{"a":"b"},"generationConfig"'),
        (
            {"rename": {"generationConfig.topP": "generationConfig.x.y"}},
            b'"topP": 1, "x":{"y":2}',
            b'"x":{"y":1}',
        ),
        ({"rename": {"generationConfig.x": "x"}}, b'"x":{"y":2}', None),
        ({"drop": ("contents.parts", "generationConfig.topP.x")}, b"", b""),
    ],
)
def test_a_path_names_what_lies_deeper(rules: dict[str, Any], before: bytes, after: bytes | None) -> None:
    prepared = prepare_gemini(CONFIG, rules=RequestRules(**rules))
    if after is None:
        assert prepared == b'{"x":{"y":2},' + CONFIG[1:].replace(b', "x":{"y":2}', b"")
    else:
        assert prepared == CONFIG.replace(before, after)


def test_objects_on_the_way_are_made_where_there_are_none() -> None:
    for given in (b"{}", b'{"a":null}', b'{"a":{}}', b'{"a":{"b":null}}'):
        changes = BodyChanges(given)
        changes.put("a.b.c", b"1")
        assert json.loads(changes.result()) == {"a": {"b": {"c": 1}}}
    for given in (b'{"a":7}', b'{"a":[]}', b'{"a":"{}"}', b'{"a":{"b":true}}'):
        changes = BodyChanges(given)
        changes.put("a.b.c", b"1")
        changes.drop("a.b.c")
        assert changes.result() is given


def test_what_is_put_into_a_new_object_is_ruled_on() -> None:
    rules = RequestRules(
        set={"a.b": b"1", "a.d": b"2"},
        clamp={"a.b": (5, None)},
        rename={"a.b": "a.c"},
        then=RequestRules(drop=("a.d",)),
    )
    assert ruled(b"{}", rules) == b'{"a":{"c":5}}'


def test_gemini_is_ruled_in_either_spelling() -> None:
    body = b'{"generation_config":{"top_p":1,"topK":5},"safety_settings":[],"contents":[{}]}'
    rules = RequestRules(
        drop=("safetySettings",), set={"generationConfig.topK": b"4"}, clamp={"generationConfig.topP": (0, 0.5)}
    )
    assert prepare_gemini(body, rules=rules) == b'{"generation_config":{"top_p":0.5,"topK":4},"contents":[{}]}'


# --- beside what the gateway itself changes --------------------------------------------------------------------------


def test_a_rule_for_stream_options_wins() -> None:
    source = b"{ " + TAIL
    assert prepare(source, ask_usage=True, rules=RequestRules(drop=("stream_options",))) == source
    own = RequestRules(set={"stream_options": b'{"x":1}'})
    assert prepare(source, ask_usage=True, rules=own) == b'{"stream_options":{"x":1}, ' + TAIL
    renamed = RequestRules(rename={"stream_options": "so"})
    assert prepare(source, ask_usage=True, rules=renamed) == b'{"so":{"include_usage":true}, ' + TAIL


def test_a_rule_for_what_is_stored_wins() -> None:
    source = b'{"model":"m","input":"h"}'
    assert prepare_responses(source, rules=RequestRules(drop=("store",))) == source
    kept = b'{"store":true,"model":"m","input":"h"}'
    assert prepare_responses(source, rules=RequestRules(set={"store": b"true"})) == kept
    apart = json.loads(prepare_responses(source, rules=RequestRules(default={"store": b"true"}, drop=("include",))))
    assert apart == {"store": False, "model": "m", "input": "h"}


def test_the_model_is_the_providers_before_a_rule_sees_it() -> None:
    source = b'{"model":"m","max_tokens":1,"messages":[1]}'
    rules = RequestRules(rename={"model": "modelId"})
    assert prepare_anthropic(source, upstream_model="up", rules=rules) == (
        b'{"modelId":"up","max_tokens":1,"messages":[1]}'
    )


def test_private_fields_go_before_a_rule_sees_them() -> None:
    body = b'{"fallback_models":["x"],"models":["y"],"zenmux-route":{},"usage":{},' + TAIL
    assert prepare(body, rules=RequestRules(rename={"models": "a", "usage": "b"})) == b"{" + TAIL


@pytest.mark.parametrize(("value", "kept"), [(b"[]", False), (b"null", False), (b'"m"', True), (b'{"m":1}', True)])
def test_only_a_list_of_models_is_a_wish(value: bytes, kept: bool) -> None:
    body = b'{"models":' + value + b"," + TAIL
    assert prepare(body) == (body if kept else b"{" + TAIL)


def test_what_is_no_object_is_a_fault() -> None:
    with pytest.raises(FaultError):
        ruled(b"[1]", RequestRules(drop=("a",)))
