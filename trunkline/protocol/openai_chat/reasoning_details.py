"""The list ``reasoning_details`` on a chat message: OpenRouter's form of reasoning with its proofs.

It has two uses here. A provider's own list comes in pieces, is put together, and goes back to it as it was: all of it
is the provider's proof. And it is where a chat client carries the proof of a provider of another dialect for us, one
item for each piece of reasoning, since chat has no place of its own for that (DIALECTS section 2.5).
"""

import msgspec

from trunkline.protocol.model import Proof, Reasoning
from trunkline.protocol.names import OPENAI_CHAT
from trunkline.protocol.proof import TAG, presented, unwrap

COLLECTED_CHARS_MAX = 4 * 1024 * 1024
"""Of one piece of reasoning, kept for its proof. A longer one is no reasoning, and its proof is given up."""

_TEXT = "reasoning.text"
_SUMMARY = "reasoning.summary"
_ENCRYPTED = "reasoning.encrypted"

_encode = msgspec.json.Encoder().encode
_decode_items = msgspec.json.Decoder(list[dict[str, object]]).decode

_Item = dict[str, object]


def read_items(source: bytes) -> list[_Item] | None:
    """Return the items of a list; None if it is none."""
    try:
        return _decode_items(source)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class DetailsCollector:
    """Puts a provider's list together from the pieces of a stream."""

    __slots__ = ("_chars", "_items")

    def __init__(self) -> None:
        self._items: list[_Item] = []
        self._chars = 0

    def add(self, source: bytes) -> str:
        """Take a piece of the list; returns the words in it."""
        words = []
        self._chars += len(source)
        for item in read_items(source) or ():
            words.append(_words(item))
            if self._chars <= COLLECTED_CHARS_MAX:
                self._merge(item)
        return "".join(words)

    @property
    def empty(self) -> bool:
        """Whether nothing has come since the last `take`."""
        return not self._items

    def take(self) -> Proof | None:
        """Return what came since the last time as a proof; None if there is no evidence in it."""
        items, self._items = self._items, []
        chars, self._chars = self._chars, 0
        if chars > COLLECTED_CHARS_MAX or not any(item.get("signature") or item.get("data") for item in items):
            return None
        return Proof(OPENAI_CHAT, _encode(items).decode())

    def _merge(self, item: _Item) -> None:
        for known in reversed(self._items):
            if known.get("type") == item.get("type") and known.get("index") == item.get("index"):
                break
        else:
            self._items.append(item)
            return
        for name, value in item.items():
            before = known.get(name)
            if name in {"text", "summary"} and isinstance(before, str) and isinstance(value, str):
                known[name] = before + value
            elif value is not None:
                known[name] = value


def _words(item: _Item) -> str:
    for name in ("text", "summary"):
        value = item.get(name)
        if isinstance(value, str):
            return value
    return ""


class _Shown(msgspec.Struct, omit_defaults=True):
    type: str
    text: str | None = None
    signature: str | None = None
    data: str | None = None
    index: int = -1


def shown_details(reasoning: Reasoning, index: int) -> bytes:
    """Return the items that carry a piece of reasoning and its proof through a chat client, without the brackets.

    The words stand in them once more, beside ``reasoning_content``: a client may join all that a message thought, and
    some providers refuse their proof for any other words.

    Args:
        reasoning: has a proof.
        index: number of the piece within the message.
    """
    proof = reasoning.proof
    if proof is None:
        return b""
    if proof.dialect == OPENAI_CHAT:
        items = read_items(proof.data.encode(errors="replace"))
        return _encode(items)[1:-1] if items else b""
    shown = presented(proof, OPENAI_CHAT)
    if reasoning.redacted:
        return _encode(_Shown(_ENCRYPTED, data=shown, index=index))
    return _encode(_Shown(_TEXT, text=reasoning.text, signature=shown, index=index))


def carried_reasoning(source: bytes, words: str) -> list[Reasoning]:
    """Return the reasoning that a chat client gave back.

    Args:
        source: its ``reasoning_details``.
        words: its ``reasoning_content``, for what has no words of its own there.
    """
    found: list[Reasoning] = []
    own: list[_Item] = []
    for item in read_items(source) or ():
        reasoning = _carried(item)
        if reasoning is None:
            own.append(item)
        else:
            found.append(reasoning)
    if own:
        evidence = any(item.get("signature") or item.get("data") for item in own)
        text = words if not found and words else "".join(map(_words, own))
        proof = Proof(OPENAI_CHAT, _encode(own).decode()) if evidence else None
        found.append(Reasoning(text, proof, redacted=proof is not None and not text))
    elif words and not any(reasoning.text for reasoning in found):
        found.insert(0, Reasoning(words))
    return found


def _carried(item: _Item) -> Reasoning | None:
    """Return what an item of `shown_details` carried; None for a provider's own item."""
    signature, data = item.get("signature"), item.get("data")
    if isinstance(signature, str) and signature.startswith(TAG):
        return Reasoning(_words(item), unwrap(signature, OPENAI_CHAT))
    if isinstance(data, str) and data.startswith(TAG):
        return Reasoning("", unwrap(data, OPENAI_CHAT), redacted=True)
    return None


def replayed_details(reasonings: list[Reasoning]) -> bytes:
    """Return the list that goes back to a chat provider which wants it: its own items, and words where it has none."""
    items: list[_Item] = []
    for reasoning in reasonings:
        proof = reasoning.proof
        own = read_items(proof.data.encode(errors="replace")) if proof and proof.dialect == OPENAI_CHAT else None
        if own:
            items += own
        elif reasoning.text:
            items.append({"type": _TEXT, "text": reasoning.text})
    return _encode(items) if items else b""
