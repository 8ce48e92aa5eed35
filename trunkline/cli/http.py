"""HTTP for the CLI, on the standard library: one request at a time, and a fast start."""

import contextlib
import http.client
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from trunkline.cli.failure import CLIError

TIMEOUT_S = 35.0
"""Longer than the console's own, so that its answer comes first."""

BODY_BYTES_MAX = 64 * 1024 * 1024


class Answer(NamedTuple):
    """Status and whole body."""

    status: int
    body: bytes


@contextlib.contextmanager
def opened(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
    ca_path: str = "",
) -> Iterator[http.client.HTTPResponse]:
    """Send a request and lend its answer while it is read.

    ``ca_path`` is a file of the authorities that a certificate must come from; empty: those that the system trusts.

    Raises:
        CLIError: the URL is none, or the connection failed.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise CLIError(f"not an http or https address: {url}")
    place = f"{parts.scheme}://{parts.netloc}"
    try:
        port = parts.port
    except ValueError as error:
        raise CLIError(f"not an http or https address: {url}") from error
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca_path or None)
        connection = http.client.HTTPSConnection(parts.hostname, port, timeout=timeout_s, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname, port, timeout=timeout_s)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target or "/", body=body, headers={**(headers or {})})
        yield connection.getresponse()
    except TimeoutError as error:
        raise CLIError(f"no answer from {place} in time") from error
    except ConnectionRefusedError as error:
        raise CLIError(f"nothing listens at {place}") from error
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise CLIError(f"no connection to {place}: {_reason(error)}") from error
    finally:
        connection.close()


def call(method: str, url: str, **options: Any) -> Answer:
    """Send a request and return its whole answer.

    Raises:
        CLIError: as for `opened`, or the answer is too large.
    """
    with opened(method, url, **options) as response:
        body = response.read(BODY_BYTES_MAX + 1)
        if len(body) > BODY_BYTES_MAX:
            raise CLIError("the answer is too large")
        return Answer(response.status, body)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
