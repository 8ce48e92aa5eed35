"""What a Responses upstream is sent, as structs with their members in a fixed order: same request, same bytes."""

from typing import TypeAlias

import msgspec


class InputText(msgspec.Struct, tag_field="type", tag="input_text", gc=False):
    """A text of the user, the instructions or a tool."""

    text: str


class InputImage(msgspec.Struct, tag_field="type", tag="input_image", gc=False):
    """A picture, by URL or as a data URL."""

    image_url: str
    detail: str


class InputFile(msgspec.Struct, tag_field="type", tag="input_file", omit_defaults=True, gc=False):
    """A document, by URL or as a data URL with a name."""

    filename: str = ""
    file_data: str = ""
    file_url: str = ""


class OutputText(msgspec.Struct, tag_field="type", tag="output_text", gc=False):
    """A text of the model."""

    text: str


class OutputRefusal(msgspec.Struct, tag_field="type", tag="refusal", gc=False):
    """A refusal of the model."""

    refusal: str


class SummaryText(msgspec.Struct, tag_field="type", tag="summary_text", gc=False):
    """A text of a reasoning item."""

    text: str


InputPart: TypeAlias = InputText | InputImage | InputFile
OutputPart: TypeAlias = OutputText | OutputRefusal


class Message(msgspec.Struct, tag_field="type", tag="message", gc=False):
    """A message; a single text is a bare string, which every host takes."""

    role: str
    content: str | list[InputPart] | list[OutputPart]


class FunctionCall(msgspec.Struct, tag_field="type", tag="function_call", gc=False):
    """A call of a function."""

    call_id: str
    name: str
    arguments: str


class FunctionOutput(msgspec.Struct, tag_field="type", tag="function_call_output", gc=False):
    """What a function answered."""

    call_id: str
    output: str | list[InputPart]


class CustomCall(msgspec.Struct, tag_field="type", tag="custom_tool_call", gc=False):
    """A call of a free-form tool."""

    call_id: str
    name: str
    input: str


class CustomOutput(msgspec.Struct, tag_field="type", tag="custom_tool_call_output", gc=False):
    """What a free-form tool answered."""

    call_id: str
    output: str | list[InputPart]


class ReasoningItem(msgspec.Struct, tag_field="type", tag="reasoning", gc=False):
    """The model's own earlier reasoning."""

    summary: list[SummaryText]
    encrypted_content: str


UpstreamItem: TypeAlias = Message | FunctionCall | FunctionOutput | CustomCall | CustomOutput | ReasoningItem


class FunctionTool(msgspec.Struct, tag_field="type", tag="function", omit_defaults=True, gc=False):
    """A function; ``strict`` is written also where it is false, since this dialect takes its absence for true."""

    name: str
    description: str = ""
    parameters: msgspec.Raw = msgspec.Raw()
    strict: bool | None = None


class CustomTool(msgspec.Struct, tag_field="type", tag="custom", omit_defaults=True, gc=False):
    """A free-form tool."""

    name: str
    description: str = ""


class NamedTool(msgspec.Struct, gc=False):
    """A tool in a tool choice."""

    type: str
    name: str


class AllowedTools(msgspec.Struct, tag_field="type", tag="allowed_tools", gc=False):
    """Tools that may be called."""

    mode: str
    tools: list[NamedTool]


class JSONFormat(msgspec.Struct, tag_field="type", tag="json_object", gc=False):
    """Any JSON object."""


class SchemaFormat(msgspec.Struct, tag_field="type", tag="json_schema", omit_defaults=True, gc=False):
    """JSON after a schema."""

    name: str
    schema: msgspec.Raw
    description: str = ""
    strict: bool | None = None


class TextSettings(msgspec.Struct, gc=False):
    """Form of the answer's text."""

    format: JSONFormat | SchemaFormat


class ReasoningSettings(msgspec.Struct, omit_defaults=True, gc=False):
    """How to think, and whether to show it."""

    effort: str | None = None
    summary: str | None = None


class Body(msgspec.Struct, omit_defaults=True):
    """A request."""

    model: str
    input: list[UpstreamItem]
    store: bool
    include: list[str]
    instructions: str = ""
    tools: list[FunctionTool | CustomTool] | None = None
    tool_choice: str | NamedTool | AllowedTools | None = None
    parallel_tool_calls: bool | None = None
    text: TextSettings | None = None
    reasoning: ReasoningSettings | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    prompt_cache_key: str = ""
    service_tier: str = ""
    stream: bool = False


encode = msgspec.json.Encoder().encode
