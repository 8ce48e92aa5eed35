"""The document that New API's configuration is imported from: its tables, in the forms in which people get them.

docs/operating/import.md describes it. Each of the tables is a list of rows, or an answer of New API's admin API, which
has the rows under ``data`` or ``data.items``; options may also be a mapping. phpMyAdmin's export of a database is taken
as it is: a list of objects with ``type``, ``name`` and ``data``.
"""

from typing import Any, Final

import msgspec

from trunkline.policy.configuration import ConfigurationError
from trunkline.policy.imports import tolerant
from trunkline.policy.imports.remarks import RemarkList

TABLES: Final = ("channels", "options", "users", "tokens")

ROWS_MAX: Final = 20_000
"""Of one table. A configuration with more entries is not applied in one request."""


class Tables(msgspec.Struct, frozen=True):
    """Rows by table; ``options`` by key."""

    channels: list[dict[str, Any]]
    options: dict[str, Any]
    users: list[dict[str, Any]]
    tokens: list[dict[str, Any]]


def read_tables(data: object, remarks: RemarkList) -> Tables:
    """Return the tables of a document.

    Args:
        data: plain, as `reading.read_json` returns it.
        remarks: receives what else is in it.

    Raises:
        ConfigurationError: it is no such document.
    """
    document = _exported(data) if isinstance(data, list) else data
    if not isinstance(document, dict) or not any(name in document for name in TABLES):
        raise ConfigurationError([f"must be a JSON object with one or more of {', '.join(TABLES)}"])
    for name in document:
        if name not in TABLES:
            remarks.left_out(name, "is not imported")
    rows = {name: _rows(document.get(name), name) for name in ("channels", "users", "tokens")}
    return Tables(**rows, options=_options(document.get("options")))


def _exported(data: list[Any]) -> dict[str, Any]:
    """Return the tables of phpMyAdmin's export."""
    entries = [entry for entry in data if isinstance(entry, dict) and entry.get("type") == "table"]
    return {tolerant.text(entry.get("name")): entry.get("data") for entry in entries}


def _rows(value: object, name: str) -> list[dict[str, Any]]:
    found: Any = value
    for part in ("data", "items"):
        if isinstance(found, dict) and part in found:
            found = found[part]
    if isinstance(found, dict):
        found = [found]
    rows = [row for row in tolerant.listing(found) if isinstance(row, dict)]
    if len(rows) > ROWS_MAX:
        raise ConfigurationError([f"{name}: has more than {ROWS_MAX} rows; import it in parts"])
    return rows


def _options(value: object) -> dict[str, Any]:
    found: Any = value.get("data") if isinstance(value, dict) and "data" in value else value
    if isinstance(found, dict):
        return found
    rows = [row for row in tolerant.listing(found) if isinstance(row, dict)]
    return {key: row.get("value") for row in rows if (key := tolerant.text(row.get("key")))}
