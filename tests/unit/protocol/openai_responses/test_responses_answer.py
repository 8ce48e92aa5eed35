"""Whole responses, and their usage."""

import json

import msgspec
import pytest

from trunkline.core.errors import ErrorType
from trunkline.core.usage import Units
from trunkline.protocol.openai_responses.answer import read_whole
from trunkline.protocol.openai_responses.usage import read_usage, show_usage
from trunkline.protocol.openai_responses.wire import read_event
from trunkline.protocol.tokens import count_text
from trunkline.protocol.upstream_error import RetryClass
from trunkline.protocol.usage_report import COUNT_MAX

USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


def answer(text: str = "Hello there", **members: object) -> bytes:
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    tree = {"id": "resp_1", "status": "completed", "model": "up", "error": None, "output": [message]}
    return json.dumps({**tree, **members}).encode()


def test_reported_usage_is_taken_and_nothing_is_counted() -> None:
    read = read_whole(answer(usage=USAGE))
    assert (read.valid, read.units, read.output_tokens_counted) == (True, Units(input=3, output=2), 0)


@pytest.mark.parametrize("usage", [None, {}, {**USAGE, "output_tokens": 0}, {"input_tokens": 0, "output_tokens": 0}])
def test_missing_usage_is_counted(usage: object) -> None:
    read = read_whole(answer(usage=usage))
    assert (read.valid, read.units) == (True, None)
    assert read.output_tokens_counted == count_text("Hello there") > 0


def test_calls_and_reasoning_are_counted_too() -> None:
    output = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a b"}], "encrypted_content": "gAAA" * 99},
        {"type": "function_call", "name": "look", "arguments": '{"q":1}'},
        {"type": "custom_tool_call", "name": "run", "input": "ls"},
    ]
    assert read_whole(answer(output=output)).output_tokens_counted == count_text('a b\nlook\n{"q":1}\nrun\nls')


@pytest.mark.parametrize("members", [{"status": "incomplete"}, {"status": None}, {"output": []}, {"error": {}}])
def test_what_has_ended_is_an_answer(members: dict[str, object]) -> None:
    assert read_whole(answer(**members)).valid


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{",
        b"{}",
        b'{"output":"\xff"}',
        answer(output=None),
        answer(status="in_progress"),
        answer(status="queued"),
        answer(status="cancelled"),
        b'event: response.created\ndata: {"type":"response.created"}\n\n',
    ],
)
def test_what_is_no_response_is_invalid(body: bytes) -> None:
    error = read_whole(body).error
    assert error is not None
    assert error.fault.type is ErrorType.UPSTREAM_INVALID


@pytest.mark.parametrize(
    ("body", "kind", "cls"),
    [
        (answer(status="failed", error={"code": "server_error", "message": "x"}), ErrorType.UPSTREAM_ERROR, None),
        (answer(status="failed", error={"code": "invalid_prompt", "message": "x"}), ErrorType.UPSTREAM_BAD_REQUEST, 0),
        (answer(status="failed"), ErrorType.UPSTREAM_ERROR, None),
        (b'{"error":{"message":"m","code":"rate_limit_exceeded"}}', ErrorType.UPSTREAM_RATE_LIMITED, None),
    ],
)
def test_an_error_inside_a_200_is_an_error(body: bytes, kind: ErrorType, cls: object) -> None:
    error = read_whole(body).error
    assert error is not None
    assert error.fault.type is kind
    assert (error.cls is RetryClass.NEVER) is (cls is not None)


def test_a_bent_member_costs_only_itself() -> None:
    read = read_whole(answer(id=5, incomplete_details="odd", usage=USAGE))
    assert (read.valid, read.units) == (True, Units(input=3, output=2))


def test_bent_members_of_an_event_are_left_out_and_the_others_read() -> None:
    event = read_event(
        b'{"type":"t","item_id":5,"delta":"x","item":{"id":7,"type":"message","content":[1,{"text":2}]}}'
    )
    assert event is not None
    assert (event.type, event.item_id, event.delta) == ("t", None, "x")
    assert event.item is not None
    assert (event.item.id, event.item.type) == (None, "message")
    assert [part.text for part in event.item.content or ()] == [None]


def test_a_lone_surrogate_is_read() -> None:
    event = read_event(rb'{"type":"t","delta":"a\ud83d"}')
    assert event is not None
    assert event.delta == "a\ufffd"


# --- usage -----------------------------------------------------------------------------------------------------


def units(report: object, tools: object = None) -> Units | None:
    return read_usage(json.dumps(report).encode(), json.dumps(tools).encode())


def test_buckets_are_disjoint() -> None:
    report = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 40},
        "total_tokens": 150,
    }
    assert units(report) == Units(input=10, cache_read=60, cache_write_5m=30, output=10, reasoning=40)


def test_cache_writes_are_split_by_how_long_they_stay() -> None:
    details = {"cache_write_tokens": 30, "cache_write_tokens_details": {"ttl_30m_tokens": 10, "ttl_12h_tokens": 20}}
    report = {"input_tokens": 100, "input_tokens_details": details, "output_tokens": 1}
    assert units(report) == Units(input=70, cache_write_5m=10, cache_write_1h=20, output=1)


@pytest.mark.parametrize("total", [150, 110])
def test_reasoning_beside_the_output_is_not_taken_out_of_it(total: int) -> None:
    report = {
        "input_tokens": 100,
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 40},
        "total_tokens": total,
    }
    assert units(report) == Units(input=100, output=10, reasoning=40)


def test_more_cached_than_sent_is_clamped() -> None:
    report = {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 9}, "output_tokens": 1}
    assert units(report) == Units(cache_read=9, output=1)


def test_what_hosted_tools_used_is_counted_beside() -> None:
    tools = {
        "web_search": {"num_requests": 3},
        "image_gen": {
            "input_tokens_details": {"image_tokens": 7, "text_tokens": 5},
            "output_tokens_details": {"image_tokens": 11, "text_tokens": 2},
        },
    }
    assert units(USAGE, tools) == Units(input=8, input_image=7, output=4, output_image=11, searches=3)


@pytest.mark.parametrize(
    "report",
    [
        None,
        [],
        {},
        {"input_tokens": 1},
        {"input_tokens": "1", "output_tokens": 1},
        {"input_tokens": -1, "output_tokens": 1},
        {"input_tokens": True, "output_tokens": 1},
        {"input_tokens": COUNT_MAX + 1, "output_tokens": 1},
        {"input_tokens": 0, "output_tokens": 0},
    ],
)
def test_an_unusable_report_is_none(report: object) -> None:
    assert units(report) is None


@pytest.mark.parametrize(
    "used",
    [
        Units(input=3, output=2),
        Units(input=3, cache_read=5, cache_write_5m=7, output=2, reasoning=9),
        Units(input=3, cache_write_5m=7, cache_write_1h=11, output=2),
    ],
)
def test_writing_usage_is_the_exact_inverse_of_reading_it(used: Units) -> None:
    shown = show_usage(used)
    assert read_usage(msgspec.json.encode(shown)) == used
    assert shown.total_tokens == used.input_total + used.output_total
