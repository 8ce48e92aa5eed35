"""What the admin API and its clients say to each other: the bodies of requests and answers under ``/admin/v1``.

The console answers with these structs and the CLI reads them. JSON; money in nano-USD unless the name says ``usd``.
"""

import datetime as dt
from decimal import Decimal

import msgspec

from trunkline.bus.snapshots import ParameterRules, Timeouts
from trunkline.policy.changes import Change
from trunkline.policy.configuration import DEFAULT_GROUP
from trunkline.policy.entities import Prices
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


class NewAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account to be made."""

    name: str
    tier: str | None = None
    credit: Decimal = Decimal(0)
    daily: Decimal | None = None
    monthly: Decimal | None = None


class AccountView(msgspec.Struct, frozen=True):
    """An account as people see it."""

    id: int
    name: str
    tier: str | None
    balance_nano: int
    daily_nano: int | None
    monthly_nano: int | None
    keys: int
    created_at: dt.datetime


class CreditRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Credit to be granted.

    Attributes:
        usd: how much.
        reference: names the grant; the same reference again grants nothing, so a request can be repeated.
    """

    usd: Decimal
    reference: str


class CreditResult(msgspec.Struct, frozen=True):
    """Whether the credit was granted now (not before, under the same reference), and the balance."""

    granted: bool
    balance_nano: int


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key to be made; the console draws its secret."""

    name: str
    groups: tuple[str, ...] = (DEFAULT_GROUP,)
    models: tuple[str, ...] = ("*",)
    expires: dt.datetime | None = None
    allow_ips: tuple[str, ...] = ()


class KeyView(msgspec.Struct, frozen=True):
    """A key as people see it."""

    id: int
    account: str
    name: str
    prefix: str
    groups: tuple[str, ...]
    models: tuple[str, ...]
    expires_at: dt.datetime | None
    allow_ips: tuple[str, ...]
    blocked: bool
    created_at: dt.datetime


class CreatedKey(msgspec.Struct, frozen=True):
    """A new key with its secret, which is shown this once."""

    secret: str
    key: KeyView


class NewCredential(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An upstream secret to be stored."""

    secret: str


class CredentialView(msgspec.Struct, frozen=True):
    """A credential without its secret.

    Attributes:
        id: of the credential.
        mark: the start of its keyed hash, to tell credentials apart.
        created_at: when it was stored.
    """

    id: int
    mark: str
    created_at: dt.datetime


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


class ModelView(msgspec.Struct, frozen=True):
    """A model as people see it.

    Attributes:
        channels: names of the enabled channels that serve it.
        prices: in nano-USD per million units.
        price_source: ``configuration``, ``free`` or a list's name.
    """

    name: str
    lane: str
    owned_by: str
    free: bool
    prices: Prices
    price_source: str
    channels: tuple[str, ...]


class Applied(msgspec.Struct, frozen=True):
    """What an application of a configuration changed, or would change."""

    dry_run: bool
    changes: tuple[Change, ...]


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
    """

    name: str
    ok: bool
    message: str


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
