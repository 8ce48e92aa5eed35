"""The demo upstream as Gemini: the exact form of its streams, and what it refuses."""

import json
from typing import Any

import pytest

from tests.support.upstream_answers import events, gemini_parts
from tests.support.upstream_client import Client, UpstreamClient
from tests.support.upstream_dialects import GEMINI, GEMINI_TOOL, gemini_path, send
from trunkline.dev.demo.counts import ModelUsage

USER = {"role": "user", "parts": [{"text": "one two three"}]}
CALL = {"functionCall": {"name": "weather", "args": {}}}
RESPONSE = {"functionResponse": {"name": "weather", "response": {"output": "sunny day"}}}
THIRD = "gemini-3-pro"


@pytest.fixture
def upstream() -> UpstreamClient:
    return UpstreamClient()


def refusal(answer: Client) -> str:
    body = json.loads(answer.body)
    assert (answer.status, body["error"]["status"]) == (400, "INVALID_ARGUMENT"), body
    return str(body["error"]["message"])


def model_turn(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def user_turn(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


# --- Answers -----------------------------------------------------------------------------------------------------


def frame(candidate: str, prompt: int, answer: int) -> str:
    return (
        f'{{"candidates":[{{{candidate}"index":0}}],"usageMetadata":{{"promptTokenCount":{prompt},'
        f'"candidatesTokenCount":{answer},"totalTokenCount":{prompt + answer},"promptTokensDetails":[{{"modality":'
        f'"TEXT","tokenCount":{prompt}}}]}},"modelVersion":"demo","responseId":"demo1"}}'
    )


FRAMES = [
    frame('"content":{"parts":[{"text":"so "}],"role":"model"},', 3, 1),
    frame('"content":{"parts":[{"text":"it"}],"role":"model"},', 3, 2),
    frame('"finishReason":"STOP",', 3, 2),
]


def test_stream_is_exactly_this(upstream: UpstreamClient) -> None:
    answer = GEMINI.ask(upstream, "demo?text=so it", stream=True)
    assert "content-type: text/event-stream\r\n" in answer.head
    assert answer.body.decode() == "".join(f"data: {frame}\r\n\r\n" for frame in FRAMES)


def test_without_sse_a_stream_is_one_array(upstream: UpstreamClient) -> None:
    path = gemini_path("demo?text=so it", True)
    answer = send(upstream, "POST", path, GEMINI.body("", "one two three", True), GEMINI.head(), query="$alt=json")
    assert "content-type: application/json" in answer.head
    assert answer.body.decode() == "[" + ",\r\n".join(FRAMES) + "\n]"


def test_without_sse_errors_are_in_an_array_too(upstream: UpstreamClient) -> None:
    path = gemini_path("demo?status=429", True)
    answer = send(upstream, "POST", path, GEMINI.body("", "x", True), GEMINI.head())
    assert json.loads(answer.body)[0]["error"]["status"] == "RESOURCE_EXHAUSTED"
    path = gemini_path("demo?error_mid_stream=1", True)
    answer = send(upstream, "POST", path, GEMINI.body("", "x", True), GEMINI.head())
    assert [*json.loads(answer.body)[-1]] == ["error"]


@pytest.mark.parametrize("path", ["/v1/models/demo:generateContent", "/v1beta/models/demo%3AgenerateContent"])
def test_paths_are_taken(upstream: UpstreamClient, path: str) -> None:
    assert send(upstream, "POST", path, GEMINI.body("", "x", False), GEMINI.head()).status == 200


def test_key_may_stand_in_the_query_but_not_twice(upstream: UpstreamClient) -> None:
    path, body = gemini_path("demo", False), GEMINI.body("", "x", False)
    assert send(upstream, "POST", path, body, {}, query="key=sk-q").status == 200
    assert send(upstream, "POST", path, body, GEMINI.head(), query="key=sk-q").status == 400
    assert send(upstream, "POST", path, body, {"authorization": "Bearer sk-q"}).status == 401


def test_calls_come_whole_and_only_the_third_generation_names_them(upstream: UpstreamClient) -> None:
    for model, has_id in ((THIRD, True), ("demo", False)):
        parts = gemini_parts(events(GEMINI.ask(upstream, f"{model}?tool=weather&tool_calls=2", stream=True)))
        assert [part["functionCall"]["args"] for part in parts] == [{}, {}]
        assert [("id" in part["functionCall"], "thoughtSignature" in part) for part in parts] == [
            (has_id, has_id),
            (has_id, False),
        ]


def test_text_of_the_third_generation_ends_with_an_empty_signed_part(upstream: UpstreamClient) -> None:
    parts = gemini_parts(events(GEMINI.ask(upstream, f"{THIRD}?text=so", stream=True)))
    assert [(part["text"], "thoughtSignature" in part) for part in parts] == [("so", False), ("", True)]
    assert GEMINI.ask(upstream, THIRD, contents=[USER, model_turn(*parts), USER]).status == 200


def test_arguments_that_are_no_object_are_a_malformed_call(upstream: UpstreamClient) -> None:
    for stream in (False, True):
        answer = GEMINI.ask(upstream, 'demo?tool=weather&arguments={"a"', stream=stream)
        said = GEMINI.said(answer, stream=stream)
        assert (said.calls, said.finish) == ((), "MALFORMED_FUNCTION_CALL")


def test_client_that_leaves_has_the_usage_of_the_frames_before(upstream: UpstreamClient) -> None:
    answer = GEMINI.ask(upstream, "demo?delay_ms=100", stream=True)
    upstream.clock.advance(0.3)
    answer.leave()
    seen = json.loads(upstream.send("GET", "/counts").body)
    assert seen["reported"] == {"demo": {**_as_dict(ModelUsage(1, 3, 3))}}
    assert (seen["aborted"], seen["unreported"]) == (1, {})


def _as_dict(usage: ModelUsage) -> dict[str, int]:
    return {name: getattr(usage, name) for name in usage.__struct_fields__}


# --- What is refused ---------------------------------------------------------------------------------------------


def parameters(schema: dict[str, Any]) -> dict[str, Any]:
    return {"tools": [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]}


def property_of(schema: dict[str, Any]) -> dict[str, Any]:
    return parameters({"type": "OBJECT", "properties": {"a": schema}})


FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown member": ({"messages": []}, 'Unknown name "messages": Cannot find field.'),
    "model in the body": ({"max_tokens": 5}, 'Unknown name "max_tokens": Cannot find field.'),
    "body's script": ({"trunkline_demo": {}}, 'Unknown name "trunkline_demo"'),
    "unknown setting": ({"generationConfig": {"n": 1}}, "Unknown name \"n\" at 'generationConfig'"),
    "unknown in a part": (
        {"contents": [user_turn({"text": "x", "type": "text"})]},
        "Unknown name \"type\" at 'contents[0].parts[0]'",
    ),
    "unknown in a declaration": (
        {"tools": [{"functionDeclarations": [{"name": "f", "strict": True}]}]},
        "Unknown name \"strict\" at 'tools[0].functionDeclarations[0]'",
    ),
    "$schema": (parameters({"$schema": "x", "type": "object"}), 'Unknown name "$schema" at \'tools[0].function_decl'),
    "additionalProperties": (parameters({"type": "object", "additionalProperties": False}), "additionalProperties"),
    "const in a property": (property_of({"const": 1}), 'Unknown name "const"'),
    "reference": (property_of({"$ref": "#/$defs/x"}), 'Unknown name "$ref"'),
    "type array": (property_of({"type": ["string", "null"]}), "Invalid value at"),
    "format": (property_of({"type": "string", "format": "uri"}), "only 'enum' and 'date-time' are supported"),
    "no properties": (parameters({"type": "object", "properties": {}}), "should be non-empty for OBJECT type"),
    "required without property": (
        parameters({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]}),
        "required[0]: property is not defined",
    ),
    "keyword below anyOf": (property_of({"anyOf": [{"type": "string"}, {"not": {}}]}), "any_of[1]"),
    "both schemas": (
        {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {}, "parametersJsonSchema": {}}]}]},
        "only one of parameters and parameters_json_schema",
    ),
    "function's name": ({"tools": [{"functionDeclarations": [{"name": "1st"}]}]}, "Invalid function name"),
    "allowed without mode": (
        {
            "tools": [GEMINI_TOOL],
            "toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["weather"]}},
        },
        "Allowed function names should only be set when",
    ),
    "schema without type": ({"generationConfig": {"responseJsonSchema": {}}}, "response mime type 'application/json'"),
    "level and budget": (
        {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 5}}},
        "only one of thinking budget and thinking level",
    ),
    "six stops": ({"generationConfig": {"stopSequences": list("abcdef")}}, "at most 5"),
}


@pytest.mark.parametrize(("fields", "message"), FIELDS.values(), ids=FIELDS)
def test_fields_are_refused(upstream: UpstreamClient, fields: dict[str, Any], message: str) -> None:
    assert message in refusal(GEMINI.ask(upstream, **fields))


def test_property_named_like_a_keyword_is_taken(upstream: UpstreamClient) -> None:
    schema = {"type": "object", "properties": {"$ref": {"type": "string"}, "additionalProperties": {"type": "STRING"}}}
    assert GEMINI.ask(upstream, **parameters(schema)).status == 200


def test_json_with_tools_is_refused_by_the_second_generation(upstream: UpstreamClient) -> None:
    fields = {"tools": [GEMINI_TOOL], "generationConfig": {"responseMimeType": "application/json"}}
    assert "is unsupported" in refusal(GEMINI.ask(upstream, "gemini-2.5-pro", **fields))
    assert GEMINI.ask(upstream, THIRD, **fields).status == 200


def test_snake_case_and_camel_case_may_be_mixed(upstream: UpstreamClient) -> None:
    body = {
        "system_instruction": {"parts": [{"text": "be nice"}]},
        "contents": [USER, model_turn({"function_call": {"name": "weather"}}), user_turn(RESPONSE)],
        "tools": [{"function_declarations": [{"name": "weather", "parameters": {"type": "OBJECT"}}]}],
        "generationConfig": {"max_output_tokens": 2, "thinkingConfig": {"include_thoughts": True}},
    }
    answer = json.loads(GEMINI.ask(upstream, **body).body)
    assert answer["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert answer["usageMetadata"]["promptTokenCount"] == 7


CONVERSATIONS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "nothing": ([], "contents is not specified"),
    "no parts": ([user_turn()], "contents.parts must not be empty"),
    "empty part": ([user_turn({})], "required oneof field 'data' must have one initialized field"),
    "chat's role": ([{"role": "assistant", "parts": [{"text": "x"}]}], "Please use a valid role: user, model."),
    "ends with model": ([USER, model_turn({"text": "x"})], "end with a user role or a function response"),
    "begins with a call": ([model_turn(CALL), user_turn(RESPONSE)], "comes immediately after a user turn"),
    "response without call": ([user_turn(RESPONSE)], "function response turn comes immediately after a function call"),
    "call without response": ([USER, model_turn(CALL), USER], "number of function response parts is equal"),
    "responses split over turns": (
        [USER, model_turn(CALL, CALL), user_turn(RESPONSE), user_turn(RESPONSE)],
        "number of function response parts is equal",
    ),
    "response of another function": (
        [USER, model_turn(CALL), user_turn({"functionResponse": {"name": "other", "response": {}}})],
        "names of the function calls",
    ),
    "nameless response": (
        [USER, model_turn(CALL), user_turn({"functionResponse": {"response": {}}})],
        "function_response.name: Name cannot be empty.",
    ),
    "response as text": (
        [USER, model_turn(CALL), user_turn({"functionResponse": {"name": "weather", "response": "sunny"}})],
        "function_response.response",
    ),
    "arguments as text": (
        [USER, model_turn({"functionCall": {"name": "weather", "args": "{}"}}), user_turn(RESPONSE)],
        "function_call.args",
    ),
    "foreign signature": (
        [USER, model_turn({**CALL, "thoughtSignature": "Zm9yZWlnbg=="}), user_turn(RESPONSE)],
        "Thought signature is not valid.",
    ),
    "foreign signature on text": (
        [USER, model_turn({"text": "x", "thoughtSignature": "Zm9yZWlnbg=="}), USER],
        "Thought signature is not valid.",
    ),
}


@pytest.mark.parametrize(("contents", "message"), CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_conversations_are_refused(upstream: UpstreamClient, contents: list[dict[str, Any]], message: str) -> None:
    assert message in refusal(GEMINI.ask(upstream, contents=contents))


@pytest.mark.parametrize(
    "contents",
    [
        [{"parts": [{"text": "x"}]}],
        [USER, model_turn({"text": "x"}, CALL, CALL), user_turn(RESPONSE, RESPONSE)],
        [USER, model_turn(CALL), {"role": "function", "parts": [RESPONSE]}, model_turn({"text": "x"}), USER],
        [USER, USER],
    ],
)
def test_conversations_are_taken(upstream: UpstreamClient, contents: list[dict[str, Any]]) -> None:
    assert GEMINI.ask(upstream, contents=contents).status == 200
