"""When an upstream lets us try again: every form in which one says so, as milliseconds (DIALECTS section 4.2)."""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

WAIT_MS_MAX = 24 * 3600 * 1000
"""Daily quotas are the longest that providers count; a longer wait is taken for this one."""

_NUMBER = re.compile(r"\d{1,15}(?:\.\d{0,9})?", re.ASCII)
_PART = re.compile(r"(\d{1,15}(?:\.\d{0,9})?)(ms|us|µs|ns|d|h|m|s)", re.ASCII)
_UNIT_MS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6, "d": 8.64e7}
_WORDS = re.compile(
    r"(?:try again|retry|wait)[a-z ]{0,20}?(?: in| after| for)? ((?:\d{1,15}(?:\.\d{1,9})?(?:ms|h|m|s))+)(?![a-z0-9])"
    r"|(?:try again|retry|wait)[a-z ]{0,20}? (\d{1,9}(?:\.\d{1,9})?) (milliseconds|seconds|minutes|hours)",
    re.ASCII | re.IGNORECASE,
)
_WORD_UNIT = {"milliseconds": "ms", "seconds": "s", "minutes": "m", "hours": "h"}


def wait_from_headers(headers: Mapping[str, str], now_ms: int) -> int | None:
    """Return how long the headers ask us to wait, in ms, or None if they do not.

    Args:
        headers: names in lower case.
        now_ms: Unix time in milliseconds, for dates.
    """
    millis = headers.get("retry-after-ms", "").strip()
    if _NUMBER.fullmatch(millis):
        return _bounded(float(millis))
    after = headers.get("retry-after", "").strip()
    if _NUMBER.fullmatch(after):
        return _bounded(float(after) * 1000)
    if after:
        wait = _until_date(after, now_ms)
        return duration_ms(after) if wait is None else wait
    return _wait_for_reset(headers, now_ms)


def _until_date(text: str, now_ms: int) -> int | None:
    try:
        at = parsedate_to_datetime(text)
        # A date without a zone is GMT (RFC 9110 section 5.6.7).
        return _bounded((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp() * 1000 - now_ms)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _wait_for_reset(headers: Mapping[str, str], now_ms: int) -> int | None:
    """Return the reset of the limit that is used up; the longest where several are."""
    waits = []
    for suffix in ("-requests", "-tokens", ""):
        reset = headers.get(f"x-ratelimit-reset{suffix}", "").strip()
        if not reset or headers.get(f"x-ratelimit-remaining{suffix}", "").strip() not in {"0", "0.0"}:
            continue
        wait = duration_ms(reset)
        if wait is None and _NUMBER.fullmatch(reset):
            wait = _from_number(float(reset), now_ms)
        if wait is not None:
            waits.append(wait)
    return max(waits, default=None)


def _from_number(value: float, now_ms: int) -> int:
    """Return the wait that a bare number means: Unix milliseconds, Unix seconds or seconds, by its size."""
    if value > 1e11:
        return _bounded(value - now_ms)
    return _bounded(value * 1000 - now_ms if value > 1e9 else value * 1000)


def duration_ms(text: str) -> int | None:
    """Return a duration such as ``1m2.5s``, ``37s`` or ``6ms`` in ms, or None if it is none."""
    total = 0.0
    position = 0
    while (part := _PART.match(text, position)) is not None:
        total += float(part[1]) * _UNIT_MS[part[2]]
        position = part.end()
    return _bounded(total) if position and position == len(text) else None


def wait_from_words(message: str) -> int | None:
    """Return how long a message asks us to wait ("Please try again in 1m2.5s"), in ms, or None."""
    found = _WORDS.search(message)
    if found is None:
        return None
    return duration_ms((found[1] or found[2] + _WORD_UNIT[found[3].lower()]).lower())


def _bounded(wait_ms: float) -> int:
    return round(min(max(wait_ms, 0), WAIT_MS_MAX))
