"""The OpenAPI document: whole, without references that lead nowhere, and true to the table of operations."""

import re
from collections import Counter
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import msgspec
import pytest

from trunkline.policy.access import Access
from trunkline.policy.operations import ALL, BY_ID, PARTS
from trunkline.policy.operations.openapi import document
from trunkline.policy.operations.operation import Operation, Parameter
from trunkline.policy.operations.schemas import PLACE, schemas

DOCUMENT = document(PARTS)

SCHEMA_MEMBERS = {
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "default",
    "description",
    "discriminator",
    "enum",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "pattern",
    "prefixItems",
    "properties",
    "propertyNames",
    "required",
    "title",
    "type",
    "uniqueItems",
}
TYPES = {"array", "boolean", "integer", "null", "number", "object", "string"}


def described() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and description of each operation in the document."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def references(part: Any) -> Iterator[str]:
    """All references in a part of the document, at any depth."""
    match part:
        case dict():
            for name, value in part.items():
                if name == "$ref":
                    yield value
                else:
                    yield from references(value)
        case list():
            for value in part:
                yield from references(value)


def subschemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema and those within it."""
    yield schema
    below = [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *schema.get("prefixItems", ())]
    below += [schema[name] for name in ("items", "additionalProperties") if isinstance(schema.get(name), dict)]
    for part in below:
        yield from subschemas(part)


def test_it_has_every_operation_once_with_its_access_and_answer() -> None:
    assert Counter(operation["operationId"] for _, _, operation in described()) == Counter(BY_ID.keys())
    for path, method, found in described():
        operation = BY_ID[found["operationId"]]
        assert (method.upper(), path) == (operation.method, re.sub(r":[^}]*\}", "}", operation.path))
        assert found["x-access"] == operation.access
        assert list(found["responses"]) == [str(operation.status), "default"]
        assert ("requestBody" in found) == (operation.body is not None)


def test_places_are_declared_and_no_two_paths_are_the_same_but_for_their_names() -> None:
    for path, _, operation in described():
        parameters = operation.get("parameters", [])
        places = [parameter["name"] for parameter in parameters if parameter["in"] == "path"]
        assert places == re.findall(r"\{([^}]*)\}", path)
        assert all(parameter["required"] for parameter in parameters if parameter["in"] == "path")
        assert len({(parameter["in"], parameter["name"]) for parameter in parameters}) == len(parameters)
    alike = Counter(re.sub(r"\{[^}]*\}", "{}", path) for path in DOCUMENT["paths"])
    assert [path for path, count in alike.items() if count > 1] == []


def test_references_lead_somewhere_and_no_schema_is_left_over() -> None:
    everywhere = set(references(DOCUMENT))
    known = {
        f"#/components/{kind}/{name}" for kind in ("schemas", "responses") for name in DOCUMENT["components"][kind]
    }
    assert everywhere == known


def test_tags_and_security_schemes_are_declared() -> None:
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    schemes = set(DOCUMENT["components"]["securitySchemes"])
    for _, _, operation in described():
        assert set(operation["tags"]) <= tags
        assert {name for choice in operation["security"] for name in choice} <= schemes
    assert tags == {tag for _, _, operation in described() for tag in operation["tags"]}


def test_schemas_use_what_json_schema_knows_and_every_struct_is_described() -> None:
    for name, component in DOCUMENT["components"]["schemas"].items():
        assert component.get("description") or "enum" in component, name
        for schema in subschemas(component):
            assert set(schema) <= SCHEMA_MEMBERS, name
            assert schema.get("type", "object") in TYPES, name
            assert set(schema.get("required", ())) <= set(schema.get("properties", ())), name
            assert "Attributes:" not in schema.get("description", ""), name


@pytest.mark.parametrize(
    ("access", "method", "security"),
    [
        (Access.PUBLIC, "POST", []),
        (Access.SIGNED_IN, "GET", [{"session": []}]),
        (Access.SIGNED_IN, "PUT", [{"session": [], "csrf": []}]),
        (Access.OPERATOR, "GET", [{"admin_key": []}, {"session": []}]),
        (Access.KEYS_WRITE, "DELETE", [{"admin_key": []}, {"session": [], "csrf": []}]),
    ],
)
def test_a_change_by_a_session_needs_its_token(access: Access, method: str, security: list[dict[str, Any]]) -> None:
    made = document([part(Operation(id="do_it", method=method, path="/it", access=access, summary="Do it."))])
    assert made["paths"]["/it"][method.lower()]["security"] == security


class Thing(msgspec.Struct):
    """A thing.

    Attributes:
        first, second: of its
            parts; as in ``somewhere``.
    """

    first: int
    second: str = ""


class Things(msgspec.Struct):
    """Things."""

    all: list[Thing]


def part(*operations: Operation) -> ModuleType:
    made = ModuleType("somewhere.things", "Operations on things.\n\nAnd more.")
    made.OPERATIONS = operations  # type: ignore[attr-defined]
    return made


def test_what_an_operation_says_of_itself_is_there() -> None:
    operation = Operation(
        id="change_thing",
        method="POST",
        path="/things/{number:[0-9]+}/{name}",
        access=Access.OPERATOR,
        summary="Change a thing.",
        body=Thing,
        body_optional=True,
        answer=list[Thing],
        status=201,
        query=(Parameter("tag", "Which ones.", repeated=True),),
    )
    made = document([part(operation)])
    assert made["tags"] == [{"name": "things", "description": "Operations on things."}]
    assert made["paths"]["/things/{number}/{name}"]["post"] == {
        "operationId": "change_thing",
        "summary": "Change a thing.",
        "tags": ["things"],
        "security": [{"admin_key": []}, {"session": [], "csrf": []}],
        "x-access": "operator",
        "parameters": [
            {"name": "number", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}},
            {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}},
            {
                "name": "tag",
                "in": "query",
                "description": "Which ones.",
                "required": False,
                "schema": {"type": "array", "items": {"type": "string"}},
            },
        ],
        "requestBody": {"required": False, "content": {"application/json": {"schema": {"$ref": f"{PLACE}Thing"}}}},
        "responses": {
            "201": {
                "description": "Done.",
                "content": {"application/json": {"schema": {"type": "array", "items": {"$ref": f"{PLACE}Thing"}}}},
            },
            "default": {"$ref": "#/components/responses/Error"},
        },
    }


def test_descriptions_of_fields_go_to_the_fields() -> None:
    _, named = schemas([Things])
    assert named["Thing"]["description"] == "A thing."
    assert named["Thing"]["properties"] == {
        "first": {"type": "integer", "description": "of its parts; as in `somewhere`."},
        "second": {"type": "string", "default": "", "description": "of its parts; as in `somewhere`."},
    }


def test_two_structs_of_one_name_are_refused() -> None:
    other = msgspec.defstruct("Thing", ["elsewhere"])
    with pytest.raises(ValueError, match="two structs are named Thing"):
        schemas([Things, other])


def test_moments_are_said_to_be_some() -> None:
    properties = DOCUMENT["components"]["schemas"]["KeyView"]["properties"]
    assert properties["created_at"] == {"type": "string", "format": "date-time"}
    assert properties["expires_at"] == {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}


def test_a_table_has_no_operation_without_a_part() -> None:
    assert [operation for module in PARTS for operation in module.OPERATIONS] == list(ALL)
