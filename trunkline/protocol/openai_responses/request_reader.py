"""A Responses request as the neutral one, for an upstream of another dialect. Called by the dispatcher."""

from collections.abc import Iterable

import msgspec

from trunkline.protocol.fidelity import Feature
from trunkline.protocol.model import (
    Effort,
    Format,
    OutputFormat,
    Request,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolMode,
)
from trunkline.protocol.openai_responses.client_items import ClientItem, bad_request, decode_body, not_carried
from trunkline.protocol.openai_responses.history_reader import HistoryReader
from trunkline.protocol.openai_responses.request import stored_state
from trunkline.protocol.splice import PRIVATE_FIELDS


class _ToolFormat(msgspec.Struct, gc=False):
    type: str | None = None


class _Tool(msgspec.Struct, gc=False):
    type: str | None = None
    name: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw()
    strict: bool | None = None
    format: _ToolFormat | None = None


class _Choice(msgspec.Struct, gc=False):
    type: str | None = None
    name: str | None = None
    mode: str | None = None
    tools: list[_Tool] | None = None


class _TextFormat(msgspec.Struct, gc=False):
    type: str | None = None
    name: str | None = None
    description: str | None = None
    schema: msgspec.Raw = msgspec.Raw()
    strict: bool | None = None


class _TextSettings(msgspec.Struct, gc=False):
    format: _TextFormat | None = None
    verbosity: str | None = None


class _Reasoning(msgspec.Struct, gc=False):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None
    mode: str | None = None
    context: str | None = None


class _Fields(msgspec.Struct, gc=False):
    input: str | list[ClientItem] = ""
    instructions: str | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | _Choice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    include: list[str] | None = None
    text: _TextSettings | None = None
    reasoning: _Reasoning | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    metadata: dict[str, object] | None = None
    truncation: str | None = None


_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_FIELDS = msgspec.json.Decoder(_Fields)

_KNOWN = frozenset(_Fields.__struct_fields__) | PRIVATE_FIELDS | {"model", "stream", "stream_options", "background"}
_STATE = frozenset({"previous_response_id", "conversation", "prompt"})
_NEVER_DROPPED = frozenset({"moderation", "access_programs", "context_management", "background_options"})
_LOGPROBS = "message.output_text.logprobs"
_NULL = b"null"


def read_request(body: bytes, *, stream: bool) -> Request:
    """Return the neutral request.

    Args:
        body: as `request.read_head` accepted it.
        stream: whether the client wants a stream.

    Raises:
        FaultError: ``client_bad_request``: something in it cannot be understood, or must not be dropped; names it.
    """
    members = decode_body(body, _MEMBERS)
    fields = decode_body(body, _FIELDS)
    history = HistoryReader()
    if fields.instructions:
        history.instructions.append(Text(fields.instructions))
    if isinstance(fields.input, str):
        history.add_text(fields.input)
    else:
        history.add_all(fields.input, members["input"])
    features = history.features
    tools = _tools(fields.tools or (), features)
    choice = _tool_choice(fields.tool_choice, features)
    _note_features(fields, features)
    extras = [*_unknown(members), *_unheld(fields), *history.extras]
    return Request(
        turns=history.turns(),
        instructions=tuple(history.instructions),
        tools=tools,
        tool_choice=choice,
        parallel_tools=fields.parallel_tool_calls,
        max_output=fields.max_output_tokens,
        logprobs=_logprobs(fields),
        sampling=Sampling(temperature=fields.temperature, top_p=fields.top_p),
        thinking=_thinking(fields.reasoning),
        output=_output(fields.text),
        cache_key=fields.prompt_cache_key or "",
        user=fields.safety_identifier or fields.user or "",
        service_tier=fields.service_tier or "",
        stream=stream,
        features=tuple(features),
        extras=tuple(extras),
    )


def _unknown(members: dict[str, msgspec.Raw]) -> list[str]:
    """Return the top-level fields that nobody knows.

    Raises:
        FaultError: ``client_bad_request``: one that must not be dropped.
    """
    names = []
    for name, value in members.items():
        if name in _KNOWN or bytes(value) == _NULL:
            continue
        if name in _STATE:
            raise stored_state(name)
        if name in _NEVER_DROPPED:
            raise not_carried(name)
        names.append(name)
    return names


def _unheld(fields: _Fields) -> list[str]:
    """Return the known fields that the neutral request has no place for and that change no meaning."""
    reasoning = fields.reasoning or _Reasoning()
    wishes = {
        "truncation": fields.truncation not in {None, "disabled"},
        "reasoning.mode": reasoning.mode not in {None, "standard"},
        "reasoning.context": reasoning.context not in {None, "auto"},
    }
    return [name for name, wished in wishes.items() if wished]


def _note_features(fields: _Fields, features: dict[Feature, None]) -> None:
    if fields.store:
        features[Feature.STORE] = None
    if fields.metadata:
        features[Feature.METADATA] = None
    if fields.text is not None and fields.text.verbosity is not None:
        features[Feature.VERBOSITY] = None


def _logprobs(fields: _Fields) -> int | None:
    if fields.top_logprobs or _LOGPROBS in (fields.include or ()):
        return fields.top_logprobs or 0
    return None


# --- tools -------------------------------------------------------------------------------------------------------


def _tools(tools: Iterable[_Tool], features: dict[Feature, None]) -> tuple[Tool, ...]:
    read = []
    for index, tool in enumerate(tools):
        if tool.type not in {"function", "custom"}:
            features[Feature.TOOL_BUILT_IN] = None
            continue
        if not tool.name:
            raise bad_request(f"`tools[{index}].name` must name the tool.", f"tools[{index}].name")
        if tool.type == "custom":
            if tool.format is not None and tool.format.type not in {None, "text"}:
                features[Feature.TOOL_GRAMMAR] = None
            read.append(Tool(tool.name, tool.description or "", custom=True))
        else:
            read.append(Tool(tool.name, tool.description or "", _schema(tool.parameters), tool.strict))
    return tuple(read)


def _schema(value: msgspec.Raw) -> bytes:
    source = bytes(value)
    return b"" if source == _NULL else source


def _tool_choice(choice: str | _Choice | None, features: dict[Feature, None]) -> ToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        return ToolChoice(_mode(choice, "tool_choice"))
    match choice.type:
        case "function" | "custom" if choice.name:
            return ToolChoice(ToolMode.REQUIRED, (choice.name,))
        case "function" | "custom":
            raise bad_request("`tool_choice.name` must name a tool.", "tool_choice.name")
        case "allowed_tools":
            allowed = choice.tools or ()
            if any(tool.type not in {"function", "custom"} for tool in allowed):
                features[Feature.TOOL_BUILT_IN] = None
            only = tuple([tool.name for tool in allowed if tool.name])
            return ToolChoice(_mode(choice.mode or "auto", "tool_choice.mode"), only)
        case _:
            features[Feature.TOOL_BUILT_IN] = None
            return None


def _mode(word: str, field: str) -> ToolMode:
    try:
        return ToolMode(word)
    except ValueError:
        raise bad_request(f"`{field}` must be auto, required or none, or an object that names tools.", field) from None


# --- the answer's form ---------------------------------------------------------------------------------------------


def _thinking(reasoning: _Reasoning | None) -> Thinking:
    if reasoning is None:
        return Thinking()
    try:
        effort = Effort(reasoning.effort) if reasoning.effort is not None else None
    except ValueError:
        message = f"`reasoning.effort` must be one of {', '.join(Effort)}."
        raise bad_request(message, "reasoning.effort") from None
    return Thinking(effort=effort, show=True if reasoning.summary or reasoning.generate_summary else None)


def _output(text: _TextSettings | None) -> OutputFormat:
    wanted = text.format if text is not None else None
    if wanted is None:
        return OutputFormat(Format.TEXT)
    match wanted.type:
        case "text" | None:
            return OutputFormat(Format.TEXT)
        case "json_object":
            return OutputFormat(Format.JSON)
        case "json_schema":
            schema = _schema(wanted.schema)
            if not schema:
                raise bad_request("`text.format.schema` must be a JSON schema.", "text.format.schema")
            return OutputFormat(Format.SCHEMA, wanted.name or "", wanted.description or "", schema, wanted.strict)
        case _:
            raise bad_request("`text.format.type` must be text, json_object or json_schema.", "text.format.type")
