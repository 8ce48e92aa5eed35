"""What the assistant said, as chat messages (DIALECTS sections 2.1, 2.4 and 2.5). Called by `message_writer`."""

from collections.abc import Iterable

import msgspec

from trunkline.protocol.fidelity import Crossing, Feature
from trunkline.protocol.model import Audio, File, Image, Part, Reasoning, Refusal, Text, ToolCall, Turn
from trunkline.protocol.names import OPENAI_CHAT
from trunkline.protocol.openai_chat.losses import lose
from trunkline.protocol.openai_chat.part_writer import PartWriter, Written
from trunkline.protocol.openai_chat.piece_reader import REASONING_DETAILS
from trunkline.protocol.openai_chat.reasoning_details import replayed_details
from trunkline.protocol.openai_chat.tool_names import ToolNames, written_id
from trunkline.protocol.vendor import ReasoningReplay, VendorOptions


class Said:
    """Parts of one message, sorted.

    Args:
        turn: the first turn in it.
    """

    __slots__ = ("calls", "media", "name", "reasoning", "refusals", "texts")

    def __init__(self, turn: Turn) -> None:
        self.name = turn.name
        self.reasoning: list[Reasoning] = []
        self.texts: list[Text] = []
        self.refusals: list[str] = []
        self.calls: list[ToolCall] = []
        self.media: list[Image | File | Audio] = []
        self.add(turn.parts)

    def add(self, parts: Iterable[Part]) -> None:
        """Take the parts of a turn."""
        for part in parts:
            match part:
                case Reasoning():
                    self.reasoning.append(part)
                case Text() if part.text:
                    self.texts.append(part)
                case Refusal():
                    self.refusals.append(part.text)
                case ToolCall():
                    self.calls.append(part)
                case Image() | File() | Audio():
                    self.media.append(part)
                case _:
                    pass


def gathered(turns: Iterable[Turn]) -> list[Said]:
    """Return neighbouring turns as messages: calls and what belongs to them in one, two texts for themselves in two."""
    messages: list[Said] = []
    for turn in turns:
        last = messages[-1] if messages else None
        if last is not None and (
            last.calls or not last.texts or not any(isinstance(part, Text) for part in turn.parts)
        ):
            last.add(turn.parts)
        else:
            messages.append(Said(turn))
    return messages


class AssistantWriter:
    """Writes messages of the assistant.

    Args:
        parts: writes their content.
        names: maps names of tools.
        crossing: told of what is lost.
        options: of the channel.
    """

    __slots__ = ("_crossing", "_field", "_names", "_parts", "_replay", "_tool_ids")

    def __init__(self, parts: PartWriter, names: ToolNames, crossing: Crossing, options: VendorOptions) -> None:
        self._parts = parts
        self._names = names
        self._crossing = crossing
        self._field = options.reasoning_field or "reasoning_content"
        self._replay = options.reasoning_replay
        self._tool_ids = options.tool_ids

    def write(self, said: Said, *, in_loop: bool) -> Written | None:
        """Return a message; None where nothing is left of it.

        Args:
            said: what it says.
            in_loop: it stands behind the last words of the user.
        """
        message: Written = {"role": "assistant", "content": self._parts.content(said.texts)}
        if said.name:
            message["name"] = said.name
        if said.refusals:
            message["refusal"] = "\n".join(said.refusals)
        self._reason(message, said.reasoning, in_loop=in_loop, called=bool(said.calls))
        if said.calls:
            message["tool_calls"] = [self._call(call) for call in said.calls]
        if message["content"] is None and not said.calls and not said.refusals:
            if REASONING_DETAILS not in message:
                return None
            message["content"] = ""
        return message

    def _reason(self, message: Written, reasonings: list[Reasoning], *, in_loop: bool, called: bool) -> None:
        replayed = self._replay is ReasoningReplay.ALWAYS or (self._replay is ReasoningReplay.TOOL_LOOP and in_loop)
        with_proof = replayed and self._field == REASONING_DETAILS
        for reasoning in reasonings:
            if reasoning.proof is not None and reasoning.proof.dialect != OPENAI_CHAT:
                lose(self._crossing, Feature.FOREIGN_PROOF)
            elif not with_proof and (reasoning.proof is not None or (reasoning.text and not replayed)):
                lose(self._crossing, Feature.REASONING_HISTORY)
        if with_proof:
            if details := replayed_details(reasonings):
                message[REASONING_DETAILS] = msgspec.Raw(details)
        elif self._replay is not ReasoningReplay.NEVER and self._field != REASONING_DETAILS:
            text = "\n\n".join(reasoning.text for reasoning in reasonings if reasoning.text) if replayed else ""
            # A call that another model made without reasoning, or long ago, is refused without the field (Moonshot).
            if text or called or self._replay is ReasoningReplay.ALWAYS:
                message[self._field] = text

    def _call(self, call: ToolCall) -> Written:
        name = self._names.written(call.name)
        written: Written = {"id": written_id(call.id, self._tool_ids)}
        if call.custom:
            written |= {"type": "custom", "custom": {"name": name, "input": call.arguments}}
        else:
            function = {"name": name, "arguments": call.arguments or "{}"}
            written |= {"type": "function", "function": function}
        if call.proof is not None:
            if call.proof.dialect == OPENAI_CHAT:
                written["extra_content"] = {"google": {"thought_signature": call.proof.data}}
            else:
                lose(self._crossing, Feature.FOREIGN_PROOF)
        if call.cache is not None:
            lose(self._crossing, Feature.CACHE_MARKS)
        return written
