"""Neutral turns as chat messages (DIALECTS sections 2.1 and 2.4). Called by `request_writer`.

Chat's order is stricter than the neutral one: behind a message with calls come the messages with their results, in the
order of the calls, and only then anything else. So turns are taken in rounds: what the assistant said, and all until it
speaks again.
"""

from collections.abc import Sequence
from itertools import groupby

import msgspec

from trunkline.protocol.fidelity import Crossing, Feature
from trunkline.protocol.model import Part, Request, Role, Text, ToolCall, ToolResult, Turn
from trunkline.protocol.names import OPENAI_CHAT
from trunkline.protocol.openai_chat.assistant_writer import AssistantWriter, gathered
from trunkline.protocol.openai_chat.losses import bad_conversation, lose
from trunkline.protocol.openai_chat.part_writer import PartWriter, Written
from trunkline.protocol.openai_chat.tool_names import ToolNames, written_id
from trunkline.protocol.vendor import AssistantPrefix, VendorOptions

FAILED_MARK = "Error: "
"""Begins the text of a failed result: chat has no field for that."""

_MARKS = frozenset({AssistantPrefix.PREFIX, AssistantPrefix.PARTIAL})
"""What stands on the last message, by the name of its field."""


class MessageWriter:
    """Writes a conversation.

    Args:
        names: maps names of tools.
        crossing: told of what is lost.
        options: of the channel.
    """

    __slots__ = (
        "_assistant",
        "_behind",
        "_bridge",
        "_crossing",
        "_messages",
        "_midway",
        "_parts",
        "_prefix",
        "_system",
        "_tool_ids",
    )

    def __init__(self, names: ToolNames, crossing: Crossing, options: VendorOptions) -> None:
        self._crossing = crossing
        self._system = "developer" if options.developer_role else "system"
        self._midway = options.instructions_midway is not False
        self._bridge = options.tool_bridge
        self._prefix = options.prefix
        self._tool_ids = options.tool_ids
        self._parts = PartWriter(crossing, options)
        self._assistant = AssistantWriter(self._parts, names, crossing, options)
        self._messages: list[Written] = []
        self._behind: list[Part] = []

    def write(self, request: Request) -> list[Written]:
        """Return all messages.

        Raises:
            FaultError: ``client_bad_request``: chat cannot hold the conversation.
        """
        turns = request.turns
        prefilled = ends_with_assistant(request)
        if prefilled and self._prefix is AssistantPrefix.NONE and self._crossing.client != OPENAI_CHAT:
            lose(self._crossing, Feature.PREFILL)
        self._put(self._system, self._parts.joined(request.instructions))
        last_words = max((number for number, turn in enumerate(turns) if _speaks(turn)), default=-1)
        calls: list[ToolCall] = []
        position = 0
        for assistant, group in groupby(turns, key=lambda turn: turn.role is Role.ASSISTANT):
            run = list(group)
            if assistant:
                calls = self._say(run, in_loop=position > last_words)
            else:
                self._answer(run, calls)
                calls = []
            position += len(run)
        self._flush_media()
        if not self._messages:
            raise bad_conversation(self._crossing, "The conversation has no message with anything in it.")
        if prefilled and self._prefix in _MARKS:
            self._messages[-1][self._prefix.value] = True
        return self._messages

    def _put(self, role: str, content: str | list[Written] | None, name: str = "") -> None:
        if content is None:
            return
        if self._bridge and self._messages and self._messages[-1]["role"] == "tool":
            lose(self._crossing, Feature.TOOL_BRIDGE)
            self._messages.append({"role": "assistant", "content": self._bridge})
        named = {"name": name} if name else {}
        self._messages.append({"role": role, "content": content, **named})

    def _say(self, turns: Sequence[Turn], *, in_loop: bool) -> list[ToolCall]:
        """Write what the assistant said; returns the calls that are to be answered."""
        messages = gathered(turns)
        for said in messages:
            if said.media:
                # Chat's assistant only writes.
                lose(self._crossing, Feature.RESULT_IMAGE, "assistant_image")
                self._behind += said.media
            written = self._assistant.write(said, in_loop=in_loop)
            if written is not None:
                self._messages.append(written)
        return messages[-1].calls

    def _answer(self, turns: Sequence[Turn], calls: Sequence[ToolCall]) -> None:
        """Write all until the assistant speaks again: results first."""
        results = [part for turn in turns for part in turn.parts if isinstance(part, ToolResult)]
        if results or calls:
            for result in self._in_order(results, calls):
                self._result(result)
        self._flush_media()
        for turn in turns:
            if turn.role is not Role.SYSTEM:
                self._put("user", self._parts.content(turn.parts), turn.name)
            elif self._midway:
                self._put(self._system, self._parts.content(turn.parts), turn.name)
            else:
                lose(self._crossing, Feature.INSTRUCTIONS_MIDWAY)
                self._put("user", self._parts.content(map(_marked, turn.parts)))

    def _flush_media(self) -> None:
        """Write what chat only takes from the user, behind the group that it belongs to."""
        if self._behind:
            self._put("user", self._parts.content(self._behind))
            self._behind = []

    def _in_order(self, results: Sequence[ToolResult], calls: Sequence[ToolCall]) -> list[ToolResult]:
        """Return results in the order of their calls. Chat refuses a call without a result, and the reverse."""
        order = {call.id: number for number, call in enumerate(calls)}
        for result in results:
            if result.id not in order:
                message = f"The tool result `{result.id[:64]}` answers no call of the turn before it."
                raise bad_conversation(self._crossing, message)
        answered = {result.id for result in results}
        for call in calls:
            if call.id not in answered:
                message = f"The tool call `{call.id[:64]}` has no result in the turn behind it."
                raise bad_conversation(self._crossing, message)
        return sorted(results, key=lambda result: order[result.id])

    def _result(self, result: ToolResult) -> None:
        identity = written_id(result.id, self._tool_ids)
        texts: list[Part] = [part for part in result.parts if isinstance(part, Text)]
        media = [part for part in result.parts if not isinstance(part, Text)]
        if result.failed:
            lose(self._crossing, Feature.RESULT_FAILED)
            first = texts[0] if texts else None
            words = first.text if isinstance(first, Text) else ""
            texts[:1] = [Text(FAILED_MARK + words)]
        message: Written = {
            "role": "tool",
            "tool_call_id": identity,
            "content": self._parts.content(texts) or "",
        }
        self._messages.append(self._parts.mark(message, result.cache))
        if media:
            lose(self._crossing, Feature.RESULT_IMAGE)
            self._behind += [Text(f"From the result of tool call {identity}:"), *media]


def ends_with_assistant(request: Request) -> bool:
    """Return whether the conversation's last words are the assistant's, for the answer to go on with."""
    return bool(request.turns) and request.turns[-1].role is Role.ASSISTANT


def _marked(part: Part) -> Part:
    """Return an instruction as a user's text that says what it is."""
    if not isinstance(part, Text) or not part.text:
        return part
    return msgspec.structs.replace(part, text=f"<system>\n{part.text}\n</system>")


def _speaks(turn: Turn) -> bool:
    return turn.role is Role.USER and any(not isinstance(part, ToolResult) for part in turn.parts)
