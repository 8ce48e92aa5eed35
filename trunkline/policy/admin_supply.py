"""What the admin API says of what uses groups and tiers, of all models' prices at once, and of what is sealed."""

import msgspec

from trunkline.policy.admin_api import PriceVersionView
from trunkline.policy.entities import Prices


class GroupUses(msgspec.Struct, frozen=True):
    """What names a group.

    Attributes:
        name: of the group.
        channels: names of those that belong to it.
        accounts: names of those whose people may give it to keys.
        keys: how many may use it.
        newcomers: whether accounts of those who register get it.
    """

    name: str
    channels: tuple[str, ...]
    accounts: tuple[str, ...]
    keys: int
    newcomers: bool


class TierUses(msgspec.Struct, frozen=True):
    """What names a tier.

    Attributes:
        name: of the tier.
        accounts: names of those that have it.
        discounts: how many steps of volume discounts are its own.
        newcomers: whether accounts of those who register get it.
    """

    name: str
    accounts: tuple[str, ...]
    discounts: int
    newcomers: bool


class SealedWith(msgspec.Struct, frozen=True):
    """How much is sealed with one master key.

    Attributes:
        master: its version.
        credentials: of channels.
        apps: authenticator apps of logins.
        known: whether the console that answers holds it.
    """

    master: int
    credentials: int
    apps: int
    known: bool


class Resealed(msgspec.Struct, frozen=True):
    """What sealing anew came to.

    Attributes:
        newest: version of the master key that seals.
        resealed: secrets that were sealed with it now.
        sealed: all that is sealed, by version.
    """

    newest: int
    resealed: int
    sealed: tuple[SealedWith, ...]


class ModelPricing(msgspec.Struct, frozen=True):
    """What is to be known of a model's prices beside those in force.

    Attributes:
        name: of the model.
        listed: what the installed list says, in nano-USD per million units; null if it is on none.
        to_come: versions that are not in force yet, the earliest first.
    """

    name: str
    listed: Prices | None
    to_come: tuple[PriceVersionView, ...]
