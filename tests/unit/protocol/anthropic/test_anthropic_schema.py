"""JSON schemas as structured output takes them."""

import json
from typing import Any

import pytest

from trunkline.core.errors import FaultError
from trunkline.protocol.anthropic.schema import closed_schema, input_schema, is_object


def closed(schema: object) -> Any:
    return json.loads(bytes(closed_schema(json.dumps(schema).encode())))


@pytest.mark.parametrize(
    "schema",
    [
        b'{ "type" : "object", "properties":{"a":{"type":"string","format":"date"}},"additionalProperties": false }',
        b'{"anyOf":[{"type":"null"},{"type":"integer","enum":[1, 2.50]}]}',
        b'{"$ref":"#/$defs/x","$defs":{"x":{"type":"array","items":{"type":"string"},"minItems":1}}}',
        b"true",
        b"5",
        b"{",
        b"",
    ],
)
def test_what_fits_or_is_no_schema_stays_the_very_same(schema: bytes) -> None:
    assert closed_schema(schema) is schema


def test_every_object_is_closed() -> None:
    inner = {"type": "object", "properties": {"b": {"type": "string"}}}
    shut = {**inner, "additionalProperties": False}
    schema = {
        "type": "object",
        "properties": {"a": inner, "l": {"type": "array", "items": inner}, "o": {"anyOf": [inner, {"type": "null"}]}},
        "$defs": {"d": inner},
        "additionalProperties": True,
    }
    assert closed(schema) == {
        "type": "object",
        "properties": {"a": shut, "l": {"type": "array", "items": shut}, "o": {"anyOf": [shut, {"type": "null"}]}},
        "$defs": {"d": shut},
        "additionalProperties": False,
    }
    assert closed({"type": ["object", "null"]}) == {"type": ["object", "null"], "additionalProperties": False}


def test_bounds_become_words_with_their_numbers_as_written() -> None:
    schema = b'{"type":"number","description":"How much","minimum":1.10,"maximum":123456789012345678901,"multipleOf":2}'
    assert json.loads(bytes(closed_schema(schema))) == {
        "type": "number",
        "description": "How much\n\n{minimum: 1.10, maximum: 123456789012345678901, multipleOf: 2}",
    }


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ({"pattern": "^a"}, '{pattern: "^a"}'),
        ({"minLength": 3}, "{minLength: 3}"),
        ({"format": "binary"}, '{format: "binary"}'),
        ({"not": {"type": "null"}}, '{not: {"type": "null"}}'),
    ],
)
def test_other_keywords_become_words_too(member: dict[str, Any], words: str) -> None:
    assert closed({"type": "string", **member}) == {"type": "string", "description": words}


def test_a_map_is_told_in_words() -> None:
    assert closed({"type": "object", "additionalProperties": {"type": "string"}}) == {
        "type": "object",
        "additionalProperties": False,
        "description": '{additionalProperties: {"type": "string"}}',
    }


def test_one_of_is_any_of_and_marks_of_the_schema_itself_go_silently() -> None:
    assert closed({"$schema": "x", "$id": "y", "oneOf": [{"type": "string"}]}) == {"anyOf": [{"type": "string"}]}


def test_items_are_bounded_by_none_or_one_alone() -> None:
    assert closed({"type": "array", "minItems": 2, "maxItems": 3}) == {
        "type": "array",
        "description": "{minItems: 2, maxItems: 3}",
    }


def test_a_property_that_is_named_like_a_keyword_survives() -> None:
    schema = {
        "type": "object",
        "properties": {"pattern": {"type": "string"}, "minimum": {"type": "integer"}, "$schema": {"type": "null"}},
        "required": ["pattern"],
        "additionalProperties": False,
    }
    source = json.dumps(schema).encode()
    assert closed_schema(source) is source


def test_the_root_of_a_tools_schema_is_an_object() -> None:
    assert bytes(input_schema(b"", "t")) == b'{"type":"object","properties":{}}'
    assert bytes(input_schema(b'{ "type" : "object" }', "t")) == b'{ "type" : "object" }'
    assert bytes(input_schema(b'{"properties":{"type":{}}}', "t")) == b'{"type":"object","properties":{"type":{}}}'
    for wrong in (b'{"type":"array"}', b"[]", b"nonsense"):
        with pytest.raises(FaultError) as caught:
            input_schema(wrong, "tools.f")
        assert caught.value.fault.param == "tools.f"
    assert is_object(b'{"type":"object"}')
    assert not is_object(b'{"type":"array"}')
    assert not is_object(b"x")
