"""The schemas that Gemini takes: a subset of OpenAPI's, in which one unknown keyword refuses the request. Pure.

Used by `dev.demo.gemini_request`. Source: the Gemini API reference, "Schema"; DIALECTS section 2.4.
"""

import re
from typing import Any

from trunkline.dev.demo.request import RequestError, names

_KEYWORDS = names(
    "type format title description nullable enum maxItems minItems properties required minProperties maxProperties "
    "minLength maxLength pattern example anyOf propertyOrdering default items minimum maximum"
)
_TYPES = frozenset({"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"})
_FORMATS = {
    "STRING": frozenset({"enum", "date-time"}),
    "NUMBER": frozenset({"float", "double"}),
    "INTEGER": frozenset({"int32", "int64"}),
}
_UNDERSCORE = re.compile(r"_([a-z])")


def camel(name: str) -> str:
    """Return a member's name as JSON has it: Google takes snake case, too."""
    return _UNDERSCORE.sub(lambda match: match[1].upper(), name) if "_" in name else name


def check_schema(schema: Any, where: str) -> None:
    """Check a schema at every depth.

    Args:
        schema: decoded.
        where: of it, as Google writes places.

    Raises:
        RequestError: Google would refuse it.
    """
    if not isinstance(schema, dict):
        raise RequestError(f"Invalid value at '{where}' (type.googleapis.com/google.ai.generativelanguage.Schema)")
    members = {camel(name): value for name, value in schema.items()}
    for name, written in zip(members, schema, strict=True):
        if name not in _KEYWORDS:
            raise RequestError(
                f"Invalid JSON payload received. Unknown name \"{written}\" at '{where}': Cannot find field."
            )
    kind = members.get("type")
    if kind is not None and (not isinstance(kind, str) or kind.upper() not in _TYPES):
        raise RequestError(f"Invalid value at '{where}.type' (type.googleapis.com/google.ai.generativelanguage.Type)")
    kind = (kind or "").upper()
    form = members.get("format")
    if form is not None and form not in _FORMATS.get(kind, frozenset()):
        raise RequestError(f"{where}.format: only 'enum' and 'date-time' are supported for STRING type")
    _check_object(members, kind, where)
    if kind == "ARRAY" and "items" not in members:
        raise RequestError(f"{where}.items: missing field.")
    if "items" in members:
        check_schema(members["items"], f"{where}.items")
    for number, alternative in enumerate(members.get("anyOf") or ()):
        check_schema(alternative, f"{where}.any_of[{number}]")


def _check_object(members: dict[str, Any], kind: str, where: str) -> None:
    properties = members.get("properties")
    if kind == "OBJECT" and properties is not None and not properties:
        raise RequestError(f"{where}.properties: should be non-empty for OBJECT type")
    for number, name in enumerate(members.get("required") or ()):
        if name not in (properties or {}):
            raise RequestError(f"{where}.required[{number}]: property is not defined")
    for name, value in (properties or {}).items():
        check_schema(value, f"{where}.properties[{name}]")
