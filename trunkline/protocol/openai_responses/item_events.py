"""The items of an answer as neutral events, one block after another. Used by the readers of streams and whole answers.

Items may come interleaved, without their beginning or without their end, and whole or in pieces. What this machine
guarantees is that of `protocol.events`: while a call is open, whatever belongs to other items waits for its end.
Reasoning ends when something else begins; a proof that comes later is a block of its own.
"""

from trunkline.protocol import names
from trunkline.protocol.events import (
    Event,
    ImageOutput,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from trunkline.protocol.model import Proof
from trunkline.protocol.openai_responses.wire import Item, source_text

ITEMS_MAX = 10_000
"""Items of one answer; none comes near it, and a stream must not make us remember more."""

_SEPARATOR = "\n\n"
"""Between two parts of a summary."""

_Place = tuple[str, int]
"""A part of an item: which list it is in, and its index there."""


class OpenItem:
    """An item that has begun.

    Attributes:
        kind: its type.
        call: number of a call within the answer; -1 until it begins.
        begun: whether a call's beginning has been told of.
        came: whether anything has been told of that is still open: arguments of a call, words of reasoning.
        early: a call's arguments that came before its name.
        ended: whether its end has been told of.
        seen: parts that have come in pieces.
        waiting: events that wait for the end of another item's call.
    """

    __slots__ = ("begun", "call", "came", "early", "ended", "kind", "last", "seen", "waiting")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.call = -1
        self.begun = False
        self.came = False
        self.early = ""
        self.ended = False
        self.seen: set[_Place] = set()
        self.last: _Place | None = None
        self.waiting: list[Event] = []

    @property
    def custom(self) -> bool:
        """Whether it is a call of a free-form tool."""
        return self.kind == "custom_tool_call"


class ItemEvents:
    """Collects the events of one answer.

    Args:
        tool_names: as written to as the client knows them.

    Attributes:
        answer_id: the provider's; makes the ids that we mint for its calls unlike those of other answers.
        out: events so far; the owner takes them away.
        calls: tool calls so far.
    """

    __slots__ = (
        "_by_id",
        "_by_index",
        "_items",
        "_open_call",
        "_thinking",
        "_tool_names",
        "_waiting",
        "answer_id",
        "calls",
        "out",
    )

    def __init__(self, tool_names: dict[str, str]) -> None:
        self.answer_id = ""
        self.out: list[Event] = []
        self.calls = 0
        self._tool_names = tool_names
        self._items: list[OpenItem] = []
        self._by_id: dict[str, OpenItem] = {}
        self._by_index: dict[int, OpenItem] = {}
        self._open_call: OpenItem | None = None
        self._thinking: OpenItem | None = None
        self._waiting: list[OpenItem] = []

    @property
    def empty(self) -> bool:
        """Whether no item has come."""
        return not self._items

    def start(self, answer_id: str) -> None:
        """The answer begins."""
        self.answer_id = answer_id
        self.out.append(MessageStart(answer_id))

    # --- items -------------------------------------------------------------------------------------------------

    def find(self, item_id: str | None, index: int | None, kind: str) -> OpenItem | None:
        """Return an item that has begun. By id first; where a vendor changes ids on the way, by its place."""
        item = self._by_id.get(item_id) if item_id else None
        if item is None and index is not None:
            item = self._by_index.get(index)
        return item if item is not None and item.kind == kind else None

    def begin(self, item_id: str | None, index: int | None, kind: str) -> OpenItem:
        """Return a new item."""
        item = OpenItem(kind)
        if len(self._items) < ITEMS_MAX:
            self._items.append(item)
            if item_id:
                self._by_id[item_id] = item
            if index is not None:
                self._by_index[index] = item
        return item

    def add(self, item: Item, index: int | None) -> None:
        """An item begins."""
        opened = self.begin(item.id, index, item.type or "")
        if opened.kind in {"function_call", "custom_tool_call"} and item.name:
            self._begin_call(opened, item)

    def complete(self, item: Item, index: int | None) -> None:
        """An item is whole: tell of what has not come in pieces."""
        kind = item.type or ""
        opened = self.find(item.id, index, kind) or self.begin(item.id, index, kind)
        if opened.ended:
            return
        match kind:
            case "message":
                for place, part in enumerate(item.content or ()):
                    self.text(opened, part.text or "", ("text", place), whole=True)
                    self.refusal(opened, part.refusal or "", ("refusal", place), whole=True)
                opened.ended = True
            case "reasoning":
                for name, parts in (("summary", item.summary), ("content", item.content)):
                    for place, part in enumerate(parts or ()):
                        self.reasoning(opened, part.text or "", (name, place), whole=True)
                self._end_reasoning(opened, item.encrypted_content)
            case "function_call" | "custom_tool_call":
                self._begin_call(opened, item)
                self.end_call(opened, item.input or "" if opened.custom else source_text(item.arguments))
            case "image_generation_call" if item.result:
                self._emit(opened, ImageOutput(item.result, f"image/{item.output_format or 'png'}"))
                opened.ended = True
            case _:
                opened.ended = True

    def end(self) -> None:
        """The answer is over: end what has not been ended."""
        for item in self._items:
            if item.ended:
                continue
            if item.begun:
                self.end_call(item, "")
            elif item.kind == "reasoning":
                self._end_reasoning(item, None)

    # --- pieces ------------------------------------------------------------------------------------------------

    def text(self, item: OpenItem, text: str, place: _Place, *, whole: bool = False) -> None:
        """More of a message; ``whole``: only if none of it has come."""
        if text and not item.ended and not (whole and place in item.seen):
            item.seen.add(place)
            self._emit(item, TextDelta(text))

    def refusal(self, item: OpenItem, text: str, place: _Place, *, whole: bool = False) -> None:
        """More of a refusal; ``whole``: only if none of it has come."""
        if text and not item.ended and not (whole and place in item.seen):
            item.seen.add(place)
            self._emit(item, RefusalDelta(text))

    def reasoning(self, item: OpenItem, text: str, place: _Place, *, whole: bool = False) -> None:
        """More of what the model thinks; ``whole``: only if none of it has come."""
        if not text or item.ended or (whole and place in item.seen):
            return
        item.seen.add(place)
        if item.last is not None and item.last != place and item.came:
            text = _SEPARATOR + text
        item.last = place
        item.came = True
        self._emit(item, ReasoningDelta(text))

    def _end_reasoning(self, item: OpenItem, encrypted: str | None) -> None:
        item.ended = True
        proof = Proof(names.OPENAI_RESPONSES, encrypted) if encrypted else None
        if item.came or proof is not None:
            self._emit(item, ReasoningEnd(proof, redacted=not item.came))

    def _begin_call(self, item: OpenItem, call: Item) -> None:
        if item.begun:
            return
        item.begun = True
        name = call.name or ""
        call_id = call.call_id or call.id or f"call_{self.answer_id}{len(self._items)}"
        self._emit(item, ToolCallStart(item.call, call_id, self._tool_names.get(name, name), item.custom))
        if item.early:
            early, item.early = item.early, ""
            self.arguments(item, early)

    def arguments(self, item: OpenItem, text: str) -> None:
        """More of a call's arguments."""
        if not text or item.ended:
            return
        if not item.begun:
            item.early += text
            return
        item.came = True
        self._emit(item, ToolCallDelta(item.call, text))

    def end_call(self, item: OpenItem, arguments: str) -> None:
        """A call is whole; ``arguments`` are all of it, told of only if none has come in pieces."""
        if item.ended or not item.begun:
            # Without a name it waits for its item to be completed.
            return
        if not item.came:
            self.arguments(item, arguments or ("" if item.custom else "{}"))
        item.ended = True
        self._emit(item, ToolCallEnd(item.call))

    # --- order -------------------------------------------------------------------------------------------------

    def _emit(self, item: OpenItem, event: Event) -> None:
        if self._open_call is None or self._open_call is item:
            self._put(item, event)
            while self._waiting and self._open_call is None:
                next_item = self._waiting.pop(0)
                events, next_item.waiting = next_item.waiting, []
                for waited in events:
                    self._put(next_item, waited)
            return
        if not item.waiting:
            self._waiting.append(item)
        item.waiting.append(event)

    def _put(self, item: OpenItem, event: Event) -> None:
        if self._thinking is not None and self._thinking is not item:
            self.out.append(ReasoningEnd())
            self._thinking.came = False
            self._thinking = None
        if isinstance(event, ReasoningDelta):
            self._thinking = item
        elif isinstance(event, ReasoningEnd):
            self._thinking = None
        elif isinstance(event, ToolCallStart):
            # Numbered as they go out, which for calls that waited is later than they came.
            item.call = self.calls
            self.calls += 1
            self._open_call = item
            event = event._replace(call=item.call)
        elif isinstance(event, ToolCallDelta):
            if event.call != item.call:
                event = event._replace(call=item.call)
        elif isinstance(event, ToolCallEnd):
            self._open_call = None
            if event.call != item.call:
                event = event._replace(call=item.call)
        self.out.append(event)
