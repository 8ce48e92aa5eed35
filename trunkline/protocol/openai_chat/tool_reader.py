"""Tools, the choice among them, and the answer's form, from a chat request (DIALECTS sections 2.4 and 2.6)."""

import msgspec

from trunkline.protocol.fidelity import Feature
from trunkline.protocol.model import Format, OutputFormat, Tool, ToolChoice, ToolMode
from trunkline.protocol.openai_chat import request_wire as wire
from trunkline.protocol.openai_chat.client_error import bad_field, not_carried
from trunkline.protocol.openai_chat.part_reader import cache_mark

_MODES = {
    "auto": ToolMode.AUTO,
    "required": ToolMode.REQUIRED,
    "any": ToolMode.REQUIRED,
    "none": ToolMode.NONE,
}


def read_tools(fields: wire.RequestFields, features: dict[Feature, None]) -> tuple[Tool, ...]:
    """Return the tools, those in the deprecated ``functions`` too.

    Args:
        fields: of the request.
        features: takes what a neutral tool cannot hold.

    Raises:
        FaultError: ``client_bad_request``.
    """
    tools: list[Tool] = []
    for definition in fields.tools or ():
        if definition.function is not None:
            tools.append(_function(definition.function, "tools", definition.cache_control))
        elif definition.custom is not None:
            tools.append(_custom(definition.custom, definition.cache_control))
        elif definition.type in {None, "function", "custom"}:
            raise bad_field("tools", "Each of `tools` needs `function`, an object with a `name`.")
        else:
            features[Feature.TOOL_BUILT_IN] = None
    tools += [_function(function, "functions", None) for function in fields.functions or ()]
    names: set[str] = set()
    for tool in tools:
        if tool.name in names:
            raise bad_field("tools", f"Two tools are named `{tool.name[:64]}`. Give each its own name.")
        names.add(tool.name)
    return tuple(tools)


def _function(function: wire.FunctionDefinition, param: str, control: wire.CacheControl | None) -> Tool:
    if not function.name:
        raise bad_field(param, f"Each of `{param}` needs a `name`.")
    schema = schema_source(function.parameters, f"{param}.parameters")
    mark = cache_mark(control or function.cache_control)
    return Tool(function.name, function.description or "", schema, function.strict, cache=mark)


def _custom(custom: wire.CustomDefinition, control: wire.CacheControl | None) -> Tool:
    if not custom.name:
        raise bad_field("tools", "Each of `tools` needs a `name`.")
    if custom.format is not None and custom.format.type not in {None, "text"}:
        # A neutral tool has no room for a grammar, and without it the answer would mean something else.
        raise not_carried("tools.custom.format", "A custom tool's grammar")
    return Tool(custom.name, custom.description or "", custom=True, cache=cache_mark(control))


def schema_source(schema: wire.MaybeRaw, param: str) -> bytes:
    """Return a schema's source; empty where there is none.

    Raises:
        FaultError: ``client_bad_request``: it is no object.
    """
    source = bytes(schema) if schema is not msgspec.UNSET else b""
    if source in {b"", b"null"}:
        return b""
    if source[:1] != b"{":
        raise bad_field(param, f"`{param}` must be a JSON schema, an object.")
    return source


def read_tool_choice(fields: wire.RequestFields, tools: tuple[Tool, ...]) -> ToolChoice | None:
    """Return the choice, also from the deprecated ``function_call``; None if unsaid.

    Raises:
        FaultError: ``client_bad_request``.
    """
    choice = fields.tool_choice
    if choice is None:
        called = fields.function_call
        if called is None:
            return None
        choice = called if isinstance(called, str) else wire.ToolChoiceObject(function=called)
    if isinstance(choice, str):
        mode = _MODES.get(choice)
        if mode is None:
            raise bad_field("tool_choice", "`tool_choice` must be auto, required, none, or an object naming a tool.")
        return ToolChoice(mode)
    allowed = choice.allowed_tools
    if allowed is None:
        return ToolChoice(ToolMode.REQUIRED, _names([choice], tools))
    mode = _MODES.get(allowed.mode)
    if mode is None or not allowed.tools:
        raise bad_field("tool_choice", "`allowed_tools` needs a `mode`, auto or required, and at least one of `tools`.")
    return ToolChoice(mode, _names(allowed.tools, tools))


def _names(chosen: list[wire.ChosenTool] | list[wire.ToolChoiceObject], tools: tuple[Tool, ...]) -> tuple[str, ...]:
    known = {tool.name for tool in tools}
    names = []
    for tool in chosen:
        named = tool.function or tool.custom
        name = named.name if named is not None else tool.name or ""
        if name not in known:
            raise bad_field("tool_choice", "`tool_choice` names a tool that is not among `tools`.")
        names.append(name)
    return tuple(names)


def read_output(said: wire.ResponseFormat | None) -> OutputFormat:
    """Return the form of the answer's text.

    Raises:
        FaultError: ``client_bad_request``.
    """
    if said is None or said.type == "text":
        return OutputFormat(Format.TEXT)
    if said.type == "json_object":
        # Together and others take a schema here.
        schema = schema_source(said.schema, "response_format.schema")
        return OutputFormat(Format.SCHEMA, schema=schema) if schema else OutputFormat(Format.JSON)
    form = said.json_schema
    if said.type != "json_schema" or form is None:
        message = "`response_format.type` must be text, json_object, or json_schema with its `json_schema`."
        raise bad_field("response_format", message)
    schema = schema_source(form.schema, "response_format.json_schema.schema") or b"{}"
    return OutputFormat(Format.SCHEMA, form.name or "", form.description or "", schema, form.strict)
