"""Reads the contents of a Gemini request into neutral turns. Called by `request_reader`."""

from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec

from trunkline.protocol.base64_text import text_of
from trunkline.protocol.fidelity import Feature
from trunkline.protocol.gemini import media, signature
from trunkline.protocol.gemini.arguments import json_text, minted_id, object_members
from trunkline.protocol.gemini.decoding import bad_field
from trunkline.protocol.gemini.wire import MODEL_ROLE, Blob, Content, FileData, FunctionCall, FunctionResponse
from trunkline.protocol.gemini.wire import Part as GeminiPart
from trunkline.protocol.model import (
    Audio,
    File,
    Image,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)

_USER_ROLES = frozenset({None, "", "user", "function", "tool"})
"""``function`` is what older clients call the turn with a function's result."""

_RESULT_FIELDS = frozenset({"output", "result", "error"})
"""A result that is one of these alone is that member; anything else is its JSON text (section 2.4)."""


class ContentReader:
    """Reads one request's contents, and remembers its calls, so that results find them.

    Attributes:
        features: what was met that the neutral form has no place for.
    """

    def __init__(self) -> None:
        self.features: dict[Feature, None] = {}
        self._names: dict[str, str] = {}
        self._open: list[ToolCall] = []

    def turns(self, contents: Iterable[Content]) -> tuple[Turn, ...]:
        """Return the turns.

        Neighbouring contents of the model are one turn, and neighbouring texts in it one text: clients give back the
        pieces of a stream as they came.

        Raises:
            FaultError: ``client_bad_request``.
        """
        turns: list[Turn] = []
        for index, content in enumerate(contents):
            place = f"contents[{index}]"
            if content.role == MODEL_ROLE:
                joined = bool(turns) and turns[-1].role is Role.ASSISTANT
                if not joined:
                    self._open.clear()
                parts = [*turns.pop().parts] if joined else []
                for part in self._parts(content, place, model=True):
                    _append(parts, part)
                turns.append(Turn(Role.ASSISTANT, tuple(parts)))
            elif content.role in _USER_ROLES:
                turns.append(Turn(Role.USER, tuple(self._parts(content, place, model=False))))
            else:
                raise bad_field(f"{place}.role", "must be `user` or `model`")
        return tuple(turns)

    def _parts(self, content: Content, place: str, *, model: bool) -> Iterable[Part]:
        for number, part in enumerate(content.all_parts):
            yield from self._part(part, f"{place}.parts[{number}]", model=model)

    def _part(self, part: GeminiPart, place: str, *, model: bool) -> Iterable[Part]:
        proof = signature.read(part.thought_signature) if model else None
        if part.function_call is not None:
            call = _call(part.function_call, place)
            self._names[call.id] = call.name
            self._open.append(call)
            yield msgspec.structs.replace(call, proof=proof) if proof is not None else call
            return
        if part.function_response is not None:
            yield self._result(part.function_response, place)
            return
        if part.thought:
            if part.text or proof is not None:
                yield Reasoning(part.text or "", proof)
            return
        if part.text:
            yield Text(part.text)
        elif part.inline_data is not None:
            yield from self._inline(part.inline_data, place)
        elif part.file_data is not None:
            yield from self._file(part.file_data, place)
        elif part.built_in:
            self.features[Feature.TOOL_BUILT_IN] = None
        elif part.text is None and part.thought_signature is None:
            raise bad_field(place, "has nothing in it that can be read")
        elif proof is None:
            yield Text("")
        if proof is not None:
            # It hangs on a text or a picture, where other dialects have no place for it: it stands behind.
            yield Reasoning(proof=proof, redacted=True)

    def _inline(self, blob: Blob, place: str) -> Iterable[Image | File | Audio]:
        data = media.standard_base64(blob.data or "")
        kind = (blob.mime_type or "").partition(";")[0].strip().lower()
        if not data or not kind:
            raise bad_field(f"{place}.inlineData", "needs `mimeType` and `data`")
        if kind.startswith("image/"):
            yield Image(data=data, media_type=media.image_type(data, kind))
        elif kind.startswith("audio/"):
            yield Audio(data, kind)
        elif kind.startswith("video/"):
            self.features[Feature.VIDEO_INPUT] = None
        elif kind.startswith("text/"):
            text = text_of(data)
            if text is None:
                raise bad_field(f"{place}.inlineData.data", "must be base64 of a text in UTF-8")
            yield File(text=text, media_type="" if kind == media.PLAIN_TEXT else kind)
        else:
            yield File(data=data, media_type=kind)

    def _file(self, file: FileData, place: str) -> Iterable[Image | File]:
        url = file.file_uri or ""
        if not url:
            raise bad_field(f"{place}.fileData", "needs `fileUri`")
        kind = (file.mime_type or media.type_of_url(url)).lower()
        try:
            parsed = urlsplit(url)
        except ValueError:
            raise bad_field(f"{place}.fileData.fileUri", "must be a URI") from None
        if kind.startswith("video/") or parsed.hostname in media.VIDEO_HOSTS:
            self.features[Feature.VIDEO_INPUT] = None
        elif parsed.scheme not in {"http", "https"} or parsed.hostname == media.FILES_HOST or kind.startswith("audio/"):
            # What only Google can open. Sound by its URL has no other home either.
            self.features[Feature.FILE_ID] = None
        elif kind.startswith("image/"):
            yield Image(url=url)
        else:
            yield File(url=url, media_type=kind)

    def _result(self, response: FunctionResponse, place: str) -> ToolResult:
        call_id, name = self._answered(response, place)
        text, failed = _result_text(response)
        parts: list[Text | Image | File] = [] if text is None else [Text(text)]
        for number, part in enumerate(response.parts or ()):
            inner = f"{place}.functionResponse.parts[{number}]"
            if part.inline_data is not None:
                parts += [found for found in self._inline(part.inline_data, inner) if not isinstance(found, Audio)]
            elif part.file_data is not None:
                parts += self._file(part.file_data, inner)
        return ToolResult(call_id, name, tuple(parts), failed)

    def _answered(self, response: FunctionResponse, place: str) -> tuple[str, str]:
        """Return the id and name of the call that a result answers: by its id, else the first open one of its name."""
        name = response.name or ""
        open_calls = self._open
        found = next((call for call in open_calls if response.id and call.id == response.id), None)
        if found is None and response.id and response.id in self._names:
            return response.id, name or self._names[response.id]
        if found is None:
            found = next((call for call in open_calls if call.name == name), None)
        if found is not None:
            open_calls.remove(found)
            return found.id, name or found.name
        if not name:
            raise bad_field(f"{place}.functionResponse.name", "must be the name of the function that was called")
        return response.id or minted_id(place, name), name


def _call(call: FunctionCall, place: str) -> ToolCall:
    if not call.name:
        raise bad_field(f"{place}.functionCall.name", "must be the name of a function")
    source = bytes(call.args) if call.args is not msgspec.UNSET else b""
    if source in {b"", b"null"}:
        arguments = ""
    elif source.startswith(b"{"):
        arguments = source.decode(errors="replace")
    else:
        raise bad_field(f"{place}.functionCall.args", "must be an object")
    return ToolCall(call.id or minted_id(place, call.name), call.name, arguments)


def _result_text(response: FunctionResponse) -> tuple[str | None, bool]:
    """Return a result's text, None for none, and whether it is an error."""
    if response.response is msgspec.UNSET:
        return None, False
    source = bytes(response.response)
    members = object_members(source)
    if members is not None and len(members) == 1:
        ((key, value),) = members.items()
        if key in _RESULT_FIELDS:
            text = json_text(bytes(value))
            return bytes(value).decode(errors="replace") if text is None else text, key == "error"
    return source.decode(errors="replace"), False


def _append(parts: list[Part], part: Part) -> None:
    """Add a part of the model; pieces of one text or one thought become one."""
    last = parts[-1] if parts else None
    match last, part:
        case Text(before), Text(text):
            parts[-1] = Text(before + text)
        case Reasoning(text=before, proof=None, redacted=False), Reasoning(text, proof, redacted=False):
            parts[-1] = Reasoning(before + text, proof)
        case _:
            parts.append(part)
