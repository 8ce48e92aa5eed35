"""Which requests are traced, and in whose trace. Pure; `runtime.otel` draws and asks."""

from typing import NamedTuple

from trunkline.core.trace_context import TraceContext, read_traceparent


class TraceStart(NamedTuple):
    """How the trace of a sampled request begins.

    Attributes:
        parent: the client's span, which it goes on; None: it is a trace of its own.
        link: the client's span where its word is not taken; None if it named none.
    """

    parent: TraceContext | None
    link: TraceContext | None


def begin_trace(traceparent: str, *, ratio: float, trust: bool, draw: float) -> TraceStart | None:
    """Return how a request is traced, None if it is not.

    A client whose word is taken decides by the flag of its ``traceparent``, either way. The others cannot: whoever may
    turn tracing on for each of their requests can make it cost as much as they like.

    Args:
        traceparent: as the client sent it, empty for none.
        ratio: share of the requests that are traced where no client decides, 0 to 1.
        trust: whether the client's word is taken.
        draw: of this request, 0 to 1, one not included.
    """
    if not trust and draw >= ratio:
        return None
    client = read_traceparent(traceparent)
    if trust and client is not None:
        return TraceStart(client, None) if client.sampled else None
    return TraceStart(None, client) if draw < ratio else None
