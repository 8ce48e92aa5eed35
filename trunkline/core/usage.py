"""What a provider is paid for, as disjoint buckets, so that money is a plain sum over them.

The normal form is DIALECTS section 5's: ``input`` holds no cached token, ``output`` no reasoning token, and no
token is in two buckets. Readers of each dialect's usage report produce it; pricing consumes it.
"""

import re
from enum import StrEnum

import msgspec


class UsageSource(StrEnum):
    """Where the numbers come from."""

    REPORTED = "reported"
    """The provider said so."""
    COUNTED = "counted"
    """The provider said nothing (or the stream was cut before it did): counted by the gateway."""


class Units(msgspec.Struct, frozen=True, omit_defaults=True):
    """Units of one attempt by kind. Token counts unless the name says otherwise; never negative."""

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    input_audio: int = 0
    input_image: int = 0
    output: int = 0
    reasoning: int = 0
    output_audio: int = 0
    output_image: int = 0
    searches: int = 0
    seconds: int = 0
    images: int = 0
    characters: int = 0
    requests: int = 0

    def any(self) -> bool:
        """Return whether anything at all was used."""
        return any(msgspec.structs.astuple(self))

    @property
    def input_total(self) -> int:
        """All input tokens, cached or not; what a context threshold is compared with."""
        return (
            self.input
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.input_audio
            + self.input_image
        )

    @property
    def output_total(self) -> int:
        """All output tokens."""
        return self.output + self.reasoning + self.output_audio + self.output_image


UNIT_KINDS: tuple[str, ...] = Units.__struct_fields__

VARIANT_PART_CHARS_MAX = 32
"""Of a size or a quality. The longest known are ``1536x1024`` and ``standard``."""

_VARIANT_PART = re.compile(rf"[a-z0-9][a-z0-9._:-]{{0,{VARIANT_PART_CHARS_MAX - 1}}}", re.ASCII)
_CHOSEN_BY_PROVIDER = "auto"


def image_variant(size: str | None, quality: str | None) -> str:
    """Return what tells images of different prices apart: ``1024x1024/high``, or the one part that is known.

    Empty if neither is: left out, chosen by the provider, or no word of the usual form, since a price can depend on
    nothing that an operator could not have written down.
    """
    return "/".join(part for part in (_variant_part(size), _variant_part(quality)) if part)


def is_image_variant(text: str) -> bool:
    """Return whether a text is what `image_variant` may return, but for the empty one."""
    parts = text.split("/")
    return len(parts) <= 2 and all(part and _variant_part(part) == part for part in parts)


def _variant_part(text: str | None) -> str:
    part = (text or "").lower()
    return part if part != _CHOSEN_BY_PROVIDER and _VARIANT_PART.fullmatch(part) else ""


class Usage(msgspec.Struct, frozen=True):
    """Units and where they come from."""

    units: Units
    source: UsageSource
