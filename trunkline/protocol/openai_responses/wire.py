"""The parts of Responses answers and stream events that the gateway looks at. Shared by the relay and the readers.

Typed decoding of an event of 300 bytes takes under 1 µs and finds a broken one, too. What vendors bend (an object for
arguments, a number for an id) fails it and is read again, member by member, without the bent ones.
"""

from typing import TypeAlias, TypeVar

import msgspec

from trunkline.protocol.json_span import without_lone_surrogates
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

_NESTED: dict[str, type[msgspec.Struct]] = {
    "item": Item,
    "response": ResponseObject,
    "incomplete_details": IncompleteDetails,
}
_NESTED_LISTS: dict[str, type[msgspec.Struct]] = {"output": Item, "content": ContentPart, "summary": ContentPart}
_NOTHING = frozenset({b"null", b"{}", b'""', b"[]", b"false"})

Parsed = TypeVar("Parsed", bound=msgspec.Struct)

_decode_event = msgspec.json.Decoder(StreamEvent).decode
_decode_response = msgspec.json.Decoder(ResponseObject).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
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
        return _leniently(data, StreamEvent)


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
        return _leniently(body, ResponseObject)


def _leniently(source: bytes, kind: type[Parsed]) -> Parsed | None:
    try:
        source = without_lone_surrogates(source)
        msgspec.json.decode(source, type=msgspec.Raw)
        return _without_bent(source, kind)
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("not JSON") from error


def _without_bent(source: bytes | msgspec.Raw, kind: type[Parsed]) -> Parsed:
    """Return an object's members that are as they should be; the others are at their defaults.

    Raises:
        msgspec.ValidationError: not an object.
    """
    members = _decode_members(source)
    values = {}
    for field in msgspec.structs.fields(kind):
        raw = members.get(field.encode_name)
        if raw is None:
            continue
        try:
            values[field.name] = _value(raw, field)
        except msgspec.DecodeError:
            continue
    return kind(**values)


def _value(raw: msgspec.Raw, field: msgspec.structs.FieldInfo) -> object:
    if field.name in _NESTED:
        return _without_bent(raw, _NESTED[field.name])
    if field.name in _NESTED_LISTS:
        kind = _NESTED_LISTS[field.name]
        return [_without_bent(element, kind) for element in _decode_elements(raw) if memoryview(element)[0] == 0x7B]
    return msgspec.json.decode(raw, type=field.type)


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
