"""Configuration as the console keeps it: one struct per row, keyed by name. Money is nano-USD, times are Unix ms.

`store.configuration` reads and writes them, `policy.changes` compares what is wanted with what is there.
"""

import msgspec

from trunkline.bus.snapshots import ParameterRules, Timeouts
from trunkline.protocol.vendor import VendorOptions

Prices = dict[str, int]
"""Nano-USD per million units, by the unit kinds of `core.usage.Units`."""


class Group(msgspec.Struct, frozen=True):
    """A named set of channels.

    Attributes:
        name: of the group.
        multiplier_ppm: price multiplier in parts per million.
    """

    name: str
    multiplier_ppm: int


class Tier(msgspec.Struct, frozen=True):
    """A named set of limits; None is no limit. Requests and tokens per minute and day, jobs at a time."""

    name: str
    rpm: int | None = None
    rpd: int | None = None
    tpm: int | None = None
    tpd: int | None = None
    images_per_minute: int | None = None
    concurrency: int | None = None


class Account(msgspec.Struct, frozen=True):
    """Who pays.

    Attributes:
        name: of the account.
        tier: its limits.
        daily_nano, monthly_nano: budgets in nano-USD; None is no budget.
    """

    name: str
    tier: str | None = None
    daily_nano: int | None = None
    monthly_nano: int | None = None


class Key(msgspec.Struct, frozen=True):
    """An API key without its secret.

    Attributes:
        account, name: names the key; two accounts may use the same name.
        hash: `policy.keys.key_hash` of the secret.
        prefix: the secret's first characters, for people.
        groups, models, expires_ms, allow_ips: as in `bus.snapshots.KeyPolicy`.
    """

    account: str
    name: str
    hash: str
    prefix: str
    groups: tuple[str, ...]
    models: tuple[str, ...]
    expires_ms: int | None
    allow_ips: tuple[str, ...]


class Channel(msgspec.Struct, frozen=True):
    """One upstream, as in `bus.snapshots.ChannelSnapshot`, with fingerprints in place of credentials."""

    name: str
    dialect: str
    base_url: str
    models: dict[str, str]
    groups: tuple[str, ...]
    priority: int
    weight: int
    enabled: bool
    timeouts: Timeouts
    params: ParameterRules
    stream_usage: bool
    options: VendorOptions
    fingerprints: tuple[str, ...]


class Model(msgspec.Struct, frozen=True):
    """A public model and what it costs the client.

    Attributes:
        name, lane, owned_by: as in `bus.snapshots.ModelSnapshot`.
        free: costs the client nothing.
        prices: the newest version.
        price_source: ``configuration``, ``free``, or the list that they were taken from.
    """

    name: str
    lane: str
    owned_by: str
    free: bool
    prices: Prices
    price_source: str


class Cost(msgspec.Struct, frozen=True):
    """What a channel's provider asks of us for a model."""

    channel: str
    model: str
    prices: Prices


Entity = Group | Tier | Account | Key | Channel | Model | Cost

KINDS: dict[type, str] = {
    Group: "group",
    Tier: "tier",
    Account: "account",
    Key: "key",
    Channel: "channel",
    Model: "model",
    Cost: "cost",
}
"""What each is called in a diff."""


def entity_name(entity: Entity) -> str:
    """Return what people call it; unique within its kind."""
    match entity:
        case Key(account=account, name=name):
            return f"{account}/{name}"
        case Cost(channel=channel, model=model):
            return f"{channel}/{model}"
        case _:
            return entity.name
