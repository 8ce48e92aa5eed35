"""The demo upstream as chat completions beside plain text: calls, reasoning, Azure's addresses, and what it refuses."""

import json
from typing import Any

import pytest

from tests.support.upstream_answers import events
from tests.support.upstream_client import Client, UpstreamClient
from tests.support.upstream_dialects import CHAT, CHAT_TOOL, RESPONSES_TOOL, send

USER = {"role": "user", "content": "one two three"}
CALLS = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": identity, "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        for identity in ("call_a", "call_b")
    ],
}
RESULT_A = {"role": "tool", "tool_call_id": "call_a", "content": "sunny day"}
RESULT_B = {**RESULT_A, "tool_call_id": "call_b"}


@pytest.fixture
def upstream() -> UpstreamClient:
    return UpstreamClient()


def refusal(answer: Client) -> str:
    body = json.loads(answer.body)
    assert (answer.status, body["error"]["type"]) == (400, "invalid_request_error"), body
    return str(body["error"]["message"])


def test_streamed_call_has_its_name_once_and_its_arguments_in_pieces(upstream: UpstreamClient) -> None:
    stream = events(CHAT.ask(upstream, 'demo?reasoning=hm&tool=weather&arguments={"a":"bcdef"}', stream=True))
    assert [choice["delta"] for chunk in stream for choice in chunk["choices"]] == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm"},
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "call_demo1x0",
                    "type": "function",
                    "function": {"name": "weather", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":"bc'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": 'def"}'}}]},
        {},
    ]


def test_whole_call_has_no_text(upstream: UpstreamClient) -> None:
    message = json.loads(CHAT.ask(upstream, "demo?tool=weather").body)["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"][0]["function"] == {"name": "weather", "arguments": "{}"}


def test_body_may_have_the_script(upstream: UpstreamClient) -> None:
    body = json.loads(upstream.chat(script={"text": "so", "finish": "filter"}).body)
    assert body["choices"][0]["message"]["content"] == "so"
    assert body["choices"][0]["finish_reason"] == "content_filter"


# --- Azure -------------------------------------------------------------------------------------------------------

DEPLOYMENT = "/openai/deployments/mine/chat/completions"


def test_azure_deployment_names_the_model(upstream: UpstreamClient) -> None:
    body = {"messages": [USER]}
    answer = send(upstream, "POST", DEPLOYMENT, body, {"api-key": "k"}, query="api-version=2024-10-21")
    assert json.loads(answer.body)["model"] == "mine"
    assert json.loads(upstream.send("GET", "/counts").body)["attempts"] == {"k": 1}


def test_azure_stream_begins_without_choices(upstream: UpstreamClient) -> None:
    body = {"messages": [USER], "stream": True}
    stream = events(send(upstream, "POST", DEPLOYMENT, body, {"api-key": "k"}, query="api-version=2024-10-21"))
    assert (stream[0]["choices"], "prompt_filter_results" in stream[0]) == ([], True)
    assert stream[1]["choices"][0]["delta"] == {"role": "assistant", "content": ""}


@pytest.mark.parametrize(
    ("path", "headers", "query", "status"),
    [
        (DEPLOYMENT, {"api-key": "k"}, "", 404),
        (DEPLOYMENT, {}, "api-version=2024-10-21", 401),
        (DEPLOYMENT, {"api-key": "k", "authorization": "Bearer k"}, "api-version=2024-10-21", 400),
        (DEPLOYMENT, {"authorization": "Bearer k"}, "api-version=2024-10-21", 200),
        ("/openai/deployments/mine%3Fstatus%3D503/chat/completions", {"api-key": "k"}, "api-version=x", 503),
        ("/openai/v1/chat/completions", {"api-key": "k"}, "", 200),
    ],
)
def test_azure_addresses(upstream: UpstreamClient, path: str, headers: dict[str, str], query: str, status: int) -> None:
    body = {"model": "demo", "messages": [USER]}
    assert send(upstream, "POST", path, body, headers, query=query).status == status


# --- What is refused ---------------------------------------------------------------------------------------------

CONVERSATIONS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "result without call": ([USER, RESULT_A], "must be a response to a preceeding message with 'tool_calls'"),
    "result of another call": ([USER, CALLS, {**RESULT_A, "tool_call_id": "x"}], "there is no call 'x'"),
    "result twice": ([USER, CALLS, RESULT_A, RESULT_A], "there is no call 'call_a'"),
    "call without result": ([USER, CALLS, RESULT_A], "did not have response messages: call_b"),
    "results split over turns": ([USER, CALLS, RESULT_A, USER, RESULT_B], "did not have response messages: call_b"),
    "no calls": ([USER, {"role": "assistant", "content": "x", "tool_calls": []}], "empty array"),
}


@pytest.mark.parametrize(("messages", "message"), CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_conversations_are_refused(upstream: UpstreamClient, messages: list[dict[str, Any]], message: str) -> None:
    assert message in refusal(CHAT.ask(upstream, messages=messages))


def test_results_in_any_order_are_taken(upstream: UpstreamClient) -> None:
    answer = CHAT.ask(upstream, messages=[USER, CALLS, RESULT_B, RESULT_A, USER])
    assert json.loads(answer.body)["usage"]["prompt_tokens"] == 3 + 2 + 2 + 3


FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"model": ""}, "you must provide a model parameter"),
    "tool of Responses": ({"tools": [RESPONSES_TOOL]}, "Missing required parameter: 'tools[0].function'."),
    "tool's name": ({"tools": [{"type": "function", "function": {"name": "a.b"}}]}, "'tools[0].function.name'"),
    "choice of nothing": (
        {"tools": [CHAT_TOOL], "tool_choice": {"type": "function", "function": {"name": "x"}}},
        "'x' not found in 'tools'",
    ),
    "JSON unmentioned": ({"response_format": {"type": "json_object"}}, "must contain the word 'json'"),
    "format of Responses": ({"response_format": {"type": "json_schema", "name": "a"}}, "'response_format.json_schema'"),
    "arguments as object": (
        {
            "messages": [
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "a", "type": "function", "function": {"name": "x", "arguments": {}}}],
                }
            ]
        },
        "Expected `str`",
    ),
}


@pytest.mark.parametrize(("fields", "message"), FIELDS.values(), ids=FIELDS)
def test_fields_are_refused(upstream: UpstreamClient, fields: dict[str, Any], message: str) -> None:
    assert message in refusal(CHAT.ask(upstream, **fields))


def test_json_is_made_where_the_messages_mention_it(upstream: UpstreamClient) -> None:
    answer = CHAT.ask(upstream, said="some JSON please", response_format={"type": "json_object"})
    assert CHAT.said(answer, stream=False).text == "{}"
