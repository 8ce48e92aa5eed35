"""Neutral events as an answer for a Responses client, as a stream or whole. Called by the dispatcher.

The lifecycle is that of DIALECTS section 3.1: the response is created; each item is added, filled part by part, and
done before the next one is; then comes exactly one end with the whole response. An item keeps its id and its place
from ``added`` to ``done`` and into the end. The official SDK's accumulator is the test.
"""

from collections.abc import Sequence

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol import events
from trunkline.protocol.dialect import AnswerFrame
from trunkline.protocol.events import Event, Finish, FinishReason
from trunkline.protocol.openai_responses import carried_proof, stream_shapes
from trunkline.protocol.openai_responses.shapes import (
    CustomCallItem,
    ErrorShown,
    FunctionCallItem,
    ImageItem,
    IncompleteShown,
    Lifecycle,
    MessageItem,
    OutputItem,
    OutputRefusal,
    OutputText,
    ReasoningItem,
    ResponseShown,
    SummaryText,
)
from trunkline.protocol.openai_responses.usage import show_usage
from trunkline.protocol.openai_responses.wire import COMPLETED, FAILED, INCOMPLETE

_IN_PROGRESS = "in_progress"
_COMPLETED = "completed"
_INCOMPLETE = "incomplete"

_INCOMPLETE_REASONS = {
    FinishReason.LENGTH: "max_output_tokens",
    FinishReason.CONTEXT_FULL: "max_output_tokens",
    FinishReason.FILTER: "content_filter",
    FinishReason.PAUSED: "",
}
"""Ends that leave an answer incomplete, with this dialect's word for why; empty: it has none."""

_MALFORMED_CALL = "The model made a tool call that cannot be read."

_encode = msgspec.json.Encoder().encode


def write_answer(answer: Sequence[Event], frame: AnswerFrame) -> bytes:
    """Return a whole answer.

    Args:
        answer: events that end with `events.MessageEnd`.
        frame: what the answer is called.
    """
    writer = ResponsesEventWriter(frame, whole=True)
    for event in answer:
        writer.write(event)
    return _encode(writer.response)


class ResponsesEventWriter:
    """Writes one answer; a machine with at most one open item.

    Args:
        frame: what the answer is called.
        whole: build the response alone, without the stream.

    Attributes:
        response: as far as it is known.
    """

    __slots__ = (
        "_finish",
        "_frame",
        "_item",
        "_part",
        "_pieces",
        "_refused",
        "_sent",
        "_sequence",
        "_units",
        "_whole",
        "response",
    )

    def __init__(self, frame: AnswerFrame, *, whole: bool = False) -> None:
        self.response = ResponseShown("resp_" + frame.id, frame.created, frame.model, _IN_PROGRESS, [])
        self._frame = frame
        self._whole = whole
        self._sequence = 0
        self._sent: list[bytes] = []
        self._item: OutputItem | None = None
        self._part: OutputText | OutputRefusal | SummaryText | None = None
        self._pieces: list[str] = []
        self._refused = False
        self._units: Units | None = None
        self._finish: Finish | None = None

    def write(self, event: Event) -> bytes:
        """Return what the client gets for an event; may be nothing."""
        self._take(event)
        sent = self._sent
        if not sent:
            return b""
        self._sent = []
        return sent[0] if len(sent) == 1 else b"".join(sent)

    def _take(self, event: Event) -> None:  # noqa: C901, PLR0912 - one row per kind of event
        match event:
            case events.TextDelta(text, choice=0):
                self._add_text(text)
            case events.ToolCallDelta(_, arguments, choice=0):
                self._add_arguments(arguments)
            case events.ReasoningDelta(text, choice=0):
                self._add_reasoning(text)
            case events.ReasoningEnd(choice=0):
                self._end_reasoning(event)
            case events.RefusalDelta(text, choice=0):
                self._add_refusal(text)
            case events.ToolCallStart(choice=0):
                self._begin_call(event)
            case events.ToolCallEnd(choice=0):
                self._close()
            case events.ImageOutput(choice=0):
                self._add_image(event)
            case events.UsageReport(units):
                self._units = units
            case Finish(choice=0):
                self._finish = event
                if event.reason is FinishReason.FILTER and not self._refused:
                    self._add_refusal(event.message)
            case events.MessageStart():
                self._send("response.created", Lifecycle("response.created", self.response, 0))
                self._send("response.in_progress", Lifecycle("response.in_progress", self.response, 0))
            case events.MessageEnd():
                self._end()
            case _:
                # Another choice: this dialect has one, and its clients cannot ask for more.
                pass

    def _send(self, name: str, shape: "_Numbered") -> None:
        if self._whole:
            return
        shape.sequence_number = self._sequence
        self._sequence += 1
        self._sent.append(b"event: %b\ndata: %b\n\n" % (name.encode(), _encode(shape)))

    # --- items -------------------------------------------------------------------------------------------------

    @property
    def _index(self) -> int:
        """Place of the open item, or of the next one."""
        return len(self.response.output)

    def _open(self, item: OutputItem, prefix: str) -> None:
        """Begin an item behind all others; gives it its id, with the prefix that OpenAI checks."""
        self._close()
        item.id = f"{prefix}_{self._frame.id}_{self._index}"
        self._item = item
        self._send_item("response.output_item.added", item)

    def _close(self, status: str = _COMPLETED) -> None:
        """End the open item, if there is one."""
        item = self._item
        if item is None:
            return
        match item:
            case MessageItem():
                self._close_part()
                item.status = status
            case ReasoningItem():
                self._close_part()
            case FunctionCallItem():
                item.arguments, item.status = self._text_so_far(), _COMPLETED
                done = stream_shapes.ArgumentsDone(item.id, self._index, item.name, item.arguments)
                self._send("response.function_call_arguments.done", done)
            case CustomCallItem():
                item.input, item.status = self._text_so_far(), _COMPLETED
                done_input = stream_shapes.InputDone(item.id, self._index, item.input)
                self._send("response.custom_tool_call_input.done", done_input)
            case ImageItem():
                pass
        self._item = None
        self._send_item("response.output_item.done", item)
        self.response.output.append(item)

    def _send_item(self, name: str, item: OutputItem) -> None:
        self._send(name, stream_shapes.ItemEvent(name, self._index, item))

    def _text_so_far(self) -> str:
        text = "".join(self._pieces)
        self._pieces.clear()
        return text

    # --- messages ----------------------------------------------------------------------------------------------

    def _add_text(self, text: str) -> None:
        if not text:
            return
        message = self._message(OutputText)
        self._pieces.append(text)
        delta = stream_shapes.TextDelta(message.id, self._index, len(message.content), text)
        self._send("response.output_text.delta", delta)

    def _add_refusal(self, text: str) -> None:
        if not text:
            return
        self._refused = True
        message = self._message(OutputRefusal)
        self._pieces.append(text)
        delta = stream_shapes.RefusalDelta(message.id, self._index, len(message.content), text)
        self._send("response.refusal.delta", delta)

    def _message(self, kind: type[OutputText | OutputRefusal]) -> MessageItem:
        """Return the open message with an open part of a kind."""
        message = self._item
        if not isinstance(message, MessageItem):
            message = MessageItem("", _IN_PROGRESS, [])
            self._open(message, "msg")
        if self._part is not None and type(self._part) is not kind:
            self._close_part()
        if self._part is None:
            self._part = kind()
            self._send_part("response.content_part.added", message, self._part)
        return message

    def _send_part(self, name: str, message: MessageItem, part: OutputText | OutputRefusal) -> None:
        self._send(name, stream_shapes.PartEvent(name, message.id, self._index, len(message.content), part))

    def _close_part(self) -> None:
        """End the open part of the open message or reasoning."""
        part, item = self._part, self._item
        self._part = None
        if isinstance(part, OutputText) and isinstance(item, MessageItem):
            part.text = self._text_so_far()
            done = stream_shapes.TextDone(item.id, self._index, len(item.content), part.text)
            self._send("response.output_text.done", done)
            self._send_part("response.content_part.done", item, part)
            item.content.append(part)
        elif isinstance(part, OutputRefusal) and isinstance(item, MessageItem):
            part.refusal = self._text_so_far()
            refused = stream_shapes.RefusalDone(item.id, self._index, len(item.content), part.refusal)
            self._send("response.refusal.done", refused)
            self._send_part("response.content_part.done", item, part)
            item.content.append(part)
        elif isinstance(part, SummaryText) and isinstance(item, ReasoningItem):
            part.text = self._text_so_far()
            summed = stream_shapes.SummaryDone(item.id, self._index, 0, part.text)
            self._send("response.reasoning_summary_text.done", summed)
            self._send_summary_part("response.reasoning_summary_part.done", item, part)
            item.summary.append(part)

    # --- reasoning ---------------------------------------------------------------------------------------------

    def _add_reasoning(self, text: str) -> None:
        if not text:
            return
        item = self._reasoning_with_part()
        self._pieces.append(text)
        delta = stream_shapes.SummaryDelta(item.id, self._index, 0, text)
        self._send("response.reasoning_summary_text.delta", delta)

    def _reasoning_with_part(self) -> ReasoningItem:
        item = self._item
        if not isinstance(item, ReasoningItem):
            item = ReasoningItem("", [])
            self._open(item, "rs")
        if self._part is None:
            self._part = SummaryText()
            self._send_summary_part("response.reasoning_summary_part.added", item, self._part)
        return item

    def _send_summary_part(self, name: str, item: ReasoningItem, part: SummaryText) -> None:
        self._send(name, stream_shapes.SummaryPartEvent(name, item.id, self._index, 0, part))

    def _end_reasoning(self, event: events.ReasoningEnd) -> None:
        """End a piece of reasoning.

        One without words, which was left out and not hidden, shows an empty part: when it comes back, that tells the
        two apart, and a provider may take only its own way.
        """
        proof = event.proof
        if proof is None:
            if isinstance(self._item, ReasoningItem):
                self._close()
        elif event.redacted:
            self._add_proof(carried_proof.shown(proof))
        else:
            self._reasoning_with_part().encrypted_content = carried_proof.shown(proof)
            self._close()

    def _add_proof(self, content: str) -> None:
        """Write an item that holds nothing but a proof."""
        item = ReasoningItem("", [])
        self._open(item, "rs")
        item.encrypted_content = content
        self._close()

    # --- calls and pictures ------------------------------------------------------------------------------------

    def _begin_call(self, call: events.ToolCallStart) -> None:
        if call.proof is not None:
            self._add_proof(carried_proof.shown_before_call(call.proof))
        if call.custom:
            self._open(CustomCallItem("", _IN_PROGRESS, call.id, call.name), "ctc")
        else:
            self._open(FunctionCallItem("", _IN_PROGRESS, call.id, call.name), "fc")

    def _add_arguments(self, arguments: str) -> None:
        item = self._item
        if not arguments or not isinstance(item, FunctionCallItem | CustomCallItem):
            return
        self._pieces.append(arguments)
        name = (
            "response.function_call_arguments.delta"
            if isinstance(item, FunctionCallItem)
            else "response.custom_tool_call_input.delta"
        )
        self._send(name, stream_shapes.CallDelta(name, item.id, self._index, arguments))

    def _add_image(self, image: events.ImageOutput) -> None:
        kind = image.media_type.rpartition("/")[2]
        item = ImageItem("", _IN_PROGRESS, None, kind)
        self._open(item, "ig")
        item.result, item.status = image.data, _COMPLETED
        self._close()

    # --- the end -----------------------------------------------------------------------------------------------

    def _end(self) -> None:
        reason = self._finish.reason if self._finish is not None else FinishReason.STOP
        response = self.response
        name, response.status = COMPLETED, _COMPLETED
        if reason in _INCOMPLETE_REASONS:
            name, response.status = INCOMPLETE, _INCOMPLETE
            why = _INCOMPLETE_REASONS[reason]
            response.incomplete_details = IncompleteShown(why) if why else None
        elif reason is FinishReason.MALFORMED_CALL:
            name, response.status = FAILED, "failed"
            said = self._finish.message if self._finish is not None else ""
            response.error = ErrorShown("server_error", said or _MALFORMED_CALL)
        self._close(_COMPLETED if name == COMPLETED else _INCOMPLETE)
        if self._units is not None:
            response.usage = show_usage(self._units)
        self._send(name, Lifecycle(name, response, 0))


_Numbered = (
    Lifecycle
    | stream_shapes.ItemEvent
    | stream_shapes.PartEvent
    | stream_shapes.SummaryPartEvent
    | stream_shapes.TextDelta
    | stream_shapes.TextDone
    | stream_shapes.RefusalDelta
    | stream_shapes.RefusalDone
    | stream_shapes.SummaryDelta
    | stream_shapes.SummaryDone
    | stream_shapes.CallDelta
    | stream_shapes.ArgumentsDone
    | stream_shapes.InputDone
)
