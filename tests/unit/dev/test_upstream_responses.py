"""The demo upstream as OpenAI's Responses: the exact order of its events, and what it refuses."""

import json
from typing import Any

import pytest

from tests.support.upstream_answers import events
from tests.support.upstream_client import Client, UpstreamClient
from tests.support.upstream_dialects import CHAT_TOOL, RESPONSES, RESPONSES_TOOL, SCHEMA, send

USER = {"role": "user", "content": "one two three"}
CALL = {"type": "function_call", "call_id": "call_a", "name": "weather", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_a", "output": "sunny day"}


@pytest.fixture
def upstream() -> UpstreamClient:
    return UpstreamClient()


def refusal(answer: Client, status: int = 400) -> dict[str, Any]:
    body = json.loads(answer.body)
    assert (answer.status, body["error"]["type"]) == (status, "invalid_request_error"), body
    return dict(body["error"])


def test_events_come_in_this_order(upstream: UpstreamClient) -> None:
    model = "demo?reasoning=hm&text=so it is&tool=weather&arguments={}"
    stream = events(RESPONSES.ask(upstream, model, stream=True))
    assert [(event["type"].removeprefix("response."), event.get("output_index")) for event in stream] == [
        ("created", None),
        ("in_progress", None),
        ("output_item.added", 0),
        ("reasoning_summary_part.added", 0),
        ("reasoning_summary_text.delta", 0),
        ("reasoning_summary_text.done", 0),
        ("reasoning_summary_part.done", 0),
        ("output_item.done", 0),
        ("output_item.added", 1),
        ("content_part.added", 1),
        ("output_text.delta", 1),
        ("output_text.delta", 1),
        ("output_text.delta", 1),
        ("output_text.done", 1),
        ("content_part.done", 1),
        ("output_item.done", 1),
        ("output_item.added", 2),
        ("function_call_arguments.delta", 2),
        ("function_call_arguments.done", 2),
        ("output_item.done", 2),
        ("completed", None),
    ]
    identities = {event["output_index"]: event["item"]["id"] for event in stream if "item" in event}
    assert identities == {0: "rs_demo1x0", 1: "msg_demo1x1", 2: "fc_demo1x2r"}
    assert all(event["item_id"] == identities[event["output_index"]] for event in stream if "item_id" in event)
    done = [event["item"] for event in stream if event["type"] == "response.output_item.done"]
    assert stream[-1]["response"]["output"] == done


def test_event_lines_name_the_type(upstream: UpstreamClient) -> None:
    blocks = RESPONSES.ask(upstream, "demo?text=so", stream=True).body.decode().split("\n\n")
    for block in blocks[:-1]:
        name, data = block.split("\n")
        assert json.loads(data.removeprefix("data: "))["type"] == name.removeprefix("event: ")
    assert blocks[-1] == ""


def test_stream_and_whole_answer_are_the_same_response(upstream: UpstreamClient) -> None:
    model = "demo?reasoning=hm&text=so it is&tool=weather"
    streamed = events(RESPONSES.ask(upstream, model, stream=True))[-1]["response"]
    whole = json.loads(RESPONSES.ask(upstream, model).body)
    assert json.loads(json.dumps(streamed).replace("demo1", "demo2")) == whole


def test_answer_repeats_what_the_request_set(upstream: UpstreamClient) -> None:
    answer = json.loads(RESPONSES.ask(upstream, tools=[RESPONSES_TOOL], metadata={"a": "b"}, store=False).body)
    assert (answer["tools"], answer["metadata"], answer["store"]) == ([RESPONSES_TOOL], {"a": "b"}, False)


def test_length_and_filter_are_incomplete(upstream: UpstreamClient) -> None:
    stream = events(RESPONSES.ask(upstream, stream=True, max_output_tokens=2))
    assert stream[-1]["type"] == "response.incomplete"
    assert stream[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert stream[-1]["response"]["output"][0]["status"] == "incomplete"
    assert events(RESPONSES.ask(upstream, "demo?finish=filter", stream=True))[-1]["type"] == "response.incomplete"


def test_azure_address_takes_either_credential(upstream: UpstreamClient) -> None:
    body = RESPONSES.body("demo", "x", False)
    for headers in ({"api-key": "k"}, {"authorization": "Bearer k"}):
        assert send(upstream, "POST", "/openai/v1/responses", body, headers).status == 200


# --- What is refused ---------------------------------------------------------------------------------------------

STRICT_TOOL = {**RESPONSES_TOOL, "strict": True, "parameters": {**SCHEMA, "required": ["place"]}}

FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "chat's messages": ({"messages": []}, "Unsupported parameter: 'messages'"),
    "unknown": ({"stop": ["x"]}, "Unknown parameter: 'stop'."),
    "body's script": ({"trunkline_demo": {}}, "Unknown parameter: 'trunkline_demo'."),
    "no input": ({"input": None}, "Missing required parameter: 'input'."),
    "state": ({"previous_response_id": "resp_x"}, "Previous response with id 'resp_x' not found."),
    "chat's tool": ({"tools": [CHAT_TOOL]}, "Missing required parameter: 'tools[0].name'."),
    "tool's name": ({"tools": [{**RESPONSES_TOOL, "name": "a.b"}]}, "Invalid 'tools[0].name'"),
    "loose strict tool": ({"tools": [STRICT_TOOL]}, "Missing 'days'"),
    "choice of nothing": ({"tool_choice": {"type": "function", "name": "x"}}, "'x' not found in 'tools'"),
    "chat's format": (
        {"text": {"format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}}},
        "Missing required parameter: 'text.format.name'.",
    ),
    "JSON unmentioned": ({"text": {"format": {"type": "json_object"}}}, "must contain the word 'json'"),
}


@pytest.mark.parametrize(("fields", "message"), FIELDS.values(), ids=FIELDS)
def test_fields_are_refused(upstream: UpstreamClient, fields: dict[str, Any], message: str) -> None:
    assert message in refusal(RESPONSES.ask(upstream, **fields))["message"]


REASONING = {"type": "reasoning", "id": "rs_x", "summary": []}
OTHER_CALL, OTHER_OUTPUT = {**CALL, "call_id": "call_b"}, {**OUTPUT, "call_id": "call_b"}
ASSISTANT = {"role": "assistant", "content": [{"type": "output_text", "text": "so"}]}

INPUTS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "chat's part": ([{"role": "user", "content": [{"type": "text", "text": "x"}]}], "input[0].content[0].type"),
    "part of the other": (
        [USER, {"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}],
        "Supported values are: 'output_text', 'refusal'",
    ),
    "chat's tool message": ([{"role": "tool", "content": "x"}], "input[0].role"),
    "output without call": ([USER, OUTPUT], "No tool call found for function call output with call_id call_a."),
    "call without output": ([USER, CALL, USER], "No tool output found for function call call_a."),
    "outputs split over turns": (
        [USER, CALL, OTHER_CALL, OUTPUT, USER, OTHER_OUTPUT],
        "No tool output found for function call call_b.",
    ),
    "long call id": ([USER, {**CALL, "call_id": "c" * 65}], "Invalid 'input[1].call_id'"),
    "foreign item id": ([USER, {**CALL, "id": "toolu_a"}, OUTPUT], "Expected an ID that begins with 'fc'"),
    "arguments as object": ([USER, {**CALL, "arguments": {}}, OUTPUT], "'input[1].arguments'"),
    "reasoning alone": ([USER, REASONING, USER], "without its required following item"),
    "foreign proof": (
        [USER, {**REASONING, "encrypted_content": "Zm9yZWlnbg=="}, CALL, OUTPUT],
        "The encrypted content for item rs_x could not be verified.",
    ),
}


@pytest.mark.parametrize(("items", "message"), INPUTS.values(), ids=INPUTS)
def test_inputs_are_refused(upstream: UpstreamClient, items: list[dict[str, Any]], message: str) -> None:
    assert message in refusal(RESPONSES.ask(upstream, input=items))["message"]


def test_reference_to_an_item_is_not_found(upstream: UpstreamClient) -> None:
    answer = RESPONSES.ask(upstream, input=[USER, {"type": "item_reference", "id": "rs_x"}])
    assert "'rs_x' not found" in refusal(answer, 404)["message"]


@pytest.mark.parametrize(
    "items",
    [
        [USER, REASONING, CALL, OTHER_CALL, OUTPUT, OTHER_OUTPUT, USER],
        [USER, ASSISTANT, CALL, OUTPUT],
        [USER, CALL, OUTPUT, OTHER_CALL, OTHER_OUTPUT],
        [ASSISTANT],
        [{"role": "developer", "content": "x"}, {"type": "message", "role": "user", "content": []}],
    ],
)
def test_inputs_are_taken(upstream: UpstreamClient, items: list[dict[str, Any]]) -> None:
    assert RESPONSES.ask(upstream, input=items).status == 200


# --- Reasoning comes back ----------------------------------------------------------------------------------------


@pytest.fixture
def thought(upstream: UpstreamClient) -> list[dict[str, Any]]:
    """An input in which the demo upstream has reasoned before two calls."""
    model = "demo?reasoning=let me think&tool=weather&tool_calls=2"
    output = json.loads(RESPONSES.ask(upstream, model).body)["output"]
    return [USER, *output, *({**OUTPUT, "call_id": item["call_id"]} for item in output[1:])]


def test_reasoning_that_comes_back_is_taken(upstream: UpstreamClient, thought: list[dict[str, Any]]) -> None:
    answer = RESPONSES.ask(upstream, input=thought)
    assert json.loads(answer.body)["usage"]["input_tokens"] == 7


def test_proof_comes_only_where_it_is_included(upstream: UpstreamClient, thought: list[dict[str, Any]]) -> None:
    assert thought[1]["encrypted_content"]
    output = json.loads(RESPONSES.ask(upstream, "demo?reasoning=hm", include=[]).body)["output"]
    assert "encrypted_content" not in output[0]


def test_proof_counts_only_once_the_item_is_done(upstream: UpstreamClient) -> None:
    stream = events(RESPONSES.ask(upstream, "demo?reasoning=hm&tool=weather", stream=True))
    items = [event["item"] for event in stream if event.get("item", {}).get("type") == "reasoning"]
    taken = [RESPONSES.ask(upstream, input=[USER, item, CALL, OUTPUT]).status for item in items]
    assert taken == [400, 200]


def test_altered_proof_is_refused(upstream: UpstreamClient, thought: list[dict[str, Any]]) -> None:
    proof = thought[1]["encrypted_content"]
    thought[1]["encrypted_content"] = ("B" if proof[0] == "A" else "A") + proof[1:]
    assert refusal(RESPONSES.ask(upstream, input=thought))["code"] == "invalid_encrypted_content"


def test_call_without_its_reasoning_is_refused(upstream: UpstreamClient, thought: list[dict[str, Any]]) -> None:
    del thought[1]
    assert "without its required 'reasoning' item" in refusal(RESPONSES.ask(upstream, input=thought))["message"]
    for item in thought:
        item.pop("id", None)
    assert RESPONSES.ask(upstream, input=thought).status == 200  # nobody knows any more
