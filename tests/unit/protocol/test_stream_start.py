"""What a body begins with that should be an event stream."""

import pytest

from trunkline.protocol.stream_start import StreamStart, without_space


@pytest.mark.parametrize("first", [b"data: {", b"\xef\xbb\xbf: hello", b"\r\n\nevent: x", b"x"])
def test_what_may_be_a_line_of_an_event_stream_passes(first: bytes) -> None:
    start = StreamStart(10)
    assert start.receive(first)
    assert start.is_stream
    assert start.receive(b"{")


@pytest.mark.parametrize("first", [b'{"error"', b"[", b" \n<html>", b"\xef\xbb\xbf{"])
def test_json_and_html_are_none_and_are_kept(first: bytes) -> None:
    start = StreamStart(10)
    assert start.receive(b" \n")
    assert start.is_stream is None
    assert not start.receive(first)
    assert start.is_stream is False
    assert start.body == first


def test_no_more_is_kept_than_may_be() -> None:
    start = StreamStart(4)
    assert [start.receive(chunk) for chunk in (b"{12", b"3")] == [False, False]
    assert not start.too_long
    assert not start.receive(b"4")
    assert start.too_long
    assert start.body == b"{123"


def test_space_and_a_byte_order_mark_may_stand_before() -> None:
    assert without_space(b"\xef\xbb\xbf \r\n\t{} ") == b"{} "
