"""Which size and quality the images of one answer have, since their price depends on it (DIALECTS section 7).

What the answer states is what the provider bills, also where the request left the choice to it; what the answer does
not state is as it was asked for.
"""

from collections.abc import Callable

import msgspec

from trunkline.core.errors import FaultError
from trunkline.core.usage import VARIANT_PART_CHARS_MAX, image_variant
from trunkline.protocol.endpoints.media_form import MediaForm
from trunkline.protocol.rules import RequestRules

_RAW_BYTES_MAX = VARIANT_PART_CHARS_MAX + 2
"""Of a JSON string that can be a size or a quality."""

_NAMES = ("size", "quality")
_decode_text = msgspec.json.Decoder(str).decode


class ImageLook:
    """What is known of the images of one call.

    Args:
        asked: returns the text of the field ``size`` or ``quality`` of the client's request; None if it has none.
        rules: of the channel, which may have changed them.
    """

    __slots__ = ("_parts",)

    def __init__(self, asked: Callable[[str], str | None], rules: RequestRules) -> None:
        self._parts = {name: _sent(name, asked, rules) for name in _NAMES}

    def state(self, size: msgspec.Raw, quality: msgspec.Raw) -> None:
        """Note what the answer, or one of its events, states; several images of one answer look the same."""
        for name, value in zip(_NAMES, (size, quality), strict=True):
            text = text_of(value)
            if image_variant(text, None):
                self._parts[name] = text

    def variant(self) -> str:
        """Return it as `core.usage.image_variant` does."""
        return image_variant(self._parts["size"], self._parts["quality"])


def _sent(name: str, asked: Callable[[str], str | None], rules: RequestRules) -> str | None:
    if name in rules.set:
        return text_of(msgspec.Raw(rules.set[name]))
    return None if name in rules.drop else asked(name)


def text_of(value: msgspec.Raw) -> str | None:
    """Return the text of a short JSON string; None for anything else."""
    if len(memoryview(value)) > _RAW_BYTES_MAX:
        return None
    try:
        return _decode_text(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def form_text(form: MediaForm) -> Callable[[str], str | None]:
    """Return what looks up the texts of a form; one that cannot be read is the provider's to refuse."""

    def look_up(name: str) -> str | None:
        try:
            return form.text(name)
        except FaultError:
            return None

    return look_up
