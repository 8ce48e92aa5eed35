"""A generateContent request: what routing needs to know of it, and the body that a Gemini upstream gets.

The edge calls `read_head` once per request, the dispatcher `prepare` once per attempt within the dialect. The model and
the wish for a stream stand in the path, so the body stays as the client wrote it.
"""

import msgspec

from trunkline.protocol.body import BodyReader, count_of, filled_list
from trunkline.protocol.camel_key import camel_key
from trunkline.protocol.conversation import opening_digest
from trunkline.protocol.dialect import ClientRequest
from trunkline.protocol.routing_wish import WishFields, read_wish
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.splice import BodyChanges

_TOKENS_MAX = 2**31 - 1

_Number = int | float | str | None
"""Google's JSON takes a whole number in each of these forms."""


class _Config(
    msgspec.Struct,
    rename={
        "camel": "maxOutputTokens",
        "snake": "max_output_tokens",
        "camel_count": "candidateCount",
        "snake_count": "candidate_count",
    },
):
    camel: _Number = None
    snake: _Number = None
    camel_count: msgspec.Raw = msgspec.Raw()
    snake_count: msgspec.Raw = msgspec.Raw()


class _CountFields(msgspec.Struct, rename="camel"):
    """A question for a count: of contents, or of all that a request has."""

    contents: msgspec.Raw = msgspec.Raw()
    generate_content_request: msgspec.Raw = msgspec.Raw()
    snake: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="generate_content_request")


class _Fields(WishFields, rename={"camel_config": "generationConfig", "snake_config": "generation_config"}):
    """What is read of a request. Large fields stay raw: checked to be JSON, not built."""

    contents: msgspec.Raw = msgspec.Raw()
    camel_config: _Config | None = None
    snake_config: _Config | None = None
    tools: msgspec.Raw = msgspec.Raw()
    systemInstruction: msgspec.Raw = msgspec.Raw()  # noqa: N815 - the wire's name
    system_instruction: msgspec.Raw = msgspec.Raw()


_LIMIT_HINT = "`generationConfig.maxOutputTokens` must be a positive whole number."
_CONTENTS_HINT = "`contents` must be a list with at least one content."

_READER = BodyReader(
    _Fields,
    {
        "contents": _CONTENTS_HINT,
        "generationConfig": "`generationConfig` must be an object.",
        "generation_config": "`generation_config` must be an object.",
        "generationConfig.maxOutputTokens": _LIMIT_HINT,
    },
    example="a JSON object with `contents`",
    large=("contents", "tools", "systemInstruction", "system_instruction"),
)
_COUNT_READER = BodyReader(
    _CountFields,
    {"contents": _CONTENTS_HINT},
    example="a JSON object with `contents`",
    large=("contents", "generate_content_request", "snake"),
)


def read_head(body: bytes) -> ClientRequest:
    """Return what routing needs of a request after checking that all of it is valid JSON in UTF-8.

    The model and the stream flag are the edge's to fill in, from the path.

    Raises:
        FaultError: ``client_bad_json`` or ``client_bad_request``, with the field at fault as ``param``.
    """
    fields = _READER.read(body)
    if not _is_filled(fields.contents):
        raise _READER.bad_field("contents")
    max_output, choices = 0, 1
    for config in (fields.snake_config, fields.camel_config):
        for value in (config.snake, config.camel) if config is not None else ():
            max_output = max_output if value is None else _limit(value)
        for count in (config.snake_count, config.camel_count) if config is not None else ():
            choices = max(choices, count_of(count))
    opening = opening_digest(fields.contents, fields.systemInstruction or fields.system_instruction)
    wish = read_wish(fields)
    return ClientRequest(model="", stream=False, max_output=max_output, choices=choices, opening=opening, wish=wish)


def read_count_head(body: bytes) -> ClientRequest:
    """As `read_head`, for ``:countTokens``.

    Raises:
        FaultError: as `read_head`.
    """
    fields = _COUNT_READER.read(body)
    nested = (fields.generate_content_request, fields.snake)
    if not _is_filled(fields.contents) and not any(bytes(memoryview(value)[:1]) == b"{" for value in nested):
        raise _COUNT_READER.bad_field("contents")
    return ClientRequest(model="", stream=False)


def _is_filled(contents: msgspec.Raw) -> bool:
    return filled_list(contents) or bytes(memoryview(contents)[:1]) == b"{"


def _limit(value: float | str) -> int:
    try:
        number = float(value)
    except ValueError:
        number = 0
    if not 1 <= number <= _TOKENS_MAX or number != int(number):
        raise _READER.bad_field("generationConfig.maxOutputTokens")
    return int(number)


def prepare(body: bytes, *, rules: RequestRules | None = None) -> bytes:
    """Return the body for an upstream; the very same object when nothing has to change.

    Only our private fields and those that ``rules`` name change, each in its place, and no other byte.

    Args:
        body: as `read_head` accepted it.
        rules: the channel's.

    Raises:
        FaultError: ``client_bad_json``: the body is not a JSON object.
    """
    changes = BodyChanges(body, camel_key)
    changes.drop_private()
    return changes.ruled(rules)
