"""The demo upstream as Anthropic: the exact order of its events, and what it refuses."""

import copy
import json
from typing import Any

import pytest

from tests.support.upstream_answers import anthropic_message, events
from tests.support.upstream_client import Client, UpstreamClient
from tests.support.upstream_dialects import ANTHROPIC, ANTHROPIC_TOOL, send

USER = {"role": "user", "content": "one two three"}
CALL = {"type": "tool_use", "id": "toolu_a", "name": "weather", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_a", "content": "sunny day"}


@pytest.fixture
def upstream() -> UpstreamClient:
    return UpstreamClient()


def refusal(answer: Client) -> str:
    body = json.loads(answer.body)
    assert (answer.status, body["error"]["type"]) == (400, "invalid_request_error"), body
    return str(body["error"]["message"])


def test_stream_of_text_is_exactly_this(upstream: UpstreamClient) -> None:
    answer = ANTHROPIC.ask(upstream, "demo?text=so it is", stream=True)
    assert "content-type: text/event-stream; charset=utf-8" in answer.head
    assert answer.body.decode() == (
        'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_demo1","type":"message","role":'
        '"assistant","model":"demo","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,'
        '"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}}\n\n'
        'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text",'
        '"text":""}}\n\n'
        'event: ping\ndata: {"type":"ping"}\n\n'
        'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",'
        '"text":"so "}}\n\n'
        'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",'
        '"text":"it "}}\n\n'
        'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",'
        '"text":"is"}}\n\n'
        'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
        'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
        '"usage":{"input_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":3}}\n\n'
        'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )


def test_stream_of_thinking_and_a_call_opens_one_block_at_a_time(upstream: UpstreamClient) -> None:
    stream = events(ANTHROPIC.ask(upstream, "demo?reasoning=hm&tool=weather&arguments={}", stream=True))
    told = [(event["type"], event.get("index"), event.get("delta", {}).get("type")) for event in stream]
    assert told == [
        ("message_start", None, None),
        ("content_block_start", 0, None),
        ("ping", None, None),
        ("content_block_delta", 0, "thinking_delta"),
        ("content_block_delta", 0, "signature_delta"),
        ("content_block_stop", 0, None),
        ("content_block_start", 1, None),
        ("content_block_delta", 1, "input_json_delta"),
        ("content_block_delta", 1, "input_json_delta"),
        ("content_block_stop", 1, None),
        ("message_delta", None, None),
        ("message_stop", None, None),
    ]
    assert stream[7]["delta"]["partial_json"] == ""


def test_bearer_and_beta_query_are_taken(upstream: UpstreamClient) -> None:
    headers = {"authorization": "Bearer sk-b", **ANTHROPIC.headers}
    body = ANTHROPIC.body("demo", "x", False)
    assert send(upstream, "POST", "/v1/messages", body, headers, query="beta=true").status == 200


def test_two_credentials_are_refused(upstream: UpstreamClient) -> None:
    headers = {"authorization": "Bearer sk-b", **ANTHROPIC.head()}
    answer = send(upstream, "POST", "/v1/messages", ANTHROPIC.body("demo", "x", False), headers)
    assert "only one credential" in refusal(answer)


def test_version_is_required(upstream: UpstreamClient) -> None:
    answer = send(upstream, "POST", "/v1/messages", ANTHROPIC.body("demo", "x", False), {"x-api-key": "sk-b"})
    assert refusal(answer) == "anthropic-version: header is required"


def test_stricter_version_takes_no_sampling(upstream: UpstreamClient) -> None:
    body = {**ANTHROPIC.body("demo", "x", False), "temperature": 0.5}
    headers = {**ANTHROPIC.head(), "anthropic-version": "2026-10-21"}
    assert "temperature" in refusal(send(upstream, "POST", "/v1/messages", body, headers))
    assert send(upstream, "POST", "/v1/messages", body, ANTHROPIC.head()).status == 200


# --- Bodies that are refused -------------------------------------------------------------------------------------


def with_schema(schema: dict[str, Any]) -> dict[str, Any]:
    return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}


FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "no limit": ({"max_tokens": None}, "max_tokens: Field required"),
    "unknown member": ({"frequency_penalty": 1}, "frequency_penalty: Extra inputs are not permitted"),
    "body's script": ({"trunkline_demo": {}}, "trunkline_demo: Extra inputs are not permitted"),
    "no messages": ({"messages": []}, "messages: at least one message is required"),
    "hot": ({"temperature": 1.5}, "temperature: range: 0..1"),
    "both samplings": ({"temperature": 1, "top_p": 0.5}, "cannot both be specified"),
    "empty stop": ({"stop_sequences": [""]}, "stop_sequences"),
    "choice without tools": ({"tool_choice": {"type": "auto"}}, "may only be specified while providing tools"),
    "choice of nothing": ({"tools": [ANTHROPIC_TOOL], "tool_choice": {"type": "tool", "name": "x"}}, "'x' not found"),
    "chat's choice": ({"tools": [ANTHROPIC_TOOL], "tool_choice": "auto"}, "tool_choice: Input tag"),
    "tool's name": ({"tools": [{**ANTHROPIC_TOOL, "name": "a.b"}]}, "tools.0.custom.name"),
    "tool's schema": ({"tools": [{"name": "x", "input_schema": {}}]}, "tools.0.custom.input_schema.type"),
    "tools of one name": ({"tools": [ANTHROPIC_TOOL, ANTHROPIC_TOOL]}, "Tool names must be unique"),
    "small budget": ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "budget_tokens"),
    "budget above limit": ({"thinking": {"type": "enabled", "budget_tokens": 5000}}, "`max_tokens` must be greater"),
    "thinking while cool": ({"thinking": {"type": "adaptive"}, "temperature": 0.5}, "`temperature` may only be set to"),
    "thinking when forced": (
        {
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "tools": [ANTHROPIC_TOOL],
            "tool_choice": {"type": "any"},
        },
        "Thinking may not be enabled when tool_choice forces tool use.",
    ),
    "effort": ({"output_config": {"effort": "minimal"}}, "output_config.effort"),
    "open schema": (with_schema({"type": "object", "properties": {}}), "'additionalProperties' must be explicitly"),
    "bounded schema": (
        with_schema(
            {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "additionalProperties": False}
        ),
        "properties minimum are not supported",
    ),
    "empty system": ({"system": [{"type": "text", "text": ""}]}, "system: text content blocks must be non-empty"),
}


@pytest.mark.parametrize(("fields", "message"), FIELDS.values(), ids=FIELDS)
def test_fields_are_refused(upstream: UpstreamClient, fields: dict[str, Any], message: str) -> None:
    assert message in refusal(ANTHROPIC.ask(upstream, **fields))


def test_limit_is_refused_where_tokens_are_counted(upstream: UpstreamClient) -> None:
    body = {"model": "demo", "messages": [USER], "max_tokens": 5}
    answer = send(upstream, "POST", "/v1/messages/count_tokens", body, ANTHROPIC.head())
    assert refusal(answer) == "max_tokens: Extra inputs are not permitted"


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


OTHER_CALL, OTHER_RESULT = {**CALL, "id": "toolu_b"}, {**RESULT, "tool_use_id": "toolu_b"}
TEXT = {"type": "text", "text": "so"}

CONVERSATIONS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "begins with assistant": ([assistant(TEXT), USER], 'first message must use the "user" role'),
    "ends with assistant": ([USER, assistant(TEXT)], "does not support assistant message prefill"),
    "empty text": ([user({"type": "text", "text": ""})], "text content blocks must be non-empty"),
    "white space": ([user({"type": "text", "text": " \n"})], "must contain non-whitespace text"),
    "empty content": ([user()], "messages.0: all messages must have non-empty content"),
    "empty string": ([{"role": "user", "content": ""}], "messages.0: all messages must have non-empty content"),
    "unknown role": ([{"role": "tool", "content": "x"}], "messages.0.role"),
    "system first": ([{"role": "system", "content": "x"}, USER], "messages.0: a 'system' message"),
    "result without call": ([user(RESULT)], "unexpected `tool_use_id` found in `tool_result` blocks: toolu_a"),
    "result of another call": ([USER, assistant(OTHER_CALL), user(RESULT)], "unexpected `tool_use_id`"),
    "call without result": (
        [USER, assistant(CALL), USER],
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_a",
    ),
    "results split over turns": (
        [USER, assistant(CALL, OTHER_CALL), user(RESULT), user(OTHER_RESULT)],
        "messages.1: `tool_use` ids were found without",
    ),
    "results after text": ([USER, assistant(CALL), user(TEXT, RESULT)], "without `tool_result` blocks immediately"),
    "ids repeated": ([USER, assistant(CALL, CALL), user(RESULT)], "`tool_use` ids must be unique"),
    "foreign id": ([USER, assistant({**CALL, "id": "a.b"}), user(RESULT)], "tool_use.id: String should match pattern"),
    "arguments as text": ([USER, assistant({**CALL, "input": "{}"}), user(RESULT)], "Input should be a valid dictiona"),
    "call by user": ([user(CALL)], "`tool_use` blocks can not be in `user` messages"),
    "foreign signature": (
        [USER, assistant({"type": "thinking", "thinking": "hm", "signature": "c2lnbmF0dXJl"}, CALL), user(RESULT)],
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    "foreign redacted thinking": (
        [USER, assistant({"type": "redacted_thinking", "data": "ZGF0YQ=="}, CALL), user(RESULT)],
        "messages.1.content.0: Invalid `data` in `redacted_thinking` block",
    ),
}


@pytest.mark.parametrize(("messages", "message"), CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_conversations_are_refused(upstream: UpstreamClient, messages: list[dict[str, Any]], message: str) -> None:
    assert message in refusal(ANTHROPIC.ask(upstream, messages=messages, tools=[ANTHROPIC_TOOL]))


@pytest.mark.parametrize(
    "messages",
    [
        [USER, assistant(TEXT, CALL, OTHER_CALL), user(RESULT, OTHER_RESULT, TEXT)],
        [USER, USER],
        [USER, {"role": "system", "content": "be brief"}],
        [USER, assistant(CALL), user({**RESULT, "content": [TEXT], "is_error": True}), assistant(TEXT), USER],
    ],
)
def test_conversations_are_taken(upstream: UpstreamClient, messages: list[dict[str, Any]]) -> None:
    assert ANTHROPIC.ask(upstream, messages=messages, tools=[ANTHROPIC_TOOL]).status == 200


def test_calls_without_declared_tools_are_refused(upstream: UpstreamClient) -> None:
    answer = ANTHROPIC.ask(upstream, messages=[USER, assistant(CALL), user(RESULT)])
    assert "must define tools" in refusal(answer)


# --- Thinking comes back -----------------------------------------------------------------------------------------


@pytest.fixture
def thought(upstream: UpstreamClient) -> list[dict[str, Any]]:
    """A conversation in which the demo upstream has thought before a call."""
    stream = events(ANTHROPIC.ask(upstream, "demo?reasoning=let me think&tool=weather", stream=True))
    content = anthropic_message(stream)["content"]
    content[1]["input"] = json.loads(content[1]["input"])
    return [USER, assistant(*content), user({**RESULT, "tool_use_id": content[1]["id"]})]


def replay(upstream: UpstreamClient, messages: list[dict[str, Any]], thinking: str = "adaptive") -> Client:
    asked = {"type": thinking, "budget_tokens": 1024} if thinking == "enabled" else {"type": thinking}
    return ANTHROPIC.ask(upstream, messages=messages, tools=[ANTHROPIC_TOOL], thinking=asked)


@pytest.mark.parametrize("thinking", ["adaptive", "enabled", "disabled"])
def test_thinking_that_comes_back_is_taken(
    upstream: UpstreamClient, thought: list[dict[str, Any]], thinking: str
) -> None:
    answer = replay(upstream, thought, thinking)
    assert answer.status == 200
    assert json.loads(answer.body)["usage"]["input_tokens"] == 5  # of the user and of the tool


def test_thinking_of_a_whole_answer_is_the_same(upstream: UpstreamClient, thought: list[dict[str, Any]]) -> None:
    whole = json.loads(ANTHROPIC.ask(upstream, "demo?reasoning=let me think&tool=weather").body)
    assert whole["content"][0] == thought[1]["content"][0]


def test_altered_thinking_is_refused(upstream: UpstreamClient, thought: list[dict[str, Any]]) -> None:
    altered = copy.deepcopy(thought)
    altered[1]["content"][0]["thinking"] += "."
    assert "Invalid `signature`" in refusal(replay(upstream, altered))


@pytest.mark.parametrize("thinking", ["adaptive", "enabled"])
def test_missing_thinking_is_refused(upstream: UpstreamClient, thought: list[dict[str, Any]], thinking: str) -> None:
    missing = copy.deepcopy(thought)
    del missing[1]["content"][0]
    message = refusal(replay(upstream, missing, thinking))
    assert message.startswith("messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found")
    assert replay(upstream, missing, "disabled").status == 200
    assert replay(upstream, [*missing, assistant(TEXT), USER], thinking).status == 200  # an earlier turn


def test_foreign_call_needs_thinking_only_in_manual_mode(upstream: UpstreamClient) -> None:
    messages = [USER, assistant(CALL), user(RESULT)]
    assert replay(upstream, messages, "adaptive").status == 200
    assert "Expected `thinking`" in refusal(replay(upstream, messages, "enabled"))
