"""Proofs of reasoning as Gemini clients carry them: as a ``thoughtSignature``.

The member is bytes to the official SDKs, which decode it as base64 and encode it again in the URL-safe alphabet. So
another provider's proof goes under a cover of base64, and comes back in either alphabet.
"""

import base64
import binascii

from trunkline.protocol import proof
from trunkline.protocol.model import Proof
from trunkline.protocol.names import GEMINI

PLACEHOLDER = "skip_thought_signature_validator"
"""Documented for calls that another model made: Gemini 3 refuses them without a signature."""

_PLACEHOLDERS = frozenset({PLACEHOLDER, "context_engineering_is_the_way_to_go"})
"""All that are documented. They prove nothing."""

_COVERED = base64.b64encode(proof.TAG.encode())[:5].decode()
"""How a covered proof begins: the characters that the tag alone decides."""


def shown(evidence: Proof) -> str:
    """Return a proof as a Gemini client gets it."""
    carried = proof.presented(evidence, GEMINI)
    return carried if evidence.dialect == GEMINI else base64.b64encode(carried.encode()).decode()


def read(carried: str | None) -> Proof | None:
    """Return the proof that a Gemini client gave back; None for nothing and for a placeholder."""
    if not carried or carried in _PLACEHOLDERS:
        return None
    if carried.startswith(_COVERED):
        try:
            padded = carried.replace("+", "-").replace("/", "_") + "=" * (-len(carried) % 4)
            uncovered = base64.urlsafe_b64decode(padded).decode("ascii")
        except (binascii.Error, ValueError):
            return Proof(GEMINI, carried)
        if uncovered.startswith(proof.TAG):
            found = proof.unwrap(uncovered, GEMINI)
            # What only looks like ours is Gemini's own, as it was.
            return found if found.data != uncovered else Proof(GEMINI, carried)
    return proof.unwrap(carried, GEMINI)
