"""What the admin API says of prices to everybody."""

import datetime as dt

import msgspec

from trunkline.policy.entities import Prices


class PublicGroup(msgspec.Struct, frozen=True):
    """A group.

    Attributes:
        name: of the group.
        multiplier_ppm: what prices are multiplied with for those who use it, in parts per million.
    """

    name: str
    multiplier_ppm: int


class PricesToCome(msgspec.Struct, frozen=True):
    """Prices that are announced.

    Attributes:
        effective_from: when they come into force.
        prices: as in `PublicModel`.
    """

    effective_from: dt.datetime
    prices: Prices


class PublicModel(msgspec.Struct, frozen=True):
    """A model and what it costs.

    Attributes:
        name: of the model.
        groups: those of the list through which it is served.
        free: it costs nothing.
        prices: those in force, in nano-USD per million units by kind, before the group's multiplier.
        to_come: in the order of their moments.
    """

    name: str
    groups: tuple[str, ...]
    free: bool
    prices: Prices
    to_come: tuple[PricesToCome, ...]


class PublicPrices(msgspec.Struct, frozen=True):
    """The price list.

    Attributes:
        at: when it was read.
        groups, models: by name.
    """

    at: dt.datetime
    groups: tuple[PublicGroup, ...]
    models: tuple[PublicModel, ...]
