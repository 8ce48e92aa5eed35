"""A neutral request as the body for a Responses upstream. Called by the dispatcher for clients of other dialects."""

import msgspec

from trunkline.protocol import names
from trunkline.protocol.dialect import Written
from trunkline.protocol.fidelity import TABLE, Crossing, Feature, Mark
from trunkline.protocol.model import (
    Effort,
    Format,
    OutputFormat,
    Refusal,
    Request,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
)
from trunkline.protocol.openai_responses.client_items import bad_request, not_carried
from trunkline.protocol.openai_responses.history_writer import HistoryWriter
from trunkline.protocol.openai_responses.request import ENCRYPTED_REASONING
from trunkline.protocol.openai_responses.tool_names import ToolNames, safe_name
from trunkline.protocol.openai_responses.upstream_items import (
    AllowedTools,
    Body,
    CustomTool,
    FunctionTool,
    JSONFormat,
    NamedTool,
    ReasoningSettings,
    SchemaFormat,
    TextSettings,
    encode,
)
from trunkline.protocol.vendor import VendorOptions

_NO_PARAMETERS = msgspec.Raw(b'{"type":"object","properties":{},"additionalProperties":false}')
_SCHEMA_NAME = "answer"
"""For a schema without a name, which this dialect demands."""

_TIERS = {
    "auto": "auto",
    "default": "default",
    "standard": "default",
    "standard_only": "default",
    "flex": "flex",
    "priority": "priority",
}
"""Service tiers, by any client's word; none is a dearer one than was asked for (DIALECTS section 2.6)."""

_BUDGETS = ((1024, Effort.LOW), (8192, Effort.MEDIUM), (24576, Effort.HIGH))
"""The effort that a budget of thinking tokens stands for, by its upper bound (DIALECTS section 2.5)."""


def write_request(request: Request, crossing: Crossing, model: str, options: VendorOptions) -> Written:
    """Return a neutral request in this dialect.

    Args:
        request: of another dialect.
        crossing: told of everything that is not carried as it is.
        model: the provider's name for it.
        options: of the channel.

    Raises:
        FaultError: ``client_bad_request``: it cannot be carried; names the field.
    """
    _report(request, crossing)
    tool_names = ToolNames()
    instructions = [text for text in request.instructions if text.text]
    history = HistoryWriter(crossing, "developer" if options.developer_role else "system", tool_names)
    if any(text.cache is not None for text in instructions):
        crossing.lose(Feature.CACHE_MARKS)
    # One text has a field of its own; further ones keep their borders as messages.
    history.add_instructions(instructions[1:])
    for turn in request.turns:
        history.add(turn)
    history.finish()
    first = instructions[0].text if instructions else ""
    if not history.items:
        history.add_instructions(instructions[:1])
        first = ""
    if not history.items:
        raise history.bad_history("The conversation is empty. Send at least one message with a text.")
    sampling = request.sampling
    body = Body(
        model=model,
        input=history.items,
        store=False,
        include=[ENCRYPTED_REASONING],
        instructions=first,
        tools=_tools(request.tools, tool_names, crossing, options),
        tool_choice=_tool_choice(request, tool_names, crossing),
        parallel_tool_calls=request.parallel_tools if options.parallel_switch and request.tools else None,
        text=_text(request.output),
        reasoning=_reasoning(request.thinking, crossing),
        max_output_tokens=request.max_output,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        prompt_cache_key=request.cache_key,
        service_tier=_TIERS.get(request.service_tier, ""),
        stream=request.stream,
    )
    return Written(encode(body), tool_names.changed)


def _report(request: Request, crossing: Crossing) -> None:
    """Report what this dialect has no place for.

    Raises:
        FaultError: ``client_bad_request``: it must not be lost.
    """
    crossing.lose_all(_lossy(request, crossing), request.extras)
    sampling = request.sampling
    lost = {
        Feature.TOP_K: sampling.top_k is not None,
        Feature.PENALTIES: sampling.frequency_penalty is not None or sampling.presence_penalty is not None,
        Feature.SEED: sampling.seed is not None,
        Feature.STOP: bool(request.stop),
        Feature.CHOICES: request.choices > 1,
        Feature.LOGPROBS: request.logprobs is not None,
        Feature.USER: bool(request.user),
        Feature.SERVICE_TIER: bool(request.service_tier) and request.service_tier not in _TIERS,
        Feature.PREFILL: crossing.client != names.OPENAI_CHAT and _is_prefilled(request),
    }
    for feature, met in lost.items():
        if met:
            crossing.lose(feature)


def _lossy(request: Request, crossing: Crossing) -> list[Feature]:
    """Return the features of a request that the table has a mark for.

    The others would be lossless if the neutral request could hold them. What any dialect must refuse decides which
    answer is right, so it is refused here, too; the rest is a wish.
    """
    lossy = []
    for feature in request.features:
        row = TABLE[feature]
        if names.OPENAI_RESPONSES in row.marks:
            lossy.append(feature)
        elif Mark.REFUSED in row.marks.values():
            raise not_carried(row.fields.get(crossing.client, feature.value))
        else:
            crossing.lose(Feature.EXTRA, feature.value)
    return lossy


def _is_prefilled(request: Request) -> bool:
    """Return whether the model is to go on with words of its own: to this dialect they would be history."""
    last = request.turns[-1] if request.turns else None
    if last is None or last.role is not Role.ASSISTANT or any(isinstance(part, ToolCall) for part in last.parts):
        return False
    return any(isinstance(part, Text | Refusal) and bool(part.text) for part in last.parts)


# --- tools -------------------------------------------------------------------------------------------------------


def _tools(
    tools: tuple[Tool, ...], tool_names: ToolNames, crossing: Crossing, options: VendorOptions
) -> list[FunctionTool | CustomTool] | None:
    seen: set[str] = set()
    written: list[FunctionTool | CustomTool] = []
    for tool in tools:
        name = tool_names.written(tool.name)
        if name in seen:
            raise bad_request(f"Two tools are called `{tool.name}`. Give each its own name.", "tools")
        seen.add(name)
        if tool.cache is not None:
            crossing.lose(Feature.CACHE_MARKS)
        if tool.custom:
            written.append(CustomTool(name, tool.description))
        else:
            schema = msgspec.Raw(tool.schema) if tool.schema else _NO_PARAMETERS
            strict = bool(tool.strict) if options.tool_strict else None
            written.append(FunctionTool(name, tool.description, schema, strict))
    return written or None


def _tool_choice(request: Request, tool_names: ToolNames, crossing: Crossing) -> str | NamedTool | AllowedTools | None:
    choice = request.tool_choice
    if choice is None:
        return None
    if not request.tools:
        crossing.lose(Feature.EXTRA, "tool_choice")
        return None
    if not choice.only or choice.mode is ToolMode.NONE:
        return choice.mode.value
    return _named_choice(choice, request.tools, tool_names)


def _named_choice(choice: ToolChoice, tools: tuple[Tool, ...], tool_names: ToolNames) -> NamedTool | AllowedTools:
    custom = {tool.name for tool in tools if tool.custom}
    named = [NamedTool("custom" if name in custom else "function", tool_names.written(name)) for name in choice.only]
    if len(named) == 1 and choice.mode is ToolMode.REQUIRED:
        return named[0]
    return AllowedTools(choice.mode.value, named)


# --- the answer's form ---------------------------------------------------------------------------------------------


def _text(output: OutputFormat) -> TextSettings | None:
    match output.form:
        case Format.TEXT:
            return None
        case Format.JSON:
            return TextSettings(JSONFormat())
        case Format.SCHEMA:
            name = safe_name(output.name) if output.name else _SCHEMA_NAME
            return TextSettings(SchemaFormat(name, msgspec.Raw(output.schema), output.description, output.strict))


def _reasoning(thinking: Thinking, crossing: Crossing) -> ReasoningSettings | None:
    effort = thinking.effort
    if effort is None and thinking.budget is not None and thinking.budget >= 0:
        effort = _effort_for(thinking.budget)
        if effort is not Effort.NONE:
            crossing.lose(Feature.EFFORT)
    if effort is None and not thinking.show:
        return None
    return ReasoningSettings(effort.value if effort is not None else None, "auto" if thinking.show else None)


def _effort_for(budget: int) -> Effort:
    if budget == 0:
        return Effort.NONE
    for bound, effort in _BUDGETS:
        if budget <= bound:
            return effort
    return Effort.XHIGH
