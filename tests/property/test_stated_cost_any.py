"""Stating a cost never breaks an answer: whatever comes passes, and what is JSON says the same beside it."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trunkline.protocol.sse import event_data, render_event, split_events
from trunkline.protocol.stated_cost import REPORTS, events_with_cost, with_cost

COST = b"0.25"
KEYS = st.sampled_from([*sorted(REPORTS), "response", "cost", "x", 'qu"ote', "ü"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=5)


def expected(answer: dict[str, Any], *, inside: bool = True) -> dict[str, Any]:
    """Return an answer with the cost in its reports."""
    stated = {}
    for name, value in answer.items():
        if name in REPORTS and isinstance(value, dict):
            stated[name] = {**value, "cost": 0.25}
        elif name == "response" and isinstance(value, dict) and inside:
            stated[name] = expected(value, inside=False)
        else:
            stated[name] = value
    return stated


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_pass(body: bytes) -> None:
    with_cost(body, COST)
    assert b"".join(split_events(body)) == body
    events_with_cost(body, lambda: COST)


@given(OBJECTS)
def test_all_else_stays(answer: dict[str, Any]) -> None:
    body = json.dumps(answer).encode()
    stated = json.loads(with_cost(body, COST))
    inner = answer.get("response")
    reports = [
        value for part in (answer, inner) if isinstance(part, dict) for name, value in part.items() if name in REPORTS
    ]
    if any(isinstance(report, dict) for report in reports):
        assert stated == expected(answer)
    else:
        assert stated == {**answer, "usage": {"cost": 0.25}}


@given(st.lists(OBJECTS, max_size=4))
def test_streams_keep_their_events(answers: list[dict[str, Any]]) -> None:
    block = b"".join(render_event(json.dumps(answer).encode()) for answer in answers)
    events = [
        json.loads(event_data(event) or b"") for event in split_events(events_with_cost(block, lambda: COST)) if event
    ]
    assert events == [expected(answer) for answer in answers]
