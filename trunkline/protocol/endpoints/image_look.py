"""Which size and quality the images of one answer have, since their price depends on it (DIALECTS section 7).

What the answer states is what the provider bills, also where the request left the choice to it; what the answer does
not state is as it was asked for.
"""

from collections.abc import Callable

import msgspec

from trunkline.core.usage import VARIANT_PART_CHARS_MAX, image_variant

_RAW_BYTES_MAX = VARIANT_PART_CHARS_MAX + 2
"""Of a JSON string that can be a size or a quality."""

_NAMES = ("size", "quality")
_decode_text = msgspec.json.Decoder(str).decode


class ImageLook:
    """What is known of the images of one call.

    Args:
        asked: returns the text of the field ``size`` or ``quality`` as the provider gets it; None if it gets none.
    """

    __slots__ = ("_parts",)

    def __init__(self, asked: Callable[[str], str | None]) -> None:
        self._parts = {name: asked(name) for name in _NAMES}

    def state(self, size: msgspec.Raw, quality: msgspec.Raw) -> None:
        """Note what the answer, or one of its events, states; several images of one answer look the same."""
        for name, value in zip(_NAMES, (size, quality), strict=True):
            text = text_of(value)
            if image_variant(text, None):
                self._parts[name] = text

    def variant(self) -> str:
        """Return it as `core.usage.image_variant` does."""
        return image_variant(self._parts["size"], self._parts["quality"])


def text_of(value: bytes | msgspec.Raw) -> str | None:
    """Return the text of a short JSON string; None for anything else."""
    if len(memoryview(value)) > _RAW_BYTES_MAX:
        return None
    try:
        return _decode_text(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
