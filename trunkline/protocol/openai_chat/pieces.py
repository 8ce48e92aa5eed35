"""What an answer or a chunk of a stream says, for its translation. Called by the event reader.

`wire` is the relay's view of the same bytes, which asks only whether something is there; here everything is read that a
client of another dialect gets. `piece_reader` makes these from bytes.
"""

from typing import TypeAlias

import msgspec

MaybeRaw: TypeAlias = msgspec.Raw | msgspec.UnsetType
"""A member's JSON, or nothing where it is absent."""

_NOTHING = frozenset({b"null", b"{}", b'""', b"[]", b"false"})


class FunctionPiece(msgspec.Struct, gc=False):
    """A call's name and arguments, or a piece of them."""

    name: str | None = None
    arguments: str | None = None


class CustomPiece(msgspec.Struct, gc=False):
    """As `FunctionPiece`, for a free-form tool."""

    name: str | None = None
    input: str | None = None


class CallPiece(msgspec.Struct, gc=False):
    """A tool call or a piece of one."""

    index: int | None = None
    id: str | None = None
    function: FunctionPiece | None = None
    custom: CustomPiece | None = None
    extra_content: MaybeRaw = msgspec.UNSET

    @property
    def name(self) -> str:
        """Of the tool; empty if it is not said here."""
        said = self.function.name if self.function is not None else self.custom.name if self.custom is not None else ""
        return said or ""

    @property
    def arguments(self) -> str:
        """The piece of arguments; empty if there is none."""
        if self.function is not None:
            return self.function.arguments or ""
        return (self.custom.input or "") if self.custom is not None else ""


class Content(msgspec.Struct, gc=False):
    """A message, or a delta of one."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: MaybeRaw = msgspec.UNSET
    refusal: str | None = None
    tool_calls: list[CallPiece] | None = None
    function_call: FunctionPiece | None = None
    images: MaybeRaw = msgspec.UNSET


class ChoicePiece(msgspec.Struct, gc=False):
    """One choice; some vendors put ``message`` where ``delta`` belongs."""

    index: int = 0
    delta: Content | None = None
    message: Content | None = None
    finish_reason: str | None = None


class VendorUsage(msgspec.Struct, gc=False):
    """Groq's second place for usage."""

    usage: MaybeRaw = msgspec.UNSET


class AnswerPiece(msgspec.Struct, gc=False):
    """A whole answer or one chunk."""

    id: str | None = None
    choices: list[ChoicePiece] | None = None
    usage: MaybeRaw = msgspec.UNSET
    error: MaybeRaw = msgspec.UNSET
    object: str | None = None
    type: str | None = None
    x_groq: VendorUsage | None = None

    @property
    def failed(self) -> bool:
        """Whether it is an error: an ``error`` member, or a flat one as Mistral and older vLLM send it."""
        if present(self.error):
            return True
        return not self.choices and (self.object == "error" or self.type == "error")

    @property
    def reported(self) -> bytes:
        """The JSON of its usage report, empty if there is none."""
        usage = present(self.usage)
        return usage if usage or self.x_groq is None else present(self.x_groq.usage)


def present(value: MaybeRaw) -> bytes:
    """Return a member's JSON, empty where it is absent or says nothing."""
    if value is msgspec.UNSET:
        return b""
    source = bytes(value)
    return b"" if source in _NOTHING else source
