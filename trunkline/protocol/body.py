"""Reads a client's JSON body as far as routing needs it, and checks all of it. Used by every client dialect.

A body is untrusted: it may be no JSON, no UTF-8, nested without end, or made of a million members. Each of these ends
here, with an error that says what to do, so that what comes later can rely on a sound object.
"""

import math
import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Generic, TypeVar

import msgspec

from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.json_span import decode_cleaned
from trunkline.protocol.routing_wish import RoutingWish
from trunkline.protocol.utf8 import is_utf8

_PATH = re.compile(r"at `\$\.([A-Za-z_.]+)`")
_BRACKETS_IN_STRING = re.compile(rb'"[^"]*+"')
_NOT_SKELETON = bytes(set(range(256)) - set(b'"[]{}'))
_DEPTH_STEP = [1 if byte in b"[{" else -1 for byte in range(256)]
_EMPTY_LIST = re.compile(rb"\[[ \t\n\r]*+\]")
_COUNT_MAX = 1024
"""Answers to one request; providers give 8 or 128 at most."""
_COUNT_CHARS_MAX = 16

Fields = TypeVar("Fields", bound=msgspec.Struct)


class BodyReader(Generic[Fields]):
    """Reads bodies of one form.

    Args:
        fields: what is read; large members are `msgspec.Raw`, which checks them to be JSON without building them.
        hints: what to do about a field that is wrong, by its path.
        example: what an empty body should have been.
        large: names of the fields that may be large.
    """

    def __init__(self, fields: type[Fields], hints: Mapping[str, str], *, example: str, large: tuple[str, ...]) -> None:
        self._decode = msgspec.json.Decoder(fields).decode
        self._hints = hints
        self._example = example
        self._large = large

    def read(self, body: bytes) -> Fields:
        """Return a body's fields after checking that all of it is valid JSON in UTF-8, and not nested too deeply.

        Raises:
            FaultError: ``client_bad_json`` or ``client_bad_request``, with the field at fault as ``param``.
        """
        if not is_utf8(body):
            raise bad_json("The request body is not valid UTF-8. Encode it as UTF-8.")
        fields = self._read(body)
        if body.count(b"[") + body.count(b"{") > limits.JSON_DEPTH_MAX and _depth(body) > limits.JSON_DEPTH_MAX:
            raise _too_deep()
        if len(body) > limits.CHAT_FIELDS_BYTES_MAX:
            self._require_small_fields(body, fields)
        return fields

    def _read(self, body: bytes) -> Fields:
        try:
            return decode_cleaned(self._decode, body)
        except msgspec.ValidationError as error:
            found = _PATH.search(str(error))
            if found is None:
                raise bad_json("The request body must be a JSON object.") from None
            raise self.bad_field(found[1]) from None
        except RecursionError:
            raise _too_deep() from None
        except msgspec.DecodeError as error:
            if not body.strip():
                raise bad_json(f"The request body is empty. Send {self._example}.") from None
            # The decoder's message names the kind of mistake and its offset, never what the client wrote.
            reason = str(error).removeprefix("JSON is malformed: ")
            raise bad_json(f"The request body is not valid JSON: {reason}.") from None

    def bad_field(self, param: str) -> FaultError:
        """Return the error for a field that is wrong."""
        hint = self._hints.get(param) or f"`{param}` has the wrong type."
        return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, hint, param=param))

    def _require_small_fields(self, body: bytes, fields: Fields) -> None:
        large = (getattr(fields, name) for name in self._large)
        sizes = sum(len(memoryview(field)) for field in large if isinstance(field, msgspec.Raw))
        if len(body) - sizes > limits.CHAT_FIELDS_BYTES_MAX:
            names = " and ".join(f"`{name}`" for name in self._large[:2])
            message = (
                f"The fields beside {names} take more than {limits.CHAT_FIELDS_BYTES_MAX} bytes, or a field is "
                "repeated. Send each field once and leave out what the model does not need."
            )
            raise FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message))

    def model(self, model: object, wish: RoutingWish | None = None) -> str:
        """Return a model's name after checking that it can be one.

        Args:
            model: as the body names it; unset where it does not.
            wish: of the body; with it the first of a list of models is the model where nothing else names it.

        Raises:
            FaultError: ``client_bad_request``.
        """
        if model is msgspec.UNSET and wish is not None and wish.first:
            return wish.first
        if not isinstance(model, str) or not model.strip():
            raise self.bad_field("model")
        if len(model) > limits.MODEL_NAME_CHARS_MAX:
            message = (
                f"`model` is longer than {limits.MODEL_NAME_CHARS_MAX} characters. Use a name from GET /v1/models."
            )
            raise FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param="model"))
        return model


def filled_list(value: msgspec.Raw) -> bool:
    """Return whether a raw member is a list with something in it."""
    view = memoryview(value)
    return bool(view) and view[0] == 0x5B and not _EMPTY_LIST.match(view)


def count_of(value: msgspec.Raw) -> int:
    """Return how many of something a raw member asks for; 1 where it is no number: the provider shall say so."""
    written = bytes(memoryview(value)[:_COUNT_CHARS_MAX]).strip(b'"')  # Google takes numbers as texts, too
    try:
        return min(max(math.ceil(float(written)), 1), _COUNT_MAX)
    except (ValueError, OverflowError):
        return 1


def bad_json(message: str) -> FaultError:
    """Return the error for a body that is no JSON object."""
    return FaultError(Fault(ErrorType.CLIENT_BAD_JSON, message))


def _too_deep() -> FaultError:
    message = f"The request body is nested deeper than {limits.JSON_DEPTH_MAX} levels. Flatten it."
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message))


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
