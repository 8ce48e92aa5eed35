"""A Responses request: what routing needs to know of it, and the body that a Responses upstream gets.

The edge calls `read_head` once per request, the dispatcher `prepare` once per attempt within the dialect. The body
stays bytes: everything that is not named here reaches the provider as the client wrote it.

Nothing is kept here between two requests, so that what refers to an earlier one is refused (DIALECTS section 2.6).
"""

from collections.abc import Callable
from typing import Annotated

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.body import BodyReader, filled_list
from trunkline.protocol.conversation import WORDS_BYTES_MAX, name_digest, opening_digest
from trunkline.protocol.dialect import ClientRequest
from trunkline.protocol.openai_responses.carried_proof import is_ours
from trunkline.protocol.routing_wish import WishFields, read_wish
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.splice import BodyChanges, prepare_body
from trunkline.protocol.stated_cost import asks_cost

ENCRYPTED_REASONING = "reasoning.encrypted_content"
"""Asks for reasoning in a form that a later request can bring back, as nothing is stored."""

_TokenLimit = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class _Fields(WishFields):
    """What is read of a request. Large fields stay raw: checked to be JSON, not built."""

    model: str | msgspec.UnsetType = msgspec.UNSET
    stream: bool | None = None
    max_output_tokens: _TokenLimit | None = None
    background: bool | None = None
    input: msgspec.Raw = msgspec.Raw()
    instructions: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()
    text: msgspec.Raw = msgspec.Raw()
    previous_response_id: msgspec.Raw = msgspec.Raw()
    conversation: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()
    prompt_cache_key: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()


class _TypedItem(msgspec.Struct, gc=False):
    type: str | None = None


class _ReasoningItem(msgspec.Struct, gc=False):
    type: str | None = None
    encrypted_content: str | None = None


_READER = BodyReader(
    _Fields,
    {
        "model": "`model` must be a string naming a model, such as one that GET /v1/models lists.",
        "input": "`input` must be a text or a list with at least one item.",
        "stream": "`stream` must be true or false.",
        "max_output_tokens": "`max_output_tokens` must be a positive whole number.",
        "background": "`background` must be true or false.",
    },
    example="a JSON object with `model` and `input`",
    large=("input", "tools", "instructions", "text"),
)

_decode_types = msgspec.json.Decoder(list[_TypedItem]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_reasoning = msgspec.json.Decoder(_ReasoningItem).decode
_decode_names = msgspec.json.Decoder(list[str]).decode
_encode = msgspec.json.Encoder().encode

_ABSENT = frozenset({b"", b"null"})


def read_head(body: bytes) -> ClientRequest:
    """Return what routing needs of a request after checking that all of it is valid JSON in UTF-8.

    Raises:
        FaultError: ``client_bad_json`` or ``client_bad_request``, with the field at fault as ``param``.
    """
    fields = _READER.read(body)
    wish = read_wish(fields)
    model = _READER.model(fields.model, wish)
    for name in ("previous_response_id", "conversation", "prompt"):
        if bytes(getattr(fields, name)) not in _ABSENT:
            raise stored_state(name)
    if fields.background:
        raise stored_state("background")
    view = memoryview(fields.input)
    if not filled_list(fields.input) and not (view and view[0] == 0x22 and len(view) > 2):
        raise _READER.bad_field("input")
    if b'"item_reference"' in body:
        _require_no_references(fields.input)
    named = name_digest(fields.prompt_cache_key)
    return ClientRequest(
        model=model,
        stream=bool(fields.stream),
        max_output=fields.max_output_tokens or 0,
        named=named,
        opening=0 if named else opening_digest(_as_list(view), fields.instructions),
        wants_cost=asks_cost(fields.usage),
        wish=wish,
    )


def _as_list(items: memoryview) -> memoryview | bytes:
    """Return the beginning of an input as a list: as which a text comes back with the next turn."""
    return items if items[0] == 0x5B else b'[{"role":"user","content":' + items[:WORDS_BYTES_MAX]


def stored_state(field: str) -> FaultError:
    """Return the error for a field that refers to what is stored."""
    message = (
        f"`{field}` needs state that is stored between requests, and none is kept here. Leave it out and send the "
        "full input: all earlier items and the new ones."
    )
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param=field, code="unsupported_parameter"))


def _require_no_references(items: msgspec.Raw) -> None:
    try:
        found = _decode_types(items)
    except msgspec.DecodeError:
        # A text, or items that the provider will refuse; it has no stored ones either.
        return
    for index, item in enumerate(found):
        if item.type == "item_reference":
            raise stored_state(f"input[{index}]")


def prepare(
    body: bytes, *, upstream_model: str | None = None, ask_usage: bool = False, rules: RequestRules | None = None
) -> bytes:
    """Return the body for an upstream; the very same object when nothing has to change.

    Only these change, each in its place, and no other byte: ``model``, our private fields, the fields that ``rules``
    name, ``store`` (nothing is to be kept) with ``include``, and reasoning items that another provider's proof rides
    in, which go. A rule that drops or sets ``store`` or ``include`` wins.

    Args:
        body: as `read_head` accepted it.
        upstream_model: the provider's model name; None leaves the client's.
        ask_usage: of no matter here: a stream's end always reports it.
        rules: the channel's.

    Raises:
        FaultError: ``client_bad_json``: the body is not a JSON object.
    """
    changes = prepare_body(body, upstream_model=upstream_model)
    if rules is None or not rules.decides("store"):
        changes.put("store", b"false")
        if rules is None or not rules.decides("include"):
            _include_encrypted_reasoning(changes)
    _drop_foreign_reasoning(changes)
    return changes.ruled(rules)


def without_reasoning(body: bytes) -> bytes:
    """Return a request without the reasoning items of its input; all else stays as it is.

    Raises:
        FaultError: ``client_bad_json``: the body is not a JSON object.
    """
    changes = BodyChanges(body)
    _drop_items(changes, lambda item: _reasoning_of(item) is not None)
    return changes.result()


def _include_encrypted_reasoning(changes: BodyChanges) -> None:
    present = changes.present("include")
    for index in present:
        value = changes.value(index)
        try:
            names = [] if value == b"null" else _decode_names(value)
        except msgspec.DecodeError:
            continue
        if ENCRYPTED_REASONING not in names:
            changes.replaced[index] = _encode([*names, ENCRYPTED_REASONING])
    if not present:
        changes.put("include", _encode([ENCRYPTED_REASONING]))


def _drop_foreign_reasoning(changes: BodyChanges) -> None:
    """Drop the reasoning that other providers gave through us: this one cannot read it and would refuse the request.

    All else in the input stays as it is, byte for byte.
    """
    if any(is_ours(changes.value(index)) for index in changes.present("input")):
        _drop_items(changes, _is_foreign)


def _drop_items(changes: BodyChanges, drop: Callable[[msgspec.Raw], bool]) -> None:
    for index in changes.present("input"):
        try:
            items = _decode_items(changes.value(index))
        except msgspec.DecodeError:
            continue
        kept = [bytes(item) for item in items if not drop(item)]
        if len(kept) < len(items):
            changes.replaced[index] = b"[" + b",".join(kept) + b"]"


def _is_foreign(item: msgspec.Raw) -> bool:
    found = _reasoning_of(item)
    return found is not None and found.encrypted_content is not None and is_ours(found.encrypted_content)


def _reasoning_of(item: msgspec.Raw) -> _ReasoningItem | None:
    try:
        found = _decode_reasoning(item)
    except msgspec.DecodeError:
        return None
    return found if found.type == "reasoning" else None
