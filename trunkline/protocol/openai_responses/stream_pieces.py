"""What each event of a stream says about the answer's items. Called by `event_reader`."""

from collections.abc import Callable

from trunkline.protocol.openai_responses.item_events import ItemEvents, OpenItem
from trunkline.protocol.openai_responses.wire import StreamEvent, source_text


def _item(items: ItemEvents, event: StreamEvent, kind: str) -> OpenItem:
    """Return the item that a piece belongs to; one that was never begun begins with it."""
    found = items.find(event.item_id, event.output_index, kind)
    return found or items.begin(event.item_id, event.output_index, kind)


def _text(items: ItemEvents, event: StreamEvent) -> None:
    items.text(_item(items, event, "message"), event.delta or "", ("text", event.content_index))


def _text_done(items: ItemEvents, event: StreamEvent) -> None:
    items.text(_item(items, event, "message"), event.text or "", ("text", event.content_index), whole=True)


def _refusal(items: ItemEvents, event: StreamEvent) -> None:
    items.refusal(_item(items, event, "message"), event.delta or "", ("refusal", event.content_index))


def _refusal_done(items: ItemEvents, event: StreamEvent) -> None:
    item = _item(items, event, "message")
    items.refusal(item, event.refusal or "", ("refusal", event.content_index), whole=True)


def _summary(items: ItemEvents, event: StreamEvent) -> None:
    items.reasoning(_item(items, event, "reasoning"), event.delta or "", ("summary", event.summary_index))


def _summary_done(items: ItemEvents, event: StreamEvent) -> None:
    item = _item(items, event, "reasoning")
    items.reasoning(item, event.text or "", ("summary", event.summary_index), whole=True)


def _thought(items: ItemEvents, event: StreamEvent) -> None:
    items.reasoning(_item(items, event, "reasoning"), event.delta or "", ("content", event.content_index))


def _thought_done(items: ItemEvents, event: StreamEvent) -> None:
    item = _item(items, event, "reasoning")
    items.reasoning(item, event.text or "", ("content", event.content_index), whole=True)


def _arguments(items: ItemEvents, event: StreamEvent) -> None:
    items.arguments(_item(items, event, "function_call"), event.delta or "")


def _arguments_done(items: ItemEvents, event: StreamEvent) -> None:
    items.end_call(_item(items, event, "function_call"), source_text(event.arguments))


def _input(items: ItemEvents, event: StreamEvent) -> None:
    items.arguments(_item(items, event, "custom_tool_call"), event.delta or "")


def _input_done(items: ItemEvents, event: StreamEvent) -> None:
    items.end_call(_item(items, event, "custom_tool_call"), event.input or "")


def _added(items: ItemEvents, event: StreamEvent) -> None:
    if event.item is not None:
        items.add(event.item, event.output_index)


def _done(items: ItemEvents, event: StreamEvent) -> None:
    if event.item is not None:
        items.complete(event.item, event.output_index)


PIECES: dict[str, Callable[[ItemEvents, StreamEvent], None]] = {
    "response.output_text.delta": _text,
    "response.output_text.done": _text_done,
    "response.refusal.delta": _refusal,
    "response.refusal.done": _refusal_done,
    "response.reasoning_summary_text.delta": _summary,
    "response.reasoning_summary_text.done": _summary_done,
    "response.reasoning_text.delta": _thought,
    "response.reasoning_text.done": _thought_done,
    "response.function_call_arguments.delta": _arguments,
    "response.function_call_arguments.done": _arguments_done,
    "response.custom_tool_call_input.delta": _input,
    "response.custom_tool_call_input.done": _input_done,
    "response.output_item.added": _added,
    "response.output_item.done": _done,
}
"""By the event's type; all others say nothing about items that other dialects have."""
