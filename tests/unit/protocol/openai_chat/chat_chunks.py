"""Chunks of chat streams, and readers for them. Shared by the tests of this dialect."""

import json
from typing import Any

from trunkline.protocol.dialect import Written
from trunkline.protocol.events import (
    Event,
    Finish,
    MessageEnd,
    MessageStart,
    StreamError,
)
from trunkline.protocol.openai_chat.event_reader import ChatEventReader
from trunkline.protocol.vendor import VendorOptions

DONE = b"data: [DONE]\n\n"
ROLE = {"role": "assistant", "content": ""}
START = MessageStart("chatcmpl-1")
END = MessageEnd()
WRITTEN = Written(b"{}")


def event(tree: object) -> bytes:
    return b"data: " + json.dumps(tree, separators=(",", ":")).encode() + b"\n\n"


def chunk(delta: object = None, finish: object = None, **members: object) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": choices, **members})


def usage(prompt: int = 3, completion: int = 2) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def call(index: int | None, arguments: object = None, **members: Any) -> dict[str, Any]:
    """A piece of a call; ``name`` and ``id`` where given."""
    function = {"name": members.pop("name", None), "arguments": arguments}
    found: dict[str, Any] = {} if index is None else {"index": index}
    return {**found, **members, "function": {key: value for key, value in function.items() if value is not None}}


def calls(*pieces: object) -> bytes:
    return chunk({"tool_calls": list(pieces)})


def read(*chunks: bytes, written: Written = WRITTEN, **options: Any) -> list[Event]:
    reader = ChatEventReader(written, VendorOptions(**options))
    return [found for piece in chunks for found in reader.receive(piece)] + reader.finish()


def body(*chunks: bytes, **options: Any) -> list[Event]:
    """What lies between the start and the finish of a good answer."""
    events = read(*chunks, chunk({}, "stop"), DONE, **options)
    assert events[0] == START
    assert isinstance(events[-2], Finish)
    assert events[-1] == END
    return events[1:-2]


def error_of(events: list[Event]) -> StreamError:
    last = events[-1]
    assert isinstance(last, StreamError)
    assert not any(isinstance(found, MessageEnd | StreamError) for found in events[:-1])
    return last
