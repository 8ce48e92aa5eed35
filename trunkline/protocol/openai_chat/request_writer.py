"""A neutral request as a body for a chat provider (DIALECTS section 2). Called by the dispatcher where dialects differ.

What a vendor takes of it is said by the channel's options (`vendor.VendorOptions`); what it does not get is reported.
The same request gives the same bytes, or no provider's prompt cache would ever hit.
"""

import msgspec

from trunkline.protocol.dialect import Written
from trunkline.protocol.fidelity import Crossing, Feature
from trunkline.protocol.model import Effort, Request, Thinking
from trunkline.protocol.openai_chat.losses import lose, lose_all
from trunkline.protocol.openai_chat.message_writer import MessageWriter
from trunkline.protocol.openai_chat.tool_names import ToolNames
from trunkline.protocol.openai_chat.tool_writer import ToolWriter
from trunkline.protocol.vendor import VendorOptions

STOP_MAX = 4
"""OpenAI's bound on sequences."""

_BUDGETS = ((0, Effort.NONE), (1024, Effort.LOW), (8192, Effort.MEDIUM), (24_576, Effort.HIGH))
"""Up to so many tokens an effort stands for a budget (DIALECTS section 2.5); above all of them it is xhigh."""

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
    lose_all(crossing, request.features, request.extras)
    names = ToolNames()
    body: dict[str, object] = {
        "model": model,
        "messages": MessageWriter(names, crossing, options).write(request),
    }
    tools = ToolWriter(request, names, crossing, options)
    tools.write(body)
    _think(body, request.thinking, crossing)
    _bound(body, request, crossing, options)
    _sample(body, request, crossing, options)
    _identify(body, request, crossing, options)
    if request.stream:
        body["stream"] = True
        body["stream_options"] = _USAGE_WANTED
    return Written(_encode(body), names.mapped, tools.answer_tool)


def _think(body: dict[str, object], thinking: Thinking, crossing: Crossing) -> None:
    effort = thinking.effort
    if effort is None and thinking.budget is not None and thinking.budget >= 0:
        effort = next((effort for most, effort in _BUDGETS if thinking.budget <= most), Effort.XHIGH)
        lose(crossing, Feature.EFFORT)
    if effort is not None:
        body["reasoning_effort"] = effort.value
    if thinking.show is not None:
        lose(crossing, Feature.SHOW_REASONING)


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


def _sample(body: dict[str, object], request: Request, crossing: Crossing, options: VendorOptions) -> None:
    sampling = request.sampling
    for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed"):
        value = getattr(sampling, name)
        if value is not None:
            body[name] = value
    if sampling.top_k is not None:
        if "top_k" in options.forward_fields:
            body["top_k"] = sampling.top_k
        else:
            lose(crossing, Feature.TOP_K)


def _identify(body: dict[str, object], request: Request, crossing: Crossing, options: VendorOptions) -> None:
    if request.cache_key:
        body["prompt_cache_key"] = request.cache_key
    if request.user:
        lose(crossing, Feature.USER)
    if request.service_tier:
        if "service_tier" in options.forward_fields:
            body["service_tier"] = request.service_tier
        else:
            lose(crossing, Feature.SERVICE_TIER)
