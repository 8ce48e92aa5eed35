"""The items of a client's request as they are decoded, and the errors about them. Used by the request's readers."""

import re
from typing import NoReturn, TypeVar

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.body import bad_json
from trunkline.protocol.json_span import decode_cleaned

MESSAGE_CHARS_MAX = 200
"""Of a type's name as a client wrote it, in an error."""

_ABSENT = frozenset({b"", b"null"})
_PATH = re.compile(r" - at `\$\.?([^`]*)`$")


class Breakpoint(msgspec.Struct, gc=False):
    """Marks a prefix that the provider should keep."""

    ttl: str | None = None


class ClientPart(msgspec.Struct, gc=False):
    """A part of a message, of a tool's output, or of reasoning."""

    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    prompt_cache_breakpoint: Breakpoint | None = None


class ClientItem(msgspec.Struct, gc=False):
    """An item of the input, whatever its type. ``arguments`` and ``output`` are strings or something else."""

    type: str | None = None
    id: str | None = None
    role: str | None = None
    content: str | list[ClientPart] | None = None
    phase: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: msgspec.Raw = msgspec.Raw()
    input: str | None = None
    output: msgspec.Raw = msgspec.Raw()
    summary: list[ClientPart] | None = None
    encrypted_content: str | None = None


Fields = TypeVar("Fields")

_decode_parts = msgspec.json.Decoder(list[ClientPart]).decode
_decode_text = msgspec.json.Decoder(str).decode


def bad_request(message: str, param: str) -> FaultError:
    """Return the error for a field that cannot be understood."""
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param=param))


def not_carried(field: str) -> FaultError:
    """Return the error for what no other dialect has and must not be dropped (DIALECTS section 2.6)."""
    message = f"`{field}` cannot be carried to the provider of this model. Leave it out."
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param=field, code="unsupported_parameter"))


def decode_body(body: bytes, decoder: msgspec.json.Decoder[Fields]) -> Fields:
    """Return a body's fields.

    Raises:
        FaultError: ``client_bad_json`` or ``client_bad_request`` with the field's path as ``param``.
    """
    try:
        return decode_cleaned(decoder.decode, body)
    except msgspec.ValidationError as error:
        _raise_bad_field(str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise bad_json("The request body must be a JSON object.") from None


def _raise_bad_field(said: str) -> NoReturn:
    found = _PATH.search(said)
    if found is None or not found[1]:
        raise bad_json("The request body must be a JSON object.") from None
    expected = said[: found.start()]
    raise bad_request(f"`{found[1]}` is of a wrong type: {expected[0].lower()}{expected[1:]}.", found[1]) from None


def argument_text(value: msgspec.Raw) -> str:
    """Return a call's arguments as source text; an object where a string belongs is taken as it stands."""
    source = bytes(value)
    if source.startswith(b'"'):
        return _decode_text(source)
    return "" if source == b"null" else source.decode()


def output_parts(value: msgspec.Raw, path: str) -> list[ClientPart]:
    """Return a tool's output as parts: a string is one text, anything but a list is taken as JSON text.

    Raises:
        FaultError: ``client_bad_request``: a list of something else.
    """
    source = bytes(value)
    if not source.startswith(b"["):
        return [] if source in _ABSENT else [ClientPart(type="input_text", text=argument_text(value))]
    try:
        return _decode_parts(source)
    except msgspec.ValidationError:
        raise bad_request(f"`{path}` must be a text or a list of parts such as `input_text`.", path) from None
