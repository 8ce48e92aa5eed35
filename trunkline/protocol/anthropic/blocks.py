"""Puts an answer's blocks into neutral events, whether they come piece by piece or whole. Held by the event reader.

The one machine of the upstream's side. A provider is to have one block open at a time; look-alikes open the next one
before the last is closed, never close any, or leave out a start. What the machine returns keeps the guarantees of
`protocol.events` all the same:

- a block that begins while a call is open waits with its pieces for that call's end, or the answer's; any other open
  block is taken to be over;
- pieces for a call that is over cannot be put anywhere, and fail the answer rather than end up in another call;
- text and thinking without a start begin a block of their own.
"""

import hashlib
from collections.abc import Callable
from typing import Literal

from trunkline.core import limits
from trunkline.protocol import names
from trunkline.protocol.anthropic.custom_tool import unwrap_custom
from trunkline.protocol.anthropic.wire import Block, Delta, present
from trunkline.protocol.dialect import Written
from trunkline.protocol.events import (
    Event,
    ReasoningDelta,
    ReasoningEnd,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from trunkline.protocol.model import Proof

_Kind = Literal["text", "thinking", "redacted", "call", "custom", "answer", "other"]
"""``custom`` is a call whose arguments are unwrapped, ``answer`` one whose arguments are the answer's text."""

_CALLS = ("call", "custom", "answer")
_EMPTY = "{}"


class UnfollowableError(Exception):
    """The provider's blocks cannot be put in an order."""


class _Open:
    """A block that is open, or waits."""

    __slots__ = ("block", "call", "deltas", "held", "index", "kind", "pieces", "proof", "said", "stopped")

    def __init__(self, index: int, block: Block) -> None:
        self.index = index
        self.block = block
        self.kind: _Kind = "other"
        self.call = 0
        self.proof: str | None = None
        self.held = False
        """Arguments of ``{}`` have come: the placeholder of a call that says more, or all of one that does not."""
        self.said = False
        """Whether anything was passed on, or kept in ``pieces``."""
        self.pieces: list[str] = []
        self.deltas: list[Delta] = []
        self.stopped = False


class BlockReader:
    """Takes blocks and their pieces, and appends events to ``events``.

    Args:
        written: the request that is answered.
        events: what the caller takes the events from.

    Attributes:
        calls: calls that the client sees.
        answered: whether the schema's tool was called.
    """

    __slots__ = (
        "_closed",
        "_emit",
        "_message_id",
        "_open",
        "_waiting",
        "_waiting_chars",
        "_written",
        "answered",
        "calls",
    )

    def __init__(self, written: Written, events: list[Event]) -> None:
        self._written = written
        self._emit: Callable[[Event], None] = events.append
        self._open: _Open | None = None
        self._waiting: list[_Open] = []
        self._waiting_chars = 0
        self._closed: set[int] = set()
        self._message_id = ""
        self.calls = 0
        self.answered = False

    def name_message(self, message_id: str) -> None:
        """Note the message's id, from which ids of calls are made where a provider gives none."""
        self._message_id = message_id

    def start(self, index: int | None, block: Block) -> None:
        """A block begins; without an index it is the next one."""
        now = self._open
        began = _Open(len(self._closed) + bool(now) + len(self._waiting) if index is None else index, block)
        if self._waiting or (now is not None and now.kind in _CALLS):
            self._waiting.append(began)
            return
        self._close()
        self._begin(began)

    def piece(self, index: int | None, delta: Delta) -> None:
        """More of a block.

        Raises:
            UnfollowableError: it belongs to a call that is over, or that never began.
        """
        now = self._open
        if now is not None and (index is None or now.index == index):
            self._say(now, delta)
            return
        for waiting in self._waiting:
            if waiting.index == index:
                self._keep(waiting, delta)
                return
        if delta.partial_json:
            raise UnfollowableError
        kind = "text" if delta.text else "thinking" if delta.thinking else ""
        if kind:
            self.start(index, Block(type=kind))
            self.piece(index, delta)

    def stop(self, index: int | None) -> None:
        """A block is whole."""
        now = self._open
        if now is not None and (index is None or now.index == index):
            self._close()
            self._promote()
            return
        for waiting in self._waiting:
            if waiting.index == index:
                waiting.stopped = True

    def finish(self) -> None:
        """All blocks are whole."""
        self._close()
        while self._waiting:
            self._promote()
            self._close()

    def _keep(self, waiting: _Open, delta: Delta) -> None:
        self._waiting_chars += len(delta.partial_json or delta.text or delta.thinking or "")
        if self._waiting_chars > limits.UPSTREAM_EVENT_BYTES_MAX:
            raise UnfollowableError
        waiting.deltas.append(delta)

    def _promote(self) -> None:
        """Let those begin that waited, up to the first that is not whole yet."""
        while self._waiting and self._open is None:
            began = self._waiting.pop(0)
            self._begin(began)
            for delta in began.deltas:
                self._say(began, delta)
            if began.stopped:
                self._close()

    # --- one block -------------------------------------------------------------------------------------------------

    def _begin(self, began: _Open) -> None:
        self._open = began
        block = began.block
        match block.type:
            case "text":
                began.kind = "text"
            case "thinking":
                began.kind = "thinking"
                began.proof = block.signature
            case "redacted_thinking":
                began.kind = "redacted"
                began.proof = block.data
            case "tool_use":
                self._begin_call(began)
                return
            case _:
                return
        if block.text or block.thinking:
            self._say(began, Delta(text=block.text, thinking=block.thinking))

    def _begin_call(self, began: _Open) -> None:
        name = began.block.name or ""
        if name and name == self._written.unwrap_tool:
            began.kind = "answer"
            self.answered = True
            return
        began.kind = "custom" if name in self._written.unwrap_field else "call"
        began.call = self.calls
        self.calls += 1
        made = began.block.id or self._made_id(began.call)
        shown = self._written.names.get(name, name)
        self._emit(ToolCallStart(began.call, made, shown, custom=began.kind == "custom"))

    def _made_id(self, call: int) -> str:
        digest = hashlib.blake2s(f"{self._message_id}:{call}".encode(), digest_size=12).hexdigest()
        return f"toolu_{digest}"

    def _say(self, now: _Open, delta: Delta) -> None:
        match now.kind:
            case "text":
                if delta.text:
                    self._emit(TextDelta(delta.text))
                elif delta.thinking:
                    self._switch(now, "thinking", delta)
            case "thinking":
                if delta.thinking:
                    now.said = True
                    self._emit(ReasoningDelta(delta.thinking))
                elif delta.text:
                    self._switch(now, "text", delta)
                if delta.signature:
                    now.proof = delta.signature
            case "call" | "custom" | "answer":
                if delta.partial_json:
                    self._say_arguments(now, delta.partial_json)
            case _:
                pass

    def _switch(self, now: _Open, kind: str, delta: Delta) -> None:
        """A piece of another kind than its block is: look-alikes that think and talk under one index."""
        self._close()
        self._begin(_Open(now.index, Block(type=kind)))
        if self._open is not None:
            self._say(self._open, delta)

    def _say_arguments(self, now: _Open, piece: str) -> None:
        if not now.said and piece == _EMPTY:
            now.held = True
            return
        now.said = True
        if now.kind == "call":
            self._emit(ToolCallDelta(now.call, piece))
        elif now.kind == "answer":
            self._emit(TextDelta(piece))
        else:
            now.pieces.append(piece)

    def _close(self) -> None:
        now = self._open
        if now is None:
            return
        self._open = None
        self._closed.add(now.index)
        if now.kind == "thinking":
            if now.said or now.proof:
                self._emit(ReasoningEnd(_proof(now.proof)))
        elif now.kind == "redacted":
            if now.proof:
                self._emit(ReasoningEnd(_proof(now.proof), redacted=True))
        elif now.kind in _CALLS:
            self._close_call(now)

    def _close_call(self, now: _Open) -> None:
        if not now.said:
            # Nothing came behind the start: the arguments stand in it, or there are none.
            whole = present(now.block.input).decode(errors="replace") or _EMPTY
            now.said = True
            now.pieces.append(whole)
            if now.kind == "call":
                self._emit(ToolCallDelta(now.call, whole))
            elif now.kind == "answer":
                self._emit(TextDelta(whole))
        if now.kind == "custom":
            text = unwrap_custom("".join(now.pieces))
            if text:
                self._emit(ToolCallDelta(now.call, text))
        if now.kind != "answer":
            self._emit(ToolCallEnd(now.call))


def _proof(data: str | None) -> Proof | None:
    return Proof(names.ANTHROPIC, data) if data else None
