"""Google's schemas as JSON Schema."""

import json

import pytest

from trunkline.protocol.gemini.schema import json_schema


def read(schema: object) -> object:
    return json.loads(json_schema(json.dumps(schema).encode()))


def test_types_are_lower_case_where_a_keyword_stands() -> None:
    given = {
        "type": "OBJECT",
        "properties": {
            "type": {"type": "STRING", "enum": ["STRING", "type"]},
            "properties": {"type": "ARRAY", "items": {"type": "NUMBER"}},
            "nullable": {"type": "BOOLEAN"},
            "any_of": {"anyOf": [{"type": "INTEGER"}, {"type": "NULL"}]},
        },
        "required": ["type"],
        "default": {"type": "STRING"},
    }
    assert read(given) == {
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": ["STRING", "type"]},
            "properties": {"type": "array", "items": {"type": "number"}},
            "nullable": {"type": "boolean"},
            "any_of": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        },
        "required": ["type"],
        "default": {"type": "STRING"},
    }


def test_the_older_sdks_numbers_and_strings_are_understood() -> None:
    assert read({"type": 5, "items": {"type": 1}, "max_items": "007", "minItems": "0"}) == {
        "type": "array",
        "items": {"type": "string"},
        "maxItems": 7,
        "minItems": 0,
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "STRING", "nullable": False}, {"type": "string"}),
        (
            {"anyOf": [{"type": "STRING"}], "nullable": True},
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
        ),
        ({"type": "TYPE_UNSPECIFIED", "description": "x"}, {"description": "x"}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": "object", "additionalProperties": False}, {"type": "object", "additionalProperties": False}),
        ({"type": "OBJECT", "propertyOrdering": ["a"]}, {"type": "object"}),
        (
            {"defs": {"A": {"type": "STRING"}}, "ref": "#/defs/A"},
            {"$defs": {"A": {"type": "string"}}, "$ref": "#/defs/A"},
        ),
    ],
)
def test_keywords_are_brought_to_json_schema(given: object, expected: object) -> None:
    assert read(given) == expected


def test_numbers_stay_source_text() -> None:
    source = b'{"type":"NUMBER","maximum":1.10,"enum":[12345678901234567890123]}'
    assert json_schema(source) == source.replace(b"NUMBER", b"number")
