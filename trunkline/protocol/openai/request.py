"""A chat completion request: what routing needs to know of it, and the body that an upstream gets.

The edge calls `read_chat` once per request, the dispatcher `prepare_chat` once per attempt. The body stays bytes:
everything that is not named here reaches the provider as the client wrote it.
"""

import codecs
import re
from itertools import accumulate
from typing import Annotated

import msgspec

from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.json_span import (
    MalformedJSONError,
    Member,
    edit_object,
    top_level_spans,
    without_lone_surrogates,
)

PRIVATE_FIELDS = frozenset({"fallback_models", "models", "zenmux-route"})
"""Routing wishes of the client that are ours to fulfil; a provider never sees them."""

_TokenLimit = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Fields(msgspec.Struct):
    """What is read of a request. Large fields stay raw: checked to be JSON, not built."""

    model: str | msgspec.UnsetType = msgspec.UNSET
    stream: bool | None = None
    max_completion_tokens: _TokenLimit | None = None
    max_tokens: _TokenLimit | None = None
    stream_options: _StreamOptions | None = None
    messages: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()
    functions: msgspec.Raw = msgspec.Raw()
    response_format: msgspec.Raw = msgspec.Raw()
    prediction: msgspec.Raw = msgspec.Raw()


class ChatRequest(msgspec.Struct, frozen=True):
    """What the edge needs to know of a chat request.

    Attributes:
        model: the public model name.
        stream: whether the answer is to be a stream.
        max_output: the client's own bound on output tokens, 0 for none.
        wants_usage: whether the client asked for the usage chunk of a stream.
    """

    model: str
    stream: bool
    max_output: int
    wants_usage: bool


class RequestRules(msgspec.Struct, frozen=True):
    """A channel's changes to top-level fields, applied in this order.

    Attributes:
        drop: fields that are removed.
        set: fields that are given a value, as JSON.
        clamp: bounds (lowest, highest) of numeric fields; applied only where the field is present.
    """

    drop: tuple[str, ...] = ()
    set: dict[str, bytes] = {}
    clamp: dict[str, tuple[float | None, float | None]] = {}


_decode_fields = msgspec.json.Decoder(_Fields).decode
_decode_stream_options = msgspec.json.Decoder(_StreamOptions).decode
_decode_number = msgspec.json.Decoder(int | float).decode
_encode = msgspec.json.Encoder().encode

_EMPTY_LIST = re.compile(rb"\[[ \t\n\r]*+\]")
_PATH = re.compile(r"at `\$\.([a-z_.]+)`")
_BRACKETS_IN_STRING = re.compile(rb'"[^"]*+"')
_NOT_SKELETON = bytes(set(range(256)) - set(b'"[]{}'))
_DEPTH_STEP = [1 if byte in b"[{" else -1 for byte in range(256)]
_UTF8_STEP_BYTES = 1024 * 1024

_HELP = {
    "model": "`model` must be a string naming a model, such as one that GET /v1/models lists.",
    "messages": "`messages` must be a list with at least one message.",
    "stream": "`stream` must be true or false.",
    "max_tokens": "`max_tokens` must be a positive whole number.",
    "max_completion_tokens": "`max_completion_tokens` must be a positive whole number.",
    "stream_options": '`stream_options` must be an object such as {"include_usage": true}.',
    "stream_options.include_usage": "`stream_options.include_usage` must be true or false.",
}


def read_chat(body: bytes) -> ChatRequest:
    """Return what routing needs of a chat request after checking that all of it is valid JSON in UTF-8.

    Raises:
        FaultError: ``client_bad_json`` or ``client_bad_request``, with the field at fault as ``param``.
    """
    if not body.isascii():
        _require_utf8(body)
    fields = _read_fields(body)
    if body.count(b"[") + body.count(b"{") > limits.JSON_DEPTH_MAX and _depth(body) > limits.JSON_DEPTH_MAX:
        raise _too_deep()
    if len(body) > limits.CHAT_FIELDS_BYTES_MAX:
        _require_small_fields(body, fields)
    messages = memoryview(fields.messages)
    if not messages or messages[0] != 0x5B or _EMPTY_LIST.match(messages):
        raise _bad_field("messages")
    return ChatRequest(
        model=_model(fields),
        stream=bool(fields.stream),
        max_output=fields.max_completion_tokens or fields.max_tokens or 0,
        wants_usage=fields.stream_options is not None and bool(fields.stream_options.include_usage),
    )


def _read_fields(body: bytes) -> _Fields:
    try:
        try:
            return _decode_fields(body)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            cleaned = without_lone_surrogates(body)
            if cleaned is body:
                raise
            return _decode_fields(cleaned)
    except msgspec.ValidationError as error:
        found = _PATH.search(str(error))
        if found is None:
            raise _bad_json("The request body must be a JSON object.") from None
        raise _bad_field(found[1]) from None
    except RecursionError:
        raise _too_deep() from None
    except msgspec.DecodeError as error:
        if not body.strip():
            raise _bad_json("The request body is empty. Send a JSON object with `model` and `messages`.") from None
        # The decoder's message names the kind of mistake and its offset, never what the client wrote.
        reason = str(error).removeprefix("JSON is malformed: ")
        raise _bad_json(f"The request body is not valid JSON: {reason}.") from None


def _model(fields: _Fields) -> str:
    model = fields.model
    if not isinstance(model, str) or not model.strip():
        raise _bad_field("model")
    if len(model) > limits.MODEL_NAME_CHARS_MAX:
        message = f"`model` is longer than {limits.MODEL_NAME_CHARS_MAX} characters. Use a name from GET /v1/models."
        raise FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param="model"))
    return model


def _bad_json(message: str) -> FaultError:
    return FaultError(Fault(ErrorType.CLIENT_BAD_JSON, message))


def _bad_field(param: str) -> FaultError:
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, _HELP[param], param=param))


def _too_deep() -> FaultError:
    message = f"The request body is nested deeper than {limits.JSON_DEPTH_MAX} levels. Flatten it."
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message))


def _require_utf8(body: bytes) -> None:
    """Check a body step by step: decoding 64 MiB at once would take up to four times as much memory."""
    decode = codecs.getincrementaldecoder("utf-8")().decode
    view = memoryview(body)
    try:
        for start in range(0, len(body), _UTF8_STEP_BYTES):
            decode(view[start : start + _UTF8_STEP_BYTES])
        decode(b"", final=True)
    except UnicodeDecodeError:
        raise _bad_json("The request body is not valid UTF-8. Encode it as UTF-8.") from None


def _depth(body: bytes) -> int:
    """Return how deeply valid JSON is nested, mostly in passes that run in C.

    Raises:
        FaultError: ``client_bad_request``: it has too many lists and objects to be followed.
    """
    # Without escapes a quote always begins or ends a string. Two quotes side by side then say nothing about
    # whether a bracket stands inside a string, so they go; what is left in quotes are brackets of texts.
    skeleton = body.replace(rb"\\", b"").replace(rb"\"", b"").translate(None, _NOT_SKELETON).replace(b'""', b"")
    brackets = _BRACKETS_IN_STRING.sub(b"", skeleton)
    if len(brackets) > 2 * limits.JSON_CONTAINERS_MAX:
        message = f"The request body has more than {limits.JSON_CONTAINERS_MAX} lists and objects. Send fewer."
        raise FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message))
    return max(accumulate(map(_DEPTH_STEP.__getitem__, brackets)), default=0)


def _require_small_fields(body: bytes, fields: _Fields) -> None:
    large = (fields.messages, fields.tools, fields.functions, fields.response_format, fields.prediction)
    if len(body) - sum(len(memoryview(field)) for field in large) > limits.CHAT_FIELDS_BYTES_MAX:
        message = (
            f"The fields beside `messages` and `tools` take more than {limits.CHAT_FIELDS_BYTES_MAX} bytes, or a "
            "field is repeated. Send each field once and leave out what the model does not need."
        )
        raise FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message))


def prepare_chat(
    body: bytes, *, upstream_model: str | None = None, ask_usage: bool = False, rules: RequestRules | None = None
) -> bytes:
    """Return the body for an upstream; the very same object when nothing has to change.

    Only these change, each in its place, and no other byte: ``model``, `PRIVATE_FIELDS`, the fields that ``rules``
    name, and ``stream_options.include_usage``. Where a key is repeated, each of its values is treated alike, so that
    it does not matter which one the upstream takes.

    Args:
        body: as `read_chat` accepted it.
        upstream_model: the provider's model name; None leaves the client's.
        ask_usage: have a stream report its usage. A rule that drops ``stream_options`` wins.
        rules: the channel's.

    Raises:
        FaultError: ``client_bad_json``: the body is not a JSON object.
    """
    try:
        members = top_level_spans(body)
    except MalformedJSONError:
        raise _bad_json("The request body must be a JSON object.") from None
    changes = _Changes(body, members)
    for index, member in enumerate(members):
        if member.key in PRIVATE_FIELDS:
            changes.removed.add(index)
    if upstream_model is not None:
        changes.put_text("model", upstream_model)
    if rules is not None:
        for key in rules.drop:
            changes.drop(key)
        for key, value in rules.set.items():
            changes.put(key, value)
        for key, (lowest, highest) in rules.clamp.items():
            changes.clamp(key, lowest, highest)
    if ask_usage and not (rules is not None and "stream_options" in rules.drop):
        changes.ask_usage()
    return edit_object(
        body, members, replaced=changes.replaced, removed=changes.removed, inserted=list(changes.inserted.values())
    )


class _Changes:
    """Collects what changes in a body, by member.

    Args:
        body: the request.
        members: all of its members.
    """

    __slots__ = ("_body", "_members", "inserted", "removed", "replaced")

    def __init__(self, body: bytes, members: list[Member]) -> None:
        self._body = body
        self._members = members
        self.replaced: dict[int, bytes] = {}
        self.removed: set[int] = set()
        self.inserted: dict[str, bytes] = {}

    def _present(self, key: str) -> list[int]:
        return [index for index, member in enumerate(self._members) if member.key == key and index not in self.removed]

    def _value(self, index: int) -> bytes:
        member = self._members[index]
        return self.replaced.get(index, self._body[member.value_start : member.value_end])

    def drop(self, key: str) -> None:
        self.removed.update(self._present(key))

    def put(self, key: str, value: bytes) -> None:
        present = self._present(key)
        for index in present:
            if self._value(index) != value:
                self.replaced[index] = value
        if not present:
            self.inserted[key] = _encode(key) + b":" + value

    def put_text(self, key: str, text: str) -> None:
        present = self._present(key)
        value = _encode(text)
        for index in present:
            # An escaped spelling of the same text stays as the client wrote it.
            current = self._value(index)
            if current != value and not (b"\\" in current and _text(current) == text):
                self.replaced[index] = value
        if not present:
            self.inserted[key] = _encode(key) + b":" + value

    def clamp(self, key: str, lowest: float | None, highest: float | None) -> None:
        for index in self._present(key):
            try:
                number = _decode_number(self._value(index))
            except msgspec.DecodeError:
                continue
            if lowest is not None and number < lowest:
                self.replaced[index] = _number(lowest)
            elif highest is not None and number > highest:
                self.replaced[index] = _number(highest)

    def ask_usage(self) -> None:
        present = self._present("stream_options")
        for index in present:
            options = self._value(index)
            asked = _with_usage(options)
            if asked is not options:
                self.replaced[index] = asked
        if not present:
            self.inserted["stream_options"] = b'"stream_options":{"include_usage":true}'


def _with_usage(options: bytes) -> bytes:
    """Return the value of ``stream_options`` with usage asked for; the very same object if it is already."""
    try:
        members = top_level_spans(options)
    except MalformedJSONError:
        return b'{"include_usage":true}'
    present = [index for index, member in enumerate(members) if member.key == "include_usage"]
    wrong = {i: b"true" for i in present if options[members[i].value_start : members[i].value_end] != b"true"}
    return edit_object(options, members, replaced=wrong, inserted=() if present else (b'"include_usage":true',))


def _text(value: bytes) -> str | None:
    try:
        return msgspec.json.decode(value, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _number(bound: float) -> bytes:
    """Return a bound as JSON; a whole one without a fraction, as many fields take only integers."""
    return _encode(int(bound) if float(bound).is_integer() else bound)
