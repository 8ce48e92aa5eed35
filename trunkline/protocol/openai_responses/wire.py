"""The parts of Responses answers and stream events that the gateway looks at. Shared by the relay and the readers.

Typed decoding of an event of 300 bytes takes under 1 µs and finds a broken one, too. What vendors bend (an object for
arguments, a number for an id) fails it and is read again, member by member, without the bent ones.
"""

from typing import TypeAlias

import msgspec

from trunkline.protocol.lenient import read_leniently
from trunkline.protocol.sse import event_data

MaybeRaw: TypeAlias = msgspec.Raw | msgspec.UnsetType


class ContentPart(msgspec.Struct, gc=False):
    """A part of a message, or of a reasoning item's summary or content."""

    type: str | None = None
    text: str | None = None
    refusal: str | None = None


class Item(msgspec.Struct, gc=False):
    """One item of an answer's output.

    Attributes:
        arguments: of a function call; nearly always a string.
        input: of a custom tool's call.
        result, output_format: of a generated image.
    """

    type: str | None = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: MaybeRaw = msgspec.UNSET
    input: str | None = None
    content: list[ContentPart] | None = None
    summary: list[ContentPart] | None = None
    encrypted_content: str | None = None
    result: str | None = None
    output_format: str | None = None


class IncompleteDetails(msgspec.Struct, gc=False):
    """Why an answer is incomplete."""

    reason: str | None = None


class ResponseObject(msgspec.Struct, gc=False):
    """A whole answer, or the state of one inside an event."""

    id: str | None = None
    status: str | None = None
    output: list[Item] | None = None
    usage: MaybeRaw = msgspec.UNSET
    tool_usage: MaybeRaw = msgspec.UNSET
    error: MaybeRaw = msgspec.UNSET
    incomplete_details: IncompleteDetails | None = None

    @property
    def end_word(self) -> str:
        """Why it ended: what makes it incomplete, or its state; empty where it says neither."""
        details = self.incomplete_details
        return (details.reason if details is not None else None) or self.status or ""


class StreamEvent(msgspec.Struct, gc=False):
    """One event of a stream."""

    type: str = ""
    delta: str | None = None
    item_id: str | None = None
    output_index: int | None = None
    content_index: int = 0
    summary_index: int = 0
    text: str | None = None
    refusal: str | None = None
    arguments: MaybeRaw = msgspec.UNSET
    input: str | None = None
    item: Item | None = None
    response: ResponseObject | None = None
    error: MaybeRaw = msgspec.UNSET


COMPLETED = "response.completed"
INCOMPLETE = "response.incomplete"
FAILED = "response.failed"
ERROR = "error"

_NOTHING = frozenset({b"null", b"{}", b'""', b"[]", b"false"})

_decode_event = msgspec.json.Decoder(StreamEvent).decode
_decode_response = msgspec.json.Decoder(ResponseObject).decode
_decode_text = msgspec.json.Decoder(str).decode


def read_event(data: bytes) -> StreamEvent | None:
    """Return what matters of an event's data, or None for JSON that is not an object.

    Raises:
        ValueError: not JSON, not UTF-8, or nested too deeply.
    """
    if not data.isascii():
        # What the decoder skips it does not check to be UTF-8.
        data.decode()
    try:
        return _decode_event(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return read_leniently(StreamEvent, data)


def read_response(body: bytes) -> ResponseObject | None:
    """Return what matters of a whole answer, or None for JSON that is not an object.

    Raises:
        ValueError: not JSON, not UTF-8, or nested too deeply.
    """
    if not body.isascii():
        body.decode()
    try:
        return _decode_response(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return read_leniently(ResponseObject, body)


def present(value: MaybeRaw) -> bytes:
    """Return a member's JSON, empty where it is absent or says nothing."""
    if value is msgspec.UNSET:
        return b""
    source = bytes(value)
    return b"" if source in _NOTHING else source


def source_text(value: MaybeRaw) -> str:
    """Return what a member says that should be a string: the string, or the JSON that stands in its place."""
    if value is msgspec.UNSET:
        return ""
    source = bytes(value)
    if source.startswith(b'"'):
        return _decode_text(source)
    return "" if source == b"null" else source.decode()


def sse_data(event: bytes) -> bytes | None:
    """Return the data of a raw event, or None; fast for an ``event: …`` line with a ``data: …`` line behind it."""
    if event.startswith(b"event: ") and b"\r" not in event:
        start = event.find(b"\n") + 1
        if event.startswith(b"data: ", start) and event.find(b"\n", start) == len(event) - 2:
            return event[start + 6 : -2]
    return event_data(event)


def output_texts(items: list[Item] | None) -> list[str]:
    """Return the texts of an answer that its provider was paid to produce."""
    texts: list[str | None] = []
    for item in items or ():
        for part in (*(item.summary or ()), *(item.content or ())):
            texts += (part.text, part.refusal)
        if item.type in {"function_call", "custom_tool_call"}:
            texts += (item.name, source_text(item.arguments), item.input)
    return [text for text in texts if text]
