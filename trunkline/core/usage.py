"""What a provider is paid for, as disjoint buckets, so that money is a plain sum over them.

The normal form is DIALECTS section 5's: ``input`` holds no cached token, ``output`` no reasoning token, and no
token is in two buckets. Readers of each dialect's usage report produce it; pricing consumes it.
"""

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


class Usage(msgspec.Struct, frozen=True):
    """Units and where they come from."""

    units: Units
    source: UsageSource
