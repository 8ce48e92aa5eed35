"""The client's own limits in the headers of its answers: what all dialects share, and OpenAI's form of it.

Built for each request of a key with limits, so bytes are made in one step per limit.
"""

import math
from typing import NamedTuple


class LimitState(NamedTuple):
    """A limit as a client is told of it.

    Attributes:
        limit: in requests or tokens.
        remaining: of it, after the request that is answered.
        reset_s: seconds until all of it is there again; not below 0.
    """

    limit: int
    remaining: int
    reset_s: float


def openai_limit_lines(requests: LimitState | None, tokens: LimitState | None) -> bytes:
    """Return header lines in OpenAI's form, which Gemini's clients get as well; nothing for what has no limit."""
    lines = b"" if requests is None else _lines(b"requests", requests)
    return lines if tokens is None else lines + _lines(b"tokens", tokens)


def _lines(name: bytes, state: LimitState) -> bytes:
    return b"x-ratelimit-limit-%b: %d\r\nx-ratelimit-remaining-%b: %d\r\nx-ratelimit-reset-%b: %b\r\n" % (
        name,
        state.limit,
        name,
        state.remaining,
        name,
        duration_text(state.reset_s),
    )


def duration_text(seconds: float) -> bytes:
    """Return a time as OpenAI writes it, ``1s`` or ``6m0s`` or ``2h0m30s``; in whole seconds, rounded up."""
    whole = math.ceil(seconds)
    if whole < 60:
        return b"%ds" % whole
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return b"%dm%ds" % (minutes, rest)
    return b"%dh%dm%ds" % (*divmod(minutes, 60), rest)
