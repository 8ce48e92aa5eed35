"""Plain text files, which come as base64 from clients whose dialect has no better place for them."""

import base64
import binascii


def text_of(data: str) -> str | None:
    """Return the UTF-8 text that base64 holds, or None if it holds none.

    Args:
        data: in the standard alphabet, without white space.
    """
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
