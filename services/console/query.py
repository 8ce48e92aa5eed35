"""Values in the query of a URL, as handlers read them."""

import datetime as dt

from aiohttp import web

from services.console.http import bad_request
from trunkline.store.views import LIST_MAX

ID_MAX = 2**63 - 1
"""Of a row."""

_ID_DIGITS_MAX = len(str(ID_MAX)) - 1
"""So many digits are below it. Longer texts are not read: Python refuses some of thousands of digits."""

_NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)


def moment(request: web.Request, name: str, default: dt.datetime) -> dt.datetime:
    """Return a day or moment of the query, in UTC unless it names another zone.

    Raises:
        RequestError: it is none.
    """
    text = request.query.get(name)
    if text is None:
        return default
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise bad_request(f"{name} must be a day or moment such as 2030-01-31 or 2030-01-31T12:00:00Z.") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)


def optional_moment(request: web.Request, name: str) -> dt.datetime | None:
    """Return a day or moment of the query as `moment` does; None if it is not there.

    Raises:
        RequestError: it is none.
    """
    return moment(request, name, _NEVER) if name in request.query else None


def row_limit(request: web.Request) -> int:
    """Return how many rows the query asks for; `LIST_MAX` if it says nothing.

    Raises:
        RequestError: it is no such number.
    """
    text = request.query.get("limit", str(LIST_MAX))
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(LIST_MAX)) and 0 < int(text) <= LIST_MAX):
        raise bad_request(f"limit must be between 1 and {LIST_MAX}.")
    return int(text)


def row_id(text: str) -> int | None:
    """Return a number of a path or query as the id of a row; None if it is none. A larger one stands for no row."""
    if not (text.isascii() and text.isdigit()):
        return None
    return int(text) if len(text) <= _ID_DIGITS_MAX else ID_MAX


def path_id(request: web.Request, name: str) -> int:
    """Return the id of a row in the path, whose pattern takes digits alone; see `row_id`."""
    found = row_id(request.match_info[name])
    return ID_MAX if found is None else found


def boolean(request: web.Request, name: str) -> bool:
    """Return whether the query says so; it does not if it says nothing.

    Raises:
        RequestError: it is neither true nor false.
    """
    text = request.query.get(name, "false")
    if text not in {"true", "false"}:
        raise bad_request(f"{name} must be true or false.")
    return text == "true"
