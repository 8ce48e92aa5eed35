"""The table of operations as an OpenAPI document: the console answers with it, and the CLI's client is made of it."""

import re
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, Final

from trunkline.policy.access import Access
from trunkline.policy.admin_api import PREFIX, ErrorBody
from trunkline.policy.operations.operation import JSON, Operation, Parameter
from trunkline.policy.operations.schemas import PLACE, schemas

VERSION: Final = "3.1.0"

ACCESS: Final = "x-access"
"""Says what an operation needs of its caller, as `policy.access.Access` has it."""

_PLACE: Final = re.compile(r"\{([a-z_]+)(?::([^}]*))?\}")

_ADMIN_KEY: Final = "admin_key"
_SESSION: Final = "session"
_CSRF: Final = "csrf"

_DESCRIPTION: Final = (
    "The admin API of Trunkline: what its web page and its command line call. In requests money is USD, in answers "
    "nano-USD unless the name says `usd`. Of a change, what is left out stays as it is. "
    "`x-access` says what an operation needs of its caller: nothing (`public`), a login (`signed_in`), to be an "
    "operator of the site (`operator`), or a role in the account that the path names."
)
_SECURITY_SCHEMES: Final = {
    _ADMIN_KEY: {"type": "http", "scheme": "bearer", "description": "The admin key: it may do what operators may."},
    _SESSION: {
        "type": "apiKey",
        "in": "cookie",
        "name": "trunkline_session",
        "description": "A session of a login. Over https the name has a prefix: `__Host-` or `__Secure-`.",
    },
    _CSRF: {
        "type": "apiKey",
        "in": "header",
        "name": "x-csrf-token",
        "description": "The session's token, which a change needs besides; no other site can read it.",
    },
}


def document(parts: Iterable[ModuleType]) -> dict[str, Any]:
    """Return an OpenAPI document, as plain data.

    Args:
        parts: modules with ``OPERATIONS``; each is a tag.

    Raises:
        ValueError: two structs have one name.
    """
    parts = list(parts)
    operations = [operation for part in parts for operation in part.OPERATIONS]
    kinds = [kind for operation in operations for kind in (operation.body, operation.answer) if kind is not None]
    found, named = schemas([ErrorBody, *kinds])
    of_kinds = iter(found[1:])
    paths: dict[str, dict[str, Any]] = {}
    for part in parts:
        for operation in part.OPERATIONS:
            body = None if operation.body is None else next(of_kinds)
            answer = None if operation.answer is None else next(of_kinds)
            described = _operation(operation, _tag(part), body, answer)
            paths.setdefault(_PLACE.sub(r"{\1}", operation.path), {})[operation.method.lower()] = described
    return {
        "openapi": VERSION,
        "info": {"title": "Trunkline's admin API", "version": "1", "description": _DESCRIPTION},
        # Relative to the document itself: so it is right behind any prefix.
        "servers": [{"url": f"../{PREFIX.rpartition('/')[2]}"}],
        "tags": [{"name": _tag(part), "description": _summary(part)} for part in parts],
        "paths": paths,
        "components": {
            "schemas": named,
            "responses": {"Error": {"description": "Why it was not done.", **_content(JSON, _ref("ErrorBody"))}},
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _operation(
    operation: Operation, tag: str, body: Mapping[str, Any] | None, answer: Mapping[str, Any] | None
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [tag],
        "security": _security(operation),
        ACCESS: operation.access.value,
    }
    parameters = [*_places(operation.path), *map(_parameter, operation.query)]
    if parameters:
        described["parameters"] = parameters
    if body is not None:
        described["requestBody"] = {"required": not operation.body_optional, **_content(JSON, body)}
    described["responses"] = {
        str(operation.status): _answer(operation, answer),
        "default": {"$ref": "#/components/responses/Error"},
    }
    return described


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    session: dict[str, list[str]] = {_SESSION: [], _CSRF: []} if operation.changes else {_SESSION: []}
    match operation.access:
        case Access.PUBLIC:
            return []
        case Access.SIGNED_IN:
            return [session]
        case _:
            return [{_ADMIN_KEY: []}, session]


def _places(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _place_schema(pattern)}
        for name, pattern in _PLACE.findall(path)
    ]


def _place_schema(pattern: str) -> dict[str, Any]:
    if pattern == "[0-9]+":
        return {"type": "integer", "minimum": 0}
    return {"type": "string", "pattern": f"^{pattern}$"} if pattern else {"type": "string"}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.help,
        "required": parameter.required,
        "schema": {"type": "array", "items": parameter.schema} if parameter.repeated else parameter.schema,
    }


def _answer(operation: Operation, answer: Mapping[str, Any] | None) -> dict[str, Any]:
    if answer is None and operation.media == JSON:
        return {"description": "Done."}
    if operation.media != JSON and answer is not None:
        return {"description": "Done, piece by piece, each as the schema says.", **_content(operation.media, answer)}
    return {"description": "Done.", **_content(operation.media, answer)}


def _content(media: str, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    # A schema is of what is read from the text: of text that is passed on as it is, there is none.
    return {"content": {media: {} if schema is None else {"schema": schema}}}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"{PLACE}{name}"}


def _tag(part: ModuleType) -> str:
    return part.__name__.rpartition(".")[2]


def _summary(part: ModuleType) -> str:
    return (part.__doc__ or "").partition("\n")[0]
