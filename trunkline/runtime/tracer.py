"""What a service tells of a request to whoever traces it: a port, behind which `runtime.tracing` puts a tracer.

A request that is not sampled has no span, and what would be told to one costs the comparison that finds that out.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

AttributeValue = str | bool | int | float | Sequence[str]
Attributes = Mapping[str, AttributeValue]
"""Ids, figures, configured names and words of closed sets: never what a client, or a provider, wrote."""

_FAULTLESS = frozenset({"client_gone", "gateway_outrun"})


class Span(Protocol):
    """One step of a request that is traced.

    Attributes:
        traceparent: its context, for those that come after it.
        trace_id: 32 hexadecimal digits.
        exemplar: labels that lead from a histogram to it.
    """

    traceparent: str
    trace_id: str
    exemplar: dict[str, str]

    def event(self, name: str, attributes: Attributes | None = None) -> None:
        """Something happened just now."""

    def end(self, outcome: str, attributes: Attributes, *, name: str = "") -> None:
        """It is over, and may not be used any more.

        Args:
            outcome: ``ok``, or the error type.
            attributes: what is known of it now.
            name: in place of the one that it began with.
        """


class SettledEvent(NamedTuple):
    """A usage event of a traced request that was settled.

    Attributes:
        parent: the ``traceparent`` of the attempt that it is of.
        attributes: of its span.
    """

    parent: str
    attributes: Attributes


class Tracer(Protocol):
    """Begins spans.

    Attributes:
        on: whether anything is traced; ask before everything else.
    """

    on: bool

    def request(self, traceparent: str) -> Span | None:
        """A client's request has come; returns None if it is not sampled.

        Args:
            traceparent: as the client sent it, empty for none.
        """

    def call(self, name: str, parent: str, attributes: Attributes) -> Span | None:
        """A call of a provider begins; returns None if ``parent`` cannot be read, or is not sampled.

        Args:
            name: of the span.
            parent: the ``traceparent`` of its request.
            attributes: what is known of it already.
        """

    def settled(self, events: Sequence[SettledEvent], attributes: Attributes, seconds: float) -> None:
        """A transaction has been committed just now.

        Args:
            events: those in it that are traced.
            attributes: of the transaction.
            seconds: how long it took.
        """


class NoTracer:
    """See `Tracer`: for a process that traces nothing."""

    on = False

    def request(self, traceparent: str) -> None:
        """See `Tracer.request`."""

    def call(self, name: str, parent: str, attributes: Attributes) -> None:
        """See `Tracer.call`."""

    def settled(self, events: Sequence[SettledEvent], attributes: Attributes, seconds: float) -> None:
        """See `Tracer.settled`."""


NO_TRACER: Tracer = NoTracer()


def is_error(outcome: str) -> bool:
    """Return whether an outcome is an error of this side or the provider's, and not only a client's."""
    return outcome.startswith(("upstream_", "gateway_")) and outcome not in _FAULTLESS
