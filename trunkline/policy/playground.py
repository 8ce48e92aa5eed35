"""Keys of the playground: their names, and secrets that are computed instead of stored. Pure."""

import hashlib
import hmac
from typing import Final

from trunkline.policy.keys import mint

SEED_BITS: Final = 63
"""Of a seed, which a bigint holds. It makes each secret another one; what keeps it secret is the pepper."""

ENDPOINTS: Final = ("chat_completions",)
"""All that the playground asks for."""

_NAME = "playground of "
_CONTEXT = b"trunkline playground key "
_DIGESTS = 2


def key_name(user: str, number: int, chars_max: int) -> str:
    """Return a name for a user's key.

    Args:
        user: its name.
        number: 1 for the first choice, more where the names before are those of other keys.
        chars_max: of the name.
    """
    end = "" if number == 1 else f" {number}"
    return f"{_NAME}{user}"[: chars_max - len(end)].rstrip() + end


def secret_of(seed: int, pepper: bytes) -> str:
    """Return the secret of a key of the playground.

    Args:
        seed: of the key, drawn when it was made.
        pepper: of the gateway.
    """
    numbers = b"".join(
        hmac.digest(pepper, _CONTEXT + f"{seed} {part}".encode(), hashlib.sha512) for part in range(_DIGESTS)
    )
    return mint(numbers)
