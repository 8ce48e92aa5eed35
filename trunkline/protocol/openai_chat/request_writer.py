"""A neutral request as a body for a chat provider (DIALECTS section 2). Called by the dispatcher where dialects differ.

What a vendor takes of it is said by the channel's options (`vendor.VendorOptions`); what it does not get is reported.
A chat client's own request comes here, too, where the channel wants it: then fields that only chat knows go along.
The same request gives the same bytes, or no provider's prompt cache would ever hit.
"""

from collections.abc import Collection

import msgspec

from trunkline.protocol.dialect import Written
from trunkline.protocol.fidelity import Crossing, Feature
from trunkline.protocol.model import Request
from trunkline.protocol.names import OPENAI_CHAT
from trunkline.protocol.openai_chat.losses import lose, lose_all
from trunkline.protocol.openai_chat.message_writer import MessageWriter, ends_with_assistant
from trunkline.protocol.openai_chat.thinking_writer import write_thinking
from trunkline.protocol.openai_chat.tool_names import ToolNames
from trunkline.protocol.openai_chat.tool_writer import ToolWriter
from trunkline.protocol.vendor import AssistantPrefix, VendorOptions

STOP_MAX = 4
"""OpenAI's bound on sequences."""

_FIELDS = {
    Feature.LOGIT_BIAS: "logit_bias",
    Feature.PREDICTION: "prediction",
    Feature.STORE: "store",
    Feature.METADATA: "metadata",
}
"""What the neutral model has no field for, by the field that a chat client says it in."""

_THINKING = frozenset({"thinking", "enable_thinking", "thinking_budget", "reasoning", "chat_template_kwargs"})
"""Vendors' own fields for thinking: who uses one knows the vendor, and gets it as it is."""

_USAGE_WANTED = {"include_usage": True}

_encode = msgspec.json.Encoder().encode


def write_request(request: Request, crossing: Crossing, model: str, options: VendorOptions) -> Written:
    """Return a request in chat's words.

    Args:
        request: of another dialect.
        crossing: told of everything that is not carried as it is.
        model: the provider's name for it.
        options: of the channel.

    Raises:
        FaultError: ``client_bad_request``: it cannot be carried; names the field.
    """
    own = dict(request.own_fields) if crossing.client == OPENAI_CHAT else {}
    features = [feature for feature in request.features if _FIELDS.get(feature) not in own]
    lose_all(crossing, features, [name for name in request.extras if name not in own])
    names = ToolNames()
    body: dict[str, object] = {
        "model": model,
        "messages": MessageWriter(names, crossing, options).write(request),
    }
    tools = ToolWriter(request, names, crossing, options)
    tools.write(body)
    if own.keys() & _THINKING:
        if request.thinking.effort is not None:
            body["reasoning_effort"] = request.thinking.effort.value
    else:
        write_thinking(body, request.thinking, crossing, options)
    _bound(body, request, crossing, options)
    _sample(body, request)
    if request.cache_key:
        body["prompt_cache_key"] = request.cache_key
    _hint(body, request, crossing, options, own)
    body |= {name: msgspec.Raw(value) for name, value in own.items()}
    if options.prefix is AssistantPrefix.CONTINUE and ends_with_assistant(request):
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    if request.stream:
        body["stream"] = True
        body["stream_options"] = _USAGE_WANTED
    return Written(_encode(body), names.mapped, tools.answer_tool)


def _bound(body: dict[str, object], request: Request, crossing: Crossing, options: VendorOptions) -> None:
    if request.max_output is not None:
        body["max_completion_tokens" if options.max_completion_tokens else "max_tokens"] = request.max_output
    if len(request.stop) > STOP_MAX:
        lose(crossing, Feature.STOP_MANY)
    if request.stop:
        body["stop"] = request.stop
    if request.choices > 1:
        body["n"] = request.choices
    if request.logprobs is not None:
        lose(crossing, Feature.LOGPROBS)


def _sample(body: dict[str, object], request: Request) -> None:
    sampling = request.sampling
    for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed"):
        value = getattr(sampling, name)
        if value is not None:
            body[name] = value


def _hint(
    body: dict[str, object], request: Request, crossing: Crossing, options: VendorOptions, own: Collection[str]
) -> None:
    """Say what not every provider takes where this one does, and report the rest; ``own`` is said anyway."""
    hints = (
        ("top_k", request.sampling.top_k, Feature.TOP_K),
        ("user", request.user, Feature.USER),
        ("service_tier", request.service_tier, Feature.SERVICE_TIER),
    )
    for name, value, feature in hints:
        if value in {None, ""} or name in own:
            continue
        if name in options.forward_fields:
            body[name] = value
        else:
            lose(crossing, feature)
