"""Writes neutral turns as Gemini's contents (DIALECTS sections 2.1, 2.2, 2.4 and 2.5). Called by `request_writer`."""

from collections.abc import Iterable, Sequence

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.fidelity import Crossing, Feature
from trunkline.protocol.gemini import media, signature
from trunkline.protocol.gemini.arguments import object_members, written_arguments, written_custom
from trunkline.protocol.gemini.thinking import ModelFacts
from trunkline.protocol.gemini.tool_names import ToolNames
from trunkline.protocol.gemini.wire import (
    MODEL_ROLE,
    USER_ROLE,
    Blob,
    Content,
    FileData,
    FunctionCall,
    FunctionResponse,
    Part,
)
from trunkline.protocol.model import (
    Audio,
    File,
    Image,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.protocol.names import GEMINI

_AMBIGUOUS = frozenset({"output", "result", "error"})
"""A JSON text that has one of these members alone would be read as that member."""

_encode = msgspec.json.Encoder().encode


class ContentWriter:
    """Writes one request's turns.

    Args:
        names: of its tools.
        facts: of the model.
        crossing: told of what is not carried as it is.
    """

    def __init__(self, names: ToolNames, facts: ModelFacts, crossing: Crossing) -> None:
        self._names = names
        self._facts = facts
        self._crossing = crossing
        self._calls: dict[str, tuple[str, int]] = {}

    def contents(self, turns: Sequence[Turn]) -> list[Content]:
        """Return the contents: the user and the model by turns, the user first and last.

        Raises:
            FaultError: ``client_bad_request``.
        """
        contents: list[Content] = []
        for turn in turns:
            if turn.name:
                self._crossing.lose(Feature.PARTICIPANT_NAME)
            role = MODEL_ROLE if turn.role is Role.ASSISTANT else USER_ROLE
            parts = self._model_parts(turn) if role == MODEL_ROLE else self._user_parts(turn)
            if not parts:
                continue
            last = contents[-1] if contents else None
            if last is not None and last.role == role:
                last.parts = [*last.all_parts, *parts]
            else:
                contents.append(Content(parts, role))
        if not contents or contents[0].role != USER_ROLE:
            self._crossing.lose(Feature.STARTS_WITH_ASSISTANT)
        if contents[-1].role != USER_ROLE:
            self._crossing.lose(Feature.PREFILL)
        for content in contents:
            if content.role == USER_ROLE:
                content.parts = self._results_first(content.all_parts)
        if self._facts.signed:
            self._sign(contents)
        return contents

    # --- the user ------------------------------------------------------------------------------------------------

    def _user_parts(self, turn: Turn) -> list[Part]:
        parts: list[Part] = []
        for part in turn.parts:
            match part:
                case Text(text):
                    if text and turn.role is Role.SYSTEM:
                        self._crossing.lose(Feature.INSTRUCTIONS_MIDWAY)
                        text = f"<instructions>\n{text}\n</instructions>"
                    if text:
                        parts.append(Part(text=text))
                case ToolResult():
                    parts += self._result(part)
                case Refusal(text):
                    self._crossing.lose(Feature.REFUSAL_HISTORY)
                    parts.append(Part(text=text))
                case Image() | File() | Audio():
                    parts += self._media(part)
                case Reasoning() | ToolCall():
                    raise _bad("A user's turn has reasoning or a tool call in it; these belong to the assistant.")
        return parts

    def _media(self, part: Image | File | Audio) -> Iterable[Part]:
        match part:
            case Image():
                yield self._image(part)
            case File():
                if part.context:
                    self._crossing.lose(Feature.FILE_CONTEXT)
                    yield Part(text=part.context)
                if part.name:
                    self._crossing.lose(Feature.FILE_NAME)
                if part.citations:
                    self._crossing.lose(Feature.FILE_CONTEXT, "citations")
                yield _file(part)
            case Audio(data, media_type):
                yield Part(inline_data=Blob(media_type, media.standard_base64(data)))

    def _image(self, image: Image) -> Part:
        if image.detail not in {"", "auto"}:
            self._crossing.lose(Feature.IMAGE_DETAIL)
        if image.url:
            self._crossing.lose(Feature.IMAGE_URL)
            return Part(file_data=FileData(media.type_of_url(image.url) or None, image.url))
        data = media.standard_base64(image.data)
        return Part(inline_data=Blob(media.image_type(data, image.media_type) or "image/png", data))

    def _result(self, result: ToolResult) -> list[Part]:
        name = self._calls[result.id][0] if result.id in self._calls else self._names.written(result.name)
        if not name or (result.id not in self._calls and not result.name):
            raise _bad(f"The tool result `{result.id[:64]}` belongs to no tool call before it.")
        text = "\n".join([part.text for part in result.parts if isinstance(part, Text)])
        pictures: list[Part] = []
        for part in result.parts:
            if isinstance(part, Image | File):
                pictures += self._media(part)
        inside = self._facts.result_media and all(part.text is None for part in pictures)
        if pictures and not inside:
            self._crossing.lose(Feature.RESULT_IMAGE)
        response = FunctionResponse(
            name,
            _response(text, failed=result.failed),
            result.id or None,
            pictures if pictures and inside else None,
        )
        return [Part(function_response=response), *([] if inside else pictures)]

    def _results_first(self, parts: list[Part]) -> list[Part]:
        """Return parts with all results of a group together, in the order of their calls, before anything else."""
        results = [part for part in parts if part.function_response is not None]
        if not results:
            return parts
        results.sort(key=self._call_rank)
        return [*results, *[part for part in parts if part.function_response is None]]

    def _call_rank(self, part: Part) -> int:
        response = part.function_response
        known = self._calls.get(response.id or "") if response is not None else None
        return known[1] if known is not None else len(self._calls)

    # --- the model -----------------------------------------------------------------------------------------------

    def _model_parts(self, turn: Turn) -> list[Part]:
        parts: list[Part] = []
        for part in turn.parts:
            match part:
                case Text(text):
                    if text:
                        parts.append(Part(text=text))
                case ToolCall():
                    parts.append(self._call(part))
                case Reasoning():
                    self._reasoning(part, parts)
                case Refusal(text):
                    self._crossing.lose(Feature.REFUSAL_HISTORY)
                    if text:
                        parts.append(Part(text=text))
                case Image() | File() | Audio():
                    parts += self._media(part)
                case ToolResult():
                    raise _bad("An assistant's turn has a tool result in it; these belong to the user.")
        return parts

    def _reasoning(self, reasoning: Reasoning, parts: list[Part]) -> None:
        proof = reasoning.proof
        if proof is not None and proof.dialect != GEMINI:
            self._crossing.lose(Feature.FOREIGN_PROOF)
        elif proof is None:
            if reasoning.text:
                self._crossing.lose(Feature.REASONING_HISTORY)
        elif not reasoning.redacted:
            parts.append(Part(text=reasoning.text, thought=True, thought_signature=proof.data))
        elif parts and _takes_signature(parts[-1]):
            parts[-1].thought_signature = proof.data
        else:
            parts.append(Part(text="", thought_signature=proof.data))

    def _call(self, call: ToolCall) -> Part:
        args = written_custom(call.arguments) if call.custom else written_arguments(call.arguments)
        if args is None:
            raise _bad(f"The arguments of the tool call `{call.id[:64]}` are not a JSON object.")
        name = self._names.written(call.name)
        self._calls[call.id] = (name, len(self._calls))
        part = Part(function_call=FunctionCall(name, args, call.id or None))
        if call.proof is not None:
            if call.proof.dialect == GEMINI:
                part.thought_signature = call.proof.data
            else:
                self._crossing.lose(Feature.FOREIGN_PROOF)
        return part

    def _sign(self, contents: list[Content]) -> None:
        """Give the first call of each step of the current turn a placeholder where it has no signature."""
        for content in reversed(contents):
            if content.role == MODEL_ROLE:
                first = next((part for part in content.all_parts if part.function_call is not None), None)
                if first is not None and first.thought_signature is None:
                    self._crossing.lose(Feature.FOREIGN_PROOF)
                    first.thought_signature = signature.PLACEHOLDER
            elif all(part.function_response is None for part in content.all_parts):
                # Here the current turn began: with what the user said.
                return


def _takes_signature(part: Part) -> bool:
    """Return whether a signature that stood behind a part belongs to it."""
    return (
        part.thought_signature is None
        and not part.thought
        and (bool(part.text) or part.inline_data is not None or part.file_data is not None)
    )


def _file(file: File) -> Part:
    if file.url:
        return Part(file_data=FileData(file.media_type or media.type_of_url(file.url) or None, file.url))
    if file.data:
        return Part(inline_data=Blob(file.media_type or media.PDF, media.standard_base64(file.data)))
    return Part(inline_data=Blob(file.media_type or media.PLAIN_TEXT, media.base64_of(file.text)))


def _response(text: str, *, failed: bool) -> msgspec.Raw:
    """Return a result as the object that ``response`` must be."""
    if failed:
        return msgspec.Raw(_encode({"error": text}))
    if text.lstrip()[:1] == "{":
        source = text.strip().encode(errors="replace")
        members = object_members(source)
        if members is not None and not (len(members) == 1 and _AMBIGUOUS.issuperset(members)):
            return msgspec.Raw(source)
    return msgspec.Raw(_encode({"output": text}))


def _bad(message: str) -> FaultError:
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message))
