"""A chat request as its clients write it, for the reading of all of it. Called by the request reader.

`request` is the edge's view of the same bytes, which asks only for what routing needs. Large schemas stay source text.
"""

from typing import TypeAlias

import msgspec

MaybeRaw: TypeAlias = msgspec.Raw | msgspec.UnsetType


class CacheControl(msgspec.Struct, gc=False):
    """A cache breakpoint in the words of Qwen and OpenRouter."""

    ttl: str | None = None


class CacheBreakpoint(msgspec.Struct, gc=False):
    """A cache breakpoint in OpenAI's words."""

    ttl: str | None = None


class ImageURL(msgspec.Struct, gc=False):
    """An image by URL or data URL."""

    url: str
    detail: str | None = None


class InputAudio(msgspec.Struct, gc=False):
    """Sound as base64."""

    data: str
    format: str


class FileContent(msgspec.Struct, gc=False):
    """A file: by id, or as a data URL."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class Part(msgspec.Struct, gc=False):
    """A part of a message's content, of any type."""

    type: str | None = None
    text: str | None = None
    image_url: ImageURL | str | None = None
    input_audio: InputAudio | None = None
    file: FileContent | None = None
    refusal: str | None = None
    thinking: str | list["Part"] | None = None
    cache_control: CacheControl | None = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class Function(msgspec.Struct, gc=False):
    """A call's name and arguments; the latter a string, and an object from some clients."""

    name: str
    arguments: MaybeRaw = msgspec.UNSET


class CustomInput(msgspec.Struct, gc=False):
    """A free-form call."""

    name: str
    input: str | None = None


class ToolCall(msgspec.Struct, gc=False):
    """A call in history."""

    id: str | None = None
    function: Function | None = None
    custom: CustomInput | None = None
    extra_content: MaybeRaw = msgspec.UNSET
    cache_control: CacheControl | None = None


class Message(msgspec.Struct):
    """A message of any role."""

    role: str
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    function_call: Function | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: MaybeRaw = msgspec.UNSET
    images: list[Part] | None = None
    audio: MaybeRaw = msgspec.UNSET
    cache_control: CacheControl | None = None


class ToolFormat(msgspec.Struct, gc=False):
    """What a free-form tool takes."""

    type: str | None = None


class FunctionDefinition(msgspec.Struct, gc=False):
    """A function, also in the deprecated ``functions``."""

    name: str
    description: str | None = None
    parameters: MaybeRaw = msgspec.UNSET
    strict: bool | None = None
    cache_control: CacheControl | None = None


class CustomDefinition(msgspec.Struct, gc=False):
    """A free-form tool."""

    name: str
    description: str | None = None
    format: ToolFormat | None = None


class ToolDefinition(msgspec.Struct, gc=False):
    """A tool of any type."""

    type: str | None = None
    function: FunctionDefinition | None = None
    custom: CustomDefinition | None = None
    cache_control: CacheControl | None = None


class ToolName(msgspec.Struct, gc=False):
    """A function's or free-form tool's name."""

    name: str


class ChosenTool(msgspec.Struct, gc=False):
    """One tool in a choice."""

    function: ToolName | None = None
    custom: ToolName | None = None
    name: str | None = None


class AllowedTools(msgspec.Struct, gc=False):
    """A choice among some tools."""

    mode: str
    tools: list[ChosenTool]


class ToolChoiceObject(ChosenTool, gc=False):
    """A choice that is more than a word."""

    type: str | None = None
    allowed_tools: AllowedTools | None = None


class JSONSchema(msgspec.Struct, gc=False):
    """The form of the answer."""

    name: str | None = None
    description: str | None = None
    schema: MaybeRaw = msgspec.UNSET
    strict: bool | None = None


class ResponseFormat(msgspec.Struct, gc=False):
    """The form of the answer; ``schema`` beside ``json_object`` is Together's."""

    type: str
    json_schema: JSONSchema | None = None
    schema: MaybeRaw = msgspec.UNSET


class StreamOptions(msgspec.Struct, gc=False):
    """Wishes for a stream."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class RequestFields(msgspec.Struct):
    """All top-level fields that are understood, or known to be lost."""

    messages: list[Message]
    model: MaybeRaw = msgspec.UNSET
    stream: MaybeRaw = msgspec.UNSET
    stream_options: StreamOptions | None = None
    tools: list[ToolDefinition] | None = None
    tool_choice: str | ToolChoiceObject | None = None
    parallel_tool_calls: bool | None = None
    functions: list[FunctionDefinition] | None = None
    function_call: str | ToolName | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: MaybeRaw = msgspec.UNSET
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    reasoning: MaybeRaw = msgspec.UNSET
    thinking: MaybeRaw = msgspec.UNSET
    enable_thinking: bool | None = None
    thinking_budget: int | None = None
    prompt_cache_key: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    metadata: MaybeRaw = msgspec.UNSET
    store: bool | None = None
    prediction: MaybeRaw = msgspec.UNSET
    verbosity: str | None = None
    modalities: list[str] | None = None
    audio: MaybeRaw = msgspec.UNSET
    web_search_options: MaybeRaw = msgspec.UNSET
    fallback_models: MaybeRaw = msgspec.UNSET
    models: MaybeRaw = msgspec.UNSET


class StrictRequestFields(RequestFields, forbid_unknown_fields=True):
    """As `RequestFields`, and nothing else: what is left is to be looked for only where there is something."""


def filled(value: MaybeRaw) -> bool:
    """Return whether a member is there and says something."""
    return value is not msgspec.UNSET and bytes(value) not in {b"null", b"{}", b"[]", b'""'}
