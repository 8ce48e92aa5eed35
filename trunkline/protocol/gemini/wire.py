"""Gemini's words for content and answers, as they are read and written. One set of structs for all four directions.

Typed decoding of a frame takes under a microsecond and finds a broken one, too. Frames that vendors bend (a number in
quotes, null in a list) fail it and are read loosely instead: each member by itself, and what does not fit left out.
"""

from typing import TypeAlias

import msgspec

from trunkline.protocol.json_span import without_lone_surrogates
from trunkline.protocol.lenient import read_leniently

MaybeRaw: TypeAlias = msgspec.Raw | msgspec.UnsetType

MODEL_ROLE = "model"
USER_ROLE = "user"


class Blob(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """Bytes as base64."""

    mime_type: str | None = None
    data: str | None = None


class FileData(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """Bytes behind a URI."""

    mime_type: str | None = None
    file_uri: str | None = None


class FunctionCall(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """A call, always whole. ``args`` stays source text."""

    name: str | None = None
    args: MaybeRaw = msgspec.UNSET
    id: str | None = None


class FunctionResponse(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """What a function returned. ``response`` stays source text; ``parts`` are pictures and files."""

    name: str | None = None
    response: MaybeRaw = msgspec.UNSET
    id: str | None = None
    parts: list["Part"] | None = None


class Part(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """A piece of content; of its data members one is set. The raw ones are only asked whether they are there."""

    text: str | None = None
    thought: bool | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    thought_signature: str | None = None
    executable_code: MaybeRaw = msgspec.UNSET
    code_execution_result: MaybeRaw = msgspec.UNSET
    tool_call: MaybeRaw = msgspec.UNSET
    tool_response: MaybeRaw = msgspec.UNSET

    @property
    def built_in(self) -> bool:
        """Whether it belongs to a tool that the provider runs itself."""
        return (
            self.executable_code is not msgspec.UNSET
            or self.code_execution_result is not msgspec.UNSET
            or self.tool_call is not msgspec.UNSET
            or self.tool_response is not msgspec.UNSET
        )


class Content(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """A turn. Google's own examples give a single part without its list."""

    parts: list[Part] | Part | None = None
    role: str | None = None

    @property
    def all_parts(self) -> list[Part]:
        """The parts as a list."""
        parts = self.parts
        if isinstance(parts, list):
            return parts
        return [] if parts is None else [parts]


class Candidate(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """One answer, or a piece of it."""

    content: Content | None = None
    finish_reason: str | int | None = None
    index: int | None = None
    finish_message: str | None = None


class PromptFeedback(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """Why there is no answer."""

    block_reason: str | int | None = None
    block_reason_message: str | None = None


class ModalityCount(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """Tokens of one kind of medium."""

    modality: str | int | None = None
    token_count: int | float | None = None


class UsageMetadata(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """The usage report; see `usage`."""

    prompt_token_count: int | float | None = None
    cached_content_token_count: int | float | None = None
    candidates_token_count: int | float | None = None
    thoughts_token_count: int | float | None = None
    tool_use_prompt_token_count: int | float | None = None
    total_token_count: int | float | None = None
    prompt_tokens_details: list[ModalityCount] | None = None
    cache_tokens_details: list[ModalityCount] | None = None
    candidates_tokens_details: list[ModalityCount] | None = None


class Frame(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """A GenerateContentResponse: a whole answer, or a piece of a stream."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: MaybeRaw = msgspec.UNSET

    @property
    def failed(self) -> bool:
        """Whether it is an error."""
        return self.error is not msgspec.UNSET and bytes(self.error) not in _NOTHING

    @property
    def block_reason(self) -> str:
        """Why the prompt was blocked; empty if it was not."""
        feedback = self.prompt_feedback
        return reason_name(feedback.block_reason) if feedback is not None else ""


_NOTHING = frozenset({b"null", b"{}", b'""', b"[]", b"false"})

_REASONS_BY_NUMBER = ("", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER")
"""What ``enum-encoding=int`` makes of them, as far as all versions agree."""


def reason_name(reason: str | int | None) -> str:
    """Return a finish or block reason in its name; empty where it says nothing."""
    if isinstance(reason, int):
        return _REASONS_BY_NUMBER[reason] if 0 <= reason < len(_REASONS_BY_NUMBER) else "OTHER"
    if not reason or reason.endswith("_UNSPECIFIED"):
        return ""
    return reason


# --- Reading -----------------------------------------------------------------------------------------------------

_decode_frame = msgspec.json.Decoder(Frame).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read_frame(data: bytes) -> Frame | None:
    """Return a frame, or None for JSON that is not an object. A list of one error is read as that error.

    Raises:
        ValueError: not JSON, not UTF-8, or nested too deeply.
    """
    if not data.isascii():
        # What the decoder skips it does not check to be UTF-8.
        data.decode()
    try:
        return _decode_frame(data)
    except (msgspec.DecodeError, RecursionError):
        pass
    if data.lstrip()[:1] != b"[":
        return read_leniently(Frame, data)
    items = _items(data)
    first = read_leniently(Frame, items[0]) if items else None
    return first if first is not None and first.failed else None


def read_frames(body: bytes) -> list[Frame]:
    """Return the frames of a whole body: one object, or a list of them.

    Raises:
        ValueError: as `read_frame`.
    """
    if body.lstrip()[:1] != b"[":
        frame = read_frame(body)
        return [frame] if frame is not None else []
    frames = [read_frame(item) for item in _items(body)]
    return [frame for frame in frames if frame is not None]


def _items(source: bytes) -> list[bytes]:
    try:
        return [bytes(item) for item in _decode_items(without_lone_surrogates(source))]
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError("not JSON") from error
