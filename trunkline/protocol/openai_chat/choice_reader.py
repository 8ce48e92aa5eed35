"""One choice of an answer, from pieces to neutral events. `event_reader` holds one for each choice.

The machine has at most one open block: reasoning, which ends when anything else comes, or a call (`call_queue`). All
traps of pieces of calls are met in `_called`: indices that repeat, ids that come late or never, names sent twice.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.dialect import Written
from trunkline.protocol.events import (
    Event,
    Finish,
    FinishReason,
    ImageOutput,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    TextDelta,
)
from trunkline.protocol.model import Proof
from trunkline.protocol.names import OPENAI_CHAT
from trunkline.protocol.openai_chat.call_queue import Call, CallQueue
from trunkline.protocol.openai_chat.finishes import read_finish
from trunkline.protocol.openai_chat.media import read_data_url
from trunkline.protocol.openai_chat.piece_reader import image_urls, thought_signature
from trunkline.protocol.openai_chat.pieces import CallPiece, Content, present
from trunkline.protocol.openai_chat.reasoning_details import DetailsCollector
from trunkline.protocol.openai_chat.think_tags import ThinkTags

CALLS_MAX = 1024
"""Calls in one choice; real answers have a dozen."""


class Reading(NamedTuple):
    """What all choices of an answer share.

    Attributes:
        written: the request that is answered.
        think_tags: reasoning stands in tags inside the text.
        mint: makes an id for a call from the indices of its choice and itself.
    """

    written: Written
    think_tags: bool
    mint: Callable[[int, int], str]


class ChoiceReader:
    """Takes what is said in one choice.

    Args:
        index: of the choice.
        reading: see there.

    Attributes:
        output: whether anything was said.
        by_delta: whether it was said in deltas: a whole message behind them repeats them.
        finish: the provider's finish reason, the last one; empty until it comes.
    """

    __slots__ = (
        "_by_id",
        "_by_index",
        "_called_any",
        "_calls",
        "_details",
        "_index",
        "_last",
        "_nameless",
        "_queue",
        "_tags",
        "_text_call",
        "_thinking",
        "_thought",
        "_thought_aloud",
        "by_delta",
        "finish",
        "output",
    )

    def __init__(self, index: int, reading: Reading) -> None:
        written = reading.written
        self._index = index
        self._queue = CallQueue(index, lambda number: reading.mint(index, number), written.unwrap_field, written.names)
        self._text_call = written.unwrap_tool
        self._tags = ThinkTags() if reading.think_tags else None
        self._details = DetailsCollector()
        self._thinking = False
        self._thought = False
        self._thought_aloud = False
        self._calls = 0
        self._called_any = False
        self._nameless: list[Call] = []
        self._by_id: dict[str, Call] = {}
        self._by_index: dict[int, Call] = {}
        self._last: Call | None = None
        self.output = False
        self.by_delta = False
        self.finish = ""

    def take(self, content: Content, out: list[Event], *, whole: bool = False) -> bool:
        """Take a delta or a message; returns whether it said anything.

        Args:
            content: see there.
            out: where the events go.
            whole: it is all that the choice says, so that each call in it is one of its own.

        Raises:
            FaultError: ``upstream_invalid``: it goes beyond all bounds.
        """
        said_before, self.output = self.output, False
        reasoning = content.reasoning_content or content.reasoning
        if reasoning:
            self._thought_aloud = True
        if content.reasoning_details is not msgspec.UNSET:
            words = self._details.add(present(content.reasoning_details))
            # Some say the words beside it, and here once more at the end.
            reasoning = reasoning or ("" if self._thought_aloud else words)
            self._thinking = self._thinking or not self._details.empty
        if reasoning:
            self._think(reasoning, out)
        if content.content:
            if self._tags is None:
                self._say(TextDelta(content.content, self._index), out)
            else:
                self._say_tagged(self._tags.feed(content.content), out)
        if content.refusal:
            self._say(RefusalDelta(content.refusal, self._index), out)
        if content.images is not msgspec.UNSET:
            self._paint(content, out)
        if content.tool_calls:
            for piece in content.tool_calls:
                self._called(piece, out, whole=whole)
        if content.function_call is not None:
            self._called(CallPiece(function=content.function_call), out, whole=whole)
        said = self.output
        self.output = said or said_before
        return said

    def close(self, out: list[Event]) -> None:
        """The answer has ended: end what is open, and say why."""
        if self._tags is not None:
            self._say_tagged(self._tags.finish(), out)
        self._end_reasoning(out)
        self._queue.finish(out)
        out.append(Finish(self._reason(), choice=self._index))

    def _reason(self) -> FinishReason:
        if not self._called_any and any(call.parts for call in self._nameless):
            return FinishReason.MALFORMED_CALL
        return read_finish(self.finish or "stop", called=self._called_any)

    # --- Text and reasoning ----------------------------------------------------------------------------------------

    def _think(self, text: str, out: list[Event]) -> None:
        self.output = self._thinking = self._thought = True
        self._queue.put(ReasoningDelta(text, self._index), len(text), out)

    def _say(self, event: TextDelta | RefusalDelta, out: list[Event]) -> None:
        self.output = True
        if self._thinking:
            self._end_reasoning(out)
        self._queue.put(event, len(event.text), out)

    def _say_tagged(self, pieces: list[tuple[bool, str]], out: list[Event]) -> None:
        for thinking, text in pieces:
            if thinking:
                self._think(text, out)
            else:
                self._say(TextDelta(text, self._index), out)

    def _end_reasoning(self, out: list[Event]) -> None:
        if not self._thinking:
            return
        proof = self._details.take()
        if self._thought or proof is not None:
            redacted = not self._thought
            self.output = True
            self._queue.put(ReasoningEnd(proof, redacted, self._index), 0, out)
        self._thinking = self._thought = self._thought_aloud = False

    def _paint(self, content: Content, out: list[Event]) -> None:
        for url in image_urls(content.images):
            self.output = True
            self._end_reasoning(out)
            try:
                media_type, data = read_data_url(url)
            except ValueError:
                # By reference: the one way to show it in any dialect is as text.
                self._queue.put(TextDelta(f"![image]({url})", self._index), len(url), out)
            else:
                self._queue.put(ImageOutput(data, media_type, self._index), len(data), out)

    # --- Calls -----------------------------------------------------------------------------------------------------

    def _called(self, piece: CallPiece, out: list[Event], *, whole: bool) -> None:
        self.output = True
        self._end_reasoning(out)
        name, arguments = piece.name, piece.arguments
        call = self._call_of(piece, name, whole=whole)
        if not call.proof and piece.extra_content is not msgspec.UNSET:
            signature = thought_signature(piece.extra_content)
            call.proof = Proof(OPENAI_CHAT, signature) if signature else None
        if call.name:
            self._continue(call, arguments, out)
            return
        call.add(arguments)
        if name:
            call.name = name
            self._nameless.remove(call)
            if name == self._text_call:
                parts, call.parts = call.parts, []
                self._answer("".join(parts) or arguments, out)
            else:
                self._called_any = True
                self._queue.open(call, out)

    def _continue(self, call: Call, arguments: str, out: list[Event]) -> None:
        if call.name == self._text_call:
            self._answer(arguments, out)
        else:
            self._queue.extend(call, arguments, out)

    def _answer(self, text: str, out: list[Event]) -> None:
        """The call stands for a schema: its arguments are the answer's text."""
        if text:
            self._queue.put(TextDelta(text, self._index), len(text), out)

    def _call_of(self, piece: CallPiece, name: str, *, whole: bool) -> Call:
        """Return which call a piece belongs to: by id first, then by index (DIALECTS section 3.4)."""
        known = None if whole else self._known_call(piece, name)
        call = known if known is not None else self._new_call(piece)
        if piece.id and not call.id:
            call.id = piece.id
            self._by_id[piece.id] = call
        self._last = call
        return call

    def _known_call(self, piece: CallPiece, name: str) -> Call | None:
        if piece.id and (call := self._by_id.get(piece.id)) is not None:
            # Some give all their calls one id; then a name under another index begins the next one.
            elsewhere = piece.index is not None and self._by_index.get(piece.index) is not call
            return None if name and elsewhere else call
        at = self._last if piece.index is None else self._by_index.get(piece.index)
        if at is None:
            return None
        if piece.id and at.id:
            # Another id with a name is another call, whatever its index; without a name it is one that changes.
            return None if name or piece.index is None else at
        if not name or not at.name:
            return at
        # A name once more: said twice, or the next call under the same index.
        nowhere = piece.index is None and not piece.id
        return None if nowhere or name != at.name or at.ended or at.whole() else at

    def _new_call(self, piece: CallPiece) -> Call:
        self._calls += 1
        if self._calls > CALLS_MAX:
            raise FaultError(Fault(ErrorType.UPSTREAM_INVALID, f"The provider sent over {CALLS_MAX} tool calls."))
        call = Call(custom=piece.custom is not None)
        self._nameless.append(call)
        if piece.index is not None:
            self._by_index[piece.index] = call
        return call
