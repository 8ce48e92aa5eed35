"""Schemas for a vendor that takes only plain ones."""

import json

import pytest

from trunkline.protocol.openai_chat.plain_schema import plain_schema


@pytest.mark.parametrize(
    "source",
    [
        b'{"type": "object", "properties": { "n" : {"maximum": 12345678901234567890123} }}',
        b'{"type":"object","properties":{"type":{"type":"string"},"$schema":{"enum":["anyOf"]},"anyOf":{}}}',
        b'{"type":"object","properties":{"a":{"anyOf":[{"type":"string"},{"$ref":"#/$defs/b"}]}},"$defs":{"b":{}}}',
        b'{"type":"object","properties":{"a":{"items":{"type":"string"},"additionalProperties":true}}}',
        # Not ours to judge.
        b'{"type":"object","anyOf":3}',
        b"[1",
        b"true",
    ],
)
def test_a_plain_one_keeps_its_source(source: bytes) -> None:
    assert plain_schema(source) == (source, False)
    assert plain_schema(source).source is source


def test_a_type_beside_a_union_moves_into_its_branches() -> None:
    union = '{"description":"d","type":["string","null"],"anyOf":[{"enum":["a"]},{"type":"null"},{"oneOf":[]}]}'
    inside = '{"description":"d","anyOf":[{"type":["string","null"],"enum":["a"]},{"type":"null"},{"oneOf":[]}]}'
    for around in (
        '{"type":"object","properties":{"p":%s}}',
        '{"type":"object","properties":{"p":{"type":"array","items":%s}}}',
        '{"type":"object","properties":{"p":{"allOf":[{"not":%s}]}}}',
        '{"type":"object","additionalProperties":%s}',
        '{"type":"object","$defs":{"p":%s}}',
    ):
        assert plain_schema((around % union).encode()) == ((around % inside).encode(), False)


def test_the_root_is_an_object_without_a_word_about_schemas() -> None:
    assert plain_schema(b"{}").source == b'{"type":"object"}'
    named = b'{"$schema":"https://json-schema.org/draft-07","properties":{"n":{"minimum":1.50}}}'
    assert plain_schema(named).source == b'{"type":"object","properties":{"n":{"minimum":1.50}}}'
    nested = b'{"type":"object","properties":{"a":{"$schema":"x","type":"string"}}}'
    assert plain_schema(nested).source == b'{"type":"object","properties":{"a":{"type":"string"}}}'


def test_the_branches_of_a_root_stand_together() -> None:
    by_name = {"properties": {"name": {"type": "string"}, "unit": {}}, "required": ["name", "at"]}
    by_id = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["at", "id"]}
    root = {"type": "object", "properties": {"at": {}, "unit": {"type": "null"}}, "oneOf": [by_name, by_id]}
    plain = plain_schema(json.dumps(root).encode())
    assert plain.joined
    assert json.loads(plain.source) == {
        "type": "object",
        "properties": {
            "at": {},
            "unit": {"type": "null"},
            "name": {"type": "string"},
            "id": {"type": "integer"},
        },
        "required": ["at"],
    }


def test_nesting_without_end_is_left_alone() -> None:
    source = b'{"items":' * 5000 + b"{}" + b"}" * 5000
    assert plain_schema(source).source is source
