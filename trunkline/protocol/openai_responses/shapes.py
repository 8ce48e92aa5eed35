"""What a client of this dialect sees, as structs with their members in OpenAI's order.

Shared by the writer of answers and the renderer of errors. Every field that the official SDK's types require is there.
"""

from typing import TypeAlias

import msgspec

from trunkline.protocol.openai_responses.usage import UsageShown


class OutputText(msgspec.Struct, tag_field="type", tag="output_text"):
    """A text of a message."""

    text: str = ""
    annotations: tuple[()] = ()
    logprobs: tuple[()] = ()


class OutputRefusal(msgspec.Struct, tag_field="type", tag="refusal"):
    """A refusal in a message."""

    refusal: str = ""


class SummaryText(msgspec.Struct, tag_field="type", tag="summary_text"):
    """A text of a reasoning item."""

    text: str = ""


class MessageItem(msgspec.Struct, tag_field="type", tag="message"):
    """Words for the user."""

    id: str
    status: str
    content: list[OutputText | OutputRefusal]
    role: str = "assistant"


class ReasoningItem(msgspec.Struct, tag_field="type", tag="reasoning", omit_defaults=True):
    """What the model thought."""

    id: str
    summary: list[SummaryText]
    encrypted_content: str | None = None


class FunctionCallItem(msgspec.Struct, tag_field="type", tag="function_call"):
    """A call of a function."""

    id: str
    status: str
    call_id: str
    name: str
    arguments: str = ""


class CustomCallItem(msgspec.Struct, tag_field="type", tag="custom_tool_call"):
    """A call of a free-form tool."""

    id: str
    status: str
    call_id: str
    name: str
    input: str = ""


class ImageItem(msgspec.Struct, tag_field="type", tag="image_generation_call"):
    """A picture."""

    id: str
    status: str
    result: str | None
    output_format: str


OutputItem: TypeAlias = MessageItem | ReasoningItem | FunctionCallItem | CustomCallItem | ImageItem


class ErrorShown(msgspec.Struct):
    """Why a response failed."""

    code: str
    message: str


class IncompleteShown(msgspec.Struct):
    """Why a response is incomplete."""

    reason: str


class _ReasoningSettings(msgspec.Struct, frozen=True):
    effort: str | None = None
    summary: str | None = None


class _TextFormat(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    pass


class _TextSettings(msgspec.Struct, frozen=True):
    format: _TextFormat = _TextFormat()


class ResponseShown(msgspec.Struct):
    """A response. What the request asked for is not repeated: an answer is written without it."""

    id: str
    created_at: int
    model: str
    status: str
    output: list[OutputItem]
    object: str = "response"
    background: bool = False
    error: ErrorShown | None = None
    incomplete_details: IncompleteShown | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    metadata: dict[str, str] = {}
    parallel_tool_calls: bool = True
    previous_response_id: str | None = None
    reasoning: _ReasoningSettings = _ReasoningSettings()
    store: bool = False
    temperature: float | None = None
    text: _TextSettings = _TextSettings()
    tool_choice: str = "auto"
    tools: tuple[()] = ()
    top_p: float | None = None
    truncation: str = "disabled"
    usage: UsageShown | None = None


class Lifecycle(msgspec.Struct):
    """An event that holds the whole response: created, in progress, or one of the ends."""

    type: str
    response: ResponseShown
    sequence_number: int
