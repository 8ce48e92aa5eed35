"""Files of other gateways are read within bounds."""

import pytest

from trunkline.policy.configuration import ConfigurationError
from trunkline.policy.imports import reading
from trunkline.policy.imports.remarks import PLACE_CHARS_MAX, REMARKS_MAX, Fate, Remark, RemarkList

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 9)
)
MERGES = "a0: &a0 {k: v}\n" + "".join(
    f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 10)}]}}\n" for level in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (LAUGHS, "has more than 1000000 values when its aliases are followed"),
        (MERGES, "has more than 1000000 values when its aliases are followed"),
        ("a: &a [*a]", "has an alias that holds itself"),
        ("[" * 70 + "]" * 70, "has values within values, more than 64 deep"),
        ("[" * 100_000, "has values within values, more than 64 deep"),
        ("a: " + "9" * 5000, "has a number or date of more than 64 characters"),
        ("a: 1\nb: [", "is not valid YAML in line 2"),
        ("planted: !!python/object/apply:os.system [true]", "is not valid YAML in line 1"),
        ("a: 2030-13-45", "is not valid YAML: ValueError"),
        ("? {a: b}\n: c", "is not valid YAML in line 1"),
        ("#" * (reading.YAML_BYTES_MAX + 1), f"is larger than {reading.YAML_BYTES_MAX} bytes"),
    ],
)
def test_yaml_beyond_bounds_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        reading.read_yaml(text.encode())
    assert caught.value.faults == [says]


def test_aliases_within_bounds_are_followed() -> None:
    assert reading.read_yaml(b"base: &b {x: 1}\nall: [*b, {<<: *b, y: 2}]") == {
        "base": {"x": 1},
        "all": [{"x": 1}, {"x": 1, "y": 2}],
    }


def test_what_comes_out_is_plain() -> None:
    found = reading.read_yaml(
        b'1: 2030-01-01\nnull: !!set {a}\nt: !!binary aGk=\ns: "\\ud800"\nh: 0xffffffffffffffffff'
    )
    assert found == {"1": "2030-01-01", "None": ["a"], "t": None, "s": "?", "h": float("inf")}


@pytest.mark.parametrize(("text", "says"), [(b"{", "is not valid JSON"), (b"\xff", "is not valid JSON")])
def test_what_is_no_json_is_refused(text: bytes, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        reading.read_json(text)
    assert caught.value.faults == [says]


def test_json_may_have_a_byte_order_mark() -> None:
    assert reading.read_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    with pytest.raises(ConfigurationError, match="64 deep"):
        reading.read_json(b"[" * 100 + b"]" * 100)


def test_remarks_are_bounded_by_what_became_of_the_parts() -> None:
    remarks = RemarkList()
    for _ in range(REMARKS_MAX + 2):
        remarks.taken("a", "taken")
    remarks.to_do("b" * 1000, "set a price")
    found = remarks.all()
    assert len(found) == REMARKS_MAX + 2
    assert found[-2:] == (
        Remark("b" * PLACE_CHARS_MAX, Fate.TO_DO, "set a price"),
        Remark("", Fate.TAKEN, "2 further parts are not listed"),
    )
