"""What broke in other gateways of reasoning, schemas, ends and errors (DIALECTS section 8): cases 30 to 40, and kin."""

import json
from typing import Any

import pytest

from tests.interop.event_laws import broken_laws, said
from tests.interop.exchanges import asked, calls_of, data_of, deltas, put, replayed, sse, user, whole
from tests.interop.golden_files import golden, read_answer, read_stream, write_answer, write_stream
from tests.interop.regression_cases import PNG, case, every_dialect
from trunkline.core.errors import ErrorType
from trunkline.protocol.events import Finish, FinishReason, ReasoningDelta, ReasoningEnd, StreamError
from trunkline.protocol.names import ANTHROPIC, CONVERSATIONAL, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES
from trunkline.protocol.registry import CLIENTS
from trunkline.protocol.upstream_error import RetryClass, read_upstream_error
from trunkline.protocol.vendor import ReasoningReplay, VendorOptions

# --- 30 to 37: reasoning, schemas and ends -------------------------------------------------------------------------


# A tool loop on DeepSeek, which wants the reasoning of each turn back; the client speaks Messages.
@case(30)
def test_reasoning_goes_back_to_a_provider_that_wants_it() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": ""}
    use = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": "ok"}
    turns = [{"role": "assistant", "content": [thought, use]}, {"role": "user", "content": [result]}]
    body = asked(ANTHROPIC, user("go"), *turns, tools=[{"name": "f", "input_schema": {"type": "object"}}])
    wants, _ = put(ANTHROPIC, OPENAI_CHAT, body, options=VendorOptions(reasoning_replay=ReasoningReplay.ALWAYS))
    assert wants["messages"][1]["reasoning_content"] == "hm"
    refuses, _ = put(ANTHROPIC, OPENAI_CHAT, body)
    assert "reasoning_content" not in refuses["messages"][1]


# vLLM before and after it renamed its field.
@case(31)
@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_read_under_both_its_names(field: str) -> None:
    events = read_stream(OPENAI_CHAT, [deltas({field: "hm"}, {"content": "yes"})])
    assert ReasoningDelta("hm") in events
    chunks = data_of(write_stream(OPENAI_CHAT, events))
    assert chunks[1]["choices"][0]["delta"] == {"reasoning_content": "hm"}


# A frame with a finish reason and no content, or `promptFeedback` and no candidate.
@case(32)
@pytest.mark.parametrize(
    ("frame", "reason", "chat", "anthropic"),
    [
        ({"candidates": [{"finishReason": "MAX_TOKENS"}]}, FinishReason.LENGTH, "length", "max_tokens"),
        ({"candidates": [{"finishReason": "SAFETY"}]}, FinishReason.FILTER, "content_filter", "refusal"),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, FinishReason.FILTER, "content_filter", "refusal"),
    ],
)
def test_a_gemini_answer_without_content_has_an_end(
    frame: dict[str, Any], reason: FinishReason, chat: str, anthropic: str
) -> None:
    for events in (read_stream(GEMINI, [sse(frame)]), read_answer(GEMINI, json.dumps(frame).encode())):
        assert [event.reason for event in events if isinstance(event, Finish)] == [reason]
        assert broken_laws(events) == []
        choice = whole(OPENAI_CHAT, events)["choices"][0]
        assert (choice["finish_reason"], choice["message"]["content"]) == (chat, "")
        message = whole(ANTHROPIC, events)
        assert (message["stop_reason"], message["content"]) == (anthropic, [])


# A tool loop on Gemini 3 through each other dialect, and an effort for it.
@case(33)
@pytest.mark.parametrize("client", [OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC])
def test_geminis_signature_survives_a_tool_loop_of_another_dialect(client: str) -> None:
    source = golden(GEMINI, "reasoning_tool_loop")
    answer = whole(client, read_answer(GEMINI, source.answer))
    body, _ = put(client, GEMINI, replayed(client, answer))
    parts = [part for content in body["contents"] for part in content["parts"] if "functionCall" in part]
    assert [part["thoughtSignature"] for part in parts] == ["CtMBAVSoXO4SignatureOfTheSecondCall"]


# An effort, for a model that knows levels and for one that knows budgets.
@case(33)
def test_an_effort_is_a_level_where_the_model_has_levels() -> None:
    body = asked(OPENAI_CHAT, user("go"), reasoning_effort="high")
    levels, _ = put(OPENAI_CHAT, GEMINI, body, model="gemini-3-pro")
    assert levels["generationConfig"]["thinkingConfig"] == {"thinkingLevel": "HIGH"}
    budgets, _ = put(OPENAI_CHAT, GEMINI, body, model="gemini-2.5-pro")
    assert budgets["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 16384}


# Keywords in a tool's schema that Gemini's own form of schemas does not know.
@case(34)
def test_schemas_go_to_gemini_in_the_field_that_knows_all_keywords() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"const": {"const": 1}, "kind": {"type": ["string", "null"]}},
        "additionalProperties": False,
    }
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    body, _ = put(OPENAI_CHAT, GEMINI, asked(OPENAI_CHAT, user("go"), tools=[tool]))
    declared = body["tools"][0]["functionDeclarations"][0]
    assert "parameters" not in declared
    assert declared["parametersJsonSchema"]["properties"] == schema["properties"]
    assert declared["parametersJsonSchema"]["additionalProperties"] is False


# A provider's stream that stops in the middle of its words.
@case(35)
@every_dialect
def test_a_cut_answer_is_an_error_and_has_no_terminator(dialect: str) -> None:
    stream = golden(dialect, "text").stream
    cut = stream[: stream.index("好".encode())]
    events = read_stream(dialect, [cut[: cut.rindex(b"\n\n") + 2]])
    assert said(events).words == "Hello, 你"
    last = events[-1]
    assert isinstance(last, StreamError)
    assert last.error.fault.type is ErrorType.UPSTREAM_CUT
    for client in CONVERSATIONAL:
        written = write_stream(client, events[:-1])
        ends = (b"[DONE]", b"message_stop", b"response.completed", b"finishReason", b'"finish_reason":"')
        assert not any(end in written for end in ends)


# Thinking, hidden thinking, words and a call of Claude, through each other dialect and back.
@case(37)
@pytest.mark.parametrize("client", [OPENAI_CHAT, OPENAI_RESPONSES, GEMINI])
def test_claudes_thinking_comes_back_in_place_with_its_signature(client: str) -> None:
    source = golden(ANTHROPIC, "reasoning_tool_loop")
    answer = whole(client, read_answer(ANTHROPIC, source.answer))
    body, _ = put(client, ANTHROPIC, replayed(client, answer))
    assert body["messages"][1]["content"] == json.loads(source.answer)["content"]
    assert body["messages"][2]["content"][0]["tool_use_id"] == "toolu_paris"


# --- 38 to 40: errors, and what is easily lost -----------------------------------------------------------------------


# A provider refuses the gateway's own key, or wants to be paid by it.
@case(38)
@every_dialect
@pytest.mark.parametrize("status", [401, 402])
def test_a_providers_refusal_of_the_gateway_is_no_refusal_of_the_client(dialect: str, status: int) -> None:
    error = read_upstream_error(status, {}, b'{"error":{"message":"Incorrect API key provided: sk-abcdef0123"}}', 0)
    assert error.cls is RetryClass.OTHER_CREDENTIAL
    client = CLIENTS[dialect]
    response = client.render_error(error.fault, "req-1")
    assert response.status == 502
    assert response.headers[client.request_id_header] == "req-1"
    assert response.headers["x-should-retry"] == "false"
    assert b"sk-" not in response.body


# A wait of less than a second, in a vendor's words.
@case(39)
@every_dialect
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"retry-after-ms": "400"}, b"{}"),
        ({"retry-after": "0.4"}, b"{}"),
        ({}, b'{"error":{"code":429,"details":[{"@type":"RetryInfo","retryDelay":"0.4s"}]}}'),
        ({}, b'{"error":{"message":"Please try again in 400ms."}}'),
    ],
)
def test_a_wait_is_told_in_whole_seconds_that_are_never_none(
    dialect: str, headers: dict[str, str], body: bytes
) -> None:
    response = CLIENTS[dialect].render_error(read_upstream_error(429, headers, body, 0).fault, "req-1")
    assert response.status == 429
    assert response.headers["retry-after"] == "1"
    assert response.headers["retry-after-ms"] == "400"


OVERFLOWS: dict[str, dict[str, object]] = {
    "vLLM": {"message": "This model's maximum context length is 128000 tokens. However, you requested 150000 tokens."},
    "Gemini": {"message": "The input token count (150000) exceeds the maximum number of tokens allowed (128000)."},
    "llama.cpp": {"type": "exceed_context_size_error", "message": "the request is too large (150000 > 128000)"},
    "Anthropic": {"message": "prompt is too long: 150000 tokens > 128000 maximum"},
}


# A context overflow, in the words of four providers.
@case(39)
@pytest.mark.parametrize("vendor", OVERFLOWS)
def test_a_full_context_is_told_in_the_words_that_clients_look_for(vendor: str) -> None:
    fault = read_upstream_error(400, {}, json.dumps({"error": OVERFLOWS[vendor]}).encode(), 0).fault
    bodies = {name: json.loads(CLIENTS[name].render_error(fault, "req-1").body)["error"] for name in CONVERSATIONAL}
    assert bodies[OPENAI_CHAT]["code"] == bodies[OPENAI_RESPONSES]["code"] == "context_length_exceeded"
    assert bodies[ANTHROPIC]["message"].startswith("prompt is too long: 150000 tokens > 128000 maximum")
    wanted = "The input token count (150000) exceeds the maximum number of tokens allowed (128000)"
    assert bodies[GEMINI]["message"].startswith(wanted)


# An image in a tool's result.
@case(40)
def test_an_image_in_a_result_is_carried_or_said_to_stand_elsewhere() -> None:
    source = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    use = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": [source]}
    turns = [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    body = asked(ANTHROPIC, user("go"), *turns, tools=[{"name": "f", "input_schema": {"type": "object"}}])
    chat, lost = put(ANTHROPIC, OPENAI_CHAT, body)
    assert [message["role"] for message in chat["messages"]] == ["user", "assistant", "tool", "user"]
    assert PNG not in json.dumps(chat["messages"][2])
    assert chat["messages"][3]["content"][-1] == {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{PNG}"},
    }
    assert lost == "degraded=tool_result_image"
    items, lost = put(ANTHROPIC, OPENAI_RESPONSES, body)
    assert items["input"][2]["output"][0]["image_url"] == f"data:image/png;base64,{PNG}"
    assert lost == ""
    contents, lost = put(ANTHROPIC, GEMINI, body, model="gemini-3-pro")
    assert contents["contents"][2]["parts"][0]["functionResponse"]["parts"][0]["inlineData"]["data"] == PNG


# A cache's breakpoints and its key.
@case(40)
def test_what_steers_a_cache_is_carried_or_named() -> None:
    marked = {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]}
    body = asked(ANTHROPIC, marked)
    _, lost = put(ANTHROPIC, OPENAI_CHAT, body)
    assert lost == "dropped=cache_marks"
    carried, lost = put(ANTHROPIC, OPENAI_CHAT, body, options=VendorOptions(cache_marks=True))
    assert (carried["messages"][0]["content"][0]["cache_control"]["type"], lost) == ("ephemeral", "")
    keyed = asked(OPENAI_CHAT, user("a"), prompt_cache_key="k")
    assert put(OPENAI_CHAT, OPENAI_RESPONSES, keyed)[0]["prompt_cache_key"] == "k"
    assert put(OPENAI_CHAT, ANTHROPIC, keyed)[1] == put(OPENAI_CHAT, GEMINI, keyed)[1] == "dropped=cache_key"


# --- Kin without a number of their own -----------------------------------------------------------------------------


# Calls, and a finish reason that says nothing of them.
@every_dialect
def test_calls_decide_the_finish_whatever_the_provider_said(dialect: str) -> None:
    stream = golden(dialect, "tools_in_parallel").stream
    bent = stream.replace(b'"finish_reason":"tool_calls"', b'"finish_reason":"stop"').replace(
        b'"tool_use","stop_s', b'"end_turn","stop_s'
    )
    assert said(read_stream(dialect, [bent])).finish is FinishReason.TOOL_CALLS


# A long integer, in pieces and whole.
@every_dialect
def test_no_digit_of_a_long_integer_is_lost(dialect: str) -> None:
    events = read_stream(dialect, [golden(dialect, "tools_in_parallel").stream])
    for client in CONVERSATIONAL:
        for back in (
            read_stream(client, [write_stream(client, events)]),
            read_answer(client, write_answer(client, events)),
        ):
            assert '"days":9007199254740993,"ratio":1.50' in calls_of(back)[0][2]
            assert broken_laws(back) == []


# Reasoning in its plain field, and once more beside its proof: so this gateway itself writes it.
def test_reasoning_that_is_told_twice_is_read_once() -> None:
    detail = {"type": "reasoning.text", "text": "ab", "signature": "s", "index": 0}
    twice = ({"reasoning_content": "a"}, {"reasoning_content": "b"}, {"reasoning_details": [detail]}, {"content": "c"})
    told = read_stream(OPENAI_CHAT, [deltas(*twice)])
    assert (said(told).reasoning, said(told).words) == ("ab", "c")
    ends = [event for event in told if isinstance(event, ReasoningEnd)]
    assert [json.loads(end.proof.data) if end.proof else None for end in ends] == [[detail]]
    alone = read_stream(OPENAI_CHAT, [deltas({"reasoning_details": [{**detail, "text": "a"}]}, {"content": "c"})])
    assert said(alone).reasoning == "a"
