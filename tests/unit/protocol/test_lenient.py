"""Objects in which a vendor has bent something: what can be read is read."""

import msgspec
import pytest

from trunkline.protocol.lenient import DEPTH_MAX, read_leniently


class Leaf(msgspec.Struct, rename="camel"):
    """What stands inside."""

    some_text: str | None = None
    count: int = 0


class Tree(msgspec.Struct):
    """What is read."""

    text: str | None = None
    kind: str = ""
    number: int | float | None = None
    raw: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    leaf: Leaf | None = None
    leaves: list[Leaf] | Leaf | None = None
    inner: "Tree | None" = None


def test_a_sound_object_is_read_as_it_is() -> None:
    source = b' {"text":"t","number":1.5,"raw":{ "a" : 1 },"leaf":{"someText":"x","count":2},"leaves":[],"else":[1]} '
    assert read_leniently(Tree, source) == Tree("t", "", 1.5, msgspec.Raw(b'{ "a" : 1 }'), Leaf("x", 2), [])


@pytest.mark.parametrize(
    ("source", "read"),
    [
        (b'{"text":5,"kind":null,"number":1}', Tree(number=1)),
        (b'{"number":"1","text":"t"}', Tree("t")),
        (b'{"leaf":{"someText":["x"],"count":2},"kind":"k"}', Tree(kind="k", leaf=Leaf(count=2))),
        (b'{"leaf":[{"count":2}],"kind":"k"}', Tree(kind="k")),
        (b'{"leaves":[{"count":1},null,"x",[],{"count":"2","someText":"y"}]}', Tree(leaves=[Leaf(count=1), Leaf("y")])),
        (b'{"leaves":{"count":"1","someText":"y"}}', Tree(leaves=Leaf("y"))),
        (b'{"leaf":5,"leaves":5,"inner":"x","raw":null}', Tree(raw=msgspec.Raw(b"null"))),
        (b'{"text":"\\ud83d","number":"x"}', Tree("�")),
        (b"{}", Tree()),
    ],
)
def test_what_is_bent_is_left_out(source: bytes, read: Tree) -> None:
    assert read_leniently(Tree, source) == read


def test_in_place_of_a_text_its_json_is_taken_where_that_is_asked() -> None:
    source = '{"text":[ 1, "é" ],"kind":{},"number":"1","leaf":{"someText":7}}'.encode()
    assert read_leniently(Tree, source, texts=True) == Tree('[ 1, "é" ]', "{}", leaf=Leaf("7"))


@pytest.mark.parametrize("source", [b"5", b'"x"', b"null", b'[{"text":"t"}]'])
def test_what_is_no_object_is_none(source: bytes) -> None:
    assert read_leniently(Tree, source) is None


@pytest.mark.parametrize(
    "source",
    [b"", b"x", b'{"number":"1"', b'{"number":"1","raw":[}', b'{"number":"1"} {}', b'5"', b"[,", b"[" * 100_000],
)
def test_what_is_no_json_is_an_error_behind_what_is_bent_too(source: bytes) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        read_leniently(Tree, source)


def test_what_is_nested_without_end_is_read_to_a_bound() -> None:
    source = b'{"text":"t","number":"1","inner":' * 400 + b"null" + b"}" * 400
    read = read_leniently(Tree, source)
    depth = 0
    while read is not None:
        assert read.text == "t"
        depth += 1
        read = read.inner
    assert depth == DEPTH_MAX
