"""Chat messages into neutral turns (DIALECTS sections 2.1, 2.4 and 2.5). Called by `request_reader`."""

import msgspec

from trunkline.protocol.model import (
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
from trunkline.protocol.names import GEMINI, OPENAI_CHAT
from trunkline.protocol.openai_chat import request_wire as wire
from trunkline.protocol.openai_chat.client_error import bad_field, not_carried
from trunkline.protocol.openai_chat.part_reader import PartReader, cache_mark
from trunkline.protocol.openai_chat.piece_reader import thought_signature
from trunkline.protocol.openai_chat.reasoning_details import carried_reasoning
from trunkline.protocol.proof import unwrap

_decode_text = msgspec.json.Decoder(str).decode

_ON_CALLS = frozenset({GEMINI, OPENAI_CHAT})
"""Dialects whose proofs hang on calls."""


class Conversation:
    """Reads messages one after another.

    Args:
        parts: reads their content.

    Attributes:
        instructions: texts before the first turn.
        turns: in order.
    """

    def __init__(self, parts: PartReader) -> None:
        self._parts = parts
        self._calls: dict[str, ToolCall] = {}
        self._function_ids: dict[str, str] = {}
        self._results: list[ToolResult] = []
        self.instructions: list[Text] = []
        self.turns: list[Turn] = []

    def read(self, messages: list[wire.Message]) -> None:
        """Take all messages.

        Raises:
            FaultError: ``client_bad_request``, with the message's field as ``param``.
        """
        for position, message in enumerate(messages):
            param = f"messages[{position}]"
            match message.role:
                case "user":
                    self._add(Role.USER, self._content(message, param), message)
                case "assistant":
                    self._add(Role.ASSISTANT, self._assistant(message, position, param), message)
                case "tool" | "function":
                    self._results.append(self._result(message, param))
                case "system" | "developer":
                    self._system(message, param)
                case _:
                    known = "system, developer, user, assistant or tool"
                    raise bad_field(f"{param}.role", f"`{param}.role` must be {known}.")
        self._flush()

    def _add(self, role: Role, parts: list[Part], message: wire.Message) -> None:
        self._flush()
        self.turns.append(Turn(role, tuple(parts), message.name or ""))

    def _flush(self) -> None:
        """All results of one group stand in one turn."""
        if self._results:
            self.turns.append(Turn(Role.USER, tuple(self._results)))
            self._results = []

    def _content(self, message: wire.Message, param: str) -> list[Part]:
        parts = self._parts.read(message.content, f"{param}.content")
        mark = cache_mark(message.cache_control)
        if mark is not None and parts and isinstance(parts[-1], Text | Image | File):
            parts[-1] = msgspec.structs.replace(parts[-1], cache=mark)
        return parts

    def _system(self, message: wire.Message, param: str) -> None:
        texts = [part for part in self._content(message, param) if isinstance(part, Text)]
        if isinstance(message.content, list) and len(texts) < len(message.content):
            raise bad_field(f"{param}.content", f"`{param}.content`: instructions may only be text.")
        if self.turns or self._results:
            self._flush()
            self.turns.append(Turn(Role.SYSTEM, tuple(texts), message.name or ""))
        else:
            self.instructions += texts

    # --- Results -------------------------------------------------------------------------------------------------

    def _result(self, message: wire.Message, param: str) -> ToolResult:
        identity = message.tool_call_id
        if message.role == "function" and not identity:
            identity = self._function_ids.get(message.name or "")
        if not identity:
            raise bad_field(f"{param}.tool_call_id", f"`{param}.tool_call_id` must be the id of the call it answers.")
        parts = self._parts.read(message.content, f"{param}.content")
        kept = tuple(part for part in parts if isinstance(part, Text | Image | File))
        if len(kept) < len(parts):
            raise bad_field(f"{param}.content", f"`{param}.content`: a tool's result may be texts, images and files.")
        call = self._calls.get(identity)
        return ToolResult(
            id=identity,
            name=call.name if call is not None else message.name or "",
            parts=kept,
            custom=call is not None and call.custom,
            cache=cache_mark(message.cache_control),
        )

    # --- Assistant -----------------------------------------------------------------------------------------------

    def _assistant(self, message: wire.Message, position: int, param: str) -> list[Part]:
        if wire.filled(message.audio):
            raise not_carried(f"{param}.audio", "The audio of an earlier answer")
        words = message.reasoning_content or message.reasoning or ""
        parts: list[Part] = []
        if message.reasoning_details is not msgspec.UNSET:
            parts += carried_reasoning(bytes(message.reasoning_details), words)
        elif words:
            parts.append(Reasoning(words))
        calls = [self._call(call, f"{param}.tool_calls") for call in message.tool_calls or ()]
        if message.function_call is not None:
            calls.append(self._function_call(message.function_call, position, f"{param}.function_call"))
        parts, calls = _restored(parts, calls)
        parts += self._content(message, param)
        if message.refusal:
            parts.append(Refusal(message.refusal))
        parts += self._parts.read(message.images, f"{param}.images")
        for call in calls:
            self._calls[call.id] = call
        return [*parts, *calls]

    def _call(self, call: wire.ToolCall, param: str) -> ToolCall:
        if not call.id:
            raise bad_field(f"{param}.id", f"`{param}.id` must be the call's id.")
        signature = thought_signature(call.extra_content) if call.extra_content is not msgspec.UNSET else ""
        proof = unwrap(signature, OPENAI_CHAT) if signature else None
        mark = cache_mark(call.cache_control)
        if call.function is not None:
            arguments = _arguments(call.function.arguments)
            return ToolCall(call.id, call.function.name, arguments, proof=proof, cache=mark)
        if call.custom is not None:
            return ToolCall(call.id, call.custom.name, call.custom.input or "", custom=True, proof=proof, cache=mark)
        raise bad_field(param, f"`{param}`: each call needs `function` or `custom`.")

    def _function_call(self, function: wire.Function, position: int, param: str) -> ToolCall:
        """Return a call in the deprecated form, which has no id: one that is the same for the same conversation."""
        if not function.name:
            raise bad_field(param, f"`{param}.name` must name a function.")
        identity = self._function_ids[function.name] = f"call_{position}_{function.name}"[:64]
        return ToolCall(identity, function.name, _arguments(function.arguments))


def _arguments(source: wire.MaybeRaw) -> str:
    """Return the source of a call's arguments: mostly a string that holds it, from some clients the object itself."""
    text = bytes(source) if source is not msgspec.UNSET else b""
    if text[:1] == b'"':
        return _decode_text(text)
    return "" if text == b"null" else text.decode()


def _restored(parts: list[Part], calls: list[ToolCall]) -> tuple[list[Part], list[ToolCall]]:
    """Return reasoning and calls with the proofs that came back on calls in their places.

    A copy of one that also came back as reasoning is dropped; one that hangs on no call in its own dialect becomes
    reasoning again.
    """
    known = {part.proof for part in parts if isinstance(part, Reasoning)}
    restored: list[ToolCall] = []
    for call in calls:
        proof: Proof | None = call.proof
        if proof is not None and (proof in known or proof.dialect not in _ON_CALLS):
            if proof not in known:
                parts.append(Reasoning("", proof))
                known.add(proof)
            call = msgspec.structs.replace(call, proof=None)  # noqa: PLW2901 - the same call without its copy
        restored.append(call)
    return parts, restored
