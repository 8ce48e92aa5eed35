"""What a channel must be able to say about its provider, beside the dialect that it speaks (DIALECTS section 6).

One flat struct of options, each with a default that suits most providers of its dialect. It stands in the configuration
file under a channel's ``options`` and travels in the channel's snapshot; request writers and answer readers take it.
"""

from enum import StrEnum

import msgspec


class ToolIDRule(StrEnum):
    """What ids of tool calls a provider takes in history."""

    ANY = "any"
    ALPHANUMERIC_9 = "alphanumeric_9"
    """Exactly nine letters and digits (Mistral)."""


class ReasoningReplay(StrEnum):
    """Whether earlier reasoning goes back to a chat provider as its reasoning field."""

    NEVER = "never"
    TOOL_LOOP = "tool_loop"
    """Only on the turns since the last user message (Moonshot, Zhipu)."""
    ALWAYS = "always"
    """On every assistant turn, empty where there is none (DeepSeek)."""


class VendorOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """Options of a channel.

    Attributes:
        max_completion_tokens: the bound on output goes by its newer name (OpenAI's reasoning models).
        developer_role: instructions are sent as ``developer`` instead of ``system``.
        instructions_midway: the model takes instructions in the middle of a conversation (Anthropic).
        parallel_switch: it knows ``parallel_tool_calls``.
        tool_strict: it knows ``strict`` on tools and schemas.
        json_schema: it knows ``response_format`` of type ``json_schema``.
        required_word: its word for "some tool must be called" (Mistral: ``any``).
        tool_ids: see there.
        reasoning_field: where reasoning stands in answers and history, beside the names that are always read.
        reasoning_replay: see there.
        think_tags: reasoning stands in ``<think>`` tags inside the text.
        lenient_end: ``[DONE]`` without a finish reason is a good end.
        cache_marks: it takes ``cache_control`` on parts of a chat (Qwen, OpenRouter).
        auth_bearer: an Anthropic upstream wants its key as a Bearer token.
        tools_by_responses: an OpenAI upstream refuses tools with reasoning on chat completions (GPT-5.4 and later):
            such requests are sent to its Responses endpoint.
        completions: it has the old text completions; where not, and in other dialects, they become conversations.
        api_version: Azure's ``api-version``; empty for its newer paths, which need none.
        betas: values of ``anthropic-beta`` that it knows; ``*`` lets all through.
        max_output: of its models, for dialects that demand a bound and clients that state none; 0: a known default.
        forward_fields: of ``top_k`` and ``service_tier``, those a chat provider takes from other dialects' clients.
    """

    max_completion_tokens: bool = False
    developer_role: bool = False
    instructions_midway: bool = False
    parallel_switch: bool = True
    tool_strict: bool = True
    json_schema: bool = True
    required_word: str = "required"
    tool_ids: ToolIDRule = ToolIDRule.ANY
    reasoning_field: str = "reasoning_content"
    reasoning_replay: ReasoningReplay = ReasoningReplay.NEVER
    think_tags: bool = False
    lenient_end: bool = False
    cache_marks: bool = False
    auth_bearer: bool = False
    tools_by_responses: bool = False
    completions: bool = True
    api_version: str = ""
    betas: tuple[str, ...] = ("*",)
    max_output: int = 0
    forward_fields: tuple[str, ...] = ()


DEFAULTS = VendorOptions()
