"""Looks at usage reports of providers without trusting anything in them. Called by all that read such reports."""

import msgspec

COUNT_MAX = 10**9
"""A larger count is no count: no context window comes near it, and the ledger's sums must not overflow."""

_decode = msgspec.json.Decoder().decode


def report_of(report: bytes | msgspec.Raw) -> dict[str, object]:
    """Return the members of a report; empty if it is none."""
    try:
        members = _decode(report)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}


def inner_report(report: dict[str, object], name: str) -> dict[str, object]:
    """Return an object inside a report; empty if there is none."""
    value = report.get(name)
    return value if isinstance(value, dict) else {}


def count_of(report: dict[str, object], name: str) -> int | None:
    """Return a count in a report, None for anything that is none: negative, a string, absurd (DIALECTS section 3.4)."""
    value = report.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= COUNT_MAX:
        return value
    return None
