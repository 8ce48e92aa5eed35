"""Writes a neutral request as a Messages request. Called by the dispatcher for clients of other dialects."""

import msgspec

from trunkline.protocol.anthropic.models_table import ModelTraits, model_traits
from trunkline.protocol.anthropic.schema import closed_schema
from trunkline.protocol.anthropic.thinking_writer import ThinkingPlan, plan_thinking
from trunkline.protocol.anthropic.tool_writer import Member, ToolNames, ToolPlan, cache_control
from trunkline.protocol.anthropic.turn_writer import TurnWriter
from trunkline.protocol.dialect import Written
from trunkline.protocol.fidelity import Crossing, Feature
from trunkline.protocol.model import Format, Request, Sampling
from trunkline.protocol.vendor import VendorOptions

_encode = msgspec.json.Encoder().encode

_JSON_WORDS = "Answer with one JSON object and nothing else: no text before or after it, no code fence around it."
_TIERS = frozenset({"auto", "standard_only"})

_THINKING_TOP_P_MIN = 0.95
"""With thinking the provider takes no smaller one."""


def write_request(request: Request, crossing: Crossing, model: str, options: VendorOptions) -> Written:
    """Return a neutral request in this dialect; see `protocol.dialect.UpstreamDialect`.

    Args:
        request: of a client.
        crossing: told of everything that is not carried as it is.
        model: the provider's name for it.
        options: of the channel.

    Raises:
        FaultError: ``client_bad_request``: it cannot be carried; names the field.
    """
    _report_lost(request, crossing)
    traits = model_traits(model)
    max_tokens = request.max_output or _default_max_tokens(traits, options)
    names = ToolNames()
    turns = TurnWriter(crossing, traits, options, names)
    messages = turns.write(request.turns)
    tools = ToolPlan(request, crossing, traits, options, names)
    barred = turns.unproven_loop or turns.prefilled or bool(tools.unwrap_tool)
    thinking = plan_thinking(request.thinking, crossing, traits, max_tokens, budget_barred=barred)
    if thinking.manual and tools.forced:
        tools.release()
    body: Member = {"model": model, "max_tokens": max_tokens}
    system = _system(request, crossing)
    if system:
        body["system"] = system
    body["messages"] = messages
    if tools.tools:
        body["tools"] = tools.tools
    if tools.choice:
        body["tool_choice"] = tools.choice
    if thinking.config is not None:
        body["thinking"] = thinking.config
    config = _output_config(request, crossing, traits, thinking)
    if config:
        body["output_config"] = config
    body |= _sampling(request.sampling, crossing, traits, thinking)
    if request.stop:
        body["stop_sequences"] = request.stop
    if request.service_tier in _TIERS:
        body["service_tier"] = request.service_tier
    if request.stream:
        body["stream"] = True
    return Written(_encode(body), names.changed, tools.unwrap_tool, tuple(tools.unwrap_field))


def _report_lost(request: Request, crossing: Crossing) -> None:
    """Report what no request of this dialect can carry."""
    # Its own clients' search results come as texts with their source, which this dialect would carry as they are.
    features = [feature for feature in request.features if feature is not Feature.SEARCH_RESULT]
    crossing.lose_all(features, request.extras)
    sampling = request.sampling
    lost = {
        Feature.CHOICES: request.choices > 1,
        Feature.LOGPROBS: request.logprobs is not None,
        Feature.PENALTIES: bool(sampling.frequency_penalty or sampling.presence_penalty),
        Feature.SEED: sampling.seed is not None,
        Feature.CACHE_KEY: bool(request.cache_key),
        Feature.USER: bool(request.user),
        Feature.SERVICE_TIER: bool(request.service_tier) and request.service_tier not in _TIERS,
    }
    for feature, used in lost.items():
        if used:
            crossing.lose(feature)


def _default_max_tokens(traits: ModelTraits, options: VendorOptions) -> int:
    """Return the bound for a client that states none: the model's own, as far as the channel lets it."""
    if not options.max_output:
        return traits.max_output
    return min(options.max_output, traits.max_output) if traits.known else options.max_output


def _system(request: Request, crossing: Crossing) -> str | list[Member]:
    """Return ``system``: a string where one plain text says it all."""
    blocks: list[Member] = [
        {"type": "text", "text": text.text, **cache_control(text.cache)}
        for text in request.instructions
        if text.text.strip()
    ]
    if request.output.form is Format.JSON:
        crossing.lose(Feature.JSON_FORM)
        blocks.append({"type": "text", "text": _JSON_WORDS})
    if len(blocks) == 1 and "cache_control" not in blocks[0]:
        return str(blocks[0]["text"])
    return blocks


def _output_config(request: Request, crossing: Crossing, traits: ModelTraits, thinking: ThinkingPlan) -> Member:
    config: Member = {}
    if thinking.effort is not None:
        config["effort"] = thinking.effort
    output = request.output
    if output.form is Format.SCHEMA and traits.schema:
        schema = closed_schema(output.schema)
        if schema is not output.schema or output.description:
            crossing.lose(Feature.SCHEMA_FORM)
        config["format"] = {"type": "json_schema", "schema": msgspec.Raw(schema)}
    return config


def _sampling(sampling: Sampling, crossing: Crossing, traits: ModelTraits, thinking: ThinkingPlan) -> Member:
    """Return what the model takes of how tokens are drawn (DIALECTS section 2.3)."""
    wished = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
    written = {name: value for name, value in wished.items() if value is not None}
    for name, value in list(written.items()):
        if not traits.sampling or (thinking.on and not _suits_thinking(name, value)):
            crossing.lose(Feature.SAMPLING_REFUSED, name)
            del written[name]
    if written.get("temperature", 0) > 1:
        crossing.lose(Feature.TEMPERATURE_OVER_ONE)
        written["temperature"] = 1
    if written.keys() >= {"temperature", "top_p"} and not traits.temperature_with_top_p:
        crossing.lose(Feature.TEMPERATURE_WITH_TOP_P)
        del written["top_p"]
    return dict(written)


def _suits_thinking(name: str, value: float) -> bool:
    return (name == "temperature" and value == 1) or (name == "top_p" and value >= _THINKING_TOP_P_MIN)
