"""Writes a neutral request for a Gemini upstream (DIALECTS section 2, the column gem). Called by the dispatcher.

The same request gives the same bytes, or the provider's prompt cache never hits.
"""

from collections.abc import Iterator

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.dialect import Written
from trunkline.protocol.fidelity import Crossing, Feature
from trunkline.protocol.gemini.arguments import CUSTOM_SCHEMA
from trunkline.protocol.gemini.content_writer import ContentWriter
from trunkline.protocol.gemini.request_wire import (
    Body,
    FunctionCallingConfig,
    FunctionDeclaration,
    GenerationConfig,
    ToolConfig,
)
from trunkline.protocol.gemini.request_wire import Tool as GeminiTool
from trunkline.protocol.gemini.thinking import ModelFacts, facts_of, written_thinking
from trunkline.protocol.gemini.tool_names import ToolNames
from trunkline.protocol.gemini.wire import Content, Part
from trunkline.protocol.model import CacheMark, Format, Request, ToolMode
from trunkline.protocol.vendor import VendorOptions

STOP_SEQUENCES_MAX = 5
"""Google's bound."""

_MODES = {ToolMode.AUTO: "AUTO", ToolMode.REQUIRED: "ANY", ToolMode.NONE: "NONE"}

_TIERS = frozenset({"flex", "priority"})
"""What both sides have. The usual tier goes without saying."""

_USUAL_TIERS = frozenset({"", "auto", "default", "standard", "standard_only", "unspecified"})

_encode = msgspec.json.Encoder().encode


def write_request(request: Request, crossing: Crossing, model: str, options: VendorOptions) -> Written:
    """Return a neutral request in Gemini's words. See `UpstreamDialect`.

    Raises:
        FaultError: ``client_bad_request``: it cannot be carried; names the field.
    """
    # Pictures in the answer are the one feature that Gemini has, too.
    features = [feature for feature in request.features if feature is not Feature.IMAGE_OUTPUT]
    crossing.lose_all(features, request.extras)
    _report(request, crossing)
    names = ToolNames(request.tools)
    facts = facts_of(model)
    tools = [_declaration(request, index, names, crossing) for index in range(len(request.tools))]
    instructions = [Part(text=text.text) for text in request.instructions if text.text]
    body = Body(
        system_instruction=Content(instructions) if instructions else None,
        contents=ContentWriter(names, facts, crossing).contents(request.turns),
        tools=[GeminiTool(tools)] if tools else None,
        tool_config=_tool_config(request, names, crossing),
        generation_config=_generation_config(request, facts, crossing),
        service_tier=_tier(request, crossing),
    )
    return Written(
        body=_encode(body),
        names=names.mapped,
        unwrap_field=tuple(names.written(tool.name) for tool in request.tools if tool.custom),
    )


def _report(request: Request, crossing: Crossing) -> None:
    """Report the neutral fields that Gemini has no word for at all."""
    if request.logprobs is not None:
        crossing.lose(Feature.LOGPROBS)
    if len(request.stop) > STOP_SEQUENCES_MAX:
        crossing.lose(Feature.STOP_MANY)
    if request.cache_key:
        crossing.lose(Feature.CACHE_KEY)
    if request.user:
        crossing.lose(Feature.USER)
    if any(mark is not None for mark in _cache_marks(request)):
        crossing.lose(Feature.CACHE_MARKS)
    if request.max_output == 0:
        # Anthropic's way to fill its cache; Gemini has none.
        message = "A bound of 0 output tokens cannot be carried to the provider of this model. State a positive one."
        raise FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param="max_tokens"))


def _cache_marks(request: Request) -> Iterator[CacheMark | None]:
    for text in request.instructions:
        yield text.cache
    for tool in request.tools:
        yield tool.cache
    for turn in request.turns:
        for part in turn.parts:
            yield getattr(part, "cache", None)


def _declaration(request: Request, index: int, names: ToolNames, crossing: Crossing) -> FunctionDeclaration:
    tool = request.tools[index]
    if tool.strict:
        crossing.lose(Feature.TOOL_STRICT)
    schema: msgspec.Raw | msgspec.UnsetType = msgspec.Raw(tool.schema) if tool.schema else msgspec.UNSET
    if tool.custom:
        crossing.lose(Feature.TOOL_CUSTOM)
        schema = CUSTOM_SCHEMA
    return FunctionDeclaration(
        name=names.written(tool.name), description=tool.description or None, parameters_json_schema=schema
    )


def _tool_config(request: Request, names: ToolNames, crossing: Crossing) -> ToolConfig | None:
    if request.parallel_tools is False and request.tools:
        crossing.lose(Feature.PARALLEL_OFF)
    choice = request.tool_choice
    if choice is None:
        return None
    if not request.tools:
        crossing.lose(Feature.EXTRA, "tool_choice")
        return None
    # Google refuses names beside NONE, where they say nothing.
    only = [names.written(name) for name in choice.only] if choice.mode is not ToolMode.NONE else []
    # A free choice among some: the mode AUTO takes no names.
    mode = "VALIDATED" if only and choice.mode is ToolMode.AUTO else _MODES[choice.mode]
    return ToolConfig(FunctionCallingConfig(mode, only or None))


def _generation_config(request: Request, facts: ModelFacts, crossing: Crossing) -> GenerationConfig | None:
    sampling, output = request.sampling, request.output
    config = GenerationConfig(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        candidate_count=request.choices if request.choices > 1 else None,
        max_output_tokens=request.max_output,
        stop_sequences=list(request.stop) or None,
        presence_penalty=sampling.presence_penalty,
        frequency_penalty=sampling.frequency_penalty,
        seed=sampling.seed,
        response_mime_type="application/json" if output.form is not Format.TEXT else None,
        response_json_schema=msgspec.Raw(output.schema) if output.schema else msgspec.UNSET,
        response_modalities=["TEXT", "IMAGE"] if Feature.IMAGE_OUTPUT in request.features else None,
        thinking_config=written_thinking(request.thinking, facts, request.max_output, crossing),
    )
    return config if config != GenerationConfig() else None


def _tier(request: Request, crossing: Crossing) -> str | None:
    tier = request.service_tier
    if tier in _TIERS:
        return tier
    if tier not in _USUAL_TIERS:
        crossing.lose(Feature.SERVICE_TIER)
    return None
