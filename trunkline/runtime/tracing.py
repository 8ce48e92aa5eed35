"""Tracing as the services see it: one object, which does nothing unless an operator has named a collector.

OpenTelemetry is an extra: `runtime.otel`, the only module that imports it, is loaded by `open_tracer` and only then.
"""

import contextlib
import dataclasses
import re
from collections.abc import AsyncIterator
from urllib.parse import unquote, urlsplit

from trunkline.runtime import config
from trunkline.runtime.process import Process, ProcessSettings
from trunkline.runtime.tracer import NO_TRACER, Tracer

TRACES_PATH = "/v1/traces"
"""Where OTLP over HTTP takes spans (OTLP specification, section "OTLP/HTTP request")."""

_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")


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
