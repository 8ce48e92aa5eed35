"""What the admin API and its clients say to each other of accounts, users and keys; the rest is in `policy.admin_api`.

In requests money is USD, as in a configuration; in answers nano-USD. Of a change, what is left out stays as it is.
"""

import datetime as dt
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from trunkline.bus.snapshots import Strategy
from trunkline.policy.access import Role, Standing
from trunkline.policy.configuration import DEFAULT_GROUP, NO_ALERTS_ENTRY, NO_BUDGETS_ENTRY, AlertsEntry, BudgetsEntry
from trunkline.policy.meters import NO_BUDGETS, NO_LIMITS, Budgets, Limits
from trunkline.policy.periods import UTC

OVERLAP_S_DEFAULT: Final = 3600
"""How long a replaced secret stays valid unless told otherwise: time to bring the new one to where it is used."""

OVERLAP_S_MAX: Final = 90 * 86_400
"""A quarter. Longer is not a rotation but a second key."""


class HolderKind(StrEnum):
    """Who may have limits; the first three may have budgets, too."""

    ACCOUNT = "account"
    USER = "user"
    KEY = "key"
    TIER = "tier"
    GROUP = "group"


BUDGET_HOLDERS: Final = (HolderKind.ACCOUNT, HolderKind.USER, HolderKind.KEY)


def holder_path(kind: HolderKind, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the segments of a holder's path; of users and keys the account's name comes first in ``names``."""
    match kind:
        case HolderKind.ACCOUNT:
            return ("accounts", *names)
        case HolderKind.USER | HolderKind.KEY:
            return ("accounts", names[0], f"{kind}s", *names[1:])
        case HolderKind.TIER | HolderKind.GROUP:
            return (f"{kind}s", *names)


class NewAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An account to be made; fields as in `policy.configuration.AccountEntry`."""

    name: str
    tier: str | None = None
    time_zone: str = UTC
    groups: tuple[str, ...] = (DEFAULT_GROUP,)
    credit: Decimal = Decimal(0)
    limits: Limits = NO_LIMITS
    budgets: BudgetsEntry = NO_BUDGETS_ENTRY
    trial: bool = False
    alerts: AlertsEntry = NO_ALERTS_ENTRY


class AccountChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to be another of an account, beside its limits and budgets.

    Attributes:
        tier: see there; for operators.
        time_zone: see there.
        groups: that its own people may give to keys; for operators.
    """

    tier: str | UnsetType | None = UNSET
    time_zone: str | UnsetType = UNSET
    groups: tuple[str, ...] | UnsetType = UNSET


class AccountView(msgspec.Struct, frozen=True):
    """An account as people see it.

    Attributes:
        groups: that its own people may give to keys.
        users: how many.
        keys: how many.
        spent_nano: what it was charged in this calendar month, in UTC.
    """

    id: int
    name: str
    tier: str | None
    time_zone: str
    balance_nano: int
    limits: Limits
    budgets: Budgets
    users: int
    keys: int
    created_at: dt.datetime
    groups: tuple[str, ...] = (DEFAULT_GROUP,)
    spent_nano: int = 0


class PlaceView(msgspec.Struct, frozen=True):
    """What an account is to all of its users; nothing of its money.

    Attributes:
        name, tier, time_zone: of the account.
        limits: its own.
        tier_limits: those that its tier adds.
        groups: that its keys may be in, by name.
    """

    name: str
    tier: str | None
    time_zone: str
    limits: Limits
    tier_limits: Limits
    groups: tuple[str, ...]


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


class NewUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A user to be made."""

    name: str
    limits: Limits = NO_LIMITS
    budgets: BudgetsEntry = NO_BUDGETS_ENTRY


class UserChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to be another of a user, beside limits and budgets."""

    name: str


class UserView(msgspec.Struct, frozen=True):
    """A user as people see it.

    Attributes:
        keys: how many.
        role: what its login may do in the account.
        login: name of who signs in as it; None for nobody.
    """

    id: int
    account: str
    name: str
    limits: Limits
    budgets: Budgets
    keys: int
    created_at: dt.datetime
    role: Role = Role.MEMBER
    login: str | None = None


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A key to be made; the console draws its secret. Fields as in `policy.configuration.KeyEntry`."""

    name: str
    groups: tuple[str, ...] = (DEFAULT_GROUP,)
    models: tuple[str, ...] = ("*",)
    expires: dt.datetime | None = None
    allow_ips: tuple[str, ...] = ()
    user: str | None = None
    endpoints: tuple[str, ...] = ()
    limits: Limits = NO_LIMITS
    budgets: BudgetsEntry = NO_BUDGETS_ENTRY
    strategy: Strategy | None = None


class KeyChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to be another of a key, beside its limits, budgets and secret."""

    name: str | UnsetType = UNSET
    groups: tuple[str, ...] | UnsetType = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    expires: dt.datetime | UnsetType | None = UNSET
    allow_ips: tuple[str, ...] | UnsetType = UNSET
    user: str | UnsetType | None = UNSET
    endpoints: tuple[str, ...] | UnsetType = UNSET
    strategy: Strategy | UnsetType | None = UNSET


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new secret for a key.

    Attributes:
        overlap_s: how long the present one stays valid beside it, in seconds; 0 ends it now.
    """

    overlap_s: int = OVERLAP_S_DEFAULT


class KeyState(StrEnum):
    """Whether a key is accepted."""

    VALID = "valid"
    BLOCKED = "blocked"
    EXPIRED = "expired"


class EndingSecret(msgspec.Struct, frozen=True):
    """A secret that a rotation has replaced and that is valid still: its first characters, and its end."""

    prefix: str
    expires_at: dt.datetime


class KeyView(msgspec.Struct, frozen=True):
    """A key as people see it.

    Attributes:
        prefix: the first characters of its secret.
        ending: further secrets that are valid still.
        playground: whether the console made it, for its user's playground.
        blocked_by: who has set the block: a role in the account, or operator; nobody below lifts it.
    """

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
    user: str | None = None
    endpoints: tuple[str, ...] = ()
    limits: Limits = NO_LIMITS
    budgets: Budgets = NO_BUDGETS
    ending: tuple[EndingSecret, ...] = ()
    strategy: Strategy | None = None
    playground: bool = False
    blocked_by: Standing | None = None


class CreatedKey(msgspec.Struct, frozen=True):
    """A key with its new secret, which is shown this once."""

    secret: str
    key: KeyView
