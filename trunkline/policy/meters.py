"""Which meters an account's terms amount to. Pure; metering asks it when terms change and when a draw names new keys.

Limits hang on the account, its tier, its users, its keys, the groups that a key may use, and families of models
within any of these. Each becomes a meter of its own; a job is counted by every meter that matches it, so the
tightest one decides.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from trunkline.bus.allowance import WALLET, Meter, MeterKind, Period
from trunkline.policy.patterns import matches_any

LIMIT_KINDS: Final[Mapping[str, tuple[MeterKind, Period]]] = {
    "rpm": (MeterKind.REQUESTS, Period.MINUTE),
    "rpd": (MeterKind.REQUESTS, Period.DAY),
    "tpm": (MeterKind.TOKENS, Period.MINUTE),
    "tpd": (MeterKind.TOKENS, Period.DAY),
    "images_per_minute": (MeterKind.IMAGES, Period.MINUTE),
    "concurrency": (MeterKind.CONCURRENCY, Period.NONE),
}
"""Names of limits and what they bound."""

FAMILIES_MAX = 64
"""Families of models in one set of limits, and budgets of models in one set of budgets: each is a meter that every
job of the account is compared with once per model."""


class FamilyLimits(msgspec.Struct, frozen=True, omit_defaults=True):
    """Limits of all models together whose names match; None is no limit.

    Attributes:
        models: patterns; ``*`` matches any run of characters.
        rpm, rpd, tpm, tpd, images_per_minute: requests, tokens and images per minute or day.
        concurrency: jobs at a time.
    """

    models: tuple[str, ...]
    rpm: int | None = None
    rpd: int | None = None
    tpm: int | None = None
    tpd: int | None = None
    images_per_minute: int | None = None
    concurrency: int | None = None


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """A set of limits; None is no limit. Fields as in `FamilyLimits`.

    Attributes:
        families: further ones for families of models.
    """

    rpm: int | None = None
    rpd: int | None = None
    tpm: int | None = None
    tpd: int | None = None
    images_per_minute: int | None = None
    concurrency: int | None = None
    families: tuple[FamilyLimits, ...] = ()


class ModelBudget(msgspec.Struct, frozen=True, omit_defaults=True):
    """A budget for all models together whose names match, in nano-USD; None is no budget."""

    models: tuple[str, ...]
    daily_nano: int | None = None
    monthly_nano: int | None = None


class Budgets(msgspec.Struct, frozen=True, omit_defaults=True):
    """What may be spent in a calendar day and month of the account's time zone, in nano-USD; None is no budget.

    Attributes:
        daily_nano, monthly_nano: for all models.
        models: further ones for families of models.
        cheaper: what a model is replaced with while a budget that counts it is used up, by public names; a model
            that is not there is refused.
    """

    daily_nano: int | None = None
    monthly_nano: int | None = None
    models: tuple[ModelBudget, ...] = ()
    cheaper: dict[str, str] = {}


NO_LIMITS: Final = Limits()
NO_BUDGETS: Final = Budgets()


class HolderTerms(msgspec.Struct, frozen=True, omit_defaults=True):
    """Limits and budgets of a key or a user.

    Attributes:
        limits, budgets: see there.
        user: of a key: whose it is, 0 for nobody's.
    """

    limits: Limits = NO_LIMITS
    budgets: Budgets = NO_BUDGETS
    user: int = 0


class AccountTerms(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that bounds an account, beside its balance.

    Attributes:
        account: its id.
        time_zone: IANA name; whose calendar days and months count.
        tier: limits of its tier.
        limits, budgets: its own.
        keys, users: theirs, by id; of keys only those asked for.
        groups: limits of groups, by name: they hold for the account's jobs through that group.
    """

    account: int
    time_zone: str = "UTC"
    tier: Limits = NO_LIMITS
    limits: Limits = NO_LIMITS
    budgets: Budgets = NO_BUDGETS
    keys: dict[int, HolderTerms] = {}
    users: dict[int, HolderTerms] = {}
    groups: dict[str, Limits] = {}


def has_budgets(terms: AccountTerms) -> bool:
    """Return whether any budget bounds the account, its users or the keys in its terms."""
    holders = (*terms.keys.values(), *terms.users.values())
    return terms.budgets != NO_BUDGETS or any(holder.budgets != NO_BUDGETS for holder in holders)


def counts(meter: Meter, *, key: int, user: int, model: str, group: str) -> bool:
    """Return whether a meter counts a job.

    Args:
        meter: see there.
        key: whose job it is.
        user: whose key that is, 0 for nobody's.
        model: public model name.
        group: the first of those through which the key reaches the model.
    """
    return (
        (not meter.key or meter.key == key)
        and (not meter.user or meter.user == user)
        and (not meter.group or meter.group == group)
        and (not meter.models or matches_any(meter.models, model))
    )


class _Scope(msgspec.Struct, frozen=True):
    prefix: str
    key: int = 0
    user: int = 0
    group: str = ""

    def meter(self, name: str, kind: MeterKind, period: Period, bound: int) -> Meter:
        return Meter(f"{self.prefix}:{name}", kind, period, bound, key=self.key, user=self.user, group=self.group)


def meters_of(terms: AccountTerms) -> tuple[Meter, ...]:
    """Return every meter that some job of the account may meet, the wallet first."""
    found = [Meter(WALLET, MeterKind.MONEY, Period.NONE, 0)]
    found += _limits(terms.tier, _Scope("tier"))
    found += _limits(terms.limits, _Scope("account"))
    found += _budgets(terms.budgets, _Scope("account"))
    users: set[int] = set()
    for key, holder in terms.keys.items():
        scope = _Scope(f"key:{key}", key=key)
        found += _limits(holder.limits, scope)
        found += _budgets(holder.budgets, scope)
        users.add(holder.user)
    for user, holder in terms.users.items():
        if user in users:
            scope = _Scope(f"user:{user}", user=user)
            found += _limits(holder.limits, scope)
            found += _budgets(holder.budgets, scope)
    for group, limits in terms.groups.items():
        found += _limits(limits, _Scope(f"group:{group}", group=group))
    return tuple(found)


def budget_meters(budgets: Budgets, *, key: int = 0, user: int = 0) -> tuple[Meter, ...]:
    """Return the meters of one holder's budgets: of a key, of a user, or with neither of the account itself."""
    prefix = f"key:{key}" if key else f"user:{user}" if user else "account"
    return tuple(_budgets(budgets, _Scope(prefix, key=key, user=user)))


def _limits(limits: Limits, scope: _Scope) -> Iterator[Meter]:
    if limits == NO_LIMITS:
        return
    for name, (kind, period) in LIMIT_KINDS.items():
        bound = getattr(limits, name)
        if bound is not None:
            yield scope.meter(name, kind, period, bound)
        for family in limits.families:
            bound = getattr(family, name)
            if bound is not None:
                # The patterns are part of the id: a family that is moved or changed is another meter.
                yield msgspec.structs.replace(
                    scope.meter(f"{name}:{','.join(family.models)}", kind, period, bound), models=family.models
                )


def _budgets(budgets: Budgets, scope: _Scope) -> Iterator[Meter]:
    if budgets == NO_BUDGETS:
        return
    everything = ModelBudget((), budgets.daily_nano, budgets.monthly_nano)
    for entry in (everything, *budgets.models):
        suffix = f":{','.join(entry.models)}" if entry.models else ""
        for name, period, bound in (
            ("daily", Period.DAY, entry.daily_nano),
            ("monthly", Period.MONTH, entry.monthly_nano),
        ):
            if bound is not None:
                yield msgspec.structs.replace(
                    scope.meter(f"{name}{suffix}", MeterKind.MONEY, period, bound),
                    models=entry.models,
                    cheaper=budgets.cheaper,
                )
