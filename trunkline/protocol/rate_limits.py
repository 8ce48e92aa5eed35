"""What is left of a provider's limits, as the headers of its answers say. Pure; read for every answer.

Four forms: the names of OpenAI (Azure, Groq, xAI and many others use them too), those of Anthropic, names with the
window behind them (``-minute``, ``-day``: Mistral, Cerebras), and bare ones, of requests only (GitHub, OpenRouter;
Together adds ``x-tokenlimit-*``), with or without ``x-``. Nobody agrees on what a reset is written as; every form that
has been seen is read here.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from trunkline.protocol.retry_after import duration_ms

RESET_S_MAX = 31 * 24 * 3600.0
"""Monthly quotas are the longest that providers count; what is more is no time."""

COUNT_DIGITS_MAX = 15
"""Digits of the largest count that is believed; ``inf`` and ``nan`` are none either."""

_WINDOWS_S = {"minute": 60.0, "hour": 3600.0, "day": 24 * 3600.0}
_EPOCH_S = 1e9
_EPOCH_MS = 1e11

# In the order of the fields of `ProviderLimits`.
_OPENAI = (
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
)
_BARE = (
    "x-ratelimit-remaining",
    "x-tokenlimit-remaining",
    "x-ratelimit-limit",
    "x-tokenlimit-limit",
    "x-ratelimit-reset",
    "x-tokenlimit-reset",
)
_DRAFT = (
    "ratelimit-remaining",
    "tokenlimit-remaining",
    "ratelimit-limit",
    "tokenlimit-limit",
    "ratelimit-reset",
    "tokenlimit-reset",
)


class ProviderLimits(NamedTuple):
    """What a provider says is left to the account; None where it does not say.

    Attributes:
        remaining_requests, remaining_tokens: how many more it takes.
        limit_requests, limit_tokens: how many it takes in its window.
        reset_requests_s, reset_tokens_s: seconds until all of them are there again. Some providers count anew then,
            others let what is left grow all the time.
    """

    remaining_requests: int | None = None
    remaining_tokens: int | None = None
    limit_requests: int | None = None
    limit_tokens: int | None = None
    reset_requests_s: float | None = None
    reset_tokens_s: float | None = None


def read_limits(headers: Mapping[str, str], now_ms: int) -> ProviderLimits | None:
    """Return what the headers of an answer say of its provider's limits; None if nothing that can be read.

    Args:
        headers: names in lower case.
        now_ms: Unix time in milliseconds, for resets that are points in time.
    """
    if "x-ratelimit-remaining-requests" in headers or "x-ratelimit-remaining-tokens" in headers:
        limits = _named(headers, now_ms, _OPENAI)
    elif "anthropic-ratelimit-requests-remaining" in headers or "anthropic-ratelimit-tokens-remaining" in headers:
        limits = _anthropic(headers, now_ms)
    elif "x-ratelimit-remaining-tokens-minute" in headers:
        limits = _windowed(headers, now_ms)
    elif "x-ratelimit-remaining" in headers:
        limits = _named(headers, now_ms, _BARE)
    elif "ratelimit-remaining" in headers:
        limits = _named(headers, now_ms, _DRAFT)
    else:
        return None
    return None if limits.remaining_requests is None and limits.remaining_tokens is None else limits


def _named(headers: Mapping[str, str], now_ms: int, names: tuple[str, str, str, str, str, str]) -> ProviderLimits:
    get = headers.get
    return ProviderLimits(
        _count(get(names[0])),
        _count(get(names[1])),
        _count(get(names[2])),
        _count(get(names[3])),
        _reset_s(get(names[4]), now_ms),
        _reset_s(get(names[5]), now_ms),
    )


def _anthropic(headers: Mapping[str, str], now_ms: int) -> ProviderLimits:
    """Anthropic limits input and output tokens apart; the kind of which the smaller part is left counts."""
    tokens: tuple[int | None, int | None, float | None] = (None, None, None)
    least = 2.0
    for kind in ("input-tokens", "output-tokens", "tokens"):
        remaining = _count(headers.get(f"anthropic-ratelimit-{kind}-remaining"))
        limit = _count(headers.get(f"anthropic-ratelimit-{kind}-limit"))
        if remaining is not None and (part := remaining / limit if limit else 1.0) < least:
            least = part
            tokens = remaining, limit, _reset_s(headers.get(f"anthropic-ratelimit-{kind}-reset"), now_ms)
    return ProviderLimits(
        _count(headers.get("anthropic-ratelimit-requests-remaining")),
        tokens[0],
        _count(headers.get("anthropic-ratelimit-requests-limit")),
        tokens[1],
        _reset_s(headers.get("anthropic-ratelimit-requests-reset"), now_ms),
        tokens[2],
    )


def _windowed(headers: Mapping[str, str], now_ms: int) -> ProviderLimits:
    """The shortest window of each kind: a longer one that is used up shows itself by its refusal."""
    requests = _shortest(headers, now_ms, ("requests", "req"))
    tokens = _shortest(headers, now_ms, ("tokens",))
    return ProviderLimits(requests[0], tokens[0], requests[1], tokens[1], requests[2], tokens[2])


def _shortest(
    headers: Mapping[str, str], now_ms: int, kinds: tuple[str, ...]
) -> tuple[int | None, int | None, float | None]:
    for window, window_s in _WINDOWS_S.items():
        for kind in kinds:
            remaining = _count(headers.get(f"x-ratelimit-remaining-{kind}-{window}"))
            if remaining is not None:
                reset_s = _reset_s(headers.get(f"x-ratelimit-reset-{kind}-{window}"), now_ms)
                limit = _count(headers.get(f"x-ratelimit-limit-{kind}-{window}"))
                return remaining, limit, window_s if reset_s is None else reset_s
    return None, None, None


def _count(text: str | None) -> int | None:
    """Return a count; the first one of ``100, 100;w=60``, and 0 for the negative ones that some send."""
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) <= COUNT_DIGITS_MAX:
        return int(text)
    head = text.replace(";", ",").split(",", 1)[0].strip()
    try:
        number = float(head)
    except ValueError:
        return None
    return max(int(number), 0) if abs(number) < 10**COUNT_DIGITS_MAX else None


def _reset_s(text: str | None, now_ms: int) -> float | None:
    """Return seconds from ``6m0s``, ``20ms``, ``59.7``, Unix seconds or milliseconds, or a time as in RFC 3339."""
    if not text:
        return None
    text = text.strip()
    if text.endswith(("s", "m", "h", "d")):
        wait_ms = duration_ms(text)
        return None if wait_ms is None else wait_ms / 1000
    if ":" in text:
        return _until(text, now_ms)
    try:
        number = float(text)
    except ValueError:
        return None
    if number > _EPOCH_MS:
        number = (number - now_ms) / 1000
    elif number > _EPOCH_S:
        number -= now_ms / 1000
    return None if math.isnan(number) else min(max(number, 0.0), RESET_S_MAX)


def _until(text: str, now_ms: int) -> float | None:
    try:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return min(max(at.timestamp() - now_ms / 1000, 0.0), RESET_S_MAX)
    except (ValueError, OverflowError):
        return None
