"""The declarative configuration file: its form, as people write it.

`policy.configuration_file.load` reads it from parsed YAML or JSON. Applying is additive: what a file does not name
is left alone, and what it names is made as it says. Within an entry a field that is left out takes its default, save
for those that are None by default and say so: they leave what is there.
"""

import datetime as dt
from decimal import Decimal
from typing import Any, Final

import msgspec

from trunkline.bus.snapshots import (
    Clamp,
    CredentialLimits,
    CredentialOrder,
    HeaderRules,
    Probe,
    Strategy,
    Timeouts,
)
from trunkline.policy.meters import NO_LIMITS, Limits
from trunkline.policy.periods import UTC
from trunkline.protocol.vendor import DEFAULTS, VendorOptions

DEFAULT_GROUP = "default"
"""Always there, so that the smallest file needs no groups."""

PriceEntry = dict[str, Decimal]
"""USD per million units, by unit kind; ``cached_input`` is another name for ``cache_read``. Images may have prices by
size and quality: ``images@1024x1024/high``, ``images@1024x1024``, ``images@high``."""


class ParamsEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is changed in a request before it goes to a channel; fields as in `bus.snapshots.ParameterRules`."""

    drop: tuple[str, ...] = ()
    set: dict[str, Any] = {}
    default: dict[str, Any] = {}
    clamp: dict[str, Clamp] = {}
    rename: dict[str, str] = {}


class CredentialEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An upstream secret with its share and its own limits; one that is left out is the channel's.

    Attributes:
        secret: ``env:NAME`` or literal.
        weight: its share where ``credential_order`` is ``weighted``.
        jobs, rpm, tpm: as in `bus.snapshots.CredentialLimits`.
    """

    secret: str
    weight: int = 1
    jobs: int | None = None
    rpm: int | None = None
    tpm: int | None = None


class TimeoutsEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Timeouts of some of a channel's models; one that is left out is the channel's."""

    connect_s: float | None = None
    first_token_s: float | None = None
    idle_s: float | None = None
    total_s: float | None = None


class OverrideEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What differs for some of a channel's models; fields as in `bus.snapshots.ChannelOverride`."""

    models: tuple[str, ...]
    timeouts: TimeoutsEntry | None = None
    params: ParamsEntry = ParamsEntry()


class ChannelEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One upstream; the fields as in `bus.snapshots.ChannelSnapshot`.

    Attributes:
        credentials: ``env:NAME`` or literal, or an entry that says more; replaces those that are there, None leaves
            them.
        enabled, drained: None leaves it as it is (a new channel is enabled and not drained), so that applying a file
            again does not put back what an operator switched.
        costs: what the provider asks of us, by public model name.
    """

    name: str
    dialect: str
    base_url: str
    credentials: tuple[str | CredentialEntry, ...] | None = None
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
    drained: bool | None = None
    credential_order: CredentialOrder = CredentialOrder.TURNS
    limits: CredentialLimits = CredentialLimits()
    overrides: tuple[OverrideEntry, ...] = ()
    headers: HeaderRules = HeaderRules()
    status_map: dict[int, int] = {}
    probe: Probe = Probe()

    def credential_entries(self) -> tuple[CredentialEntry, ...]:
        """Return the credentials in their long form; none where those that are there are left."""
        return tuple(
            CredentialEntry(secret=credential) if isinstance(credential, str) else credential
            for credential in self.credentials or ()
        )


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A public model.

    Attributes:
        price: None takes the list price, or leaves what an operator has set.
        override: what differs from the list price, by kind.
        free: costs the client nothing.
        strategy, fallbacks, context_fallbacks, filter_fallbacks, hedge, continues: as in `bus.snapshots.ModelRouting`.
    """

    name: str
    lane: str = "default"
    owned_by: str = "trunkline"
    price: PriceEntry | None = None
    override: PriceEntry = {}
    free: bool = False
    strategy: Strategy | None = None
    fallbacks: tuple[str, ...] = ()
    context_fallbacks: tuple[str, ...] = ()
    filter_fallbacks: tuple[str, ...] = ()
    hedge: bool = False
    continues: bool = False


class GroupEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A named set of channels, with a price multiplier.

    Attributes:
        limits: of each account's jobs through the group.
        strategy: for the jobs of keys and models without one.
    """

    name: str
    multiplier: Decimal = Decimal(1)
    limits: Limits = NO_LIMITS
    strategy: Strategy | None = None


class DiscountEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a volume discount.

    Attributes:
        monthly: what an account must have spent in the calendar month (UTC), in USD, for the step to apply.
        percent: what is then taken off its prices.
        tier: whose accounts it is for; a tier with steps of its own has no part in the others.
    """

    monthly: Decimal
    percent: Decimal
    tier: str | None = None


class TierEntry(Limits, frozen=True, kw_only=True, omit_defaults=True):
    """A named set of limits; one that is left out is no limit.

    Attributes:
        priority: where the gateway is full, jobs of accounts with a higher one go first.
    """

    name: str
    priority: int = 0


class ModelBudgetEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Most that may be spent on all models together whose names match, in USD."""

    models: tuple[str, ...]
    daily: Decimal | None = None
    monthly: Decimal | None = None


class BudgetsEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Most that may be spent in a day or month, in USD.

    Attributes:
        daily, monthly: on all models.
        models: further ones for families of models.
        cheaper: what a model is replaced with while a budget that counts it is used up.
    """

    daily: Decimal | None = None
    monthly: Decimal | None = None
    models: tuple[ModelBudgetEntry, ...] = ()
    cheaper: dict[str, str] = {}


NO_BUDGETS_ENTRY: Final = BudgetsEntry()


class UserEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person of an account, whose keys share limits and budgets."""

    name: str
    limits: Limits = NO_LIMITS
    budgets: BudgetsEntry = NO_BUDGETS_ENTRY


class KeyEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An API key.

    Attributes:
        secret: ``env:NAME`` or literal; it must be well-formed (`policy.keys.well_formed`). One that the key had before
            it was rotated changes nothing, so that applying a file again does not undo a rotation.
        expires: a moment, or a day, at whose beginning in UTC it ends.
        allow_ips: CIDR ranges; empty allows all.
        user: whose it is: a user of the account.
        endpoints: of `protocol.names.ENDPOINT_NAMES`; empty allows all.
        strategy: for its jobs; None leaves it to the model.
    """

    name: str
    secret: str
    groups: tuple[str, ...] = (DEFAULT_GROUP,)
    models: tuple[str, ...] = ("*",)
    expires: dt.datetime | None = None
    allow_ips: tuple[str, ...] = ()
    user: str | None = None
    endpoints: tuple[str, ...] = ()
    limits: Limits = NO_LIMITS
    budgets: BudgetsEntry = NO_BUDGETS_ENTRY
    strategy: Strategy | None = None


class AlertsEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When an account's owners are told something, and where.

    Attributes:
        budget_percent: of each budget: told when so much of it is used up.
        balance_below: in USD: told when the balance falls below it.
        webhook: URL that is sent a signed POST.
        email: addresses.
    """

    budget_percent: tuple[int, ...] = ()
    balance_below: Decimal | None = None
    webhook: str | None = None
    email: tuple[str, ...] = ()


NO_ALERTS_ENTRY: Final = AlertsEntry()


class SiteAlertsEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the site's operators are told something; fields as in `AlertsEntry`."""

    webhook: str | None = None
    email: tuple[str, ...] = ()


class TrialEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What accounts get that are made with a free trial.

    Attributes:
        amount: in USD; 0 ends the offer.
        days: after which what is left of it is taken back.
    """

    amount: Decimal
    days: int


class AccountEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who pays.

    Attributes:
        time_zone: IANA name; its days and months count for budgets and daily limits.
        groups: those that its own people may give to keys; the keys named here may have any.
        credit: in USD, granted once, when the account is first named with a credit.
        trial: gives it the free trial, if it is new.
    """

    name: str
    tier: str | None = None
    time_zone: str = UTC
    groups: tuple[str, ...] = (DEFAULT_GROUP,)
    credit: Decimal = Decimal(0)
    limits: Limits = NO_LIMITS
    budgets: BudgetsEntry = NO_BUDGETS_ENTRY
    trial: bool = False
    alerts: AlertsEntry = NO_ALERTS_ENTRY
    users: tuple[UserEntry, ...] = ()
    keys: tuple[KeyEntry, ...] = ()


class Configuration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole file.

    Attributes:
        discounts: all steps; None leaves those that are there.
        trial: None leaves what is there.
        alerts: of the site; None leaves what is there.
    """

    channels: tuple[ChannelEntry, ...] = ()
    models: tuple[ModelEntry, ...] = ()
    groups: tuple[GroupEntry, ...] = ()
    tiers: tuple[TierEntry, ...] = ()
    accounts: tuple[AccountEntry, ...] = ()
    discounts: tuple[DiscountEntry, ...] | None = None
    trial: TrialEntry | None = None
    alerts: SiteAlertsEntry | None = None


class Names(msgspec.Struct, frozen=True):
    """What a file may refer to beside what is in it: the names that the console knows.

    Attributes:
        groups, tiers, models: see there.
        priced: models whose prices an operator has set.
        users: as ``account/name``.
        trial: whether new accounts may have a free trial.
    """

    groups: frozenset[str] = frozenset()
    tiers: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    priced: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    trial: bool = False


class ConfigurationError(Exception):
    """Everything that is wrong with a configuration.

    Attributes:
        faults: one sentence each, with its place; no secret is quoted.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults
