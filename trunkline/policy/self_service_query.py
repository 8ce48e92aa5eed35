"""What a client asks of its own use, read from the query of its request. Pure; called by the edge.

Unknown parameters are passed over, since programs add their own; a known one that cannot be read is an error that says
what it must be.
"""

import datetime as dt
import re
from typing import NamedTuple
from urllib.parse import parse_qsl

from trunkline.bus.inquiry import USAGE_DAYS_MAX, USAGE_DIMENSIONS
from trunkline.core.errors import ErrorType, Fault, FaultError

PARAMETERS_MAX = 32
"""Of one query. There are seven that mean something."""

YEAR_MIN, YEAR_MAX = 2000, 2999
"""Days outside are slips of the pen."""

KEY, ACCOUNT = "key", "account"

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class UsageQuery(NamedTuple):
    """What ``GET /v1/usage`` asks for.

    Attributes:
        first, last: days as text, empty where not given.
        by: what the sums are told apart by.
        scope: `KEY` or `ACCOUNT`.
    """

    first: str
    last: str
    by: tuple[str, ...]
    scope: str


def read_usage_query(query: str) -> UsageQuery:
    """Return what is asked for.

    Args:
        query: of the request's target, percent-encoded.

    Raises:
        FaultError: ``client_bad_request`` with the parameter.
    """
    given = _parameters(query)
    first, last = _day(given, "from"), _day(given, "to")
    if first and last:
        days = (dt.date.fromisoformat(last) - dt.date.fromisoformat(first)).days + 1
        if days < 1:
            raise bad_parameter("from", "`from` must not be later than `to`: both are days, the first and the last.")
        if days > USAGE_DAYS_MAX:
            raise span_too_long()
    return UsageQuery(first, last, _by(given), _scope(given))


def _by(given: dict[str, list[str]]) -> tuple[str, ...]:
    by = tuple(name.strip() for value in given.get("by", ()) for name in value.split(",") if name.strip())
    if set(by) - set(USAGE_DIMENSIONS) or len(set(by)) < len(by):
        names = ", ".join(USAGE_DIMENSIONS)
        raise bad_parameter("by", f"`by` must name each of {names} at most once, such as `by=day,model`.")
    return by


def _scope(given: dict[str, list[str]]) -> str:
    scope = given.get("scope", [KEY])[-1]
    if scope not in {KEY, ACCOUNT}:
        raise bad_parameter("scope", "`scope` must be `key`, for this key's own use, or `account`, for all its keys.")
    return scope


def span_too_long() -> FaultError:
    """Return the error for a span that is longer than can be asked for at once, or ends before it begins."""
    return bad_parameter("from", f"The span from `from` to `to` must be 1 to {USAGE_DAYS_MAX} days. Ask for a part.")


def read_generation_id(query: str) -> str:
    """Return the ``id`` of ``GET /v1/generation?id=``.

    Raises:
        FaultError: ``client_bad_request``: there is none.
    """
    found = _parameters(query).get("id", [""])[-1].strip()
    if not found:
        raise bad_parameter("id", "Name the request: `?id=`, with the `x-request-id` of its answer.")
    return found


def check_billing_days(query: str) -> None:
    """Check ``start_date`` and ``end_date``, which old programs send and which change nothing.

    Raises:
        FaultError: ``client_bad_request``: one is no day.
    """
    given = _parameters(query)
    for name in ("start_date", "end_date"):
        _day(given, name)


def _parameters(query: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    try:
        for name, value in parse_qsl(query, max_num_fields=PARAMETERS_MAX):
            found.setdefault(name, []).append(value)
    except ValueError:
        raise FaultError(
            Fault(ErrorType.CLIENT_BAD_REQUEST, f"The query has more than {PARAMETERS_MAX} parameters. Send fewer.")
        ) from None
    return found


def _day(given: dict[str, list[str]], name: str) -> str:
    """Return a day as text, empty if it is not given."""
    text = given.get(name, [""])[-1].strip()
    if not text:
        return ""
    try:
        # What `date.fromisoformat` takes beside this form depends on Python's version.
        day = dt.date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or not YEAR_MIN <= day.year <= YEAR_MAX:
        raise bad_parameter(name, f"`{name}` must be a day such as 2030-01-31.")
    return text


def bad_parameter(name: str, message: str) -> FaultError:
    """Return the error for a parameter that cannot be read."""
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param=name))
