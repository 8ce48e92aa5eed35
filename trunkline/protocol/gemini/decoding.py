"""Decodes members of a client's request, with an error that names the field."""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError

_PATH = re.compile(r"at `\$\.?([^`]*)`")

_Read = TypeVar("_Read")

object_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
"""Returns an object's members, each as its source."""


def decoded(decode: Callable[[msgspec.Raw], _Read], source: msgspec.Raw, name: str) -> _Read:
    """Return what a member holds.

    Args:
        decode: of a typed decoder.
        source: the member's JSON.
        name: what it is called.

    Raises:
        FaultError: ``client_bad_request``: it is something else.
    """
    try:
        return decode(source)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        found = _PATH.search(str(error))
        path = found[1] if found is not None else ""
        joint = "" if not path or path.startswith("[") else "."
        raise bad_field(f"{name}{joint}{path}", "has the wrong type") from None


def bad_field(param: str, what: str) -> FaultError:
    """Return the error for a field that cannot be understood.

    Args:
        param: path of the field.
        what: is wrong with it, as the rest of a sentence.
    """
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, f"`{param}` {what}.", param=param))
