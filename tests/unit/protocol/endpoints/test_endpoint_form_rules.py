"""A channel's rules on requests that are forms: drop, set, default, clamp and rename, in this order."""

from typing import Any

import pytest

from trunkline.core.errors import FaultError
from trunkline.protocol.endpoints.media_form import MediaForm
from trunkline.protocol.rules import RequestRules

TYPE = "multipart/form-data; boundary=XyZ"


def part(name: str, content: bytes, more: str = "") -> bytes:
    return f'--XyZ\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--XyZ--\r\n"


MODEL = part("model", b"m")
FILE = part("image", b"\x89PNG\r\n\x00", '; filename="name=\\"q\\"; name=x.png"\r\nContent-Type: image/png')


def changed(*parts: bytes, **rules: Any) -> bytes:
    return MediaForm(form(*parts, MODEL), TYPE).prepared("m", RequestRules(**rules))


@pytest.mark.parametrize(
    ("before", "rules", "after"),
    [
        ((part("a", b"1"), part("a[]", b"2")), {"drop": ("a",)}, ()),
        ((part("a", b"1"),), {"set": {"a": b"2"}}, (part("a", b"2"),)),
        ((part("a[]", b"1"),), {"set": {"a": b"2"}}, (part("a", b"2"),)),
        ((), {"set": {"a": b'"x y"'}}, (part("a", b"x y"),)),
        ((), {"set": {"a": b'["x"]'}}, (part("a", b'["x"]'),)),
        ((part("a", b"1"),), {"default": {"a": b"2"}}, (part("a", b"1"),)),
        ((part("a[0]", b"1"),), {"default": {"a": b"2"}}, (part("a[0]", b"1"),)),
        ((), {"default": {"a": b"2"}}, (part("a", b"2"),)),
        ((part("a", b"1"),), {"clamp": {"a": (None, 0.5)}}, (part("a", b"0.5"),)),
        ((part("a", b"true"),), {"clamp": {"a": (None, 0.5)}}, (part("a", b"true"),)),
        ((part("a", b"x" * 2000),), {"clamp": {"a": (2, 3)}}, (part("a", b"x" * 2000),)),
        ((part("a", b"1"),), {"rename": {"a": "b"}}, (part("b", b"1"),)),
        ((part("a[]", b"1"), part("a[]", b"2")), {"rename": {"a": "b"}}, (part("b[]", b"1"), part("b[]", b"2"))),
        ((part("a", b"1"), part("a[]", b"2")), {"rename": {"a": "a[]"}}, (part("a[]", b"1"), part("a[]", b"2"))),
        ((), {"rename": {"a": "b"}}, ()),
        ((part("a", b"1"),), {"rename": {"a": 'no"name'}}, (part("a", b"1"),)),
        # The renamed one wins.
        ((part("a", b"1"), part("b", b"2")), {"rename": {"a": "b"}}, (part("b", b"1"),)),
        ((part("b[]", b"2"), part("a", b"1")), {"rename": {"a": "b"}}, (part("b", b"1"),)),
        ((part("a", b"1"), part("b", b"2")), {"rename": {"a": "b", "b": "a"}}, (part("b", b"1"), part("a", b"2"))),
        ((part("a", b"1"), part("b", b"2")), {"rename": {"a": "c", "b": "c"}}, (part("c", b"2"),)),
        # One after the other.
        ((part("a", b"1"),), {"drop": ("a",), "set": {"a": b"2"}}, (part("a", b"2"),)),
        ((part("a", b"1"),), {"drop": ("a",), "default": {"a": b"2"}}, (part("a", b"2"),)),
        ((part("a", b"1"),), {"drop": ("a",), "clamp": {"a": (2, 3)}}, ()),
        ((part("a", b"1"),), {"drop": ("a",), "rename": {"a": "b"}}, ()),
        ((), {"set": {"a": b"1"}, "default": {"a": b"9"}, "clamp": {"a": (2, 3)}}, (part("a", b"2"),)),
        ((part("a", b"0"),), {"set": {"a": b"1"}, "clamp": {"a": (2, 3)}}, (part("a", b"2"),)),
        ((), {"default": {"a": b"1"}, "rename": {"a": "b"}}, (part("b", b"1"),)),
        ((part("b", b"0"),), {"default": {"a": b"1"}, "rename": {"a": "b"}}, (part("b", b"1"),)),
        ((part("a", b"1"),), {"rename": {"a": "b"}, "then": RequestRules(clamp={"a": (2, 3)})}, (part("b", b"2"),)),
        # What was clamped and is then set to what the client had sent.
        ((part("a", b"0"),), {"clamp": {"a": (1, 4)}, "then": RequestRules(set={"a": b"0"})}, (part("a", b"0"),)),
    ],
)
def test_rules_hold_for_forms(before: tuple[bytes, ...], rules: dict[str, Any], after: tuple[bytes, ...]) -> None:
    assert changed(*before, **rules) == form(*after, MODEL)


def test_a_file_is_renamed_and_all_else_of_it_stays() -> None:
    assert changed(FILE, rename={"image": "image[]"}) == form(
        FILE.replace(b'name="image"', b'name="image[]"', 1), MODEL
    )
    moved = FILE.replace(b'form-data; name="image"; filename', b"form-data; filename*=UTF-8''e; NAME=image; filename")
    moved = moved.replace(b"Content-Disposition", b"X-Before: name=image\r\ncontent-disposition")
    assert changed(moved, rename={"image": "mask"}) == form(moved.replace(b"NAME=image", b'NAME="mask"'), MODEL)
    odd = part("image", b"x", '; filename="\u00a0\u2028é.png"')
    assert changed(odd, rename={"image": "b"}) == form(odd.replace(b'"image"', b'"b"'), MODEL)


def test_a_file_is_no_number_and_no_text() -> None:
    number = part("n", b"9", '; filename="n"')
    assert changed(number, clamp={"n": (1, 2)}) == form(number, MODEL)
    changes = MediaForm(form(number, MODEL), TYPE).changes("m", RequestRules())
    assert changes.text("n") is None


def test_the_text_of_a_field_is_what_is_sent() -> None:
    parts = (part("a", b"1"), part("b", b"2"), part("b", b"3"), part("c", b"\xff"), part("d[]", b"4"), MODEL)
    rules = RequestRules(rename={"a": "z"}, set={"new": b'"n"', "d": b"5"}, drop=("model",))
    changes = MediaForm(form(*parts), TYPE).changes("up", rules)
    texts = {name: changes.text(name) for name in ("a", "z", "b", "c", "d", "new", "model", "none")}
    assert texts == {"a": None, "z": "1", "b": None, "c": None, "d": "5", "new": "n", "model": None, "none": None}
    assert MediaForm(form(*parts), TYPE).changes("up", RequestRules()).text("model") == "up"


def test_what_holds_the_boundary_is_not_put_in() -> None:
    with pytest.raises(FaultError):
        changed(set={"a": b'"--XyZ"'})
