"""The relay of a Messages stream: bytes through, facts beside."""

import json
from typing import Any

import pytest

from tests.unit.protocol.anthropic.anthropic_frames import (
    PING,
    PLAIN,
    RICH,
    STOP,
    arguments,
    begin,
    dump,
    end,
    frame,
    signature,
    start,
    stop,
    text,
    thought,
)
from trunkline.core import limits
from trunkline.core.errors import ErrorType
from trunkline.core.usage import Units
from trunkline.protocol.anthropic.stream import AnthropicStreamRelay
from trunkline.protocol.tokens import count_text
from trunkline.protocol.upstream_error import RetryClass


def relay_all(relay: AnthropicStreamRelay, *chunks: bytes) -> bytes:
    return b"".join([relay.receive(piece) for piece in chunks]) + relay.finish()


def test_bytes_pass_unchanged_and_facts_are_read() -> None:
    relay = AnthropicStreamRelay()
    assert relay_all(relay, *RICH) == b"".join(RICH)
    assert (relay.first_output, relay.finished, relay.stopped, relay.complete, relay.flaws) == (
        True,
        True,
        True,
        True,
        0,
    )
    assert relay.units == Units(input=5, output=9)
    assert relay.error is None
    assert relay.output_tokens_counted() == count_text('hm é中😀f{"a":12345678901234567890}g')


def test_a_whole_event_is_passed_as_the_very_same_object() -> None:
    event = PLAIN[2]
    assert AnthropicStreamRelay().receive(event) is event


def test_the_beginning_of_an_event_waits_for_its_end() -> None:
    relay = AnthropicStreamRelay()
    assert relay.receive(PLAIN[0] + PLAIN[2][:40]) == PLAIN[0]
    assert not relay.first_output
    assert relay.receive(PLAIN[2][40:]) == PLAIN[2]
    assert relay.first_output


@pytest.mark.parametrize(
    "event",
    [
        text(0, "x"),
        thought(0, "x"),
        arguments(0, "{"),
        start(0, "tool_use", id="t", name="f", input={}),
        start(0, "redacted_thinking", data="x"),
        start(0, "text", text="x"),
        start(0, "server_tool_use", id="s", name="web_search", input={}),
        start(0, "of_the_future"),
        frame("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": {"a": 1}}),
    ],
)
def test_any_kind_of_output_is_a_first_output(event: bytes) -> None:
    relay = AnthropicStreamRelay()
    relay.receive(begin())
    assert not relay.first_output
    assert relay.receive(event) == event
    assert relay.first_output
    assert relay.error is None


@pytest.mark.parametrize(
    "event",
    [
        PING,
        begin(),
        start(0, "text", text=""),
        start(0, "thinking", thinking="", signature=""),
        text(0, ""),
        signature(0, "s"),
        stop(0),
        frame("content_block_delta", index=0, delta=None),
        frame("of_the_future", text="x"),
        b": keep-alive\n\n",
        b"\n\n",
        b"event: ping\n\n",
        frame("message_delta", delta={"stop_reason": None}, usage=None),
    ],
)
def test_what_is_no_output_passes_without_a_fact(event: bytes) -> None:
    relay = AnthropicStreamRelay()
    assert relay.receive(event) == event
    assert (relay.first_output, relay.finished, relay.stopped, relay.error, relay.flaws) == (
        False,
        False,
        False,
        None,
        0,
    )


@pytest.mark.parametrize(
    "event",
    [
        text(0, "x").partition(b"\n")[2],
        b"data: [DONE]\n\n",
        b"data: null\n\n",
        b"data:\n\n",
        b"data: 5\n\n",
    ],
)
def test_what_an_official_client_would_lose_passes_and_is_counted(event: bytes) -> None:
    relay = AnthropicStreamRelay()
    assert relay_all(relay, begin(), event, end(), STOP) == begin() + event + end() + STOP
    assert relay.flaws == 1
    assert relay.error is None
    assert relay.complete


def test_names_alone_tell_what_an_event_is() -> None:
    relay = AnthropicStreamRelay()
    relay.receive(b'event: content_block_delta\ndata: {"index":0,"delta":{"text":"Hi"}}\n\n')
    relay.receive(b'event: message_delta\ndata: {"delta":{"stop_reason":"end_turn"}}\n\n')
    relay.receive(b"event: message_stop\ndata: {}\n\n")
    assert (relay.first_output, relay.stopped, relay.complete, relay.flaws) == (True, True, True, 0)


# --- ends ------------------------------------------------------------------------------------------------------------


def test_an_end_needs_a_stop_reason_but_no_event_of_its_own() -> None:
    for stream, complete in ((PLAIN, True), (PLAIN[:-1], True), (PLAIN[:5], False), ((*PLAIN[:5], STOP), False)):
        relay = AnthropicStreamRelay()
        relay_all(relay, *stream)
        assert relay.complete is complete


def test_an_end_without_a_reason_is_withheld_unless_the_channel_is_known_for_it() -> None:
    stream = (*PLAIN[:5], end(None), STOP)
    relay = AnthropicStreamRelay()
    assert relay_all(relay, *stream) == b"".join(stream[:-1])
    assert (relay.stopped, relay.complete, relay.error) == (True, False, None)
    relay = AnthropicStreamRelay(lenient=True)
    assert relay_all(relay, *stream) == b"".join(stream)
    assert relay.complete


def test_a_last_event_without_its_blank_line_counts_if_it_parses() -> None:
    relay = AnthropicStreamRelay()
    assert relay_all(relay, *PLAIN[:-1], STOP[:-1]) == b"".join(PLAIN)
    assert relay.stopped
    relay = AnthropicStreamRelay()
    assert relay_all(relay, *PLAIN[:-1], STOP[:-4]) == b"".join(PLAIN[:-1])
    assert not relay.stopped
    assert relay.complete


def test_a_cut_stream_is_not_complete() -> None:
    relay = AnthropicStreamRelay()
    assert relay_all(relay, *PLAIN[:3], PLAIN[3][:-9]) == b"".join(PLAIN[:3])
    assert not relay.complete
    assert relay.error is None


# --- usage -----------------------------------------------------------------------------------------------------------

CACHED = {
    "input_tokens": 10,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    "output_tokens": 1,
}


def test_usage_is_the_last_value_of_each_field() -> None:
    relay = AnthropicStreamRelay()
    relay_all(relay, begin(usage=CACHED), *PLAIN[1:5], end(usage={"input_tokens": None, "output_tokens": 50}), STOP)
    assert relay.units == Units(input=10, cache_read=100, cache_write_5m=10, cache_write_1h=20, output=50)


def test_a_cut_stream_has_its_reported_input_and_the_output_that_came() -> None:
    relay = AnthropicStreamRelay()
    relay_all(relay, begin(usage=CACHED), PLAIN[1], text(0, "one two three four five six"))
    counted = count_text("one two three four five six")
    assert counted > 1
    assert relay.units is None
    assert relay.opening == Units(input=10, cache_read=100, cache_write_5m=10, cache_write_1h=20)
    assert relay.output_tokens_counted() == counted


def test_a_stream_that_reported_nothing_is_left_to_be_counted() -> None:
    relay = AnthropicStreamRelay()
    relay_all(relay, begin(usage={"input_tokens": 0, "output_tokens": 0}), *PLAIN[1:5], end(usage={}), STOP)
    assert relay.units is None
    assert relay.output_tokens_counted() == 1
    relay = AnthropicStreamRelay()
    relay_all(relay, begin(), *PLAIN[1:5], end(usage={"input_tokens": 5, "output_tokens": 0}), STOP)
    assert relay.units is None


def test_a_refusal_without_output_is_as_reported() -> None:
    relay = AnthropicStreamRelay()
    relay_all(relay, begin(), end("refusal", {"output_tokens": 0}), STOP)
    assert relay.units == Units(input=5)
    assert relay.complete
    assert not relay.first_output


COUNTED = {"input_tokens": 7, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1}


def counting(**options: Any) -> AnthropicStreamRelay:
    return AnthropicStreamRelay(count_input=lambda: 7, **options)


def test_a_count_stands_beside_the_stop_reason_where_nothing_was_reported() -> None:
    zeros = {"input_tokens": 0, "output_tokens": 0}
    for report in (zeros, {}, None, {"output_tokens": "1"}):
        stream = (
            begin(usage=zeros),
            *PLAIN[1:5],
            frame("message_delta", delta={"stop_reason": "x"}, usage=report),
            STOP,
        )
        shown = frame("message_delta", delta={"stop_reason": "x"}, usage=COUNTED)
        relay = counting()
        assert relay_all(relay, *stream) == b"".join((*stream[:5], shown, STOP))
        assert relay.units is None
        assert relay.complete


def test_every_other_byte_of_the_end_stays() -> None:
    bent = b'data:{ "type" : "message_delta", "n":1.50, "delta":{"stop_reason":"end_turn"} }\r\n\r\n'
    shown = bent.replace(b'{ "type"', b'{"usage":' + dump(COUNTED) + b', "type"')
    relay = counting()
    assert relay_all(relay, begin(usage={}), *PLAIN[1:5], bent).endswith(PLAIN[4] + shown)


def test_the_input_that_was_reported_at_the_start_is_kept_in_the_count() -> None:
    stream = (begin(usage=CACHED), *PLAIN[1:5], end(usage={}), STOP)
    relay = counting()
    last = json.loads(relay_all(relay, *stream).split(b"\n\n")[-3].partition(b"data: ")[2])
    assert last["usage"] == {**CACHED, "output_tokens": 1}
    assert relay.opening == Units(input=10, cache_read=100, cache_write_5m=10, cache_write_1h=20)


@pytest.mark.parametrize(
    "stream",
    [
        PLAIN,
        (*PLAIN[:5], end(usage={"output_tokens": 3}), end(None, {}), STOP),
        (begin(usage={}), end(usage={}), STOP),
        (begin(usage={}), *PLAIN[1:5]),
    ],
)
def test_nothing_changes_where_it_was_reported_or_nothing_came_or_the_stream_was_cut(stream: tuple[bytes, ...]) -> None:
    assert relay_all(counting(), *stream) == b"".join(stream)


def test_a_report_behind_the_count_is_the_last_word() -> None:
    stream = (begin(), *PLAIN[1:5], frame("message_delta", delta={"stop_reason": "end_turn"}), end(None), STOP)
    relay = counting()
    assert relay_all(relay, *stream).endswith(end(None) + STOP)
    assert relay.units == Units(input=5, output=7)


# --- the public name -------------------------------------------------------------------------------------------------


def test_the_models_name_is_spliced_into_the_first_event_alone() -> None:
    relay = AnthropicStreamRelay(public_model='pub"lic')
    stream = (begin("up"), start(0, "text", text=""), text(0, '"model":"up"'), stop(0), end(), STOP)
    renamed = begin("up").replace(b'"model":"up"', b'"model":"pub\\"lic"')
    assert relay_all(relay, *stream) == renamed + b"".join(stream[1:])


def test_every_other_byte_of_it_stays() -> None:
    odd = b'event:message_start\ndata:{ "model" : "no", "message" : {"x":{"model":"no"}, "model" :\n'
    odd += b'data: "up" , "n":1.10},"type":"message_start"}\n\n'
    relay = AnthropicStreamRelay(public_model="p")
    shown = relay.receive(odd)
    data = b"\n".join(line.partition(b":")[2].removeprefix(b" ") for line in shown.splitlines()[1:] if line)
    assert (
        data == b'{ "model" : "no", "message" : {"x":{"model":"no"}, "model" :\n"p" , "n":1.10},"type":"message_start"}'
    )
    relay = AnthropicStreamRelay(public_model="p")
    assert relay.receive(begin().replace(b"\n", b"\r\n")) == begin("p").replace(b"\n", b"\r\n")


def test_a_beginning_without_a_message_passes() -> None:
    for event in (frame("message_start"), frame("message_start", message=None), frame("message_start", message=5)):
        relay = AnthropicStreamRelay(public_model="p")
        assert relay.receive(event) == event
        assert relay.error is None


# --- errors ----------------------------------------------------------------------------------------------------------


def test_an_error_event_ends_the_stream() -> None:
    event = frame("error", error={"type": "overloaded_error", "message": "Overloaded"})
    relay = AnthropicStreamRelay()
    assert relay_all(relay, *PLAIN[:3], event + PLAIN[3], *PLAIN[4:]) == b"".join(PLAIN[:3])
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_OVERLOADED
    assert relay.error.cls is RetryClass.OTHER_CHANNEL
    assert not relay.complete


def test_an_error_without_name_or_type_is_one_all_the_same() -> None:
    for event in (
        b'data: {"error":{"type":"rate_limit_error"}}\n\n',
        b'event: error\ndata: {"message":"rate limit"}\n\n',
    ):
        relay = AnthropicStreamRelay()
        assert relay_all(relay, begin(), event) == begin()
        assert relay.error is not None
        assert relay.error.fault.type is ErrorType.UPSTREAM_RATE_LIMITED


def test_a_stop_reason_that_means_failure_is_an_error() -> None:
    relay = AnthropicStreamRelay()
    assert relay_all(relay, *PLAIN[:5], end("error"), STOP) == b"".join(PLAIN[:5])
    assert relay.error is not None


@pytest.mark.parametrize("broken", [b"data: {\n\n", b"event: x\ndata: \xff\n\n", b'data: {"a":"\xff"}\n\n'])
def test_a_broken_event_is_an_error_and_is_not_passed(broken: bytes) -> None:
    relay = AnthropicStreamRelay()
    assert relay_all(relay, *PLAIN[:3], broken, *PLAIN[3:]) == b"".join(PLAIN[:3])
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_INVALID


def test_an_event_that_is_too_large_is_an_error() -> None:
    relay = AnthropicStreamRelay()
    relay.receive(PLAIN[0])
    chunk = b"x" * (limits.UPSTREAM_EVENT_BYTES_MAX // 2 + 1)
    assert relay.receive(b"data: " + chunk) + relay.receive(chunk) == b""
    assert relay.error is not None


@pytest.mark.parametrize("body", [b"<html>", b'{"type":"message"}', b"[1]", b'\xef\xbb\xbf {"a":1}'])
def test_a_body_that_is_no_stream_is_an_error(body: bytes) -> None:
    relay = AnthropicStreamRelay()
    assert relay_all(relay, body[:4], body[4:]) == b""
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_INVALID


def test_an_error_body_in_a_200_is_understood() -> None:
    body = json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}).encode()
    relay = AnthropicStreamRelay()
    relay_all(relay, body)
    assert relay.error is not None
    assert relay.error.fault.type is ErrorType.UPSTREAM_OVERLOADED
