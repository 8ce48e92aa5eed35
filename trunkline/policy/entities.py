"""Configuration as the console keeps it: one struct per row, keyed by name. Money is nano-USD, times are Unix ms.

`store.configuration` reads and writes them, `policy.changes` compares what is wanted with what is there.
"""

import msgspec

from trunkline.bus.snapshots import (
    ChannelOverride,
    CredentialLimits,
    CredentialOrder,
    HeaderRules,
    ModelRouting,
    ParameterRules,
    Probe,
    Strategy,
    Timeouts,
)
from trunkline.policy.alerts import NO_ALERTS, AlertTerms
from trunkline.policy.discounts import DiscountStep
from trunkline.policy.meters import NO_BUDGETS, NO_LIMITS, Budgets, Limits
from trunkline.policy.periods import UTC
from trunkline.protocol.vendor import VendorOptions

Prices = dict[str, int]
"""Nano-USD per million units, by the unit kinds of `core.usage.Units`, and `pricing.IMAGE_VARIANT_PREFIX` ones."""

FROM_CONFIGURATION = "configuration"
FROM_OPERATOR = "operator"
FREE_OF_CHARGE = "free"
"""Where prices come from, beside lists (`list_prices.SOURCE`)."""


class Group(msgspec.Struct, frozen=True):
    """A named set of channels.

    Attributes:
        name: of the group.
        multiplier_ppm: price multiplier in parts per million.
        limits: of each account's jobs through it.
        strategy: for the jobs of keys and models without one.
    """

    name: str
    multiplier_ppm: int
    limits: Limits = NO_LIMITS
    strategy: Strategy | None = None


class Tier(msgspec.Struct, frozen=True):
    """A named set of limits.

    Attributes:
        name: of the tier.
        limits: of each of its accounts.
        priority: of their jobs where the gateway is full.
    """

    name: str
    limits: Limits = NO_LIMITS
    priority: int = 0


class Account(msgspec.Struct, frozen=True):
    """Who pays.

    Attributes:
        name: of the account.
        tier: whose limits it has, too.
        time_zone: IANA name.
        limits, budgets: its own.
        alerts: when its owners are told.
        groups: those that its own people may give to keys.
    """

    name: str
    tier: str | None = None
    time_zone: str = UTC
    limits: Limits = NO_LIMITS
    budgets: Budgets = NO_BUDGETS
    alerts: AlertTerms = NO_ALERTS
    groups: tuple[str, ...] = ("default",)


class User(msgspec.Struct, frozen=True):
    """A person of an account.

    Attributes:
        account, name: names the user; two accounts may use the same name.
        limits, budgets: of all keys of the user together.
    """

    account: str
    name: str
    limits: Limits = NO_LIMITS
    budgets: Budgets = NO_BUDGETS


class Key(msgspec.Struct, frozen=True):
    """An API key without its secret.

    Attributes:
        account, name: names the key; two accounts may use the same name.
        hash: `policy.keys.key_hash` of the secret that has no end of its own.
        prefix: that secret's first characters, for people.
        groups, models, expires_ms, allow_ips, endpoints, strategy: as in `bus.snapshots.KeyPolicy`.
        user: name of the user of the account whose it is.
        limits, budgets: its own.
        replaced: hashes of secrets that it had before.
    """

    account: str
    name: str
    hash: str
    prefix: str
    groups: tuple[str, ...]
    models: tuple[str, ...]
    expires_ms: int | None
    allow_ips: tuple[str, ...]
    user: str | None = None
    endpoints: tuple[str, ...] = ()
    limits: Limits = NO_LIMITS
    budgets: Budgets = NO_BUDGETS
    replaced: tuple[str, ...] = ()
    strategy: Strategy | None = None


class Credential(msgspec.Struct, frozen=True):
    """An upstream secret by its fingerprint; the rest as in `bus.snapshots.SealedCredential`."""

    fingerprint: str
    weight: int = 1
    limits: CredentialLimits = CredentialLimits()


class Channel(msgspec.Struct, frozen=True):
    """One upstream, as in `bus.snapshots.ChannelSnapshot`; its credentials without their secrets, in a fixed order."""

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
    credentials: tuple[Credential, ...]
    drained: bool = False
    credential_order: CredentialOrder = CredentialOrder.TURNS
    limits: CredentialLimits = CredentialLimits()
    overrides: tuple[ChannelOverride, ...] = ()
    headers: HeaderRules = HeaderRules()
    status_map: dict[int, int] = {}
    probe: Probe = Probe()


class Model(msgspec.Struct, frozen=True):
    """A public model and what it costs the client.

    Attributes:
        name, lane, owned_by, routing: as in `bus.snapshots.ModelSnapshot`.
        free: costs the client nothing.
        prices: the version in force.
        price_source: ``configuration``, ``operator``, ``free``, or the list that they were taken from.
        overrides: those of ``prices`` that stay when the list changes.
    """

    name: str
    lane: str
    owned_by: str
    free: bool
    prices: Prices
    price_source: str
    overrides: Prices = {}
    routing: ModelRouting = ModelRouting()


class Cost(msgspec.Struct, frozen=True):
    """What a channel's provider asks of us for a model."""

    channel: str
    model: str
    prices: Prices


class DiscountSchedules(msgspec.Struct, frozen=True):
    """The volume discounts of all tiers; there is one such entity."""

    steps: tuple[DiscountStep, ...]

    @property
    def name(self) -> str:
        """What it is called."""
        return "by monthly spending"


class FreeTrial(msgspec.Struct, frozen=True):
    """What new accounts may try the service with; there is one such entity.

    Attributes:
        amount_nano: in nano-USD; 0 for none.
        days: how long.
    """

    amount_nano: int = 0
    days: int = 0

    @property
    def name(self) -> str:
        """What it is called."""
        return "of new accounts"


class SiteAlerts(msgspec.Struct, frozen=True):
    """Where the site's operators are told something; there is one such entity."""

    alerts: AlertTerms = NO_ALERTS

    @property
    def name(self) -> str:
        """What it is called."""
        return "of the site"


Entity = Group | Tier | Account | User | Key | Channel | Model | Cost | DiscountSchedules | FreeTrial | SiteAlerts

KINDS: dict[type, str] = {
    Group: "group",
    Tier: "tier",
    Account: "account",
    User: "user",
    Key: "key",
    Channel: "channel",
    Model: "model",
    Cost: "cost",
    DiscountSchedules: "discounts",
    FreeTrial: "trial",
    SiteAlerts: "alerts",
}
"""What each is called in a diff."""


def entity_name(entity: Entity) -> str:
    """Return what people call it; unique within its kind."""
    match entity:
        case Key(account=account, name=name) | User(account=account, name=name):
            return f"{account}/{name}"
        case Cost(channel=channel, model=model):
            return f"{channel}/{model}"
        case _:
            return entity.name
