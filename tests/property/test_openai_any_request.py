"""Spans, reading and preparing agree with the standard library's JSON on anything it can write."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from trunkline.core.errors import FaultError
from trunkline.protocol.json_span import MalformedJSONError, edit_object, top_level_spans, without_lone_surrogates
from trunkline.protocol.openai_chat.count import count_input
from trunkline.protocol.openai_chat.request import prepare, read_head
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.splice import PRIVATE_FIELDS

UNTIMED = settings(deadline=None)
"""A busy machine is no failure, and the tokenizer loads within the first example."""

TEXT = st.text(alphabet=st.one_of(st.sampled_from('"\\{}[],: \n\t/é😀\ud83d'), st.characters()), max_size=8)
KEYS = st.one_of(TEXT, st.sampled_from(["model", "stream_options", "models", "top_p", "messages", "a"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=6)
LAYOUTS = st.sampled_from([(",", ":", None), (", ", ": ", None), (" ,\t", " : ", 1), ("\r\n,", ":\n", None)])


def written(tree: dict[str, Any], layout: tuple[str, str, int | None], *, ascii_only: bool) -> bytes:
    comma, colon, indent = layout
    text = json.dumps(tree, separators=(comma, colon), indent=indent, ensure_ascii=ascii_only)
    # Bare surrogates have no UTF-8; their escapes are what clients send.
    return text.encode(errors="surrogatepass") if ascii_only else text.encode(errors="replace")


SOURCES = st.builds(written, OBJECTS, LAYOUTS, ascii_only=st.booleans())
PAIRS = st.lists(st.tuples(KEYS, VALUES), max_size=6)


def pairs_source(pairs: list[tuple[str, Any]], space: str) -> bytes:
    """Return an object as JSON in which keys may be repeated."""
    members = [f"{json.dumps(key)}{space}:{space}{json.dumps(value)}" for key, value in pairs]
    return f"{space}{{{space}{f'{space},{space}'.join(members)}{space}}}{space}".encode()


def pairs_of(source: bytes) -> list[tuple[str, Any]]:
    """Return the members of an object with repeated keys, as the standard library reads them."""
    depth_first: list[list[tuple[str, Any]]] = []

    def hook(pairs: list[tuple[str, Any]]) -> Any:
        depth_first.append(pairs)
        return dict(pairs)

    json.loads(source, object_pairs_hook=hook)
    return depth_first[-1]


@given(PAIRS, st.sampled_from(["", " ", "\n\t"]))
@UNTIMED
def test_spans_equal_what_a_parser_reads(pairs: list[tuple[str, Any]], space: str) -> None:
    source = pairs_source(pairs, space)
    members = top_level_spans(source)
    found = [(member.key, json.loads(source[member.value_start : member.value_end])) for member in members]
    # A key with half an emoji is told apart by its span, not by its text.
    cleaned = pairs_of(without_lone_surrogates(source))
    assert [key for key, _ in found] == [key for key, _ in cleaned]
    assert [value for _, value in found] == [value for _, value in pairs_of(source)]
    assert all(source[member.start] == ord('"') for member in members)


@given(PAIRS, st.sampled_from(["", " "]), st.data())
@UNTIMED
def test_edits_change_only_what_they_name(pairs: list[tuple[str, Any]], space: str, data: st.DataObject) -> None:
    source = pairs_source(pairs, space)
    members = top_level_spans(source)
    indices = st.sets(st.integers(0, len(pairs) - 1)) if pairs else st.just(set())
    removed, replaced = data.draw(indices), data.draw(indices)
    inserted = data.draw(st.sampled_from([(), (b'"new":0',), (b'"new":0', b'"newer":[]')]))
    result = edit_object(
        source, members, removed=removed, replaced=dict.fromkeys(replaced, b'"changed"'), inserted=inserted
    )
    kept = [
        (key, "changed" if index in replaced else value)
        for index, (key, value) in enumerate(pairs_of(source))
        if index not in removed
    ]
    assert pairs_of(result) == [("new", 0), ("newer", [])][: len(inserted)] + kept


def is_private(key: str, value: object) -> bool:
    return key in PRIVATE_FIELDS and (key != "models" or value is None or isinstance(value, list))


@given(SOURCES)
@UNTIMED
def test_with_nothing_to_change_the_body_is_the_same_object(source: bytes) -> None:
    if not PRIVATE_FIELDS & set(json.loads(source)):
        assert prepare(source) is source


@given(OBJECTS, LAYOUTS, st.booleans(), st.sampled_from(["up", 'q"é', "model"]), st.booleans())
@UNTIMED
def test_preparing_is_the_expected_change_of_the_object(
    tree: dict[str, Any], layout: tuple[str, str, int | None], ascii_only: bool, model: str, ask: bool
) -> None:
    source = written(tree, layout, ascii_only=ascii_only)
    expected = {key: value for key, value in json.loads(source).items() if not is_private(key, value)}
    expected["model"] = model
    expected.pop("a", None)
    expected["top_k"] = 5
    top_p = expected.get("top_p")
    if isinstance(top_p, int | float) and not isinstance(top_p, bool):
        expected["top_p"] = min(max(top_p, 0.1), 0.9)
    if ask:
        options = expected.get("stream_options")
        expected["stream_options"] = (options if isinstance(options, dict) else {}) | {"include_usage": True}
    rules = RequestRules(drop=("a",), set={"top_k": b"5"}, clamp={"top_p": (0.1, 0.9)})
    prepared = prepare(source, upstream_model=model, ask_usage=ask, rules=rules)
    assert json.loads(prepared) == expected
    assert prepare(prepared, upstream_model=model, ask_usage=ask, rules=rules) is prepared


REQUEST = (
    b'{"model":"m","stream":true,"stream_options":{"include_usage":true},"max_tokens":5,"fallback_models":["x"],'
    b'"messages":[{"role":"user","content":[{"type":"text","text":"h\\u00e9 \\ud83d\\ude00 \xc3\xa9"}]}],"tools":[{}]}'
)


@given(
    st.lists(
        st.tuples(st.integers(0, len(REQUEST) - 1), st.binary(max_size=3), st.integers(0, 4)), min_size=1, max_size=6
    )
)
@example([(0, b"\xff", 0)])
@UNTIMED
def test_mutated_requests_raise_only_documented_errors(mutations: list[tuple[int, bytes, int]]) -> None:
    source = REQUEST
    for position, new, removed in mutations:
        source = source[:position] + new + source[position + removed :]
    assert count_input(source) >= 0
    try:
        request = read_head(source)
    except FaultError as error:
        assert error.fault.type.value in {"client_bad_json", "client_bad_request"}  # noqa: PT017
        assert error.fault.message  # noqa: PT017
    else:
        # What the edge lets through, the dispatcher can prepare, and a strict parser can read.
        prepared = prepare(source, upstream_model="up", ask_usage=True)
        assert json.loads(prepared)["model"] == "up"
        assert request.model


@given(st.binary(max_size=60))
@UNTIMED
def test_any_bytes_raise_only_documented_errors(source: bytes) -> None:
    for body in (source, b'{"model":' + source + b"}", b'{"a":' + source + b',"model":"m"}'):
        with suppress(FaultError):
            read_head(body)
        with suppress(MalformedJSONError):
            top_level_spans(body)
        with suppress(FaultError):
            prepare(body, upstream_model="m", ask_usage=True)
