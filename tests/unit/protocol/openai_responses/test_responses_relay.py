"""The relay of a Responses stream: bytes through, facts beside."""

import json

import pytest

from trunkline.core import limits
from trunkline.core.errors import ErrorType
from trunkline.core.usage import Units
from trunkline.protocol.openai_responses.stream import ResponsesStreamRelay
from trunkline.protocol.tokens import count_text
from trunkline.protocol.upstream_error import RetryClass

USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


def event(kind: str, **members: object) -> bytes:
    data = json.dumps({"type": kind, **members}, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()


def response(status: str = "completed", **members: object) -> dict[str, object]:
    return {"id": "resp_1", "object": "response", "status": status, "model": "up", "output": [], **members}


def delta(text: str) -> bytes:
    return event("response.output_text.delta", item_id="msg_1", output_index=0, content_index=0, delta=text)


CREATED = event("response.created", response=response("in_progress"))
ADDED = event("response.output_item.added", output_index=0, item={"type": "message", "id": "msg_1", "content": []})
END = event("response.completed", response=response(usage=USAGE))
PLAIN = (CREATED, ADDED, delta("Hel"), delta("lo"), END)


def relay_all(relay: ResponsesStreamRelay, *chunks: bytes) -> bytes:
    return b"".join([relay.receive(piece) for piece in chunks]) + relay.finish()


def test_bytes_pass_unchanged_and_facts_are_read() -> None:
    relay = ResponsesStreamRelay()
    assert relay_all(relay, *PLAIN) == b"".join(PLAIN)
    assert (relay.first_output, relay.ended, relay.complete, relay.error) == (True, True, True, None)
    assert relay.units == Units(input=3, output=2)
    assert relay.output_tokens_counted() == count_text("Hello")


def test_a_whole_event_is_passed_as_the_very_same_object() -> None:
    one = delta("x")
    assert ResponsesStreamRelay().receive(one) is one


def test_the_beginning_of_an_event_waits_for_its_end() -> None:
    relay = ResponsesStreamRelay()
    assert relay.receive(CREATED + PLAIN[2][:30]) == CREATED
    assert not relay.first_output
    assert relay.receive(PLAIN[2][30:]) == PLAIN[2]
    assert relay.first_output


@pytest.mark.parametrize(
    "one",
    [
        delta("x"),
        event("response.refusal.delta", delta="x"),
        event("response.reasoning_summary_text.delta", delta="x"),
        event("response.reasoning_text.delta", delta="x"),
        event("response.function_call_arguments.delta", delta="{"),
        event("response.custom_tool_call_input.delta", delta="x"),
        event("response.audio.delta", delta="QUJD"),
        event("response.output_item.added", item={"type": "function_call", "name": "f", "arguments": ""}),
        event("response.output_item.added", item={"type": "web_search_call"}),
        event("response.output_item.done", item={"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}),
        event("response.image_generation_call.partial_image", partial_image_b64="QUJD"),
        b'data: {"type":"response.output_text.delta","delta":"x"}\n\n',
        b'event: response.output_text.delta\r\ndata:{"delta":"x"}\r\n\r\n',
    ],
)
def test_any_kind_of_output_is_a_first_output(one: bytes) -> None:
    relay = ResponsesStreamRelay()
    relay.receive(CREATED + ADDED)
    assert not relay.first_output
    assert relay.receive(one) == one
    assert relay.first_output
    assert relay.error is None


@pytest.mark.parametrize(
    "one",
    [
        CREATED,
        ADDED,
        delta(""),
        event("response.output_item.added", item={"type": "reasoning", "encrypted_content": "gAAA"}),
        event("response.content_part.added", part={"type": "output_text", "text": ""}),
        event("response.news", delta=5, item="odd", response=None, error=None),
        b": keep-alive\n\n",
        b"data: null\n\n",
        b"data:\n\n",
        b"event: ping\n\n",
        b"\n\n",
        b"data: [DONE]\n\n",
    ],
)
def test_what_is_no_output_passes_without_a_fact(one: bytes) -> None:
    relay = ResponsesStreamRelay()
    assert relay.receive(one) == one
    assert (relay.first_output, relay.ended, relay.units, relay.error) == (False, False, None, None)


# --- ends ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete"])
def test_completed_or_incomplete_is_a_good_end(kind: str) -> None:
    relay = ResponsesStreamRelay()
    relay_all(relay, *PLAIN[:4], event(kind, response=response(usage=USAGE)))
    assert relay.complete


def test_a_stream_without_its_end_is_not_complete() -> None:
    relay = ResponsesStreamRelay()
    relay_all(relay, *PLAIN[:4], b"data: [DONE]\n\n")
    assert not relay.complete
    assert relay.error is None


def test_the_client_gets_exactly_one_end() -> None:
    relay = ResponsesStreamRelay()
    assert relay_all(relay, *PLAIN, END, delta("late")) == b"".join(PLAIN)
    assert relay.complete
    assert relay.output_tokens_counted() == count_text("Hello")


def test_a_last_event_without_its_blank_line_counts() -> None:
    relay = ResponsesStreamRelay()
    assert relay_all(relay, *PLAIN[:4], END[:-2]) == b"".join(PLAIN)
    assert relay.complete


def test_the_beginning_of_a_last_event_is_withheld() -> None:
    relay = ResponsesStreamRelay()
    assert relay_all(relay, *PLAIN[:4], END[:-20]) == b"".join(PLAIN[:4])
    assert not relay.complete


def test_output_that_only_the_end_holds_is_counted() -> None:
    output = [{"type": "message", "content": [{"type": "output_text", "text": "Hello there"}]}]
    relay = ResponsesStreamRelay()
    relay_all(relay, CREATED, event("response.completed", response=response(output=output)))
    assert relay.first_output
    assert relay.units is None
    assert relay.output_tokens_counted() == count_text("Hello there")


@pytest.mark.parametrize("usage", [None, {}, {**USAGE, "output_tokens": 0}, {**USAGE, "input_tokens": -1}])
def test_usage_that_cannot_be_is_missing(usage: object) -> None:
    relay = ResponsesStreamRelay()
    relay_all(relay, *PLAIN[:4], event("response.completed", response=response(usage=usage)))
    assert relay.complete
    assert relay.units is None


COUNTED = {
    "input_tokens": 7,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 1,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 8,
}


@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete"])
@pytest.mark.parametrize("report", [None, {}, {"input_tokens": 0, "output_tokens": 0}])
def test_the_last_event_states_a_count_where_nothing_was_reported(kind: str, report: object) -> None:
    silent = event(kind, response=response(usage=report), usage=report)
    relay = ResponsesStreamRelay(count_input=lambda: 7)
    shown = event(kind, response=response(usage=COUNTED), usage=report)
    assert relay_all(relay, *PLAIN[:4], silent, silent) == b"".join((*PLAIN[:4], shown))
    assert relay.units is None
    relay = ResponsesStreamRelay(count_input=lambda: 7, public_model="p")
    assert relay_all(relay, *PLAIN[:4], silent).endswith(shown.replace(b'"up"', b'"p"'))


def test_a_response_without_the_member_gets_it() -> None:
    silent = (
        b'event: response.completed\r\ndata:{"response": { "id":"r", "n":1.50 },"type":"response.completed"}\r\n\r\n'
    )
    relay = ResponsesStreamRelay(count_input=lambda: 7)
    usage = json.dumps(COUNTED, separators=(",", ":")).encode()
    assert relay_all(relay, *PLAIN[:4], silent) == b"".join(PLAIN[:4]) + silent.replace(
        b'{ "id"', b'{"usage":' + usage + b', "id"'
    )


@pytest.mark.parametrize(
    "stream",
    [
        PLAIN,
        (CREATED, ADDED, event("response.completed", response=response(usage=None))),
        (*PLAIN[:4], event("response.completed")),
        (*PLAIN[:4], event("response.in_progress", response=response("in_progress", usage=None))),
    ],
)
def test_nothing_changes_where_it_was_reported_or_nothing_came_or_there_is_no_response(
    stream: tuple[bytes, ...],
) -> None:
    assert relay_all(ResponsesStreamRelay(count_input=lambda: 7), *stream) == b"".join(stream)


# --- errors --------------------------------------------------------------------------------------------------

LIMITED = {"code": "rate_limit_exceeded", "message": "Slow down."}


@pytest.mark.parametrize(
    "one",
    [
        event("error", **LIMITED, param=None, sequence_number=3),
        event("error", error={"type": "tokens", **LIMITED}, sequence_number=3),
        event("response.failed", response=response("failed", error=LIMITED)),
        b"data: " + json.dumps({"error": LIMITED}).encode() + b"\n\n",
        b"event: error\ndata: " + json.dumps(LIMITED).encode() + b"\n\n",
    ],
)
def test_an_error_ends_the_stream_flat_nested_or_as_a_failed_response(one: bytes) -> None:
    relay = ResponsesStreamRelay()
    assert relay_all(relay, CREATED, one, delta("late")) == CREATED
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_RATE_LIMITED
    assert not relay.complete


@pytest.mark.parametrize(
    ("error", "kind", "cls"),
    [
        ({"code": "server_error", "message": "x"}, ErrorType.UPSTREAM_ERROR, RetryClass.OTHER_CHANNEL),
        ({"code": "invalid_prompt", "message": "x"}, ErrorType.UPSTREAM_BAD_REQUEST, RetryClass.NEVER),
        ({"code": "image_too_large", "message": "x"}, ErrorType.UPSTREAM_BAD_REQUEST, RetryClass.NEVER),
        ({"code": "context_length_exceeded", "message": "x"}, ErrorType.UPSTREAM_BAD_REQUEST, RetryClass.NEVER),
        (None, ErrorType.UPSTREAM_ERROR, RetryClass.OTHER_CHANNEL),
    ],
)
def test_a_failed_response_says_whose_fault_it_is(error: object, kind: ErrorType, cls: RetryClass) -> None:
    relay = ResponsesStreamRelay()
    relay.receive(CREATED + event("response.failed", response=response("failed", error=error)))
    assert relay.error is not None
    assert (relay.error.fault.type, relay.error.cls) == (kind, cls)


def test_usage_of_a_failed_response_is_kept() -> None:
    relay = ResponsesStreamRelay()
    relay.receive(delta("x") + event("response.failed", response=response("failed", usage=USAGE)))
    assert relay.units == Units(input=3, output=2)


@pytest.mark.parametrize("one", [b"data: {\n\n", b"data: x\n\n", b'data: {"type":"\xff"}\n\n'])
def test_a_broken_event_is_an_error_and_withheld(one: bytes) -> None:
    relay = ResponsesStreamRelay()
    assert relay.receive(CREATED + one) == CREATED
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_INVALID


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>", ErrorType.UPSTREAM_INVALID),
        (json.dumps(response()).encode(), ErrorType.UPSTREAM_INVALID),
        (b'[{"x":1}]', ErrorType.UPSTREAM_INVALID),
        (b'{"error":{"code":429,"message":"m"}}', ErrorType.UPSTREAM_RATE_LIMITED),
        (json.dumps(response("failed", error=LIMITED)).encode(), ErrorType.UPSTREAM_RATE_LIMITED),
    ],
)
def test_a_body_that_is_no_stream_is_an_error(body: bytes, kind: ErrorType) -> None:
    relay = ResponsesStreamRelay()
    assert relay_all(relay, body[:3], body[3:]) == b""
    assert relay.error is not None
    assert relay.error.fault.type is kind


def test_an_event_that_is_too_large_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    relay = ResponsesStreamRelay()
    monkeypatch.setattr(relay._buffer, "_event_bytes_max", 100)
    assert relay.receive(b"data: " + b"x" * 200) == b""
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_INVALID
    assert limits.UPSTREAM_EVENT_BYTES_MAX > 100


# --- the model's name ----------------------------------------------------------------------------------------


def test_the_model_inside_responses_goes_by_its_public_name_and_no_other_byte_changes() -> None:
    tools = [{"type": "x", "model": "up"}]
    created = event("response.created", response=response("in_progress", tools=tools, n=1.50), model="up")
    relay = ResponsesStreamRelay(public_model="public")
    expected = created.replace(b'"status":"in_progress","model":"up"', b'"status":"in_progress","model":"public"')
    assert relay.receive(created) == expected != created
    text = delta('"model":"up"')
    assert relay.receive(text) is text
    assert relay.receive(END) == END.replace(b'"model":"up"', b'"model":"public"')


def test_an_event_over_several_lines_is_renamed_too() -> None:
    relay = ResponsesStreamRelay(public_model="public")
    one = b'event: response.created\ndata: {"type":"response.created",\ndata: "response":{"model":"up"}}\n\n'
    assert relay.receive(one) == (
        b'event: response.created\ndata: {"type":"response.created",\ndata: "response":{"model":"public"}}\n\n'
    )
