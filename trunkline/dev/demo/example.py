"""The least JSON value that a schema takes: what the demo upstream answers where a schema is asked for. Pure.

It knows the simple types, enumerations, nested objects, alternatives and references; whatever else a schema demands (a
pattern, a format) is not looked at.
"""

import json
from typing import Any

DEPTH_MAX = 32
"""References may go in circles."""


def example_text(schema: Any) -> str:
    """Return the source text of an example."""
    return json.dumps(example(schema), ensure_ascii=False)


def example(schema: Any) -> Any:
    """Return an example of a decoded JSON schema; types may be in upper case, as Gemini writes them."""
    return _example(schema, schema, 0)


def _example(schema: Any, root: Any, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > DEPTH_MAX:
        return {}
    if isinstance(reference := schema.get("$ref"), str):
        return _example(_target(root, reference), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if isinstance(values := schema.get("enum"), list) and values:
        return values[0]
    for name in ("anyOf", "oneOf", "allOf"):
        if isinstance(alternatives := schema.get(name), list) and alternatives:
            return _example(alternatives[0], root, depth + 1)
    return _of_type(schema, root, depth)


def _of_type(schema: dict[str, Any], root: Any, depth: int) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next(iter(kind), None)
    match str(kind).lower():
        case "string":
            return "x" * _count(schema.get("minLength"))
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case "array":
            return [_example(schema.get("items"), root, depth + 1)] * _count(schema.get("minItems"))
        case "null":
            return None
        case _:
            return _object(schema, root, depth)


def _object(schema: dict[str, Any], root: Any, depth: int) -> dict[str, Any]:
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(required, list):
        return {}
    known = properties if isinstance(properties, dict) else {}
    return {name: _example(known.get(name), root, depth + 1) for name in required if isinstance(name, str)}


def _target(root: Any, reference: str) -> Any:
    found = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            found = found.get(step) if isinstance(found, dict) else None
    return found


def _count(value: Any) -> int:
    """Return a minimum; Gemini writes it as a string, and no example needs to be long."""
    try:
        return min(int(value or 0), 100)
    except (TypeError, ValueError):
        return 0
