"""How the proofs of one choice are shown to a chat client, so that it can give them back (DIALECTS section 2.5).

Each piece of reasoning with a proof becomes an item of ``reasoning_details``. What hangs on a call is shown on the
call, where Google's compatibility layer puts it, and so is a copy of a proof that needs no words beside it: there are
clients that give back nothing but the calls. Used by the writers of streams and of whole answers.
"""

import msgspec

from trunkline.protocol.events import ReasoningEnd, ToolCallStart
from trunkline.protocol.model import Proof, Reasoning
from trunkline.protocol.names import OPENAI_CHAT
from trunkline.protocol.openai_chat.reasoning_details import COLLECTED_CHARS_MAX, shown_details
from trunkline.protocol.proof import presented


class _Google(msgspec.Struct):
    thought_signature: str


class _ExtraContent(msgspec.Struct):
    google: _Google


_encode = msgspec.json.Encoder().encode


class ProofCarriage:
    """Watches the reasoning and the calls of one choice."""

    __slots__ = ("_chars", "_copied", "_number", "_words")

    def __init__(self) -> None:
        self._words: list[str] = []
        self._chars = 0
        self._number = 0
        self._copied: Proof | None = None

    def think(self, words: str) -> None:
        """Take a piece of reasoning: it is shown once more beside its proof."""
        self._chars += len(words)
        if self._chars <= COLLECTED_CHARS_MAX:
            self._words.append(words)

    def details(self, end: ReasoningEnd) -> bytes:
        """Return the items that a piece of reasoning adds to ``reasoning_details``; empty if it has no proof."""
        words, chars = "".join(self._words), self._chars
        self._words = []
        self._chars = 0
        if end.proof is None or chars > COLLECTED_CHARS_MAX:
            return b""
        if not words and not end.redacted and end.proof.dialect != OPENAI_CHAT:
            self._copied = end.proof
        shown = shown_details(Reasoning(words, end.proof, end.redacted), self._number)
        self._number += 1
        return shown

    def extra_content(self, call: ToolCallStart) -> bytes:
        """Return the value of a call's ``extra_content``; empty if it has none."""
        proof, self._copied = call.proof or self._copied, None
        return _encode(_ExtraContent(_Google(presented(proof, OPENAI_CHAT)))) if proof is not None else b""
