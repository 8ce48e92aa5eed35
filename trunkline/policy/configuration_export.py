"""What there is, as a configuration file that makes it again: applied where it comes from, it changes nothing. Pure.

Secrets cannot be written, since nobody has them: channels are without credentials, which are left as they are then,
and accounts without keys. Nor are prices that an operator has set: applying leaves them, too.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum
from typing import Any, Final

import msgspec

from trunkline.bus.snapshots import ChannelOverride, ParameterRules
from trunkline.core.money import PARTS_PER_MILLION, usd_text
from trunkline.policy.alerts import NO_ALERTS, AlertTerms
from trunkline.policy.configuration import (
    AccountEntry,
    AlertsEntry,
    BudgetsEntry,
    ChannelEntry,
    Configuration,
    DiscountEntry,
    GroupEntry,
    ModelBudgetEntry,
    ModelEntry,
    OverrideEntry,
    ParamsEntry,
    PriceEntry,
    SiteAlertsEntry,
    TierEntry,
    TimeoutsEntry,
    TrialEntry,
    UserEntry,
)
from trunkline.policy.discounts import DiscountStep
from trunkline.policy.entities import (
    FREE_OF_CHARGE,
    FROM_CONFIGURATION,
    Account,
    Channel,
    Cost,
    FreeTrial,
    Group,
    Model,
    Prices,
    Tier,
    User,
)
from trunkline.policy.meters import Budgets, Limits

NO_TRIAL: Final = FreeTrial()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Present:
    """What there is; see `policy.entities`.

    Attributes:
        groups, tiers, models, channels, costs: all of them.
        accounts, users: all of them, or none.
        discounts, trial, alerts: of the site.
    """

    groups: Iterable[Group]
    tiers: Iterable[Tier]
    models: Iterable[Model]
    channels: Iterable[Channel]
    costs: Iterable[Cost]
    accounts: Iterable[Account] = ()
    users: Iterable[User] = ()
    discounts: tuple[DiscountStep, ...] = ()
    trial: FreeTrial = NO_TRIAL
    alerts: AlertTerms = NO_ALERTS


def exported(present: Present) -> dict[str, Any]:
    """Return a configuration as plain data, in the order in which people read it."""
    costs: dict[str, dict[str, PriceEntry]] = defaultdict(dict)
    for cost in present.costs:
        costs[cost.channel][cost.model] = _price(cost.prices)
    users: dict[str, list[UserEntry]] = defaultdict(list)
    for user in present.users:
        users[user.account].append(UserEntry(name=user.name, limits=user.limits, budgets=_budgets(user.budgets)))
    configuration = Configuration(
        groups=tuple(_group(group) for group in present.groups),
        tiers=tuple(_tier(tier) for tier in present.tiers),
        # One without a price in force has a version that is still to come, which no file can say.
        models=tuple(_model(model) for model in present.models if model.price_source),
        channels=tuple(_channel(channel, costs.get(channel.name, {})) for channel in present.channels),
        accounts=tuple(_account(account, tuple(users[account.name])) for account in present.accounts),
        discounts=tuple(_discount(step) for step in present.discounts) or None,
        trial=TrialEntry(amount=_usd(present.trial.amount_nano), days=present.trial.days)
        if present.trial.amount_nano
        else None,
        alerts=SiteAlertsEntry(webhook=present.alerts.webhook, email=present.alerts.email)
        if present.alerts != NO_ALERTS
        else None,
    )
    plain: dict[str, Any] = _plain(configuration)
    return plain


def _plain(value: object) -> Any:
    """Return a value as plain data: of structs what is not as it would be anyway, and decimals as numbers."""
    match value:
        case msgspec.Struct():
            fields = ((field, getattr(value, field.name)) for field in msgspec.structs.fields(value))
            return {field.name: _plain(item) for field, item in fields if item != _default(field)}
        case Enum():
            return value.value
        case Decimal():
            return _number(value)
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value


def _default(field: msgspec.structs.FieldInfo) -> object:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _number(value: Decimal) -> int | float | str:
    """Return the number that is written as the decimal is; its text where there is none."""
    whole = value.to_integral_value()
    if value == whole:
        return int(whole)
    return float(value) if Decimal(repr(float(value))) == value else str(value)


def _usd(nano: int) -> Decimal:
    return Decimal(usd_text(nano))


def _some_usd(nano: int | None) -> Decimal | None:
    return None if nano is None else _usd(nano)


def _price(prices: Prices) -> PriceEntry:
    return {kind: _usd(nano) for kind, nano in prices.items()}


def _group(group: Group) -> GroupEntry:
    multiplier = Decimal(group.multiplier_ppm) / PARTS_PER_MILLION
    return GroupEntry(name=group.name, multiplier=multiplier, limits=group.limits, strategy=group.strategy)


def _tier(tier: Tier) -> TierEntry:
    limits = {name: getattr(tier.limits, name) for name in Limits.__struct_fields__}
    return TierEntry(name=tier.name, priority=tier.priority, **limits)


def _model(model: Model) -> ModelEntry:
    routing = {name: getattr(model.routing, name) for name in model.routing.__struct_fields__}
    return ModelEntry(
        name=model.name,
        lane=model.lane,
        owned_by=model.owned_by,
        price=_price(model.prices) if model.price_source == FROM_CONFIGURATION else None,
        override=_price(model.overrides),
        free=model.price_source == FREE_OF_CHARGE,
        **routing,
    )


def _channel(channel: Channel, costs: dict[str, PriceEntry]) -> ChannelEntry:
    return ChannelEntry(
        name=channel.name,
        dialect=channel.dialect,
        base_url=channel.base_url,
        models=channel.models,
        groups=channel.groups,
        priority=channel.priority,
        weight=channel.weight,
        # Left out is as it is, and of a new one what most are.
        enabled=None if channel.enabled else False,
        timeouts=channel.timeouts,
        params=_params(channel.params),
        stream_usage=channel.stream_usage,
        options=channel.options,
        costs=costs,
        drained=channel.drained or None,
        credential_order=channel.credential_order,
        limits=channel.limits,
        overrides=tuple(_override(override) for override in channel.overrides),
        headers=channel.headers,
        status_map=channel.status_map,
        probe=channel.probe,
    )


def _override(override: ChannelOverride) -> OverrideEntry:
    timeouts = None
    if override.timeouts is not None:
        timeouts = TimeoutsEntry(**msgspec.structs.asdict(override.timeouts))
    return OverrideEntry(models=override.models, timeouts=timeouts, params=_params(override.params))


def _params(rules: ParameterRules) -> ParamsEntry:
    return ParamsEntry(
        drop=rules.drop,
        set={name: msgspec.json.decode(value) for name, value in rules.set.items()},
        default={name: msgspec.json.decode(value) for name, value in rules.default.items()},
        clamp=rules.clamp,
        rename=rules.rename,
    )


def _account(account: Account, users: tuple[UserEntry, ...]) -> AccountEntry:
    alerts = account.alerts
    return AccountEntry(
        name=account.name,
        tier=account.tier,
        time_zone=account.time_zone,
        groups=account.groups,
        limits=account.limits,
        budgets=_budgets(account.budgets),
        alerts=AlertsEntry(
            budget_percent=alerts.budget_percent,
            balance_below=_some_usd(alerts.balance_below_nano),
            webhook=alerts.webhook,
            email=alerts.email,
        ),
        users=users,
    )


def _budgets(budgets: Budgets) -> BudgetsEntry:
    return BudgetsEntry(
        daily=_some_usd(budgets.daily_nano),
        monthly=_some_usd(budgets.monthly_nano),
        models=tuple(
            ModelBudgetEntry(models=one.models, daily=_some_usd(one.daily_nano), monthly=_some_usd(one.monthly_nano))
            for one in budgets.models
        ),
        cheaper=budgets.cheaper,
    )


def _discount(step: DiscountStep) -> DiscountEntry:
    percent = Decimal(step.discount_ppm) * 100 / PARTS_PER_MILLION
    return DiscountEntry(monthly=_usd(step.monthly_nano), percent=percent, tier=step.tier)
