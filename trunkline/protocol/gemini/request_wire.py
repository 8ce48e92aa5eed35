"""Gemini's words for what a request has beside its contents, as they are read and written."""

import msgspec

from trunkline.protocol.gemini.wire import Content, MaybeRaw


class ThinkingConfig(msgspec.Struct, rename="camel", omit_defaults=True):
    """How much to think: a level or a budget."""

    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


class GenerationConfig(msgspec.Struct, rename="camel", omit_defaults=True):
    """Sampling, limits and the form of the answer. The raw members are schemas, or only asked whether they are there.

    Whole numbers may come as fractions, since Google's JSON allows it.
    """

    temperature: float | int | None = None
    top_p: float | int | None = None
    top_k: float | int | None = None
    candidate_count: float | int | None = None
    max_output_tokens: float | int | str | None = None
    stop_sequences: list[str] | None = None
    presence_penalty: float | int | None = None
    frequency_penalty: float | int | None = None
    seed: float | int | None = None
    response_logprobs: bool | None = None
    logprobs: float | int | None = None
    response_mime_type: str | None = None
    response_schema: MaybeRaw = msgspec.UNSET
    response_json_schema: MaybeRaw = msgspec.UNSET
    response_format: MaybeRaw = msgspec.UNSET
    response_modalities: list[str | int] | None = None
    speech_config: MaybeRaw = msgspec.UNSET
    image_config: MaybeRaw = msgspec.UNSET
    thinking_config: ThinkingConfig | None = None


class FunctionDeclaration(msgspec.Struct, rename="camel", omit_defaults=True):
    """A function: its parameters as Google's subset of OpenAPI, or as a JSON schema."""

    name: str = ""
    description: str | None = None
    parameters: MaybeRaw = msgspec.UNSET
    parameters_json_schema: MaybeRaw = msgspec.UNSET


class Tool(msgspec.Struct, rename="camel", omit_defaults=True):
    """Functions. Google's own tools are other members of the same object."""

    function_declarations: list[FunctionDeclaration] | None = None


class FunctionCallingConfig(msgspec.Struct, rename="camel", omit_defaults=True):
    """Whether functions are called, and which."""

    mode: str | int | None = None
    allowed_function_names: list[str] | None = None


class ToolConfig(msgspec.Struct, rename="camel", omit_defaults=True):
    """See `FunctionCallingConfig`."""

    function_calling_config: FunctionCallingConfig | None = None


class Body(msgspec.Struct, rename="camel", omit_defaults=True):
    """A request as it is written."""

    system_instruction: Content | None = None
    contents: list[Content] | None = None
    tools: list[Tool] | None = None
    tool_config: ToolConfig | None = None
    generation_config: GenerationConfig | None = None
    service_tier: str | None = None
