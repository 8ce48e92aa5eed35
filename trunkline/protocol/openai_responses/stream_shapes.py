"""The events of a stream between its lifecycle's, as a client sees them; see `shapes` for what they hold.

Each has its ``type``, the item that it belongs to and its place, and a ``sequence_number`` that `event_writer` sets.
"""

import msgspec

from trunkline.protocol.openai_responses.shapes import OutputItem, OutputRefusal, OutputText, SummaryText


class ItemEvent(msgspec.Struct):
    """An item begins or is whole."""

    type: str
    output_index: int
    item: OutputItem
    sequence_number: int = 0


class PartEvent(msgspec.Struct):
    """A part of a message begins or is whole."""

    type: str
    item_id: str
    output_index: int
    content_index: int
    part: OutputText | OutputRefusal
    sequence_number: int = 0


class SummaryPartEvent(msgspec.Struct):
    """A part of a summary begins or is whole."""

    type: str
    item_id: str
    output_index: int
    summary_index: int
    part: SummaryText
    sequence_number: int = 0


class TextDelta(msgspec.Struct, tag_field="type", tag="response.output_text.delta"):
    """More of a text."""

    item_id: str
    output_index: int
    content_index: int
    delta: str
    logprobs: tuple[()] = ()
    sequence_number: int = 0


class TextDone(msgspec.Struct, tag_field="type", tag="response.output_text.done"):
    """A whole text."""

    item_id: str
    output_index: int
    content_index: int
    text: str
    logprobs: tuple[()] = ()
    sequence_number: int = 0


class RefusalDelta(msgspec.Struct, tag_field="type", tag="response.refusal.delta"):
    """More of a refusal."""

    item_id: str
    output_index: int
    content_index: int
    delta: str
    sequence_number: int = 0


class RefusalDone(msgspec.Struct, tag_field="type", tag="response.refusal.done"):
    """A whole refusal."""

    item_id: str
    output_index: int
    content_index: int
    refusal: str
    sequence_number: int = 0


class SummaryDelta(msgspec.Struct, tag_field="type", tag="response.reasoning_summary_text.delta"):
    """More of a summary."""

    item_id: str
    output_index: int
    summary_index: int
    delta: str
    sequence_number: int = 0


class SummaryDone(msgspec.Struct, tag_field="type", tag="response.reasoning_summary_text.done"):
    """A whole summary."""

    item_id: str
    output_index: int
    summary_index: int
    text: str
    sequence_number: int = 0


class CallDelta(msgspec.Struct):
    """More of a call's arguments or input."""

    type: str
    item_id: str
    output_index: int
    delta: str
    sequence_number: int = 0


class ArgumentsDone(msgspec.Struct, tag_field="type", tag="response.function_call_arguments.done"):
    """All of a call's arguments."""

    item_id: str
    output_index: int
    name: str
    arguments: str
    sequence_number: int = 0


class InputDone(msgspec.Struct, tag_field="type", tag="response.custom_tool_call_input.done"):
    """All of a custom call's input."""

    item_id: str
    output_index: int
    input: str
    sequence_number: int = 0
