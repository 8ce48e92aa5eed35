"""The header ``traceparent``, with the examples and the refusals of W3C's Trace Context."""

import pytest

from trunkline.core.trace_context import TraceContext, read_traceparent, write_traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CONTEXT = TraceContext(int(TRACE, 16), int(SPAN, 16), sampled=True)


def test_it_is_read_and_written() -> None:
    assert read_traceparent(f"00-{TRACE}-{SPAN}-01") == CONTEXT
    assert write_traceparent(CONTEXT) == f"00-{TRACE}-{SPAN}-01"
    assert write_traceparent(TraceContext(1, 2, sampled=False)) == f"00-{'0' * 31}1-{'0' * 15}2-00"


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True), ("ff", True)])
def test_only_the_last_bit_says_that_it_is_sampled(flags: str, sampled: bool) -> None:
    assert read_traceparent(f"00-{TRACE}-{SPAN}-{flags}") == CONTEXT._replace(sampled=sampled)


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert read_traceparent(f"cc-{TRACE}-{SPAN}-01") == CONTEXT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01 ",
        f"00-{TRACE}-{SPAN}-01-more",
    ],
)
def test_what_is_invalid_says_nothing(text: str) -> None:
    assert read_traceparent(text) is None
