"""The declarative configuration file: its form, as people write it.

`policy.configuration_file.load` reads it from parsed YAML or JSON. Applying is additive: what a file does not name
is left alone, and what it names is made as it says. Within an entry a field that is left out takes its default, save
for those that are None by default and say so: they leave what is there.
"""

import datetime as dt
from decimal import Decimal
from typing import Any

import msgspec

from trunkline.bus.snapshots import Clamp, Timeouts
from trunkline.protocol.vendor import DEFAULTS, VendorOptions

DEFAULT_GROUP = "default"
"""Always there, so that the smallest file needs no groups."""

PriceEntry = dict[str, Decimal]
"""USD per million units, by unit kind; ``cached_input`` is another name for ``cache_read``."""


class ParamsEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is changed in a request before it goes to a channel."""

    drop: tuple[str, ...] = ()
    set: dict[str, Any] = {}
    clamp: dict[str, Clamp] = {}


class ChannelEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One upstream; the fields as in `bus.snapshots.ChannelSnapshot`.

    Attributes:
        credentials: ``env:NAME`` or literal; replaces those that are there, None leaves them.
        enabled: None leaves it as it is (a new channel is enabled), so that applying a file again does not put
            back what an operator switched off.
        costs: what the provider asks of us, by public model name.
    """

    name: str
    dialect: str
    base_url: str
    credentials: tuple[str, ...] | None = None
    models: dict[str, str]
    groups: tuple[str, ...] = (DEFAULT_GROUP,)
    priority: int = 0
    weight: int = 100
    enabled: bool | None = None
    timeouts: Timeouts = Timeouts()
    params: ParamsEntry = ParamsEntry()
    stream_usage: bool = True
    options: VendorOptions = DEFAULTS
    costs: dict[str, PriceEntry] = {}


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A public model.

    Attributes:
        price: None takes the list price.
        free: costs the client nothing.
    """

    name: str
    lane: str = "default"
    owned_by: str = "trunkline"
    price: PriceEntry | None = None
    free: bool = False


class GroupEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A named set of channels, with a price multiplier."""

    name: str
    multiplier: Decimal = Decimal(1)


class TierEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A named set of limits; one that is left out is no limit."""

    name: str
    rpm: int | None = None
    rpd: int | None = None
    tpm: int | None = None
    tpd: int | None = None
    images_per_minute: int | None = None
    concurrency: int | None = None


class BudgetsEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Most an account may spend in a day or month, in USD."""

    daily: Decimal | None = None
    monthly: Decimal | None = None


class KeyEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An API key.

    Attributes:
        secret: ``env:NAME`` or literal; it must be well-formed (`policy.keys.well_formed`).
        expires: a moment, or a day, at whose beginning in UTC it ends.
        allow_ips: CIDR ranges; empty allows all.
    """

    name: str
    secret: str
    groups: tuple[str, ...] = (DEFAULT_GROUP,)
    models: tuple[str, ...] = ("*",)
    expires: dt.datetime | None = None
    allow_ips: tuple[str, ...] = ()


class AccountEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who pays.

    Attributes:
        credit: in USD, granted once, when the account is first named with a credit.
    """

    name: str
    tier: str | None = None
    credit: Decimal = Decimal(0)
    budgets: BudgetsEntry = BudgetsEntry()
    keys: tuple[KeyEntry, ...] = ()


class Configuration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole file."""

    channels: tuple[ChannelEntry, ...] = ()
    models: tuple[ModelEntry, ...] = ()
    groups: tuple[GroupEntry, ...] = ()
    tiers: tuple[TierEntry, ...] = ()
    accounts: tuple[AccountEntry, ...] = ()


class Names(msgspec.Struct, frozen=True):
    """What a file may refer to beside what is in it: the names that the console knows."""

    groups: frozenset[str] = frozenset()
    tiers: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()


class ConfigurationError(Exception):
    """Everything that is wrong with a configuration.

    Attributes:
        faults: one sentence each, with its place; no secret is quoted.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults
