"""Reads a Messages request into the neutral model. Called by the dispatcher for a provider of another dialect."""

from collections.abc import Mapping

import msgspec

from trunkline.protocol.anthropic.request_content import ContentReader, cache_mark
from trunkline.protocol.anthropic.request_fields import (
    Block,
    CacheControl,
    Choice,
    Field,
    Format,
    Message,
    OutputConfig,
    ThinkingConfig,
    Tool,
    bad_field,
    refused,
)
from trunkline.protocol.body import bad_json
from trunkline.protocol.fidelity import Feature
from trunkline.protocol.json_span import without_lone_surrogates
from trunkline.protocol.model import (
    CacheMark,
    Effort,
    OutputFormat,
    Reasoning,
    Refusal,
    Request,
    Role,
    Sampling,
    Text,
    Thinking,
    ToolChoice,
    ToolMode,
    Turn,
)
from trunkline.protocol.model import Format as Form
from trunkline.protocol.model import Tool as NeutralTool
from trunkline.protocol.splice import PRIVATE_FIELDS

_Members = Mapping[str, msgspec.Raw]

_decode_body = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

_MESSAGES = Field("messages", list[Message])
_SYSTEM = Field("system", str | list[Block])
_MAX_TOKENS = Field("max_tokens", int)
_TEMPERATURE = Field("temperature", float)
_TOP_P = Field("top_p", float)
_TOP_K = Field("top_k", int)
_STOP = Field("stop_sequences", tuple[str, ...])
_TOOLS = Field("tools", list[Tool])
_CHOICE = Field("tool_choice", Choice)
_THINKING = Field("thinking", ThinkingConfig)
_CONFIG = Field("output_config", OutputConfig)
_CONFIG_MEMBERS = Field("output_config", dict[str, msgspec.Raw])
_FORMAT = Field("output_format", Format)
_METADATA = Field("metadata", dict[str, msgspec.Raw])
_USER = Field("metadata.user_id", str | None)
_TIER = Field("service_tier", str)
_SPEED = Field("speed", str)
_CACHE = Field("cache_control", CacheControl)

_KNOWN = frozenset(
    {
        *("model", "stream", "messages", "system", "max_tokens", "temperature", "top_p", "top_k", "stop_sequences"),
        *("tools", "tool_choice", "thinking", "output_config", "output_format", "metadata", "service_tier", "speed"),
        *("cache_control", "container"),
        *PRIVATE_FIELDS,
    }
)
_REFUSED = ("context_management", "mcp_servers", "inference_geo", "diagnostics", "fallbacks")
"""What changes the answer, where it is made, or who makes it, and no other dialect has (DIALECTS section 2.6)."""

_MODES = {"auto": ToolMode.AUTO, "any": ToolMode.REQUIRED, "tool": ToolMode.REQUIRED, "none": ToolMode.NONE}
_SHOWN = {"summarized": True, "omitted": False}


def read_request(body: bytes, *, stream: bool) -> Request:
    """Return the neutral request.

    Args:
        body: as `request.read_head` accepted it.
        stream: whether the answer is to be a stream.

    Raises:
        FaultError: ``client_bad_request``: something in it cannot be understood, or only its own dialect can carry it;
            names the field.
    """
    try:
        members = _decode_body(without_lone_surrogates(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise bad_json("The request body must be a JSON object.") from None
    for name in _REFUSED:
        if _filled(members, name):
            raise refused(name)
    content = ContentReader()
    instructions, turns = _conversation(members, content)
    tools, built_in = _tools(members, content)
    features = [*content.features, *built_in]
    max_output = _MAX_TOKENS.read(members, int)
    if max_output is not None and max_output < 1:
        raise bad_field("max_tokens", "`max_tokens` must be a positive whole number for this model.")
    choice, parallel = _tool_choice(members)
    user, more = _user(members)
    features += more
    if _filled(members, "container"):
        features.append(Feature.STATE)
    if _SPEED.read(members, str) not in {None, "standard"}:
        features.append(Feature.SERVICE_TIER)
    output, extras = _output(members)
    return Request(
        turns=turns,
        instructions=instructions,
        tools=tools,
        tool_choice=choice,
        parallel_tools=parallel,
        max_output=max_output,
        stop=_STOP.read(members, tuple) or (),
        sampling=Sampling(
            temperature=_TEMPERATURE.read(members, float),
            top_p=_TOP_P.read(members, float),
            top_k=_TOP_K.read(members, int),
        ),
        thinking=_thinking(members, max_output, content),
        output=output,
        user=user,
        service_tier=_TIER.read(members, str) or "",
        stream=stream,
        features=tuple(dict.fromkeys(features)),
        extras=(*content.extras, *extras, *_unknown(members)),
    )


# --- The conversation ------------------------------------------------------------------------------------------------


def _conversation(members: _Members, content: ContentReader) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    """Return the leading instructions and the turns after them."""
    system = _SYSTEM.read(members, object)
    instructions = list(content.texts(system, "system") if isinstance(system, str | list) else ())
    turns: list[Turn] = []
    for index, message in enumerate(_MESSAGES.read(members, list) or ()):
        path = f"messages[{index}].content"
        match message.role:
            case "user":
                turns.append(Turn(Role.USER, content.parts(message.content, path)))
            case "assistant":
                turns.append(Turn(Role.ASSISTANT, content.parts(message.content, path)))
            case "system" if not turns:
                instructions += content.texts(message.content, path)
            case "system":
                turns.append(Turn(Role.SYSTEM, content.texts(message.content, path)))
            case _:
                field = f"messages[{index}].role"
                raise bad_field(field, f"`{field}` must be user, assistant or system.")
    if not turns:
        raise bad_field("messages", "`messages` must be a list with at least one message.")
    control = _CACHE.read(members, CacheControl)
    if control is not None:
        _mark_last(turns, cache_mark(control))
    return tuple(instructions), tuple(turns)


def _mark_last(turns: list[Turn], mark: CacheMark | None) -> None:
    """Put the breakpoint of the whole request where the provider would: behind the last part that can have one."""
    for turn_index in reversed(range(len(turns))):
        parts = turns[turn_index].parts
        for index in reversed(range(len(parts))):
            part = parts[index]
            if not isinstance(part, Reasoning | Refusal) and hasattr(part, "cache"):
                if part.cache is None:
                    marked = msgspec.structs.replace(part, cache=mark)
                    parts = (*parts[:index], marked, *parts[index + 1 :])
                    turns[turn_index] = msgspec.structs.replace(turns[turn_index], parts=parts)
                return


# --- Tools -----------------------------------------------------------------------------------------------------------


def _tools(members: _Members, content: ContentReader) -> tuple[tuple[NeutralTool, ...], list[Feature]]:
    """Return the client's own tools, and whether there are others."""
    tools: dict[str, NeutralTool] = {}
    features = []
    for index, tool in enumerate(_TOOLS.read(members, list) or ()):
        if tool.type not in {None, "custom"}:
            features.append(Feature.TOOL_BUILT_IN)
            continue
        if not tool.name or tool.name in tools:
            field = f"tools[{index}].name"
            raise bad_field(field, f"`{field}` is missing or the name of another tool, too.")
        if tool.defer_loading:
            content.extras["tools.defer_loading"] = None
        if tool.input_examples is not msgspec.UNSET:
            content.extras["tools.input_examples"] = None
        tools[tool.name] = NeutralTool(
            tool.name,
            tool.description or "",
            b"" if tool.input_schema is msgspec.UNSET else bytes(tool.input_schema),
            tool.strict,
            cache=cache_mark(tool.cache_control),
        )
    return tuple(tools.values()), features


def _tool_choice(members: _Members) -> tuple[ToolChoice | None, bool | None]:
    """Return which tools may be called, and whether several at once."""
    choice = _CHOICE.read(members, Choice)
    if choice is None:
        return None, None
    parallel = None if choice.disable_parallel_tool_use is None else not choice.disable_parallel_tool_use
    mode = _MODES.get(choice.type)
    if mode is None:
        raise bad_field("tool_choice.type", "`tool_choice.type` must be auto, any, tool or none.")
    if choice.type == "tool":
        if not choice.name:
            raise bad_field("tool_choice.name")
        return ToolChoice(mode, (choice.name,)), parallel
    return ToolChoice(mode), parallel


# --- What the answer should be ---------------------------------------------------------------------------------------


def _thinking(members: _Members, max_output: int | None, content: ContentReader) -> Thinking:
    config = _THINKING.read(members, ThinkingConfig)
    effort = _effort(members)
    if config is None:
        return Thinking(effort=effort)
    show = _SHOWN.get(config.display or "")
    match config.type:
        case "disabled":
            return Thinking(effort=Effort.NONE)
        case "enabled":
            budget = config.budget_tokens
            if budget is None or budget < 0 or (max_output is not None and budget >= max_output):
                field = "thinking.budget_tokens"
                raise bad_field(field, f"`{field}` must be a whole number below `max_tokens`.")
            return Thinking(effort=effort, budget=budget, show=show)
        case "adaptive":
            return Thinking(effort=effort, adaptive=True, show=show)
        case "between_tools":
            content.extras["thinking.type"] = None
            return Thinking(effort=effort, adaptive=True, show=show)
        case _:
            raise bad_field("thinking.type", "`thinking.type` must be enabled, adaptive or disabled.")


def _effort(members: _Members) -> Effort | None:
    config = _CONFIG.read(members, OutputConfig)
    if config is None or config.effort is None:
        return None
    try:
        return Effort(config.effort)
    except ValueError:
        field = "output_config.effort"
        raise bad_field(field, f"`{field}` must be low, medium, high, xhigh or max.") from None


def _output(members: _Members) -> tuple[OutputFormat, list[str]]:
    """Return the form of the answer's text, and what else was wished for it."""
    config = _CONFIG.read(members, OutputConfig)
    written = config.format if config is not None else None
    path = "output_config.format"
    if written is None:
        written = _FORMAT.read(members, Format)
        path = "output_format"
    others = _CONFIG_MEMBERS.read(members, dict) or {}
    extras = [f"output_config.{name}" for name in others if name not in {"effort", "format"}]
    if written is None:
        return OutputFormat(Form.TEXT), extras
    if written.type != "json_schema" or not memoryview(written.schema):
        raise bad_field(path, f"`{path}` must have the type json_schema and a schema.")
    return OutputFormat(Form.SCHEMA, schema=bytes(written.schema)), extras


def _user(members: _Members) -> tuple[str, list[Feature]]:
    metadata = _METADATA.read(members, dict) or {}
    user = _USER.decode(metadata["user_id"], object, "metadata.user_id") if "user_id" in metadata else ""
    return str(user or ""), [Feature.METADATA] if metadata.keys() - {"user_id"} else []


def _unknown(members: _Members) -> list[str]:
    """Return the names of fields that nobody knows; one that is null says nothing."""
    return [name for name in members if name not in _KNOWN and name not in _REFUSED and _filled(members, name)]


def _filled(members: _Members, name: str) -> bool:
    member = members.get(name)
    return member is not None and bytes(member) not in {b"null", b"[]", b"{}", b'""'}
