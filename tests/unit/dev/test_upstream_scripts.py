"""One script does the same in every dialect of the demo upstream, and is counted the same."""

import json

import pytest

from tests.support.upstream_client import UpstreamClient
from tests.support.upstream_dialects import ANTHROPIC, CHAT, DIALECTS, GEMINI, KEY, RESPONSES, Dialect, counts, order
from trunkline.dev.demo.counts import ModelUsage
from trunkline.dev.demo.pieces import SENTENCE

WORDS = len(SENTENCE.split())


def named(value: object) -> str | None:
    return value.name if isinstance(value, Dialect) else None


in_every_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=named)
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture
def upstream() -> UpstreamClient:
    return UpstreamClient()


# --- Answers -----------------------------------------------------------------------------------------------------


@in_every_dialect
@streamed_or_not
def test_without_a_script_the_sentence_comes(upstream: UpstreamClient, dialect: Dialect, stream: bool) -> None:
    answer = dialect.ask(upstream, stream=stream)
    assert answer.status == 200
    assert answer.whole
    said = dialect.said(answer, stream=stream)
    assert said.text.rstrip() == SENTENCE
    assert said.finish in {"stop", "completed", "end_turn", "STOP"}
    assert "req-demo-1" in answer.head
    seen = counts(upstream)
    assert seen.reported == {"demo": ModelUsage(1, 3, WORDS)}
    assert (seen.begun, seen.finished, seen.open, seen.attempts) == (1, 1, 0, {KEY: 1})


@in_every_dialect
@streamed_or_not
def test_reasoning_text_and_calls_come_in_this_order(upstream: UpstreamClient, dialect: Dialect, stream: bool) -> None:
    arguments = '{"place": "Ulm", "days": 3, "note": "ü \\"x\\" 😀"}'
    script = {
        "reasoning": "let me  think",
        "text": "Well,\n\tnow:",
        "tool": "weather",
        "tool_calls": 2,
        "arguments": arguments,
        "cached_tokens": 5,
    }
    order(upstream, script)
    said = dialect.said(dialect.ask(upstream, stream=stream), stream=stream)
    assert (said.text, said.reasoning) == ("Well,\n\tnow:", "let me  think")
    assert [(name, json.loads(source)) for name, source in said.calls] == [("weather", json.loads(arguments))] * 2
    assert said.finish == {CHAT: "tool_calls", RESPONSES: "completed", ANTHROPIC: "tool_use", GEMINI: "STOP"}[dialect]
    pieces = 2 * -(-len(arguments) // 8)
    assert counts(upstream).reported == {"demo": ModelUsage(1, 3, 2 + pieces, 5, 3)}


@in_every_dialect
@streamed_or_not
def test_arguments_keep_every_digit(upstream: UpstreamClient, dialect: Dialect, stream: bool) -> None:
    source = '{"n":123456789012345678901234567890,"x":1.10}'
    order(upstream, {"tool": "weather", "arguments": source})
    body = dialect.ask(upstream, stream=stream).body.decode()
    if dialect is GEMINI or (dialect is ANTHROPIC and not stream):
        assert f'":{source}' in body
    else:
        assert dialect.said(dialect.ask(upstream, stream=stream), stream=stream).calls == (("weather", source),)


@in_every_dialect
@streamed_or_not
def test_refusal_stands_where_the_dialect_has_it(upstream: UpstreamClient, dialect: Dialect, stream: bool) -> None:
    said = dialect.said(dialect.ask(upstream, "demo?refusal=I will not", stream=stream), stream=stream)
    assert (said.refusal, said.text) == ("I will not", "")
    assert said.finish == {CHAT: "stop", RESPONSES: "completed", ANTHROPIC: "refusal", GEMINI: "SAFETY"}[dialect]
    assert counts(upstream).reported == {"demo": ModelUsage(1, 3, 3)}


FINISHES = {
    "stop": {CHAT: "stop", RESPONSES: "completed", ANTHROPIC: "end_turn", GEMINI: "STOP"},
    "length": {CHAT: "length", RESPONSES: "max_output_tokens", ANTHROPIC: "max_tokens", GEMINI: "MAX_TOKENS"},
    "tool_calls": {CHAT: "tool_calls", RESPONSES: "completed", ANTHROPIC: "tool_use", GEMINI: "STOP"},
    "filter": {CHAT: "content_filter", RESPONSES: "content_filter", ANTHROPIC: "refusal", GEMINI: "SAFETY"},
}


@in_every_dialect
@streamed_or_not
@pytest.mark.parametrize("finish", FINISHES)
def test_finish_is_in_the_dialects_word(upstream: UpstreamClient, dialect: Dialect, stream: bool, finish: str) -> None:
    answer = dialect.ask(upstream, f"demo?finish={finish}&text=so", stream=stream)
    assert dialect.said(answer, stream=stream).finish == FINISHES[finish][dialect]


@pytest.mark.parametrize(
    ("dialect", "limit"),
    [
        (CHAT, {"max_completion_tokens": 4}),
        (RESPONSES, {"max_output_tokens": 4}),
        (ANTHROPIC, {"max_tokens": 4}),
        (GEMINI, {"generationConfig": {"maxOutputTokens": 4}}),
    ],
    ids=named,
)
@streamed_or_not
def test_limit_counts_reasoning_and_cuts_what_follows(
    upstream: UpstreamClient, dialect: Dialect, limit: dict[str, object], stream: bool
) -> None:
    answer = dialect.ask(upstream, "demo?reasoning=a b c&text=d e", stream=stream, **limit)
    said = dialect.said(answer, stream=stream)
    assert (said.reasoning, said.text, said.finish) == ("a b c", "d ", FINISHES["length"][dialect])
    assert counts(upstream).reported == {"demo": ModelUsage(1, 3, 1, 0, 3)}


@in_every_dialect
@streamed_or_not
def test_reported_numbers_are_those_of_the_script(upstream: UpstreamClient, dialect: Dialect, stream: bool) -> None:
    answer = dialect.ask(upstream, "demo?text=so&cached_tokens=10&reasoning_tokens=20", stream=stream)
    body = answer.body.decode()
    for told in {
        CHAT: ['"prompt_tokens":13', '"completion_tokens":21', '"cached_tokens":10', '"reasoning_tokens":20'],
        RESPONSES: ['"input_tokens":13', '"output_tokens":21', '"cached_tokens":10', '"reasoning_tokens":20'],
        ANTHROPIC: ['"input_tokens":3', '"output_tokens":21', '"cache_read_input_tokens":10', '"thinking_tokens":20'],
        GEMINI: [
            '"promptTokenCount":13',
            '"candidatesTokenCount":1,',
            '"cachedContentTokenCount":10',
            '"thoughtsTokenCount":20',
            '"totalTokenCount":34',
        ],
    }[dialect]:
        assert told in body
    assert counts(upstream).reported == {"demo": ModelUsage(1, 3, 1, 10, 20)}


# --- Without a script --------------------------------------------------------------------------------------------


@in_every_dialect
@pytest.mark.parametrize(
    ("text", "arguments"),
    [("call weather", {"place": "", "days": 0}), ('call weather {"place": "Ulm"}', {"place": "Ulm"})],
)
def test_user_asks_for_a_call(
    upstream: UpstreamClient, dialect: Dialect, text: str, arguments: dict[str, object]
) -> None:
    said = dialect.said(dialect.ask(upstream, said=text, tools=[dialect.tool]), stream=False)
    assert [(name, json.loads(source)) for name, source in said.calls] == [("weather", arguments)]
    assert said.text == ""


@in_every_dialect
@pytest.mark.parametrize("text", ["call nobody", "please call weather"])
def test_nothing_is_called_that_was_not_asked_for(upstream: UpstreamClient, dialect: Dialect, text: str) -> None:
    said = dialect.said(dialect.ask(upstream, said=text, tools=[dialect.tool]), stream=False)
    assert (said.text, said.calls) == (SENTENCE, ())


@pytest.mark.parametrize(
    ("dialect", "choice"),
    [
        (CHAT, {"tool_choice": "required"}),
        (CHAT, {"tool_choice": {"type": "function", "function": {"name": "weather"}}}),
        (RESPONSES, {"tool_choice": "required"}),
        (RESPONSES, {"tool_choice": {"type": "function", "name": "weather"}}),
        (ANTHROPIC, {"tool_choice": {"type": "any"}}),
        (ANTHROPIC, {"tool_choice": {"type": "tool", "name": "weather"}}),
        (GEMINI, {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}),
        (GEMINI, {"tool_config": {"function_calling_config": {"mode": "ANY", "allowedFunctionNames": ["weather"]}}}),
    ],
    ids=named,
)
def test_demanded_call_is_made(upstream: UpstreamClient, dialect: Dialect, choice: dict[str, object]) -> None:
    said = dialect.said(dialect.ask(upstream, tools=[dialect.tool], **choice), stream=False)
    assert [name for name, _ in said.calls] == ["weather"]


@pytest.mark.parametrize(
    ("dialect", "choice"),
    [
        (CHAT, {"tool_choice": "none"}),
        (RESPONSES, {"tool_choice": "none"}),
        (ANTHROPIC, {"tool_choice": {"type": "none"}}),
        (GEMINI, {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}}),
    ],
    ids=named,
)
def test_forbidden_call_is_not_made(upstream: UpstreamClient, dialect: Dialect, choice: dict[str, object]) -> None:
    answer = dialect.ask(upstream, said="call weather", tools=[dialect.tool], **choice)
    assert dialect.said(answer, stream=False).calls == ()


ANSWER_SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "kind": {"enum": ["b", "c"]},
        "sizes": {"type": "array", "items": {"type": "number"}},
        "inner": {"$ref": "#/$defs/inner"},
        "optional": {"type": "string"},
    },
    "required": ["name", "kind", "sizes", "inner"],
    "additionalProperties": False,
    "$defs": {
        "inner": {
            "type": "object",
            "properties": {"yes": {"type": "boolean"}},
            "required": ["yes"],
            "additionalProperties": False,
        }
    },
}


@pytest.mark.parametrize(
    ("dialect", "form"),
    [
        (CHAT, {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": ANSWER_SCHEMA}}}),
        (RESPONSES, {"text": {"format": {"type": "json_schema", "name": "a", "schema": ANSWER_SCHEMA}}}),
        (ANTHROPIC, {"output_config": {"format": {"type": "json_schema", "schema": ANSWER_SCHEMA}}}),
        (
            GEMINI,
            {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": ANSWER_SCHEMA}},
        ),
    ],
    ids=named,
)
def test_schema_is_satisfied(upstream: UpstreamClient, dialect: Dialect, form: dict[str, object]) -> None:
    answer = dialect.ask(upstream, **form)
    text = json.loads(dialect.said(answer, stream=False).text)
    assert text == {"name": "", "kind": "b", "sizes": [], "inner": {"yes": False}}
