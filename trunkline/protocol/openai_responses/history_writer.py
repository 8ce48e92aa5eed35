"""A conversation's turns as items for a Responses upstream. Called by `request_writer`."""

import base64
import hashlib
from collections.abc import Iterable, Sequence

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol import names
from trunkline.protocol.fidelity import Crossing, Feature
from trunkline.protocol.model import (
    Audio,
    File,
    Image,
    Part,
    Proof,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.protocol.openai_responses import media
from trunkline.protocol.openai_responses.tool_names import ToolNames
from trunkline.protocol.openai_responses.upstream_items import (
    CustomCall,
    CustomOutput,
    FunctionCall,
    FunctionOutput,
    InputFile,
    InputImage,
    InputPart,
    InputText,
    Message,
    OutputPart,
    OutputRefusal,
    OutputText,
    ReasoningItem,
    SummaryText,
    UpstreamItem,
)

CALL_ID_CHARS_MAX = 64
"""The provider refuses a longer ``call_id``."""

FAILED_MARK = "Error: "
"""Begins the text of a failed result, as this dialect has no field for it. Stable, or no prompt cache would hit."""

_EMPTY_ARGUMENTS = "{}"
_HISTORY_FIELDS = {names.OPENAI_CHAT: "messages", names.ANTHROPIC: "messages", names.GEMINI: "contents"}


class HistoryWriter:
    """Writes the turns of one request.

    Args:
        crossing: told of what is lost.
        system_role: what instructions go by.
        tool_names: of the request.

    Attributes:
        items: written so far.
    """

    def __init__(self, crossing: Crossing, system_role: str, tool_names: ToolNames) -> None:
        self.items: list[UpstreamItem] = []
        self._crossing = crossing
        self._system_role = system_role
        self._tool_names = tool_names
        self._words: list[OutputPart] = []
        self._reasoning: list[ReasoningItem] = []
        self._open_calls: set[str] = set()
        self._calls: dict[str, bool] = {}

    def add_instructions(self, texts: Iterable[Text]) -> None:
        """Write instructions as messages."""
        for text in texts:
            self._add_message(self._system_role, (text,))

    def add(self, turn: Turn) -> None:
        """Write a turn.

        Raises:
            FaultError: ``client_bad_request``: something in it cannot be carried.
        """
        if turn.name:
            self._crossing.lose(Feature.PARTICIPANT_NAME)
        match turn.role:
            case Role.SYSTEM:
                self._add_message(self._system_role, turn.parts)
            case Role.USER:
                for part in turn.parts:
                    if isinstance(part, ToolResult):
                        self._add_result(part)
                self._add_message("user", [part for part in turn.parts if not isinstance(part, ToolResult)])
            case Role.ASSISTANT:
                self._add_answer(turn.parts)

    def finish(self) -> None:
        """Check what only the whole conversation tells.

        Raises:
            FaultError: ``client_bad_request``: a call has no result (DIALECTS section 2.4).
        """
        for call_id in sorted(self._open_calls):
            raise self.bad_history(f"The tool call `{call_id}` in the history has no result. Send one with its id.")

    def bad_history(self, message: str) -> FaultError:
        """Return the error for a conversation that this dialect cannot hold, with the client's name for it."""
        param = _HISTORY_FIELDS.get(self._crossing.client)
        return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param=param))

    # --- messages ----------------------------------------------------------------------------------------------

    def _add_message(self, role: str, parts: Sequence[Part]) -> None:
        content = self._content(parts)
        if not content:
            return
        first = content[0]
        if len(content) == 1 and isinstance(first, InputText):
            self.items.append(Message(role, first.text))
        else:
            self.items.append(Message(role, content))

    def _content(self, parts: Sequence[Part]) -> list[InputPart]:
        """Return parts as the content of a message or of a result; empty texts go."""
        content: list[InputPart] = []
        for part in parts:
            match part:
                case Text(text) | Refusal(text):
                    if text:
                        content.append(InputText(text))
                case Image():
                    url = part.url or media.data_url(part.media_type, part.data)
                    content.append(InputImage(url, part.detail or "auto"))
                case File():
                    content += self._file(part)
                case Audio():
                    self._crossing.lose(Feature.AUDIO_INPUT)
                case _:
                    raise self.bad_history("A turn in the history holds what only the model can say.")
            self._lose_mark(part)
        return content

    def _file(self, file: File) -> list[InputPart]:
        written: list[InputPart] = []
        if file.context:
            self._crossing.lose(Feature.FILE_CONTEXT)
            written.append(InputText(file.context))
        if file.url:
            return [*written, InputFile(filename=file.name, file_url=file.url)]
        media_type, data = file.media_type, file.data
        if not data:
            media_type = media_type or "text/plain"
            data = base64.b64encode(file.text.encode()).decode()
        name = file.name or media.name_by_type(media_type)
        return [*written, InputFile(filename=name, file_data=media.data_url(media_type, data))]

    def _lose_mark(self, part: Part) -> None:
        if not isinstance(part, Audio | Refusal | Reasoning) and part.cache is not None:
            self._crossing.lose(Feature.CACHE_MARKS)

    # --- results -----------------------------------------------------------------------------------------------

    def _add_result(self, result: ToolResult) -> None:
        if result.id not in self._calls:
            raise self.bad_history(
                f"The tool result `{result.id}` in the history has no call. Send the call before it."
            )
        self._open_calls.discard(result.id)
        self._lose_mark(result)
        parts = result.parts
        if result.failed:
            self._crossing.lose(Feature.RESULT_FAILED)
            parts = _marked_as_failed(parts)
        content = self._content(parts)
        output: str | list[InputPart] = content
        if not content:
            output = ""
        elif len(content) == 1 and isinstance(content[0], InputText):
            output = content[0].text
        call_id = upstream_call_id(result.id)
        # The call decides: not every dialect says with a result what kind of tool it came from.
        custom = self._calls[result.id]
        self.items.append(CustomOutput(call_id, output) if custom else FunctionOutput(call_id, output))

    # --- what the model did ------------------------------------------------------------------------------------

    def _add_answer(self, parts: Sequence[Part]) -> None:
        """Write a turn of the model.

        A reasoning item stands right before the call or message that it led to; one that nothing follows is refused
        by the provider, so it goes (DIALECTS section 2.5).
        """
        for part in parts:
            match part:
                case Text(text):
                    if text:
                        self._words.append(OutputText(text))
                case Refusal(text):
                    if text:
                        self._words.append(OutputRefusal(text))
                case Reasoning():
                    self._flush_words()
                    self._add_reasoning(part)
                case ToolCall():
                    self._flush_words()
                    self._add_call(part)
                case Image():
                    self._crossing.lose(Feature.IMAGE_OUTPUT)
                case _:
                    message = "A turn of the model in the history holds a file or a result. Send it in a user's turn."
                    raise self.bad_history(message)
            self._lose_mark(part)
        self._flush_words()
        if self._reasoning:
            self._crossing.lose(Feature.REASONING_HISTORY)
            self._reasoning.clear()

    def _flush_words(self) -> None:
        words = self._words
        if not words:
            return
        self._flush_reasoning()
        if len(words) == 1 and isinstance(words[0], OutputText):
            self.items.append(Message("assistant", words[0].text))
        else:
            self.items.append(Message("assistant", words))
        self._words = []

    def _flush_reasoning(self) -> None:
        self.items += self._reasoning
        self._reasoning.clear()

    def _add_reasoning(self, reasoning: Reasoning) -> None:
        proof = self._own(reasoning.proof)
        if proof is not None:
            summary = [SummaryText(reasoning.text)] if reasoning.text else []
            self._reasoning.append(ReasoningItem(summary, proof.data))
        elif reasoning.proof is None:
            self._crossing.lose(Feature.REASONING_HISTORY)

    def _own(self, proof: Proof | None) -> Proof | None:
        """Return a proof that the provider can read; another's is lost."""
        if proof is None or proof.dialect == names.OPENAI_RESPONSES:
            return proof
        self._crossing.lose(Feature.FOREIGN_PROOF)
        return None

    def _add_call(self, call: ToolCall) -> None:
        self._flush_reasoning()
        self._own(call.proof)
        self._calls[call.id] = call.custom
        self._open_calls.add(call.id)
        call_id = upstream_call_id(call.id)
        name = self._tool_names.written(call.name)
        if call.custom:
            self.items.append(CustomCall(call_id, name, call.arguments))
        else:
            self.items.append(FunctionCall(call_id, name, call.arguments or _EMPTY_ARGUMENTS))


def upstream_call_id(call_id: str) -> str:
    """Return a call's id as the provider takes it; the same for the same one, so that call and result stay joined."""
    if 0 < len(call_id) <= CALL_ID_CHARS_MAX:
        return call_id
    return "call_" + hashlib.sha256(call_id.encode(errors="replace")).hexdigest()[:32]


def _marked_as_failed(parts: tuple[Text | Image | File, ...]) -> tuple[Text | Image | File, ...]:
    for index, part in enumerate(parts):
        if isinstance(part, Text):
            marked = Text(FAILED_MARK + part.text, part.cache)
            return (*parts[:index], marked, *parts[index + 1 :])
    return (Text(FAILED_MARK), *parts)
