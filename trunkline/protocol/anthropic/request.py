"""A Messages request: what routing needs to know of it, and the body that an Anthropic upstream gets.

The edge calls `read_head` (or `read_count_head`) once per request, the dispatcher `prepare` once per attempt within the
dialect. The body stays bytes: everything that is not named here reaches the provider as the client wrote it.
"""

from typing import Annotated

import msgspec

from trunkline.protocol.body import BodyReader, filled_list
from trunkline.protocol.conversation import NAME_BYTES_MAX, name_digest, opening_digest
from trunkline.protocol.dialect import ClientRequest
from trunkline.protocol.routing_wish import WishFields, read_wish
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.splice import prepare_body

_TokenLimit = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
"""Zero fills the provider's prompt cache without an answer (DIALECTS section 2.3)."""


class _CountFields(WishFields):
    """What is read of a request. Large fields stay raw: checked to be JSON, not built."""

    model: str | msgspec.UnsetType = msgspec.UNSET
    stream: bool | None = None
    messages: msgspec.Raw = msgspec.Raw()
    system: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()
    output_config: msgspec.Raw = msgspec.Raw()
    mcp_servers: msgspec.Raw = msgspec.Raw()


class _Fields(_CountFields):
    max_tokens: _TokenLimit | msgspec.UnsetType = msgspec.UNSET
    metadata: msgspec.Raw = msgspec.Raw()


class _Metadata(msgspec.Struct):
    user_id: msgspec.Raw = msgspec.Raw()


_HINTS = {
    "model": "`model` must be a string naming a model, such as one that GET /v1/models lists.",
    "messages": "`messages` must be a list with at least one message.",
    "stream": "`stream` must be true or false.",
    "max_tokens": "`max_tokens` is required and must be a positive whole number.",
}
_LARGE = ("messages", "system", "tools", "output_config", "mcp_servers")

_READER = BodyReader(_Fields, _HINTS, example="a JSON object with `model`, `max_tokens` and `messages`", large=_LARGE)
_COUNT_READER = BodyReader(_CountFields, _HINTS, example="a JSON object with `model` and `messages`", large=_LARGE)

_decode_metadata = msgspec.json.Decoder(_Metadata).decode


def read_head(body: bytes) -> ClientRequest:
    """Return what routing needs of a Messages request after checking that all of it is valid JSON in UTF-8.

    Raises:
        FaultError: ``client_bad_json`` or ``client_bad_request``, with the field at fault as ``param``.
    """
    fields = _READER.read(body)
    if not filled_list(fields.messages):
        raise _READER.bad_field("messages")
    wish = read_wish(fields)
    model = _READER.model(fields.model, wish)
    if fields.max_tokens is msgspec.UNSET:
        raise _READER.bad_field("max_tokens")
    named = _session_digest(fields.metadata)
    return ClientRequest(
        model=model,
        stream=bool(fields.stream),
        max_output=fields.max_tokens,
        named=named,
        opening=0 if named else opening_digest(fields.messages, fields.system),
        wish=wish,
    )


def _session_digest(metadata: msgspec.Raw) -> int:
    """Return the hash of a user's id that names a session, as Claude Code's does, else 0: a user has many of them."""
    if not metadata:
        return 0
    try:
        user = _decode_metadata(metadata).user_id
    except msgspec.DecodeError:
        return 0
    return name_digest(user) if b"session" in bytes(memoryview(user)[:NAME_BYTES_MAX]) else 0


def read_count_head(body: bytes) -> ClientRequest:
    """As `read_head`, for ``count_tokens``, which has no answer to bound or to stream.

    Raises:
        FaultError: as `read_head`.
    """
    fields = _COUNT_READER.read(body)
    if not filled_list(fields.messages):
        raise _COUNT_READER.bad_field("messages")
    return ClientRequest(model=_COUNT_READER.model(fields.model), stream=False)


def prepare(body: bytes, *, upstream_model: str | None = None, rules: RequestRules | None = None) -> bytes:
    """Return the body for an upstream; the very same object when nothing has to change.

    Only these change, each in its place, and no other byte: ``model``, our private fields, and the fields that
    ``rules`` name. Usage is always reported, so there is nothing to ask for.

    Args:
        body: as `read_head` accepted it.
        upstream_model: the provider's model name; None leaves the client's.
        rules: the channel's.

    Raises:
        FaultError: ``client_bad_json``: the body is not a JSON object.
    """
    return prepare_body(body, upstream_model=upstream_model).ruled(rules)
