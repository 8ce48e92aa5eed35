"""The parts of chat answers and chunks that the gateway looks at. Shared by the readers of both.

Typed decoding of a chunk of 300 bytes takes 0.4 µs, less than two searches for a word in it, and finds a broken
chunk, too. What vendors bend (a list for content, an object for arguments) fails it and is read loosely instead.
"""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from trunkline.protocol.lenient import read_leniently

_MaybeRaw: TypeAlias = msgspec.Raw | msgspec.UnsetType


class FunctionCall(msgspec.Struct, gc=False):
    """What a tool call says, whole or a piece of it."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct, gc=False):
    """A tool call, or a piece of it."""

    function: FunctionCall | None = None


class Output(msgspec.Struct, gc=False):
    """A message, or a delta of one. ``audio`` and ``images`` are only ever asked whether they are there."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: FunctionCall | None = None
    audio: _MaybeRaw = msgspec.UNSET
    images: _MaybeRaw = msgspec.UNSET


class Choice(msgspec.Struct, gc=False):
    """One choice; some vendors put ``message`` where ``delta`` belongs."""

    index: int = 0
    delta: Output | None = None
    message: Output | None = None
    finish_reason: str | None = None


class VendorUsage(msgspec.Struct, gc=False):
    """Groq's second place for usage."""

    usage: _MaybeRaw = msgspec.UNSET


class Answer(msgspec.Struct, gc=False):
    """A whole answer or one chunk."""

    choices: list[Choice] | None = None
    usage: _MaybeRaw = msgspec.UNSET
    error: _MaybeRaw = msgspec.UNSET
    object: str | None = None
    type: str | None = None
    x_groq: VendorUsage | None = None

    @property
    def reported(self) -> bytes:
        """The JSON of its usage report, empty if there is none."""
        usage = _present(self.usage)
        return usage if usage or self.x_groq is None else _present(self.x_groq.usage)

    @property
    def failed(self) -> bool:
        """Whether it is an error: an ``error`` member, or a flat one as Mistral and older vLLM send it."""
        if _present(self.error):
            return True
        return not self.choices and (self.object == "error" or self.type == "error")


def _present(value: _MaybeRaw) -> bytes:
    """Return a member's JSON, empty where it is absent or says nothing."""
    if value is msgspec.UNSET:
        return b""
    source = bytes(value)
    return b"" if source in _NOTHING else source


_NOTHING = frozenset({b"null", b"{}", b'""', b"[]", b"false"})

FAILED_FINISHES = frozenset({"error", "insufficient_system_resource", "network_error", "abort"})
"""Finish reasons of vendors that mean the provider failed (DIALECTS section 4.1)."""

_decode_answer = msgspec.json.Decoder(Answer).decode


def read_answer_object(data: bytes) -> Answer | None:
    """Return what matters of an answer or chunk, or None for JSON that is not an object.

    Raises:
        ValueError: not JSON, not UTF-8, or nested too deeply.
    """
    if not data.isascii():
        # What the decoder skips it does not check to be UTF-8.
        data.decode()
    try:
        return _decode_answer(data)
    except (msgspec.DecodeError, RecursionError):
        return read_leniently(Answer, data, texts=True)


def output_texts(output: Output) -> Sequence[str] | None:
    """Return the texts in a message or delta that its provider was paid to produce.

    None if there is no output at all; empty if it is audio or images alone.
    """
    reasoning = output.reasoning_content or output.reasoning
    if output.tool_calls or output.function_call is not None or output.refusal or reasoning:
        return _all_texts(output, reasoning)
    if output.content:
        return (output.content,)
    if output.audio is msgspec.UNSET and output.images is msgspec.UNSET:
        return None
    return () if _present(output.audio) or _present(output.images) else None


def _all_texts(output: Output, reasoning: str | None) -> Sequence[str]:
    texts = [output.content, reasoning, output.refusal]
    functions = [call.function for call in output.tool_calls or ()]
    for function in (*functions, output.function_call):
        if function is not None:
            texts += (function.name, function.arguments)
    return [text for text in texts if text]
