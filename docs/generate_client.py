"""Makes the CLI's client of the admin API's OpenAPI document: a method for each operation that the admin key can call.

The text is laid out as `ruff format` has it, which is not there wherever `make docs` runs.
"""

import builtins
import keyword
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import msgspec

from trunkline.policy.operations.openapi import ACCESS
from trunkline.policy.operations.operation import JSON, NDJSON
from trunkline.policy.operations.schemas import PLACE

LINE_CHARS_MAX = 120

SUMMARY_CHARS_MAX = LINE_CHARS_MAX - 14
"""Within the quotes of a method's description."""

NOT_OF_THE_KEY = {"public", "signed_in"}
"""Accesses of what is for people who sign in."""

HEAD = '''"""The admin API as the commands call it: a method for each operation that needs the admin key.

Made by `make docs` of docs/openapi.json. Do not edit.
"""
'''

CLASS = '''

class Client(AdminClient):
    """Calls one console. Each method raises a CLIError with the console's own words if it refuses."""
'''

_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "object": "dict[str, Any]"}


def client_text(document: Mapping[str, Any], structs: Mapping[str, type[msgspec.Struct]]) -> str:
    """Return trunkline/cli/client.py.

    Args:
        document: OpenAPI of the admin API.
        structs: those that its schemas describe, by name.
    """
    methods = [
        _method(path, method, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
        if described[ACCESS] not in NOT_OF_THE_KEY
    ]
    text = "".join(methods)
    return HEAD + _imports(text, structs) + CLASS + text


def _imports(text: str, structs: Mapping[str, type[msgspec.Struct]]) -> str:
    """Return what the methods need, as isort sorts it."""
    names: dict[str, set[str]] = defaultdict(set)
    for name, module in (
        ("Iterator", "collections.abc"),
        ("AbstractContextManager", "contextlib"),
        ("HTTPResponse", "http.client"),
        ("Any", "typing"),
    ):
        if _mentions(text, name):
            names[module].add(name)
    standard = "".join(_import(module, names[module]) for module in sorted(names))
    names = defaultdict(set, {"trunkline.cli.admin_client": {"AdminClient"}})
    for name, struct in structs.items():
        if _mentions(text, name):
            names[struct.__module__].add(name)
    return f"\n{standard}\n" + "".join(_import(module, names[module]) for module in sorted(names))


def _mentions(text: str, name: str) -> bool:
    code = re.sub(r'""".*?"""', "", text)
    return re.search(rf"\b{name}\b", code) is not None


def _import(module: str, names: set[str]) -> str:
    ordered = sorted(names, key=str.lower)
    line = f"from {module} import {', '.join(ordered)}\n"
    return line if len(line) <= LINE_CHARS_MAX + 1 else _listed(f"from {module} import (", ordered, ")\n")


def _method(path: str, method: str, described: Mapping[str, Any]) -> str:
    places: list[Mapping[str, Any]] = []
    query: list[Mapping[str, Any]] = []
    for parameter in described.get("parameters", ()):
        (places if parameter["in"] == "path" else query).append(parameter)
    given = ["self", *(f"{_safe(place['name'])}: {_type(place['schema'])}" for place in places)]
    call = [f'"{method.upper()}"', *map(_segment, path.strip("/").split("/"))]
    if "requestBody" in described:
        body = _type(described["requestBody"]["content"][JSON]["schema"])
        given.append(f"body: {body}" if described["requestBody"]["required"] else f"body: {body} | None = None")
        call.append("body=body")
    lines = [f'        """{_summary(described)}"""']
    if query:
        given += ["*", *(_option(parameter) for parameter in sorted(query, key=lambda item: not item["required"]))]
        pairs = [f'"{parameter["name"]}": {_safe(parameter["name"])}' for parameter in query]
        whole = f"        query = {{{', '.join(pairs)}}}"
        lines.append(whole if len(whole) <= LINE_CHARS_MAX else _listed("        query = {", pairs, "}", 8))
        call.append("query=query")
    returned, called = _answer(described, call)
    lines.append(called)
    head = _laid_out(f"    def {described['operationId']}(", given, f") -> {returned}:", 4)
    return "\n" + "\n".join([head, *lines]) + "\n"


def _answer(described: Mapping[str, Any], call: list[str]) -> tuple[str, str]:
    """Return the type of a method's answer, and the statement that calls."""
    (status,) = (status for status in described["responses"] if status != "default")
    content = described["responses"][status].get("content")
    if content is None:
        return "None", _laid_out("        self.send(", call, ")", 8)
    ((media, form),) = content.items()
    if "schema" not in form:
        return "AbstractContextManager[HTTPResponse]", _laid_out("        return self.opened(", call, ")", 8)
    kind = _type(form["schema"])
    match media:
        case "application/json":
            return kind, _laid_out("        return self.read(", [kind, *call], ")", 8)
        case _ if media == NDJSON:
            return f"Iterator[{kind}]", _laid_out("        return self.lines(", [kind, *call], ")", 8)
        case _:
            return "AbstractContextManager[HTTPResponse]", _laid_out("        return self.opened(", call, ")", 8)


def _option(parameter: Mapping[str, Any]) -> str:
    kind = _type(parameter["schema"])
    return f"{_safe(parameter['name'])}: {kind}" + ("" if parameter["required"] else " | None = None")


def _segment(text: str) -> str:
    """Return a part of a path as an expression."""
    if place := re.fullmatch(r"\{([a-z_]+)\}", text):
        return _safe(place[1])
    return f'"{text}"'


def _safe(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) or hasattr(builtins, name) else name


def _summary(described: Mapping[str, Any]) -> str:
    """Return what an operation does, in a line: as much of it as there is room for, up to a stop or colon."""
    summary: str = described["summary"]
    for mark in (". ", ": ", "; "):
        if len(summary) > SUMMARY_CHARS_MAX:
            summary = f"{summary.partition(mark)[0].rstrip('.')}."
    return summary


def _type(schema: Mapping[str, Any]) -> str:
    """Return the type that a schema stands for.

    Raises:
        ValueError: it is of a kind that no operation had so far.
    """
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(PLACE)
    if schema.get("type") == "array":
        return f"list[{_type(schema['items'])}]"
    if schema.get("type") not in _TYPES:
        raise ValueError(f"no type is known for {schema}")
    return _TYPES[schema["type"]]


def _laid_out(head: str, items: list[str], tail: str, indent: int) -> str:
    """Return items between brackets: in a line with them, in a line of their own, or in a line each."""
    joined = ", ".join(items)
    if len(whole := f"{head}{joined}{tail}") <= LINE_CHARS_MAX:
        return whole
    if len(inner := f"{' ' * (indent + 4)}{joined}") <= LINE_CHARS_MAX:
        return f"{head}\n{inner}\n{' ' * indent}{tail}"
    return _listed(head, items, tail, indent)


def _listed(head: str, items: list[str], tail: str, indent: int = 0) -> str:
    """Return items between brackets, in a line each."""
    inner = "".join(f"{' ' * (indent + 4)}{item},\n" for item in items)
    return f"{head}\n{inner}{' ' * indent}{tail}"
