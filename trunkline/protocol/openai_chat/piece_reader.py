"""Bytes of an answer or a chunk into `pieces`. Called by the event reader.

A sound chunk is decoded straight into small structs, in less than a microsecond. What vendors bend (DIALECTS sections
3.4 and 6: a list for content, an object for arguments, a number for an id) fails that and is read member by member,
so that the source text of arguments stays as it is.
"""

import msgspec

from trunkline.protocol.json_span import without_lone_surrogates
from trunkline.protocol.openai_chat.pieces import (
    AnswerPiece,
    CallPiece,
    ChoicePiece,
    Content,
    CustomPiece,
    FunctionPiece,
    MaybeRaw,
    VendorUsage,
)

REASONING_DETAILS = "reasoning_details"
"""OpenRouter's list of reasoning with its proofs."""

_READ_ALWAYS = frozenset({"", "reasoning_content", "reasoning", REASONING_DETAILS})

_Members = dict[str, msgspec.Raw]

_decode_answer = msgspec.json.Decoder(AnswerPiece).decode
_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode
_decode_object = msgspec.json.Decoder(_Members).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_number = msgspec.json.Decoder(int, strict=False).decode

_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_piece(data: bytes, reasoning_field: str) -> AnswerPiece | None:
    """Return what a chunk or an answer says, or None for JSON that is not an object.

    Args:
        data: JSON.
        reasoning_field: where reasoning stands beside the fields that are always read.

    Raises:
        ValueError: not JSON, not UTF-8, or nested too deeply.
    """
    try:
        return _read(data, reasoning_field)
    except _BROKEN:
        pass
    try:
        return _read(without_lone_surrogates(data), reasoning_field)
    except _BROKEN as error:
        raise ValueError("not JSON") from error


def _read(data: bytes, reasoning_field: str) -> AnswerPiece | None:
    if reasoning_field in _READ_ALWAYS:
        try:
            return _decode_answer(data)
        except msgspec.ValidationError:
            pass
    members = _object(_decode_raw(data))
    return _loose_answer(members, reasoning_field) if members is not None else None


def image_urls(images: MaybeRaw) -> list[str]:
    """Return the URLs in an ``images`` member; none for anything else than a list of images."""
    urls = []
    try:
        for item in map(_object, _list(images)):
            source = item.get("image_url") if item is not None else None
            members = _object(source)
            url = _only_text(members.get("url") if members is not None else source)
            if url:
                urls.append(url)
    except _BROKEN:
        pass
    return urls


def thought_signature(extra_content: MaybeRaw) -> str:
    """Return ``google.thought_signature`` of a call's ``extra_content``, where Google's compatibility layer puts it."""
    try:
        members = _object(extra_content)
        google = _object(members.get("google")) if members is not None else None
        return (google is not None and _only_text(google.get("thought_signature"))) or ""
    except _BROKEN:
        return ""


# --- Member by member ------------------------------------------------------------------------------------------------


def _object(value: MaybeRaw | None) -> _Members | None:
    if not isinstance(value, msgspec.Raw) or bytes(value)[:1] != b"{":
        return None
    return _decode_object(value)


def _list(value: MaybeRaw | None) -> list[msgspec.Raw]:
    return _decode_list(value) if isinstance(value, msgspec.Raw) and bytes(value)[:1] == b"[" else []


def _objects(value: MaybeRaw | None) -> list[_Members]:
    return [members for members in map(_object, _list(value)) if members is not None]


def _text(value: msgspec.Raw | None) -> str | None:
    """Return a text; anything else as its source, ``null`` and absence as None."""
    if value is None:
        return None
    source = bytes(value)
    if source[:1] == b'"':
        return _decode_text(source)
    return None if source == b"null" else source.decode()


def _only_text(value: msgspec.Raw | None) -> str | None:
    """Return a text, and None for anything else."""
    return _decode_text(value) if value is not None and bytes(value)[:1] == b'"' else None


def _number(value: msgspec.Raw | None) -> int | None:
    try:
        return _decode_number(value) if value is not None else None
    except _BROKEN:
        return None


def _raw(value: msgspec.Raw | None) -> MaybeRaw:
    return value if value is not None else msgspec.UNSET


def _loose_answer(answer: _Members, reasoning_field: str) -> AnswerPiece:
    vendor = _object(answer.get("x_groq"))
    return AnswerPiece(
        id=_text(answer.get("id")),
        choices=[_loose_choice(choice, reasoning_field) for choice in _objects(answer.get("choices"))],
        usage=_raw(answer.get("usage")),
        error=_raw(answer.get("error")),
        object=_only_text(answer.get("object")),
        type=_only_text(answer.get("type")),
        x_groq=VendorUsage(_raw(vendor.get("usage"))) if vendor is not None else None,
    )


def _loose_choice(choice: _Members, reasoning_field: str) -> ChoicePiece:
    return ChoicePiece(
        index=_number(choice.get("index")) or 0,
        delta=_loose_content(_object(choice.get("delta")), reasoning_field),
        message=_loose_content(_object(choice.get("message")), reasoning_field),
        finish_reason=_text(choice.get("finish_reason")),
    )


def _loose_content(content: _Members | None, reasoning_field: str) -> Content | None:
    if content is None:
        return None
    reasoning = _only_text(content.get("reasoning")) or _only_text(content.get(reasoning_field))
    read = Content(
        content=_only_text(content.get("content")),
        reasoning_content=_only_text(content.get("reasoning_content")),
        reasoning=reasoning,
        reasoning_details=_raw(content.get(REASONING_DETAILS)),
        refusal=_only_text(content.get("refusal")),
        tool_calls=[_loose_call(call) for call in _objects(content.get("tool_calls"))],
        function_call=_loose_function(content.get("function_call")),
        images=_raw(content.get("images")),
    )
    parts = _objects(content.get("content"))
    if parts:
        # Mistral's list of texts and thoughts.
        read.content = "".join(_only_text(part.get("text")) or "" for part in parts)
        read.reasoning = reasoning or "".join(_thoughts(part.get("thinking")) for part in parts)
    return read


def _thoughts(value: msgspec.Raw | None) -> str:
    return _only_text(value) or "".join(_only_text(part.get("text")) or "" for part in _objects(value))


def _loose_call(call: _Members) -> CallPiece:
    custom = _object(call.get("custom"))
    return CallPiece(
        index=_number(call.get("index")),
        id=_text(call.get("id")),
        function=_loose_function(call.get("function")),
        custom=CustomPiece(_only_text(custom.get("name")), _text(custom.get("input"))) if custom is not None else None,
        extra_content=_raw(call.get("extra_content")),
    )


def _loose_function(value: msgspec.Raw | None) -> FunctionPiece | None:
    function = _object(value)
    if function is None:
        return None
    return FunctionPiece(_only_text(function.get("name")), _text(function.get("arguments")))
