"""What the admin API and its clients say to each other: the bodies of requests and answers under ``/admin/v1``.

The console answers with these structs and the CLI reads them. JSON; money in nano-USD unless the name says ``usd``.
Those of accounts, users and keys are in `policy.admin_accounts`.
"""

import datetime as dt
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from trunkline.bus.snapshots import (
    ChannelOverride,
    CredentialLimits,
    CredentialOrder,
    HeaderRules,
    ModelRouting,
    ParameterRules,
    Probe,
    Timeouts,
)
from trunkline.policy.changes import Change
from trunkline.policy.comparison import ModelCost
from trunkline.policy.configuration import PriceEntry
from trunkline.policy.discounts import DiscountStep
from trunkline.policy.entities import FreeTrial, Prices
from trunkline.protocol.vendor import VendorOptions

PREFIX = "/admin/v1"


class ErrorDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong.

    Attributes:
        type: from the closed vocabulary (`core.errors.ErrorType`).
        message: a sentence or two that say what to do.
        faults: every fault of a configuration, with its place.
    """

    type: str
    message: str
    faults: tuple[str, ...] = ()


class ErrorBody(msgspec.Struct, frozen=True):
    """The one shape of all errors."""

    error: ErrorDetail


class NewCredential(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An upstream secret to be stored; fields as in `policy.configuration.CredentialEntry`."""

    secret: str
    weight: int = 1
    jobs: int | None = None
    rpm: int | None = None
    tpm: int | None = None


class CredentialChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to be another of a stored credential; what is left out stays.

    Attributes:
        weight: as in `policy.configuration.CredentialEntry`.
        jobs, rpm, tpm: as there; null takes its own limit away, and the channel's holds.
    """

    weight: int | UnsetType = UNSET
    jobs: int | UnsetType | None = UNSET
    rpm: int | UnsetType | None = UNSET
    tpm: int | UnsetType | None = UNSET


class CredentialView(msgspec.Struct, frozen=True):
    """A credential without its secret.

    Attributes:
        id: of the credential.
        mark: the start of its keyed hash, to tell credentials apart.
        created_at: when it was stored.
        weight, limits: as in `bus.snapshots.SealedCredential`.
    """

    id: int
    mark: str
    created_at: dt.datetime
    weight: int = 1
    limits: CredentialLimits = CredentialLimits()


class ChannelView(msgspec.Struct, frozen=True):
    """A channel as people see it; fields as in `bus.snapshots.ChannelSnapshot`."""

    id: int
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
    credentials: tuple[CredentialView, ...]
    costs: dict[str, Prices]
    drained: bool = False
    credential_order: CredentialOrder = CredentialOrder.TURNS
    limits: CredentialLimits = CredentialLimits()
    overrides: tuple[ChannelOverride, ...] = ()
    headers: HeaderRules = HeaderRules()
    status_map: dict[int, int] = {}
    probe: Probe = Probe()


class ModelView(msgspec.Struct, frozen=True):
    """A model as people see it.

    Attributes:
        channels: names of the enabled channels that serve it.
        prices: those in force, in nano-USD per million units.
        price_source: ``configuration``, ``operator``, ``free`` or a list's name.
        overrides: those of ``prices`` that stay when the list changes.
        routing: as in `bus.snapshots.ModelSnapshot`.
    """

    name: str
    lane: str
    owned_by: str
    free: bool
    prices: Prices
    price_source: str
    channels: tuple[str, ...]
    overrides: Prices = {}
    routing: ModelRouting = ModelRouting()


class NewPrices(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Prices to be set: of a model, or what a channel's provider asks for one.

    Attributes:
        price: all of them, in USD per million units, by kind, as in a configuration.
        effective_from: from when they hold; now if left out.
        over_list: of a model: ``price`` has only what differs from the list price, which is followed for the rest.
        free: of a model: it costs the client nothing; then ``price`` is empty.
    """

    price: PriceEntry = {}
    effective_from: dt.datetime | None = None
    over_list: bool = False
    free: bool = False


class PriceVersionView(msgspec.Struct, frozen=True):
    """One version of a model's prices, or of what a channel's provider asks for a model.

    Attributes:
        id: what ledger entries name.
        model: public name.
        effective_from: from when it holds.
        prices: in nano-USD per million units.
        created_at: when it was given.
        state: ``past``, ``in force`` or ``to come``.
        source, overrides: of a model's, as in `ModelView`.
    """

    id: int
    model: str
    effective_from: dt.datetime
    prices: Prices
    created_at: dt.datetime
    state: Literal["past", "in force", "to come"]
    source: str = ""
    overrides: Prices = {}


class Refreshed(msgspec.Struct, frozen=True):
    """What taking the installed list's prices changed, or would change.

    Attributes:
        changes: one per model whose list prices differ.
        unlisted: models that have list prices and are on no list any more; they keep them.
    """

    dry_run: bool
    changes: tuple[Change, ...]
    unlisted: tuple[str, ...]


class UsedModel(msgspec.Struct, frozen=True):
    """What an account used of one model in a month, and paid for it."""

    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    paid_nano: int


class Comparison(msgspec.Struct, frozen=True):
    """What an account's usage of a month would have cost on other models.

    Attributes:
        account: whose usage.
        month: ``2030-01``, in UTC.
        prices_at: when the comparison was made: with the prices that were in force then.
        note: what the figures do not say.
        paid_nano: what was paid.
        used: by model, the dearest first.
        models: what all would have cost, the cheapest first.
        left_out: models that were asked for and could have served nothing of it.
    """

    account: str
    month: str
    prices_at: dt.datetime
    note: str
    paid_nano: int
    used: tuple[UsedModel, ...]
    models: tuple[ModelCost, ...]
    left_out: tuple[str, ...]


class Applied(msgspec.Struct, frozen=True):
    """What an application of a configuration changed, or would change."""

    dry_run: bool
    changes: tuple[Change, ...]


class ConfigurationFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A configuration file.

    Attributes:
        text: all of it, in YAML or JSON.
    """

    text: str


class Offers(msgspec.Struct, frozen=True):
    """What the site offers beside its prices.

    Attributes:
        trial: what new accounts may have; an amount of zero is nothing.
        discounts: all steps of volume discounts.
    """

    trial: FreeTrial
    discounts: tuple[DiscountStep, ...]


class Rebuilt(msgspec.Struct, frozen=True):
    """What a rebuild of the projection has queued, by bucket."""

    written: dict[str, int]
    deleted: dict[str, int]


class UsageRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row of a usage summary; names of what was asked for, as in `store.usage.UsageSummary`."""

    attempts: int
    answers: int
    input_tokens: int
    cache_read_tokens: int
    output_tokens: int
    charge_nano: int
    cost_nano: int
    day: dt.date | None = None
    account: str | None = None
    key: str | None = None
    model: str | None = None
    channel: str | None = None
    group: str | None = None


class Check(msgspec.Struct, frozen=True):
    """One dependency's state.

    Attributes:
        name: of the dependency.
        ok: whether it works.
        message: what is wrong and what to do, or how it is.
        since: when it began, where that is known.
        warning: it works, and should be looked at.
    """

    name: str
    ok: bool
    message: str
    since: dt.datetime | None = None
    warning: bool = False


class Peer(msgspec.Struct, frozen=True):
    """A process that was heard on the bus lately."""

    role: str
    process: str
    age_ms: int
    in_flight: int
    room: int
    draining: bool


class HealthReport(msgspec.Struct, frozen=True):
    """What the console sees of the system."""

    checks: tuple[Check, ...]
    peers: tuple[Peer, ...]
