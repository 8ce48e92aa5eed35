"""Tracing as the services see it: one object, which does nothing unless an operator has named a collector.

OpenTelemetry is an extra: `runtime.otel`, the only module that imports it, is loaded by `open_tracer` and only then. A
request that is not sampled has no span, and what would be told to one costs the comparison that finds that out.
"""

import contextlib
import dataclasses
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from trunkline.runtime import config
from trunkline.runtime.process import Process, ProcessSettings

AttributeValue = str | bool | int | float | Sequence[str]
Attributes = Mapping[str, AttributeValue]
"""Ids, figures, configured names and words of closed sets: never what a client, or a provider, wrote."""

TRACES_PATH = "/v1/traces"
"""Where OTLP over HTTP takes spans (OTLP specification, section "OTLP/HTTP request")."""

_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")

_FAULTLESS = frozenset({"client_gone", "gateway_outrun"})


def _check_url(url: str) -> str | None:
    parts = urlsplit(url)
    if url and (parts.scheme not in {"http", "https"} or not parts.hostname):
        return "must begin with http:// or https:// and name a host"
    if parts.username is not None or parts.password is not None:
        return "must hold no password: a collector's secrets are for TRUNKLINE_TRACE_HEADERS"
    return None


def parse_headers(text: str) -> dict[str, str]:
    """Return header lines given as ``name=value,name=value``, each value percent-encoded.

    Raises:
        ValueError: a part has no name, or no value, as a header may have. The message quotes nothing.
    """
    headers = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        name, value = name.strip().lower(), unquote(value).strip()
        if not _HEADER_NAME.fullmatch(name) or not value or not (value.isascii() and value.isprintable()):
            raise ValueError("must be name=value, several separated by commas")
        headers[name] = value
    return headers


def _check_headers(text: str) -> str | None:
    try:
        parse_headers(text)
    except ValueError as error:
        return str(error)
    return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class TraceSettings(ProcessSettings):
    """Settings of the processes that trace."""

    trace_url: str = config.setting(
        "TRUNKLINE_TRACE_URL",
        "",
        help="Where spans go: a collector that takes OTLP over HTTP, such as http://collector:4318. Empty: nothing is "
        "traced.",
        check=_check_url,
    )
    trace_headers: str = config.setting(
        "TRUNKLINE_TRACE_HEADERS",
        "",
        help="Headers for the collector, such as its key: name=value, several separated by commas.",
        secret=True,
        check=_check_headers,
    )


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


@contextlib.asynccontextmanager
async def open_tracer(
    process: Process, settings: TraceSettings, *, ratio: float = 0.0, trust: bool = False
) -> AsyncIterator[Tracer]:
    """Trace for the length of the block, if a collector is named; what is left at its end is sent, or let go.

    Ends the process if the packages for it are missing.

    Args:
        process: whose spans they are.
        settings: of the process.
        ratio: see `policy.trace_sampling.begin_trace`; for the process that begins traces.
        trust: see there.
    """
    if not settings.trace_url:
        yield NO_TRACER
        return
    try:
        from trunkline.runtime import otel  # noqa: PLC0415 - an extra, which others need not install
    except ImportError as error:
        config.exit_with_faults([f"TRUNKLINE_TRACE_URL needs the extra trunkline[tracing]: {error.name} is missing"])
    url = settings.trace_url.rstrip("/")
    url = url if url.endswith(TRACES_PATH) else url + TRACES_PATH
    tracer = otel.connect(process, url, parse_headers(settings.trace_headers), ratio=ratio, trust=trust)
    try:
        yield tracer
    finally:
        await tracer.close()
