"""Writes a conversation's turns as Anthropic takes them (DIALECTS sections 2.1, 2.2 and 2.4).

Called by the request's writer. Turns alternate: neighbours of one role become one, by joining their blocks. The results
of a turn's calls stand all together at the beginning of the next one.
"""

from collections.abc import Iterable, Sequence

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.anthropic.custom_tool import wrap_custom
from trunkline.protocol.anthropic.media import IMAGE_TYPES, true_type
from trunkline.protocol.anthropic.models_table import ModelTraits
from trunkline.protocol.anthropic.tool_writer import Member, ToolNames, cache_control, written_id
from trunkline.protocol.base64_text import text_of
from trunkline.protocol.fidelity import TABLE, Crossing, Feature
from trunkline.protocol.model import (
    Audio,
    File,
    Image,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.protocol.names import ANTHROPIC
from trunkline.protocol.vendor import VendorOptions

_ID_CHARS_MAX = 100
"""Of an id in an error."""

_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})
_THOUGHTS = frozenset({"thinking", "redacted_thinking"})

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Message:
    """One turn as it is written.

    Attributes:
        role: user, assistant or system.
        blocks: its content.
        calls: ids of the calls in it, as the client knows them.
        results: ids of the calls whose results are in it.
    """

    __slots__ = ("blocks", "calls", "results", "role")

    def __init__(self, role: str) -> None:
        self.role = role
        self.blocks: list[Member] = []
        self.calls: list[str] = []
        self.results: list[str] = []

    def join(self, other: "_Message") -> None:
        """Take what another turn of the same role says."""
        self.blocks += other.blocks
        self.calls += other.calls
        self.results += other.results


class TurnWriter:
    """Writes the turns of one request.

    Args:
        crossing: told of what is lost.
        traits: of the model.
        options: of the channel.
        names: of tools; shared with their declarations.
    """

    def __init__(self, crossing: Crossing, traits: ModelTraits, options: VendorOptions, names: ToolNames) -> None:
        self._crossing = crossing
        self._traits = traits
        self._midway = traits.instructions_midway or options.instructions_midway
        self._names = names
        self._field = TABLE[Feature.PREFILL].fields.get(crossing.client, "messages")
        self._messages: list[_Message] = []

    def write(self, turns: Iterable[Turn]) -> list[Member]:
        """Return ``messages``.

        Raises:
            FaultError: ``client_bad_request``: a part or the order of turns cannot be carried; names the field.
        """
        messages = _joined(self._placed(_joined(self._message(turn) for turn in turns)))
        if not messages:
            raise self._bad("The conversation needs a user message that says something.")
        if messages[0].role == "assistant":
            self._crossing.lose(Feature.STARTS_WITH_ASSISTANT)
        for message in messages:
            if message.results:
                # Stable: results in their order first, then the rest in its.
                message.blocks.sort(key=lambda block: block["type"] != "tool_result")
        self._check_pairs(messages)
        if messages[-1].role == "assistant":
            if not self._traits.prefill:
                self._crossing.lose(Feature.PREFILL)
            _trim(messages[-1])
        self._messages = messages
        return [{"role": message.role, "content": _content(message.blocks)} for message in messages]

    @property
    def prefilled(self) -> bool:
        """Whether the last turn is the assistant's, to be continued."""
        return self._messages[-1].role == "assistant"

    @property
    def unproven_loop(self) -> bool:
        """Whether the last turn answers calls that were made without a proof of thinking: by a foreign model, say.

        Thinking by a budget is refused there (DIALECTS section 2.5).
        """
        if len(self._messages) < 2 or not self._messages[-1].results:
            return False
        blocks = self._messages[-2].blocks
        return not (blocks and blocks[0]["type"] in _THOUGHTS)

    # --- order -----------------------------------------------------------------------------------------------------

    def _placed(self, messages: Sequence[_Message]) -> list[_Message]:
        """Return the turns with instructions where they may stand, and as marked user texts where they may not."""
        placed: list[_Message] = []
        for index, message in enumerate(messages):
            if message.role == "system":
                after_user = bool(placed) and placed[-1].role == "user"
                before_answer = index + 1 == len(messages) or messages[index + 1].role == "assistant"
                if not (self._midway and after_user and before_answer):
                    message = _marked(message)  # noqa: PLW2901 - what stands in the message's place
                    self._crossing.lose(Feature.INSTRUCTIONS_MIDWAY)
            placed.append(message)
        return placed

    def _check_pairs(self, messages: Sequence[_Message]) -> None:
        """See that calls and results belong together; what does not is the client's to mend, not ours to hide."""
        calls: list[str] = []
        for message in messages:
            for orphan in message.results:
                if orphan not in calls:
                    raise self._bad(f"The result of `{orphan[:_ID_CHARS_MAX]}` does not follow a call with this id.")
            for missing in calls:
                if missing not in message.results:
                    raise self._bad(f"The call `{missing[:_ID_CHARS_MAX]}` has no result in the turn after it.")
            calls = message.calls
        if calls:
            raise self._bad(f"The call `{calls[0][:_ID_CHARS_MAX]}` has no result in the turn after it.")

    # --- parts -----------------------------------------------------------------------------------------------------

    def _message(self, turn: Turn) -> _Message:
        if turn.name:
            self._crossing.lose(Feature.PARTICIPANT_NAME)
        message = _Message(turn.role.value)
        for part in turn.parts:
            block = self._block(part, message)
            if block is not None:
                message.blocks.append(block)
        return message

    def _block(self, part: Part, message: _Message) -> Member | None:
        match part:
            case Text() | Image() | File():
                return self._shown(part)
            case ToolCall():
                return self._call(part, message)
            case ToolResult():
                return self._result(part, message)
            case Reasoning():
                return self._reasoning(part) if message.role == Role.ASSISTANT else None
            case Refusal():
                self._crossing.lose(Feature.REFUSAL_HISTORY)
                return self._shown(Text(part.text))
            case Audio():
                self._crossing.lose(Feature.AUDIO_INPUT)
                return None

    def _shown(self, part: Text | Image | File) -> Member | None:
        match part:
            case Text():
                # Blank blocks are refused, and say nothing.
                if not part.text.strip():
                    return None
                return {"type": "text", "text": part.text, **cache_control(part.cache)}
            case Image():
                if part.detail not in {"", "auto"}:
                    self._crossing.lose(Feature.IMAGE_DETAIL)
                source = {"type": "url", "url": part.url} if part.url else self._image_data(part.data, part.media_type)
                return {"type": "image", "source": source, **cache_control(part.cache)}
            case File():
                return self._file(part)

    def _image_data(self, data: str, claimed: str) -> Member:
        media_type = true_type(data, claimed)
        if media_type not in IMAGE_TYPES:
            raise self._bad("An image must be a JPEG, PNG, GIF or WebP for the provider of this model.")
        return {"type": "base64", "media_type": media_type, "data": data}

    def _file(self, part: File) -> Member:
        media_type = true_type(part.data, part.media_type) if part.data else part.media_type
        source: Member
        if part.url:
            source = {"type": "url", "url": part.url}
        elif media_type == "application/pdf":
            source = {"type": "base64", "media_type": media_type, "data": part.data}
        elif media_type.startswith("image/"):
            image = {"type": "image", "source": self._image_data(part.data, media_type)}
            return {**image, **cache_control(part.cache)}
        else:
            text = part.text
            if part.data:
                text = self._text_in(part.data, media_type)
            source = {"type": "text", "media_type": "text/plain", "data": text}
        written: Member = {"type": "document", "source": source}
        if part.name:
            written["title"] = part.name
        if part.context:
            written["context"] = part.context
        if part.citations:
            written["citations"] = {"enabled": True}
        return {**written, **cache_control(part.cache)}

    def _text_in(self, data: str, media_type: str) -> str:
        text = text_of(data) if media_type.startswith("text/") or media_type in _TEXT_TYPES else None
        if text is None:
            raise self._bad("A file must be a PDF or a text for the provider of this model.")
        return text

    def _call(self, part: ToolCall, message: _Message) -> Member:
        message.calls.append(part.id)
        if part.proof is not None:
            self._crossing.lose(Feature.FOREIGN_PROOF)
        arguments = wrap_custom(part.arguments) if part.custom else self._arguments(part)
        written = {
            "type": "tool_use",
            "id": written_id(part.id),
            "name": self._names.written(part.name),
            "input": arguments,
        }
        return {**written, **cache_control(part.cache)}

    def _arguments(self, part: ToolCall) -> msgspec.Raw:
        source = part.arguments.encode()
        if not source.strip():
            return msgspec.Raw(b"{}")
        try:
            _decode_object(source)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._bad(f"The arguments of the call `{part.id[:_ID_CHARS_MAX]}` must be a JSON object.") from None
        return msgspec.Raw(source)

    def _result(self, part: ToolResult, message: _Message) -> Member:
        message.results.append(part.id)
        written: Member = {"type": "tool_result", "tool_use_id": written_id(part.id)}
        blocks = [block for inner in part.parts if (block := self._shown(inner)) is not None]
        if blocks:
            written["content"] = _content(blocks)
        if part.failed:
            written["is_error"] = True
        return {**written, **cache_control(part.cache)}

    def _reasoning(self, part: Reasoning) -> Member | None:
        proof = part.proof
        if proof is None or proof.dialect != ANTHROPIC:
            if proof is not None:
                self._crossing.lose(Feature.FOREIGN_PROOF)
            elif part.text:
                self._crossing.lose(Feature.REASONING_HISTORY)
            return None
        if part.redacted:
            return {"type": "redacted_thinking", "data": proof.data}
        return {"type": "thinking", "thinking": part.text, "signature": proof.data}

    def _bad(self, message: str) -> FaultError:
        return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param=self._field))


def _joined(messages: Iterable[_Message]) -> list[_Message]:
    """Return messages without empty ones, neighbours of one role joined."""
    joined: list[_Message] = []
    for message in messages:
        if not message.blocks:
            continue
        if joined and joined[-1].role == message.role:
            joined[-1].join(message)
        else:
            joined.append(message)
    return joined


def _marked(message: _Message) -> _Message:
    """Return instructions as texts of the user that say what they are."""
    marked = _Message("user")
    marked.blocks = [{**block, "text": f"<system>\n{block['text']}\n</system>"} for block in message.blocks]
    return marked


def _trim(message: _Message) -> None:
    """Take the white space from the end of a turn that is to be continued: the provider refuses it there."""
    last = message.blocks[-1]
    if last["type"] == "text":
        last["text"] = str(last["text"]).rstrip()


def _content(blocks: list[Member]) -> str | list[Member]:
    """Return a content in its shortest form: a single plain text is a string."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return str(blocks[0]["text"])
    return blocks
