"""What applying a configuration changes: wanted rows, compared with those that are there. Pure.

The console calls `wanted_entities` and `compare` inside the transaction that then makes the changes; a dry run shows
the same list and makes none.
"""

import datetime as dt
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import msgspec

from trunkline.core.money import usd_text
from trunkline.policy import configuration_values as values
from trunkline.policy.alerts import alerts_text
from trunkline.policy.configuration import (
    AccountEntry,
    ChannelEntry,
    Configuration,
    DiscountEntry,
    KeyEntry,
    ModelEntry,
    TierEntry,
    TrialEntry,
)
from trunkline.policy.configuration_file import model_servings
from trunkline.policy.discounts import DiscountStep, percent_text
from trunkline.policy.entities import (
    FREE_OF_CHARGE,
    FROM_CONFIGURATION,
    FROM_OPERATOR,
    KINDS,
    Account,
    Channel,
    Cost,
    DiscountSchedules,
    Entity,
    FreeTrial,
    Group,
    Key,
    Model,
    Prices,
    SiteAlerts,
    Tier,
    User,
    entity_name,
)
from trunkline.policy.keys import PREFIX, key_hash
from trunkline.policy.list_prices import SOURCE, list_prices
from trunkline.policy.meters import Limits
from trunkline.policy.terms_text import budgets_text, limits_text

PREFIX_CHARS = len(PREFIX) + 4
"""What is shown of a secret: enough to tell one's keys apart, and 28 random characters stay unknown."""

EntityID = tuple[str, str]
"""Kind and `entity_name`."""


class FieldChange(msgspec.Struct, frozen=True):
    """One field before and after, as text for people; no secret."""

    field: str
    before: str
    after: str


class Change(msgspec.Struct, frozen=True):
    """One line of a diff.

    Attributes:
        action: what happens; ``grant`` adds credit to an account.
        kind: ``channel``, ``account``, …
        name: of the entity.
        fields: what differs; those of a new one that differ from nothing.
    """

    action: Literal["create", "update", "delete", "grant"]
    kind: str
    name: str
    fields: tuple[FieldChange, ...] = ()


def fingerprint(secret: str, pepper: bytes) -> str:
    """Return what tells an upstream secret from others without storing it."""
    return hmac.digest(pepper, b"credential:" + secret.encode(), hashlib.sha256).hex()


def entity_id(entity: Entity) -> EntityID:
    """Return what names an entity among all."""
    return KINDS[type(entity)], entity_name(entity)


def wanted_entities(
    configuration: Configuration,
    current: Mapping[EntityID, Entity],
    *,
    known_models: frozenset[str],
    pepper: bytes,
    now_ms: int,
) -> list[Entity]:
    """Return the rows that a configuration asks for, in an order in which they can be written.

    Args:
        configuration: read and checked.
        current: the rows of the same names that are there.
        known_models: the models that are there; others that a channel names are made, with their list price.
        pepper: of the keyed hashes.
        now_ms: Unix time in milliseconds, for list prices.
    """
    entries = {entry.name: entry for entry in configuration.models}
    for channel in configuration.channels:
        for model in channel.models:
            if model not in known_models:
                entries.setdefault(model, ModelEntry(name=model))
    return [
        *(Group(entry.name, values.multiplier_ppm(entry.multiplier), entry.limits) for entry in configuration.groups),
        *(_tier(entry) for entry in configuration.tiers),
        *(_account(entry) for entry in configuration.accounts),
        *(
            User(account.name, entry.name, entry.limits, values.nano_budgets(entry.budgets))
            for account in configuration.accounts
            for entry in account.users
        ),
        *(
            key_entity(account.name, entry, current.get(("key", f"{account.name}/{entry.name}")), pepper)
            for account in configuration.accounts
            for entry in account.keys
        ),
        *(
            _model(entry, current.get(("model", entry.name)), configuration.channels, now_ms)
            for entry in entries.values()
        ),
        *(_channel(entry, current.get(("channel", entry.name)), pepper) for entry in configuration.channels),
        *(
            Cost(channel.name, model, values.nano_prices(price))
            for channel in configuration.channels
            for model, price in channel.costs.items()
        ),
        *([] if configuration.discounts is None else [_discounts(configuration.discounts)]),
        *([] if configuration.trial is None else [_trial(configuration.trial)]),
        *([] if configuration.alerts is None else [SiteAlerts(values.site_alert_terms(configuration.alerts))]),
    ]


def _tier(entry: TierEntry) -> Tier:
    return Tier(entry.name, Limits(**{field: getattr(entry, field) for field in Limits.__struct_fields__}))


def _account(entry: AccountEntry) -> Account:
    return Account(
        name=entry.name,
        tier=entry.tier,
        time_zone=entry.time_zone,
        limits=entry.limits,
        budgets=values.nano_budgets(entry.budgets),
        alerts=values.alert_terms(entry.alerts),
    )


def _trial(entry: TrialEntry) -> FreeTrial:
    return FreeTrial(values.nano_amount(entry.amount), entry.days)


def key_entity(account: str, entry: KeyEntry, current: Entity | None, pepper: bytes) -> Key:
    """Return the row that a key's entry asks for.

    Args:
        account: whose.
        entry: checked, its secret resolved.
        current: the key that is there: a secret that it had before is not brought back.
        pepper: of the keyed hashes.
    """
    hash_, prefix = key_hash(entry.secret, pepper), entry.secret[:PREFIX_CHARS]
    there = current if isinstance(current, Key) else None
    if there is not None and hash_ in there.replaced:
        hash_, prefix = there.hash, there.prefix
    return Key(
        account=account,
        name=entry.name,
        hash=hash_,
        prefix=prefix,
        groups=entry.groups,
        models=entry.models,
        expires_ms=moment_ms(entry.expires),
        allow_ips=tuple(values.normal_network(network) for network in entry.allow_ips),
        user=entry.user,
        endpoints=entry.endpoints,
        limits=entry.limits,
        budgets=values.nano_budgets(entry.budgets),
        replaced=() if there is None else there.replaced,
    )


def moment_ms(moment: dt.datetime | None) -> int | None:
    """Return a moment as Unix time in milliseconds; one without a zone is in UTC."""
    if moment is None:
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
    return round(aware.timestamp() * 1000)


def _model(entry: ModelEntry, current: Entity | None, channels: Iterable[ChannelEntry], now_ms: int) -> Model:
    overrides: Prices = {}
    if entry.free:
        prices, source = values.FREE, FREE_OF_CHARGE
    elif entry.price is not None:
        prices, source = values.nano_prices(entry.price), FROM_CONFIGURATION
    elif isinstance(current, Model) and current.price_source == FROM_OPERATOR and not entry.override:
        prices, source = current.prices, FROM_OPERATOR
    else:
        # The check of the configuration has found that there is a list price.
        listed = list_prices(entry.name, model_servings(entry.name, channels), now_ms) or {}
        overrides = values.nano_prices(entry.override)
        prices, source = {**listed, **overrides}, SOURCE
    return Model(entry.name, entry.lane, entry.owned_by, entry.free, prices, source, overrides)


def _discounts(entries: Iterable[DiscountEntry]) -> DiscountSchedules:
    steps = (
        DiscountStep(values.nano_amount(entry.monthly), values.discount_ppm(entry.percent), entry.tier)
        for entry in entries
    )
    return DiscountSchedules(tuple(sorted(steps, key=lambda step: (step.tier or "", step.monthly_nano))))


def _channel(entry: ChannelEntry, current: Entity | None, pepper: bytes) -> Channel:
    there = current if isinstance(current, Channel) else None
    fingerprints, enabled = ((), True) if there is None else (there.fingerprints, there.enabled)
    if entry.credentials is not None:
        fingerprints = tuple(sorted(fingerprint(secret, pepper) for secret in entry.credentials))
    if entry.enabled is not None:
        enabled = entry.enabled
    return Channel(
        name=entry.name,
        dialect=entry.dialect,
        base_url=values.normal_base_url(entry.base_url),
        models=entry.models,
        groups=entry.groups,
        priority=entry.priority,
        weight=entry.weight,
        enabled=enabled,
        timeouts=entry.timeouts,
        params=values.parameter_rules(entry.params),
        stream_usage=entry.stream_usage,
        options=entry.options,
        fingerprints=fingerprints,
    )


def compare(wanted: Iterable[Entity], current: Mapping[EntityID, Entity]) -> list[tuple[Change, Entity]]:
    """Return the changes that make ``current`` hold what is wanted, in the order of ``wanted``."""
    changes: list[tuple[Change, Entity]] = []
    for entity in wanted:
        kind, name = entity_id(entity)
        there = current.get((kind, name))
        fields = _differences(there, entity)
        if there is None:
            changes.append((Change("create", kind, name, fields), entity))
        elif fields:
            changes.append((Change("update", kind, name, fields), entity))
    return changes


_NAMES = frozenset({"name", "account", "channel", "model"})
_SHOWN_AS = {
    "hash": "secret",
    "fingerprints": "credentials",
    "price_source": "prices from",
    "amount_nano": "amount",
}


def _differences(before: Entity | None, after: Entity) -> tuple[FieldChange, ...]:
    found = []
    for field in after.__struct_fields__:
        # A prefix goes with its hash, and former secrets are what they are.
        if field in {"prefix", "replaced"} or field in _NAMES:
            continue
        was = None if before is None else getattr(before, field)
        becomes = getattr(after, field)
        if was != becomes and not (field == "overrides" and before is None and not becomes):
            shown = _shown(field, before), _shown(field, after)
            found.append(FieldChange(_SHOWN_AS.get(field, field), *shown))
    return tuple(found)


def _shown(field: str, entity: Entity | None) -> str:
    value = None if entity is None else getattr(entity, field)
    if value is None:
        return "none"
    if (text := _TEXTS.get(field)) is not None:
        return text(value)
    match field:
        case "hash":
            return f"{entity.prefix}…" if isinstance(entity, Key) else ""
        case "fingerprints":
            # The start of a keyed hash tells two sets apart and says nothing of the secrets.
            return f"{len(value)} ({', '.join(mark[:6] for mark in value)})" if value else "0"
        case "steps":
            return ", ".join(map(_step_text, value)) or "none"
        case "expires_ms":
            return dt.datetime.fromtimestamp(value / 1000, dt.UTC).isoformat()
        case _:
            return msgspec.json.encode(value).decode()


def _step_text(step: DiscountStep) -> str:
    tier = "" if step.tier is None else f" for tier {step.tier}"
    return f"{percent_text(step.discount_ppm)} from {usd_text(step.monthly_nano)} USD{tier}"


def prices_text(prices: Prices) -> str:
    """Return prices as people write them: USD per million units."""
    return ", ".join(f"{kind} {usd_text(nano)}" for kind, nano in prices.items()) or "none"


_TEXTS: Mapping[str, Callable[[Any], str]] = {
    "price_source": lambda source: source or "none",
    "prices": prices_text,
    "overrides": prices_text,
    "limits": limits_text,
    "budgets": budgets_text,
    "alerts": alerts_text,
    "amount_nano": lambda nano: f"{usd_text(nano)} USD",
}
"""How values of these fields are shown."""
