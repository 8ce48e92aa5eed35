"""How other providers' proofs ride through a client of this dialect: as the encrypted content of reasoning items.

Beside what `protocol.proof` does, one thing needs a mark: Gemini hangs its proof on a call, which has no place for it
here. It rides in a reasoning item of its own right before the call and is put back there.
"""

from trunkline.protocol import names, proof
from trunkline.protocol.model import Proof

_CALL = "tlc1."
"""Before the tag of a proof that belongs to the call behind it."""


def shown(carried: Proof) -> str:
    """Return the encrypted content for a proof of reasoning."""
    return proof.presented(carried, names.OPENAI_RESPONSES)


def shown_before_call(carried: Proof) -> str:
    """Return the encrypted content for a call's proof."""
    return _CALL + proof.wrap(carried)


def read_back(content: str) -> tuple[Proof, bool]:
    """Return the proof that a client gave back, and whether it belongs to the call behind it."""
    if content.startswith(_CALL):
        return proof.unwrap(content[len(_CALL) :], names.OPENAI_RESPONSES), True
    return proof.unwrap(content, names.OPENAI_RESPONSES), False


def is_ours(content: str | bytes) -> bool:
    """Return whether content is a proof that was wrapped here; of a larger JSON source, whether one may be in it."""
    if isinstance(content, bytes):
        return proof.TAG.encode() in content
    return content.startswith((proof.TAG, _CALL))
