"""The client's own limits in Anthropic's response headers. Called by the edge, once per answer of a key with limits."""

import datetime as dt
import functools
import math

from trunkline.protocol.client_limits import LimitState

_TOKEN_NAMES = (b"tokens", b"input-tokens", b"output-tokens")
"""Limits count input and output together, so each of these has the same room at most."""


def limit_lines(requests: LimitState | None, tokens: LimitState | None, wall_ms: int) -> bytes:
    """Return header lines; nothing for what has no limit.

    Args:
        requests: of the tightest limit on requests.
        tokens: of the tightest limit on tokens.
        wall_ms: Unix time in milliseconds: what ``reset_s`` counts from.
    """
    lines = b"" if requests is None else _lines(b"requests", requests, wall_ms)
    return lines if tokens is None else lines + b"".join([_lines(name, tokens, wall_ms) for name in _TOKEN_NAMES])


def _lines(name: bytes, state: LimitState, wall_ms: int) -> bytes:
    reset = _moment(math.ceil(wall_ms / 1000 + state.reset_s))
    return (
        b"anthropic-ratelimit-%b-limit: %d\r\n"
        b"anthropic-ratelimit-%b-remaining: %d\r\n"
        b"anthropic-ratelimit-%b-reset: %b\r\n" % (name, state.limit, name, state.remaining, name, reset)
    )


# Requests of the same second mostly have the same moment, and the time to write one is most of a line's.
@functools.lru_cache(maxsize=1024)
def _moment(second: int) -> bytes:
    """Return a Unix time as RFC 3339 has it."""
    return dt.datetime.fromtimestamp(second, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
