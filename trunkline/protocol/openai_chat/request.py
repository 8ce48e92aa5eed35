"""A chat completion request: what routing needs to know of it, and the body that a chat upstream gets.

The edge calls `read_head` once per request, the dispatcher `prepare` once per attempt within the dialect. The body
stays bytes: everything that is not named here reaches the provider as the client wrote it.
"""

from typing import Annotated

import msgspec

from trunkline.protocol import stream_options
from trunkline.protocol.body import BodyReader, count_of, filled_list
from trunkline.protocol.conversation import name_digest, opening_digest
from trunkline.protocol.dialect import ClientRequest
from trunkline.protocol.routing_wish import WishFields, read_wish
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.splice import prepare_body
from trunkline.protocol.stated_cost import asks_cost

_TokenLimit = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Fields(WishFields):
    """What is read of a request. Large fields stay raw: checked to be JSON, not built."""

    model: str | msgspec.UnsetType = msgspec.UNSET
    stream: bool | None = None
    max_completion_tokens: _TokenLimit | None = None
    max_tokens: _TokenLimit | None = None
    n: msgspec.Raw = msgspec.Raw()
    stream_options: _StreamOptions | None = None
    messages: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()
    functions: msgspec.Raw = msgspec.Raw()
    response_format: msgspec.Raw = msgspec.Raw()
    prediction: msgspec.Raw = msgspec.Raw()
    prompt_cache_key: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()


_READER = BodyReader(
    _Fields,
    {
        "model": "`model` must be a string naming a model, such as one that GET /v1/models lists.",
        "messages": "`messages` must be a list with at least one message.",
        "stream": "`stream` must be true or false.",
        "max_tokens": "`max_tokens` must be a positive whole number.",
        "max_completion_tokens": "`max_completion_tokens` must be a positive whole number.",
        "stream_options": '`stream_options` must be an object such as {"include_usage": true}.',
        "stream_options.include_usage": "`stream_options.include_usage` must be true or false.",
    },
    example="a JSON object with `model` and `messages`",
    large=("messages", "tools", "functions", "response_format", "prediction"),
)


def read_head(body: bytes) -> ClientRequest:
    """Return what routing needs of a chat request after checking that all of it is valid JSON in UTF-8.

    Raises:
        FaultError: ``client_bad_json`` or ``client_bad_request``, with the field at fault as ``param``.
    """
    fields = _READER.read(body)
    if not filled_list(fields.messages):
        raise _READER.bad_field("messages")
    named = name_digest(fields.prompt_cache_key)
    wish = read_wish(fields)
    return ClientRequest(
        model=_READER.model(fields.model, wish),
        stream=bool(fields.stream),
        max_output=fields.max_completion_tokens or fields.max_tokens or 0,
        choices=count_of(fields.n),
        wants_usage=fields.stream_options is not None and bool(fields.stream_options.include_usage),
        named=named,
        opening=0 if named else opening_digest(fields.messages),
        wants_cost=asks_cost(fields.usage),
        wish=wish,
    )


def prepare(
    body: bytes, *, upstream_model: str | None = None, ask_usage: bool = False, rules: RequestRules | None = None
) -> bytes:
    """Return the body for an upstream; the very same object when nothing has to change.

    Only these change, each in its place, and no other byte: ``model``, our private fields, the fields that ``rules``
    name, and ``stream_options.include_usage``.

    Args:
        body: as `read_head` accepted it.
        upstream_model: the provider's model name; None leaves the client's.
        ask_usage: have a stream report its usage. A rule for ``stream_options`` wins.
        rules: the channel's.

    Raises:
        FaultError: ``client_bad_json``: the body is not a JSON object.
    """
    changes = prepare_body(body, upstream_model=upstream_model)
    if ask_usage:
        stream_options.ask_usage(changes)
    return changes.ruled(rules)
