"""W3C Trace Context: the header ``traceparent`` in and out (https://www.w3.org/TR/trace-context/, section 3.2)."""

import re
from typing import Final, NamedTuple

_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_INVALID_VERSION: Final = "ff"
_SAMPLED: Final = 1


class TraceContext(NamedTuple):
    """A span that others may name as their parent.

    Attributes:
        trace_id: of the whole trace, 128 bits; never zero.
        span_id: 64 bits; never zero.
        sampled: whether it is recorded.
    """

    trace_id: int
    span_id: int
    sampled: bool


def read_traceparent(text: str) -> TraceContext | None:
    """Return what a ``traceparent`` says, None for none and for one that the specification calls invalid."""
    parts = _TRACEPARENT.fullmatch(text)
    if parts is None or parts[1] == _INVALID_VERSION:
        return None
    trace_id, span_id = int(parts[2], 16), int(parts[3], 16)
    if not trace_id or not span_id:
        return None
    return TraceContext(trace_id, span_id, bool(int(parts[4], 16) & _SAMPLED))


def write_traceparent(context: TraceContext) -> str:
    """Return a span's context as the header's value."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.sampled):02x}"
