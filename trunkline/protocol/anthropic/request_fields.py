"""What is read of a Messages request on its way to another dialect: typed members, large and free-form ones raw."""

from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError

MaybeRaw: TypeAlias = msgspec.Raw | msgspec.UnsetType


class CacheControl(msgspec.Struct, gc=False):
    """A breakpoint of the prompt cache."""

    ttl: str | None = None


class Source(msgspec.Struct, gc=False):
    """Where an image or a document comes from."""

    type: str = ""
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    content: MaybeRaw = msgspec.UNSET


class Block(msgspec.Struct, gc=False):
    """A content block of any kind."""

    type: str = ""
    text: str | None = None
    cache_control: CacheControl | None = None
    source: Source | str | None = None
    id: str | None = None
    name: str | None = None
    input: MaybeRaw = msgspec.UNSET
    tool_use_id: str | None = None
    content: MaybeRaw = msgspec.UNSET
    is_error: bool | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    title: str | None = None
    context: str | None = None
    citations: MaybeRaw = msgspec.UNSET


class Message(msgspec.Struct, gc=False):
    """One turn."""

    role: str
    content: str | list[Block]


class Tool(msgspec.Struct, gc=False):
    """A tool; one with a type of its own is known to the provider, who trained its models on it or runs it."""

    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: MaybeRaw = msgspec.UNSET
    strict: bool | None = None
    cache_control: CacheControl | None = None
    defer_loading: bool | None = None
    input_examples: MaybeRaw = msgspec.UNSET


class Choice(msgspec.Struct, gc=False):
    """``tool_choice``."""

    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class ThinkingConfig(msgspec.Struct, gc=False):
    """``thinking``."""

    type: str
    budget_tokens: int | None = None
    display: str | None = None


class Format(msgspec.Struct, gc=False):
    """``output_config.format``, or its older place ``output_format``."""

    type: str
    schema: msgspec.Raw = msgspec.Raw()


class OutputConfig(msgspec.Struct, gc=False):
    """``output_config``."""

    effort: str | None = None
    format: Format | None = None


Value = TypeVar("Value")


class Field:
    """One top-level member and how it is read.

    Args:
        name: of the member.
        kind: its type.
        hint: what to do about it where it is wrong.
    """

    def __init__(self, name: str, kind: object, hint: str = "") -> None:
        self.name = name
        self._decode: Callable[[msgspec.Raw], object] = msgspec.json.Decoder(kind).decode
        self._hint = hint

    def read(self, members: Mapping[str, msgspec.Raw], expected: type[Value]) -> Value | None:
        """Return the member's value, None where it is absent or null.

        Args:
            members: of the body.
            expected: type of the value, for the type checker: what the decoder makes.

        Raises:
            FaultError: ``client_bad_request``: it has another type; names it.
        """
        member = members.get(self.name)
        if member is None or (len(memoryview(member)) == 4 and bytes(member) == b"null"):
            return None
        return self.decode(member, expected, self.name)

    def decode(self, source: msgspec.Raw, expected: type[Value], path: str) -> Value:
        """Return a value that stands at ``path``.

        Raises:
            FaultError: as `read`.
        """
        try:
            return self._decode(source)  # type: ignore[return-value]  # the decoder was made for it
        except msgspec.ValidationError as error:
            raise bad_field(path + _path_in(error), self._hint) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise bad_field(path, self._hint) from None


def _path_in(error: msgspec.ValidationError) -> str:
    """Return where in a value the error is, such as ``[0].content``; empty for the value itself."""
    _, _, path = str(error).partition("at `$")
    return path.removesuffix("`")


def bad_field(path: str, hint: str = "") -> FaultError:
    """Return the error for a field that cannot be understood."""
    message = hint or f"`{path}` is missing or has the wrong type."
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param=path))


def refused(path: str) -> FaultError:
    """Return the error for a field that only its own dialect can carry, where no row of the fidelity table has it."""
    message = (
        f"`{path}` cannot be carried to the provider of this model. Leave it out, or use a model whose provider "
        "speaks the dialect of this request."
    )
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param=path, code="unsupported_parameter"))
