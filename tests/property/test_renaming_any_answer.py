"""The quick way to an answer's model says what a walk over all of it says, or nothing."""

from hypothesis import given
from hypothesis import strategies as st

from trunkline.protocol.json_span import early_text, top_level_spans
from trunkline.protocol.renaming import rename_model

KEYS = st.sampled_from(['"model"', '"mod\\u0065l"', '"id"', '"model "', '"choices"', '"usage"', '"\\"model\\""'])
TEXTS = st.sampled_from(['"up"', '"model"', '"a \\"model\\" b"', '"\\u0041"', '""', '"模型"'])
VALUES = TEXTS | st.sampled_from(["1.10", "null", "true", '{"model":"up"}', '[{"model":"up"},"model"]', "[]", "{ }"])
SPACES = st.sampled_from(["", " ", "\n\t"])


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    space = draw(SPACES)
    members = draw(st.lists(st.tuples(KEYS, VALUES), max_size=8))
    inner = f"{space},{space}".join(f"{key}{space}:{space}{value}" for key, value in members)
    return f"{space}{{{space}{inner}{space}}}".encode()


@given(answers())
def test_the_quick_way_finds_what_a_walk_finds(body: bytes) -> None:
    found = early_text(body, "model")
    named = [(member.value_start, member.value_end) for member in top_level_spans(body) if member.key == "model"]
    assert found is None or named == [found]


@given(answers())
def test_each_of_an_answers_models_gets_the_public_name_and_no_other_byte_changes(body: bytes) -> None:
    expected = body
    for member in reversed(top_level_spans(body)):
        if member.key == "model":
            expected = expected[: member.value_start] + b'"public"' + expected[member.value_end :]
    assert rename_model(body, "public") == expected


def test_the_quick_way_is_taken_where_answers_have_their_model() -> None:
    body = b'{"id":"c1","created":1,"model":"up","choices":[{"message":{"content":"my model"}}]}'
    start, end = early_text(body, "model") or (0, 0)
    assert body[start:end] == b'"up"'
