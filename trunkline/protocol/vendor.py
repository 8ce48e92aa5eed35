"""What a channel must be able to say about its provider, beside the dialect that it speaks (DIALECTS section 6).

One flat struct of options, each with a default that suits most providers of its dialect. It stands in the configuration
file under a channel's ``options`` and travels in the channel's snapshot; request writers and answer readers take it.
"""

from enum import StrEnum

import msgspec

from trunkline.protocol.model import Effort


class ToolIDRule(StrEnum):
    """What ids of tool calls a provider takes in history."""

    ANY = "any"
    ALPHANUMERIC_9 = "alphanumeric_9"
    """Exactly nine letters and digits (Mistral)."""


class ToolSchemaRule(StrEnum):
    """What schemas of tools a provider takes."""

    ANY = "any"
    PLAIN = "plain"
    """No ``$schema``, an object at the root, and no type beside a union (Moonshot)."""


class ThinkingField(StrEnum):
    """The field of a chat request that says how much the model is to think."""

    EFFORT = "reasoning_effort"
    """A level."""
    THINKING = "thinking"
    """On or off, and a level beside it where ``efforts`` names some (DeepSeek, Zhipu, Moonshot)."""
    ENABLE = "enable_thinking"
    """On or off, and how many tokens in ``thinking_budget`` (Qwen at DashScope)."""
    REASONING = "reasoning"
    """An object with a level or a number of tokens (OpenRouter)."""
    TEMPLATE = "chat_template_kwargs"
    """On or off, said to the chat template (Qwen on vLLM and SGLang)."""


class ReasoningReplay(StrEnum):
    """Whether earlier reasoning goes back to a chat provider as its reasoning field."""

    NEVER = "never"
    TOOL_LOOP = "tool_loop"
    """Only on the turns since the last user message (Moonshot, Zhipu)."""
    ALWAYS = "always"
    """On every assistant turn, empty where there is none (DeepSeek)."""


class AssistantPrefix(StrEnum):
    """How a provider is told that the conversation's last words are the beginning of its answer."""

    NONE = "none"
    """It cannot be told."""
    LAST_MESSAGE = "last_message"
    """That they are the assistant's says it (Anthropic's models up to 4.5, some behind OpenRouter)."""
    PREFIX = "prefix"
    """By ``prefix`` on the message (DeepSeek, Mistral)."""
    PARTIAL = "partial"
    """By ``partial`` on the message (Moonshot, Qwen at DashScope)."""
    CONTINUE = "continue_final_message"
    """By a field of the request (vLLM, SGLang)."""


class ForwardField(StrEnum):
    """A field that clients of other dialects have a word for, and some chat providers take."""

    TOP_K = "top_k"
    SERVICE_TIER = "service_tier"


class VendorOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """Options of a channel.

    Attributes:
        translated: clients of the provider's own dialect are translated as well, instead of relayed byte by byte, so
            that all that is said here holds for them, too, and their SDKs never see the flaws of its answers.
        max_completion_tokens: the bound on output goes by its newer name (OpenAI's reasoning models).
        developer_role: instructions are sent as ``developer`` instead of ``system``.
        instructions_midway: the model takes instructions in the middle of a conversation; None: as its dialect does,
            chat always, Anthropic by its models.
        parallel_switch: it knows ``parallel_tool_calls``.
        forced_tools: a call may be demanded; where not, ``tool_choice`` is ``auto`` or left out (Zhipu).
        tool_strict: it knows ``strict`` on tools and schemas.
        tool_schemas: see there.
        json_schema: it knows ``response_format`` of type ``json_schema``.
        required_word: its word for "some tool must be called" (Mistral: ``any``).
        tool_ids: see there.
        tool_bridge: what the assistant says between results of tools and words of the user, for a provider that refuses
            the one right behind the other (Mistral); empty: nothing.
        reasoning_field: where reasoning stands in answers and history, beside the names that are always read.
        reasoning_replay: see there.
        thinking_field: see there.
        efforts: levels of thinking that its models know; another one becomes the nearest below. Empty: all of them.
        think_tags: reasoning stands in ``<think>`` tags inside the text.
        lenient_end: ``[DONE]``, or Anthropic's ``message_stop``, without a finish reason is a good end.
        cache_marks: it takes ``cache_control`` on parts of a chat (Qwen, OpenRouter).
        auth_bearer: an Anthropic upstream wants its key as a Bearer token.
        tools_by_responses: an OpenAI upstream refuses tools with reasoning on chat completions (GPT-5.4 and later):
            such requests are sent to its Responses endpoint.
        completions: it has the old text completions; where not, and in other dialects, they become conversations.
        api_version: Azure's ``api-version``; empty for its newer paths, which need none.
        betas: values of ``anthropic-beta`` that it knows; ``*`` lets all through.
        max_output: of its models, for dialects that demand a bound and clients that state none; 0: a known default.
        forward_fields: those that a chat provider gets from clients of other dialects. There are no more: fields of a
            vendor's own come from chat clients, and reach a chat provider without being named.
        inline_images: it never fetches a URL, so pictures and PDFs are fetched for it and sent inline. None: on a
            Gemini channel for clients of other dialects, elsewhere not; false where its models fetch public URLs.
        prefix: see there. Chat and Anthropic alone have a word for it.
    """

    translated: bool = False
    max_completion_tokens: bool = False
    developer_role: bool = False
    instructions_midway: bool | None = None
    parallel_switch: bool = True
    forced_tools: bool = True
    tool_strict: bool = True
    tool_schemas: ToolSchemaRule = ToolSchemaRule.ANY
    json_schema: bool = True
    required_word: str = "required"
    tool_ids: ToolIDRule = ToolIDRule.ANY
    tool_bridge: str = ""
    reasoning_field: str = "reasoning_content"
    reasoning_replay: ReasoningReplay = ReasoningReplay.NEVER
    thinking_field: ThinkingField = ThinkingField.EFFORT
    efforts: tuple[Effort, ...] = ()
    think_tags: bool = False
    lenient_end: bool = False
    cache_marks: bool = False
    auth_bearer: bool = False
    tools_by_responses: bool = False
    completions: bool = True
    api_version: str = ""
    betas: tuple[str, ...] = ("*",)
    max_output: int = 0
    forward_fields: tuple[ForwardField, ...] = ()
    inline_images: bool | None = None
    prefix: AssistantPrefix = AssistantPrefix.NONE


DEFAULTS = VendorOptions()
