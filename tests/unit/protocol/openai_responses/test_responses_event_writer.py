"""Neutral events as an answer for a Responses client; the official SDK's types and accumulator are the judges."""

import json
from collections.abc import Sequence
from typing import Any

import httpx2
import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from trunkline.core.usage import Units
from trunkline.protocol.dialect import AnswerFrame
from trunkline.protocol.events import (
    Event,
    Finish,
    FinishReason,
    ImageOutput,
    MessageEnd,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.model import Proof, Reasoning, Role, Text, ToolCall, Turn
from trunkline.protocol.openai_responses.event_writer import ResponsesEventWriter, write_answer
from trunkline.protocol.openai_responses.request_reader import read_request

FRAME = AnswerFrame(id="j0b", model="public", created=1700000000)
STOP = (Finish(FinishReason.STOP), MessageEnd())
CALLED = (Finish(FinishReason.TOOL_CALLS), MessageEnd())
EVENT_TYPE: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


def stream_of(*answer: Event) -> bytes:
    writer = ResponsesEventWriter(FRAME)
    return b"".join([writer.write(event) for event in (MessageStart("up"), *answer)])


def events_of(*answer: Event) -> list[dict[str, Any]]:
    """Return the events of a stream after checking what holds for all of them."""
    found = []
    for number, block in enumerate(stream_of(*answer).removesuffix(b"\n\n").split(b"\n\n")):
        name, data = block.split(b"\n")
        EVENT_TYPE.validate_json(data.removeprefix(b"data: "), strict=True)
        event = json.loads(data.removeprefix(b"data: "))
        assert name.decode() == f"event: {event['type']}"
        assert event["sequence_number"] == number
        found.append(event)
    return found


def kinds(*answer: Event) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events_of(*answer)]


def whole(*answer: Event) -> dict[str, Any]:
    body = write_answer((MessageStart("up"), *answer), FRAME)
    Response.model_validate_json(body, strict=True)
    tree = json.loads(body)
    assert isinstance(tree, dict)
    return tree


def accumulated(stream: bytes) -> Response:
    """Return what the official SDK makes of a stream."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        client = openai.OpenAI(api_key="k", base_url="http://test/v1", http_client=http)
        with client.responses.stream(model="m", input="hi") as events:
            return events.get_final_response()


RICH: Sequence[Event] = (
    ReasoningDelta("thin"),
    ReasoningDelta("king"),
    ReasoningEnd(Proof("anthropic", "sig")),
    TextDelta("Hel"),
    TextDelta("lo"),
    RefusalDelta("no"),
    TextDelta("!"),
    ReasoningEnd(Proof("anthropic", "hidden"), redacted=True),
    ToolCallStart(0, "c1", "f"),
    ToolCallDelta(0, '{"n":'),
    ToolCallDelta(0, "1.50}"),
    ToolCallEnd(0),
    ToolCallStart(1, "c2", "run", custom=True),
    ToolCallDelta(1, "ls"),
    ToolCallEnd(1),
    ImageOutput("QUJD", "image/webp"),
    UsageReport(Units(input=1)),
    UsageReport(Units(input=3, cache_read=4, output=2, reasoning=5)),
    *CALLED,
)


# --- the lifecycle ---------------------------------------------------------------------------------------------


def test_a_text_runs_through_the_whole_lifecycle() -> None:
    assert kinds(TextDelta("Hel"), TextDelta("lo"), *STOP) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_reasoning_a_call_and_a_custom_call_have_theirs() -> None:
    answer = (
        ReasoningDelta("a"),
        ReasoningEnd(),
        ToolCallStart(0, "c1", "f"),
        ToolCallDelta(0, "{}"),
        ToolCallEnd(0),
        ToolCallStart(1, "c2", "run", custom=True),
        ToolCallDelta(1, "ls"),
        ToolCallEnd(1),
        *CALLED,
    )
    assert kinds(*answer)[2:] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
        "completed",
    ]


def test_first_bytes_of_an_answer() -> None:
    first = stream_of().split(b"\n\n")[0]
    assert first == (
        b'event: response.created\ndata: {"type":"response.created","response":{"id":"resp_j0b",'
        b'"created_at":1700000000,"model":"public","status":"in_progress","output":[],"object":"response",'
        b'"background":false,"error":null,"incomplete_details":null,"instructions":null,"max_output_tokens":null,'
        b'"metadata":{},"parallel_tool_calls":true,"previous_response_id":null,"reasoning":{"effort":null,'
        b'"summary":null},"store":false,"temperature":null,"text":{"format":{"type":"text"}},"tool_choice":"auto",'
        b'"tools":[],"top_p":null,"truncation":"disabled","usage":null},"sequence_number":0}'
    )


def test_a_delta_is_one_event() -> None:
    writer = ResponsesEventWriter(FRAME)
    writer.write(MessageStart())
    writer.write(TextDelta("a"))
    assert writer.write(TextDelta("é\n")) == (
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","item_id":"msg_j0b_0",'
        b'"output_index":0,"content_index":0,"delta":"\xc3\xa9\\n","logprobs":[],"sequence_number":5}\n\n'
    )


def test_items_keep_their_ids_and_places_and_are_closed_before_the_end() -> None:
    events = events_of(*RICH)
    added = [event for event in events if event["type"] == "response.output_item.added"]
    done = [event for event in events if event["type"] == "response.output_item.done"]
    assert [event["output_index"] for event in added] == list(range(len(added)))
    assert [(e["output_index"], e["item"]["id"], e["item"]["type"]) for e in added] == [
        (e["output_index"], e["item"]["id"], e["item"]["type"]) for e in done
    ]
    assert len({event["item"]["id"] for event in added}) == len(added) == 6
    of_items = [event for event in events if "item_id" in event]
    assert of_items
    assert all(event["item_id"] == added[event["output_index"]]["item"]["id"] for event in of_items)
    assert events[-1]["response"]["output"] == [event["item"] for event in done]
    assert [event["item"]["id"].split("_")[0] for event in added] == ["rs", "msg", "rs", "fc", "ctc", "ig"]


def test_the_same_response_is_created_and_completed() -> None:
    events = events_of(*RICH)
    lifecycle = [event["response"] for event in events if "response" in event]
    assert [response["id"] for response in lifecycle] == ["resp_j0b"] * 3
    assert [response["status"] for response in lifecycle] == ["in_progress", "in_progress", "completed"]
    assert [len(response["output"]) for response in lifecycle] == [0, 0, 6]


def test_done_holds_the_whole_of_each_part() -> None:
    done = {event["type"]: event for event in events_of(*RICH) if event["type"].endswith(".done")}
    assert done["response.reasoning_summary_text.done"]["text"] == "thinking"
    assert done["response.reasoning_summary_part.done"]["part"] == {"type": "summary_text", "text": "thinking"}
    assert done["response.output_text.done"]["text"] == "!"
    assert done["response.refusal.done"]["refusal"] == "no"
    assert done["response.function_call_arguments.done"]["arguments"] == '{"n":1.50}'
    assert done["response.custom_tool_call_input.done"]["input"] == "ls"


def test_a_message_that_changes_its_kind_goes_on_with_another_part() -> None:
    (message,) = [item for item in whole(*RICH)["output"] if item["type"] == "message"]
    assert [part["type"] for part in message["content"]] == ["output_text", "refusal", "output_text"]
    indices = [e["content_index"] for e in events_of(*RICH) if e["type"] == "response.content_part.added"]
    assert indices == [0, 1, 2]


def test_reasoning_between_texts_makes_messages_of_their_own() -> None:
    answer = (TextDelta("a"), ReasoningDelta("b"), TextDelta("c"), *STOP)
    assert [item["type"] for item in whole(*answer)["output"]] == ["message", "reasoning", "message"]


def test_nothing_begins_without_words() -> None:
    answer = (TextDelta(""), ReasoningDelta(""), ReasoningEnd(), RefusalDelta(""), ToolCallDelta(0, "x"), *STOP)
    assert kinds(*answer) == ["created", "in_progress", "completed"]


def test_there_is_one_choice() -> None:
    answer = (TextDelta("a"), TextDelta("b", choice=1), Finish(FinishReason.LENGTH, choice=1), *STOP)
    response = whole(*answer)
    assert response["output"][0]["content"][0]["text"] == "a"
    assert response["status"] == "completed"


# --- the SDK -----------------------------------------------------------------------------------------------------


def test_the_sdk_puts_the_stream_together_as_the_whole_answer() -> None:
    response = accumulated(stream_of(*RICH))
    assert response.output_text == "Hello!"
    expected = Response.model_validate(whole(*RICH))
    # The SDK adds what it has parsed by itself; nothing was asked to be.
    assert response.model_dump(exclude_none=True) == expected.model_dump(exclude_none=True)


def test_the_sdk_follows_each_delta() -> None:
    deltas = {"response.output_text.delta", "response.function_call_arguments.delta"}

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream_of(*RICH))

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        client = openai.OpenAI(api_key="k", base_url="http://test/v1", http_client=http)
        with client.responses.stream(model="m", input="hi") as stream:
            snapshots = [event.snapshot for event in stream if event.type in deltas]
    assert snapshots == ["Hel", "Hello", "!", '{"n":', '{"n":1.50}']


def test_what_the_sdk_gives_back_is_read_as_the_turn_that_it_was() -> None:
    response = accumulated(stream_of(*[event for event in RICH if not isinstance(event, ImageOutput | RefusalDelta)]))
    history = [item.to_dict() for item in response.output]
    request = read_request(json.dumps({"input": history}).encode(), stream=False)
    assert request.turns == (
        Turn(
            Role.ASSISTANT,
            (
                Reasoning("thinking", Proof("anthropic", "sig")),
                Text("Hello!"),
                Reasoning("", Proof("anthropic", "hidden"), redacted=True),
                ToolCall("c1", "f", '{"n":1.50}'),
                ToolCall("c2", "run", "ls", custom=True),
            ),
        ),
    )


# --- proofs ------------------------------------------------------------------------------------------------------


def test_an_own_proof_is_shown_as_it_is_and_anothers_wrapped() -> None:
    for dialect, shown in (("openai-responses", "gAAA"), ("anthropic", "tl1.")):
        (item,) = whole(ReasoningDelta("a"), ReasoningEnd(Proof(dialect, "gAAA")), *STOP)["output"]
        assert item["encrypted_content"].startswith(shown)
    (item,) = whole(ReasoningDelta("a"), ReasoningEnd(), *STOP)["output"]
    assert "encrypted_content" not in item


def test_the_proof_counts_only_from_the_items_end() -> None:
    added, done = [
        event["item"]
        for event in events_of(ReasoningEnd(Proof("anthropic", "x"), redacted=True), *STOP)
        if "item" in event
    ]
    assert ("encrypted_content" in added, "encrypted_content" in done) == (False, True)


@pytest.mark.parametrize("redacted", [True, False])
def test_hidden_reasoning_and_reasoning_without_words_are_told_apart_when_they_come_back(redacted: bool) -> None:
    proof = Proof("anthropic", "sig")
    output = whole(ReasoningEnd(proof, redacted=redacted), TextDelta("a"), *STOP)["output"]
    (turn,) = read_request(json.dumps({"input": output}).encode(), stream=False).turns
    assert turn.parts == (Reasoning("", proof, redacted=redacted), Text("a"))


def test_a_calls_proof_comes_back_on_its_call() -> None:
    proof = Proof("gemini", "sig")
    answer = (ToolCallStart(0, "c1", "f", proof=proof), ToolCallEnd(0), ToolCallStart(1, "c2", "f"), ToolCallEnd(1))
    output = whole(*answer, *CALLED)["output"]
    assert [item["type"] for item in output] == ["reasoning", "function_call", "function_call"]
    (turn,) = read_request(json.dumps({"input": output}).encode(), stream=False).turns
    assert turn.parts == (ToolCall("c1", "f", "", proof=proof), ToolCall("c2", "f", ""))


# --- ends --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "kind", "details"),
    [
        (FinishReason.STOP, "completed", None),
        (FinishReason.STOP_SEQUENCE, "completed", None),
        (FinishReason.TOOL_CALLS, "completed", None),
        (FinishReason.OTHER, "completed", None),
        (FinishReason.LENGTH, "incomplete", {"reason": "max_output_tokens"}),
        (FinishReason.CONTEXT_FULL, "incomplete", {"reason": "max_output_tokens"}),
        (FinishReason.FILTER, "incomplete", {"reason": "content_filter"}),
        (FinishReason.PAUSED, "incomplete", None),
        (FinishReason.MALFORMED_CALL, "failed", None),
    ],
)
def test_each_reason_has_its_end(reason: FinishReason, kind: str, details: object) -> None:
    answer = (TextDelta("a"), UsageReport(Units(input=3, output=2)), Finish(reason), MessageEnd())
    last = events_of(*answer)[-1]
    assert last["type"] == f"response.{kind}"
    response = last["response"]
    assert (response["status"], response["incomplete_details"]) == (kind, details)
    assert response["usage"]["total_tokens"] == 5
    assert (response["error"] is not None) is (kind == "failed")
    assert response["output"][0]["status"] == ("completed" if kind == "completed" else "incomplete")
    assert whole(*answer) == response


def test_a_reason_in_words_becomes_a_refusal_where_the_filter_ended_it() -> None:
    answer = (Finish(FinishReason.FILTER, message="Not this."), MessageEnd())
    assert whole(*answer)["output"][0]["content"] == [{"type": "refusal", "refusal": "Not this."}]
    refused = (RefusalDelta("No."), *answer)
    assert whole(*refused)["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]


def test_usage_is_the_last_report_with_its_details() -> None:
    assert whole(*RICH)["usage"] == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 14,
    }
    assert whole(*STOP)["usage"] is None


def test_usage_may_come_behind_the_finish() -> None:
    answer = (Finish(FinishReason.STOP), UsageReport(Units(input=1, output=1)), MessageEnd())
    assert whole(*answer)["usage"]["total_tokens"] == 2


def test_the_whole_answer_is_what_the_stream_ends_with() -> None:
    assert whole(*RICH) == events_of(*RICH)[-1]["response"]
