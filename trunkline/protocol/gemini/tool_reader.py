"""Reads the tools of a Gemini request, and whether they are to be called (DIALECTS section 2.4)."""

import msgspec

from trunkline.protocol.fidelity import Feature
from trunkline.protocol.gemini.decoding import bad_field, decoded, object_fields
from trunkline.protocol.gemini.request_wire import FunctionCallingConfig, FunctionDeclaration
from trunkline.protocol.gemini.schema import json_schema
from trunkline.protocol.gemini.wire import MaybeRaw
from trunkline.protocol.model import Tool, ToolChoice, ToolMode

_MODES: dict[str | int, ToolMode] = {
    "AUTO": ToolMode.AUTO,
    "ANY": ToolMode.REQUIRED,
    "NONE": ToolMode.NONE,
    # A text or a call that follows its schema: the model's choice.
    "VALIDATED": ToolMode.AUTO,
    1: ToolMode.AUTO,
    2: ToolMode.REQUIRED,
    3: ToolMode.NONE,
    4: ToolMode.AUTO,
}
"""By name, and by number as the older SDK writes them."""

_UNSAID = frozenset({None, 0, "", "MODE_UNSPECIFIED"})

_FUNCTIONS = "functionDeclarations"
_CALLING = "functionCallingConfig"

_decode_tools = msgspec.json.Decoder(list[dict[str, msgspec.Raw]] | dict[str, msgspec.Raw] | None).decode
_decode_functions = msgspec.json.Decoder(list[FunctionDeclaration] | None).decode
_decode_calling = msgspec.json.Decoder(FunctionCallingConfig | None).decode


def read_tools(source: msgspec.Raw | None, features: dict[Feature, None]) -> tuple[Tool, ...]:
    """Return the functions; tools of Google's own are noted in ``features``.

    Raises:
        FaultError: ``client_bad_request``.
    """
    if source is None:
        return ()
    found = decoded(_decode_tools, source, "tools")
    tools: list[Tool] = []
    for index, members in enumerate([found] if isinstance(found, dict) else found or ()):
        for key, value in members.items():
            place = f"tools[{index}].{key}"
            if key == _FUNCTIONS:
                functions = decoded(_decode_functions, value, place) or ()
                tools += [_tool(function, f"{place}[{number}]") for number, function in enumerate(functions)]
            elif bytes(value) != b"null":
                features[Feature.TOOL_BUILT_IN] = None
    return tuple(tools)


def _tool(function: FunctionDeclaration, place: str) -> Tool:
    if not function.name:
        raise bad_field(f"{place}.name", "must be the name of a function")
    schema = read_schema(function.parameters, function.parameters_json_schema, place, "parameters")
    return Tool(function.name, function.description or "", schema)


def read_schema(subset: MaybeRaw, schema: MaybeRaw, place: str, name: str) -> bytes:
    """Return a schema that stands in one of two members, as JSON Schema; empty for none.

    Args:
        subset: in Google's subset of OpenAPI.
        schema: as JSON Schema, which stays as it is.
        place: of the object that has them, for errors.
        name: of the former.

    Raises:
        FaultError: ``client_bad_request``.
    """
    source = bytes(schema) if schema is not msgspec.UNSET else b""
    if source not in {b"", b"null"}:
        return source
    source = bytes(subset) if subset is not msgspec.UNSET else b""
    if source in {b"", b"null"}:
        return b""
    try:
        if source.startswith(b"{"):
            return json_schema(source)
    except msgspec.DecodeError:
        pass
    raise bad_field(f"{place}.{name}", "must be a schema")


def read_tool_choice(source: msgspec.Raw | None, extras: dict[str, None]) -> ToolChoice | None:
    """Return whether tools are called, None if unsaid; what else stands there is noted in ``extras``.

    Raises:
        FaultError: ``client_bad_request``.
    """
    if source is None or bytes(source) == b"null":
        return None
    members = decoded(object_fields, source, "toolConfig")
    extras.update({f"toolConfig.{key}": None for key in members if key != _CALLING})
    calling = members.get(_CALLING)
    config = decoded(_decode_calling, calling, f"toolConfig.{_CALLING}") if calling is not None else None
    if config is None:
        return None
    only = tuple(config.allowed_function_names or ())
    mode = config.mode.upper() if isinstance(config.mode, str) else config.mode
    if mode in _UNSAID:
        return ToolChoice(ToolMode.AUTO, only) if only else None
    known = _MODES.get(mode) if mode is not None else None
    if known is None:
        raise bad_field(f"toolConfig.{_CALLING}.mode", "must be AUTO, ANY, NONE or VALIDATED")
    return ToolChoice(known, only)
