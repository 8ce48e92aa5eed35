"""How a model's proof of its reasoning travels through a client of another dialect, and comes back.

A client only gives back what its dialect has a place for: a signature, encrypted content. The proof goes there as it
is, behind a tag that says whose it is; on its return the tag tells whether the provider that is called now can read it.
"""

import base64
import binascii

import msgspec

from trunkline.protocol.model import Proof

TAG = "tl1."
"""Version of this form. No provider's own proof begins so: theirs are base64 without a dot."""


class _Carried(msgspec.Struct, frozen=True, array_like=True):
    dialect: str
    data: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Carried).decode


def wrap(proof: Proof) -> str:
    """Return a proof as a client of another dialect carries it: letters, digits, ``-``, ``_`` and the tag's dot."""
    return TAG + base64.urlsafe_b64encode(_encode(_Carried(proof.dialect, proof.data))).decode().rstrip("=")


def unwrap(carried: str, native: str) -> Proof:
    """Return the proof that a client gave back.

    Args:
        carried: as the client sent it.
        native: the client's dialect: what is not tagged (or only looks so) is that dialect's own.
    """
    if carried.startswith(TAG):
        padded = carried[len(TAG) :]
        try:
            found = _decode(base64.urlsafe_b64decode(padded + "=" * (-len(padded) % 4)))
        except (binascii.Error, ValueError, msgspec.DecodeError):
            return Proof(native, carried)
        return Proof(found.dialect, found.data)
    return Proof(native, carried)


def presented(proof: Proof, client: str) -> str:
    """Return how a proof is shown to a client of the dialect ``client``: as it is to its own, wrapped to another."""
    return proof.data if proof.dialect == client else wrap(proof)
