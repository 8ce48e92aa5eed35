"""Events of a Responses upstream's stream, and what our reader makes of them."""

import json

from trunkline.protocol.dialect import Written
from trunkline.protocol.events import Event, Finish, FinishReason, MessageEnd, MessageStart, StreamError
from trunkline.protocol.openai_responses.event_reader import ResponsesEventReader
from trunkline.protocol.vendor import DEFAULTS, VendorOptions

PLAIN = Written(b"")
USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
START = MessageStart("resp_1")
STOP = (Finish(FinishReason.STOP), MessageEnd())
CALLED = (Finish(FinishReason.TOOL_CALLS), MessageEnd())


def event(kind: str, index: int | None = 0, item_id: str | None = "i0", **members: object) -> bytes:
    place = {"output_index": index, "item_id": item_id}
    tree = {"type": kind, **{name: value for name, value in place.items() if value is not None}, **members}
    return f"event: {kind}\ndata: {json.dumps(tree)}\n\n".encode()


def response(status: str = "completed", *output: object, **members: object) -> dict[str, object]:
    return {"id": "resp_1", "status": status, "output": list(output), "error": None, **members}


def end(*output: object, **members: object) -> bytes:
    return event("response.completed", None, None, response=response("completed", *output, **members))


def added(index: int, item_id: str, **item: object) -> bytes:
    return event("response.output_item.added", index, None, item={"id": item_id, **item})


def done(index: int, item_id: str, **item: object) -> bytes:
    return event("response.output_item.done", index, None, item={"id": item_id, **item})


def text(words: str, index: int = 0, item_id: str = "i0", part: int = 0) -> bytes:
    return event("response.output_text.delta", index, item_id, content_index=part, delta=words, logprobs=[])


def arguments(piece: str, index: int = 0, item_id: str = "i0") -> bytes:
    return event("response.function_call_arguments.delta", index, item_id, delta=piece)


def thought(words: str, index: int = 0, item_id: str = "i0", part: int = 0) -> bytes:
    return event("response.reasoning_summary_text.delta", index, item_id, summary_index=part, delta=words)


def message(*words: str) -> dict[str, object]:
    content = [{"type": "output_text", "text": text} for text in words]
    return {"type": "message", "id": "i0", "role": "assistant", "content": content}


def function(call_id: str, given: object = "", name: str = "f") -> dict[str, object]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": given}


CREATED = event("response.created", None, None, response=response("in_progress"))
IN_PROGRESS = event("response.in_progress", None, None, response=response("in_progress"))


def read(*chunks: bytes, written: Written = PLAIN, options: VendorOptions = DEFAULTS) -> list[Event]:
    reader = ResponsesEventReader(written, options)
    events = [event for chunk in chunks for event in reader.receive(chunk)]
    events += reader.finish()
    assert reader.receive(text("late")) == []
    assert reader.finish() == []
    return events


def failed(events: list[Event]) -> StreamError:
    error = events[-1]
    assert isinstance(error, StreamError)
    return error
