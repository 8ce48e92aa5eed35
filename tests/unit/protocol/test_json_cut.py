"""JSON that was cut off anywhere, closed."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trunkline.core import limits
from trunkline.protocol.json_cut import closed


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"{", b"{}"),
        (b'{"a', b"{}"),
        (b'{"a"', b"{}"),
        (b'{"a":', b"{}"),
        (b'{"a": tru', b"{}"),
        (b'{"a": true', b"{}"),
        (b'{"a": true,', b'{"a": true}'),
        (b'{"a": 12, "b": 3', b'{"a": 12}'),
        (b'{"a": "b", "c": "d e', b'{"a": "b", "c": "d e"}'),
        (b'{"a": {"b": [1, 2', b'{"a": {"b": [1]}}'),
        (b'{"a": {"b": [1, {"c": 3}', b'{"a": {"b": [1, {"c": 3}]}}'),
        (b'["', b'[""]'),
        (b' [1, "x\\', b' [1, "x"]'),
        (b'["x\\\\', b'["x\\\\"]'),
        (b'["x\\"', b'["x\\""]'),
        (b'["x\\u12', b'["x"]'),
        (b'["x\\u00e9', b'["x\\u00e9"]'),
        (b'["x\\ud83d', b'["x"]'),
        (b'["x\\ud83d\\ude0', b'["x"]'),
        (b'["x\\ud83d\\ude00', b'["x\\ud83d\\ude00"]'),
        (b'["x\\\\ud83d', b'["x\\\\ud83d"]'),
        (b'["x\xf0\x9f\x98', b'["x"]'),
        (b'{"a": "}]"', b'{"a": "}]"}'),
        (b'{"a": 1}', b'{"a": 1}'),
        (b'{"a": 1} {', b'{"a": 1}'),
        (b"ID3\x04sound", b"ID3\x04sound"),
        (b"", b""),
    ],
)
def test_what_is_left(source: bytes, expected: bytes) -> None:
    assert closed(source) == expected


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def is_part(part: Any, whole: Any) -> bool:
    """Whether a value is what may be left of another one when its end is missing."""
    match whole:
        case dict():
            keys = list(part)
            return keys == list(whole)[: len(keys)] and all(is_part(part[key], whole[key]) for key in keys)
        case list():
            return len(part) <= len(whole) and all(map(is_part, part, whole))
        case str():
            return whole.startswith(part)
    return bool(part == whole and type(part) is type(whole))


@given(
    st.lists(VALUES, max_size=4) | st.dictionaries(st.text(max_size=4), VALUES, max_size=4),
    st.integers(1, 400),
    st.booleans(),
)
@example(["\U0001f600" * 3, "\\\\ud83d"], 30, True)
def test_any_cut_of_any_document_is_a_part_of_it(value: Any, size: int, ascii_only: bool) -> None:
    source = json.dumps(value, ensure_ascii=ascii_only).encode()
    part = closed(source[:size])
    assert is_part(json.loads(part), value)
    assert closed(source) == source


@given(st.binary(max_size=60).map(lambda data: b"{" + data) | st.text('[]{}:,"\\u 1a', max_size=60).map(str.encode))
def test_no_bytes_do_harm(source: bytes) -> None:
    assert len(closed(source)) <= 2 * len(source) + 1


def test_what_is_deep_or_has_many_parts_takes_no_time() -> None:
    size = limits.CUT_ANSWER_BYTES_MAX
    assert closed(b"[" * size) == b"[" * size + b"]" * size
    numbers = b"[" + b"1," * (size // 2)
    assert closed(numbers) == numbers[:-1] + b"]"
