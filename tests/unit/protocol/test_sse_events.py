"""Server-sent events: borders, line ends, fields and bounds."""

import pytest

from trunkline.core.errors import ErrorType, FaultError
from trunkline.protocol.sse import (
    EventBuffer,
    EventSplitter,
    SSEEvent,
    event_data,
    leading_line_ends,
    parse_event,
    render_event,
    split_events,
)


def test_a_chunk_that_ends_on_a_border_is_passed_as_it_is() -> None:
    chunk = b"data: 1\n\ndata: 2\n\n"
    assert EventBuffer().receive(chunk) is chunk


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\n\r\n", b"\r\n\n"])
def test_events_are_cut_at_every_kind_of_blank_line(end: bytes) -> None:
    splitter = EventSplitter()
    assert splitter.receive(b"data: 1" + end + b"data: 2" + end + b"da") == [b"data: 1" + end, b"data: 2" + end]
    assert splitter.finish() == b"da"
    assert splitter.finish() == b""


def test_a_final_carriage_return_waits_for_what_follows() -> None:
    splitter = EventSplitter()
    assert splitter.receive(b"data: 1\r\r") == []
    assert splitter.receive(b"data: 2\r\r") == [b"data: 1\r\r"]
    assert splitter.finish() == b"data: 2\r\r"


def test_a_line_end_of_two_bytes_may_be_cut() -> None:
    splitter = EventSplitter()
    assert splitter.receive(b"data: 1\r\n\r") == []
    assert splitter.receive(b"\ndata: 2") == [b"data: 1\r\n\r\n"]


def test_further_blank_lines_belong_to_the_next_event() -> None:
    assert split_events(b"a\n\n\nb\n\n\n") == [b"a\n\n", b"\nb\n\n", b"\n"]
    assert leading_line_ends(b"\r\n\nb\n\n") == b"\r\n\n"


def test_an_event_over_the_bound_is_the_providers_fault() -> None:
    buffer = EventBuffer(event_bytes_max=10)
    assert buffer.receive(b"data: 1234") == b""
    with pytest.raises(FaultError) as caught:
        buffer.receive(b"5")
    assert caught.value.fault.type is ErrorType.UPSTREAM_INVALID


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"data: x\n\n", SSEEvent("", b"x")),
        (b"data:x\r\n\r\n", SSEEvent("", b"x")),
        (b"data:  x\r\r", SSEEvent("", b" x")),
        (b"data: a\ndata: b\n\n", SSEEvent("", b"a\nb")),
        (b"\xef\xbb\xbfdata: x\n\n", SSEEvent("", b"x")),
        (b": keep-alive\n\n", SSEEvent("", None)),
        (b"data\n\n", SSEEvent("", b"")),
        (b"data:\n\n", SSEEvent("", b"")),
        (b"id: 1\nevent: error\nretry: 5\ndata: {}\n\n", SSEEvent("error", b"{}")),
        (b"event: \xff\n\n", SSEEvent("\ufffd", None)),
        ("data: a\u2028b\n\n".encode(), SSEEvent("", "a\u2028b".encode())),
        (b"\n\n", SSEEvent("", None)),
    ],
)
def test_one_event_is_taken_apart(raw: bytes, expected: SSEEvent) -> None:
    assert parse_event(raw) == expected
    assert event_data(raw) == expected.data


def test_rendering_is_the_inverse_of_parsing() -> None:
    assert render_event(b"x") == b"data: x\n\n"
    assert parse_event(render_event(b"a\nb", "ping")) == SSEEvent("ping", b"a\nb")
    assert parse_event(render_event(b"")) == SSEEvent("", b"")


@pytest.mark.parametrize("body", [b"a\n\n\nb\n\n", b"a\r\n\r\n\r\nb\n\n", b"a\n\r\n\nb\n\n", b"a\n\n\n\n\nb\n\n"])
def test_an_odd_line_end_belongs_to_the_next_event_wherever_chunks_end(body: bytes) -> None:
    whole = split_events(EventBuffer().receive(body))
    for cut in range(len(body)):
        splitter = EventSplitter()
        assert splitter.receive(body[:cut]) + splitter.receive(body[cut:]) == whole
