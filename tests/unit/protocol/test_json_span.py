"""Spans of top-level members, and splicing by them."""

import pytest

from trunkline.protocol.json_span import (
    LONE_SURROGATES_SOURCE_BYTES_MAX,
    MalformedJSONError,
    edit_object,
    top_level_spans,
    without_lone_surrogates,
)


def values(source: bytes) -> list[tuple[str, bytes]]:
    return [(member.key, source[member.value_start : member.value_end]) for member in top_level_spans(source)]


def test_values_of_every_kind_keep_their_source() -> None:
    source = rb' { "s" : "a\"b\\" , "n":-1.50e+3,"t":true, "z" : null , "l": [ 1, {"x":"]}"} ] ,"o":{ } } '
    assert values(source) == [
        ("s", rb'"a\"b\\"'),
        ("n", b"-1.50e+3"),
        ("t", b"true"),
        ("z", b"null"),
        ("l", b'[ 1, {"x":"]}"} ]'),
        ("o", b"{ }"),
    ]


def test_an_object_without_members() -> None:
    assert top_level_spans(b" { } ") == []


def test_escaped_keys_are_decoded_and_nested_ones_are_not_members() -> None:
    assert values(rb'{"mod\u0065l":"a","tool":{"model":"b"}}') == [("model", b'"a"'), ("tool", b'{"model":"b"}')]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b'{"a":1,"a":23}', [("a", b"1"), ("a", b"23")]),
        (b'{"a":[1],"b":0,"a":[1,2]}', [("a", b"[1]"), ("b", b"0"), ("a", b"[1,2]")]),
        (b'{"a":{"x":"}]"},"a":[]}', [("a", b'{"x":"}]"}'), ("a", b"[]")]),
        (b'{"a":[[],{}],"a":"s"}', [("a", b"[[],{}]"), ("a", b'"s"')]),
    ],
)
def test_each_value_of_a_repeated_key_has_its_own_span(source: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert values(source) == expected


@pytest.mark.parametrize(
    "source",
    [b"", b"[]", b'"x"', b'{"a":1', b'{"a":1}}', b"{a:1}", b'{"a":01}', b'{"\xff":1}', b'{"a":' + b"[" * 100_000],
)
def test_what_is_not_one_object_is_refused(source: bytes) -> None:
    with pytest.raises(MalformedJSONError):
        top_level_spans(source)


def test_lone_surrogates_are_read_and_left() -> None:
    source = rb'{"a":"cut \ud83d","b":[1]}'
    assert values(source) == [("a", rb'"cut \ud83d"'), ("b", b"[1]")]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (rb"\ud83d", rb"\ufffd"),
        (rb"\uDE00x", rb"\ufffdx"),
        (rb"\ud83d\ude00", rb"\ud83d\ude00"),
        (rb"\\ud83d", rb"\\ud83d"),
        (rb"\\\ud83d\n", rb"\\\ufffd\n"),
        (rb"\ud83d\ud83d\ude00", rb"\ufffd\ud83d\ude00"),
    ],
)
def test_only_unpaired_surrogates_are_replaced(source: bytes, expected: bytes) -> None:
    assert without_lone_surrogates(source) == expected


def test_a_large_source_is_not_searched_for_surrogates() -> None:
    source = rb"\ud83d" + b" " * LONE_SURROGATES_SOURCE_BYTES_MAX
    assert without_lone_surrogates(source) is source


def edited(source: bytes, **changes: object) -> bytes:
    return edit_object(source, top_level_spans(source), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("removed", "expected"),
    [
        ({0}, b'{ "b" : 2 , "c":3 }'),
        ({1}, b'{ "a": 1, "c":3 }'),
        ({2}, b'{ "a": 1, "b" : 2 }'),
        ({0, 1}, b'{ "c":3 }'),
        ({1, 2}, b'{ "a": 1 }'),
        ({0, 2}, b'{ "b" : 2 }'),
        ({0, 1, 2}, b"{  }"),
    ],
)
def test_a_removed_member_goes_with_one_comma(removed: set[int], expected: bytes) -> None:
    source = b'{ "a": 1, "b" : 2 , "c":3 }'
    result = edited(source, removed=removed)
    assert [name for name, _ in values(result)] == [name for name, _ in values(expected)]
    assert result.replace(b" ", b"") == expected.replace(b" ", b"")


def test_replacing_touches_the_value_alone() -> None:
    assert edited(b'{ "a" : 1 , "b":2}', replaced={0: b'"x"'}) == b'{ "a" : "x" , "b":2}'


@pytest.mark.parametrize(
    ("source", "removed", "expected"),
    [
        (b'{"a":1}', (), b'{"z":0,"y":1,"a":1}'),
        (b"{ }", (), b'{"z":0,"y":1 }'),
        (b'{"a":1}', (0,), b'{"z":0,"y":1}'),
    ],
)
def test_inserted_members_come_first(source: bytes, removed: tuple[int, ...], expected: bytes) -> None:
    assert edited(source, inserted=(b'"z":0', b'"y":1'), removed=removed) == expected


def test_nothing_to_change_returns_the_same_object() -> None:
    source = b'{"a":1}'
    assert edited(source) is source
