"""Rules on any object, in JSON and as a form, do what the same rules do on a dictionary."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.protocol.endpoints.media_form import MediaForm
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.splice import ruled

UNTIMED = settings(deadline=None)
"""A busy machine is no failure."""

NAMES = st.sampled_from(["a", "b", "c", "d"])
NUMBERS = st.integers(-9, 9)
VALUES = st.one_of(NUMBERS, st.none(), st.booleans(), st.text(max_size=3), st.lists(NUMBERS, max_size=2))
OBJECTS = st.dictionaries(NAMES, VALUES)
RENAMES = st.dictionaries(NAMES, NAMES).filter(lambda names: all(old != new for old, new in names.items()))


@st.composite
def steps(draw: st.DrawFn, values: st.SearchStrategy[Any], length: int = 2) -> RequestRules | None:
    """Return rules, with others after them."""
    if not length:
        return None
    given_values = st.dictionaries(NAMES, values.map(lambda value: json.dumps(value).encode()), max_size=2)
    return RequestRules(
        drop=tuple(draw(st.lists(NAMES, max_size=2))),
        set=draw(given_values),
        default=draw(given_values),
        clamp={name: (low, low + 3) for name, low in draw(st.dictionaries(NAMES, NUMBERS, max_size=2)).items()},
        rename=draw(RENAMES),
        then=draw(steps(values, length - 1)),
    )


def expected(tree: dict[str, Any], rules: RequestRules | None) -> dict[str, Any]:
    """Return an object after rules, in the plainest way."""
    names: dict[str, str] = {}
    while rules is not None:
        tree = {name: value for name, value in tree.items() if name not in rules.drop}
        tree |= {name: json.loads(value) for name, value in rules.set.items()}
        for name, value in rules.default.items():
            if tree.get(name) is None:
                tree[name] = json.loads(value)
        for name, (low, high) in rules.clamp.items():
            if isinstance(tree.get(name), int) and not isinstance(tree[name], bool):
                tree[name] = min(max(tree[name], low), high)
        names |= rules.rename
        rules = rules.then
    taken = {old: tree.pop(old) for old in names if old in tree}
    for old, value in taken.items():
        tree[names[old]] = value
    return tree


@given(OBJECTS, steps(VALUES.filter(lambda value: value is not None)))
@UNTIMED
def test_an_object_in_json_is_ruled(tree: dict[str, Any], rules: RequestRules) -> None:
    body = json.dumps(tree).encode()
    result = ruled(body, rules)
    assert json.loads(result) == expected(tree, rules)
    assert len(json.loads(result, object_pairs_hook=list)) == len(json.loads(result))
    if rules.empty:
        assert result is body


def form(fields: dict[str, Any]) -> bytes:
    parts = [
        f'--XyZ\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    return "".join([*parts, "--XyZ--\r\n"]).encode()


TYPE = "multipart/form-data; boundary=XyZ"


@given(st.dictionaries(NAMES, NUMBERS), steps(NUMBERS))
@UNTIMED
def test_a_form_of_numbers_is_ruled(fields: dict[str, int], rules: RequestRules) -> None:
    prepared = MediaForm(form({**fields, "model": "m"}), TYPE).prepared("m", rules)
    told = MediaForm(prepared, TYPE)
    assert {part.name: told.text(part.name) for part in told.parts} == {
        name: str(value) for name, value in {**expected(dict(fields), rules), "model": "m"}.items()
    }
