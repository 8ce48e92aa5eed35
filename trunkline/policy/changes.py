"""What applying a configuration changes: wanted rows, compared with those that are there. Pure.

The console calls `wanted_entities` and `compare` inside the transaction that then makes the changes; a dry run shows
the same list and makes none.
"""

import datetime as dt
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from trunkline.bus.snapshots import CredentialLimits, CredentialOrder, HeaderRules, ModelRouting, Probe
from trunkline.policy import configuration_values as values
from trunkline.policy.change_text import shown
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
from trunkline.policy.discounts import DiscountStep
from trunkline.policy.entities import (
    FREE_OF_CHARGE,
    FROM_CONFIGURATION,
    FROM_OPERATOR,
    KINDS,
    Account,
    Channel,
    Cost,
    Credential,
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
        *(
            Group(entry.name, values.multiplier_ppm(entry.multiplier), entry.limits, entry.strategy)
            for entry in configuration.groups
        ),
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
    limits = Limits(**{field: getattr(entry, field) for field in Limits.__struct_fields__})
    return Tier(entry.name, limits, entry.priority)


def _account(entry: AccountEntry) -> Account:
    return Account(
        name=entry.name,
        tier=entry.tier,
        time_zone=entry.time_zone,
        groups=entry.groups,
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
        strategy=entry.strategy,
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
    routing = values.model_routing(entry)
    return Model(entry.name, entry.lane, entry.owned_by, entry.free, prices, source, overrides, routing)


def _discounts(entries: Iterable[DiscountEntry]) -> DiscountSchedules:
    steps = (
        DiscountStep(values.nano_amount(entry.monthly), values.discount_ppm(entry.percent), entry.tier)
        for entry in entries
    )
    return DiscountSchedules(tuple(sorted(steps, key=lambda step: (step.tier or "", step.monthly_nano))))


def _channel(entry: ChannelEntry, current: Entity | None, pepper: bytes) -> Channel:
    there = current if isinstance(current, Channel) else None
    credentials: tuple[Credential, ...] = () if there is None else there.credentials
    if entry.credentials is not None:
        credentials = in_order(
            Credential(fingerprint(one.secret, pepper), one.weight, values.credential_limits(one))
            for one in entry.credential_entries()
        )
    enabled, drained = (True, False) if there is None else (there.enabled, there.drained)
    return Channel(
        name=entry.name,
        dialect=entry.dialect,
        base_url=values.normal_base_url(entry.base_url),
        models=entry.models,
        groups=entry.groups,
        priority=entry.priority,
        weight=entry.weight,
        enabled=enabled if entry.enabled is None else entry.enabled,
        timeouts=entry.timeouts,
        params=values.parameter_rules(entry.params),
        stream_usage=entry.stream_usage,
        options=entry.options,
        credentials=credentials,
        drained=drained if entry.drained is None else entry.drained,
        credential_order=entry.credential_order,
        limits=entry.limits,
        overrides=values.channel_overrides(entry.overrides, entry.timeouts),
        headers=entry.headers,
        status_map=entry.status_map,
        probe=entry.probe,
    )


def in_order(credentials: Iterable[Credential]) -> tuple[Credential, ...]:
    """Return a channel's credentials in the order in which two sets of them are compared."""
    return tuple(sorted(credentials, key=lambda credential: credential.fingerprint))


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

_UNREMARKED: Mapping[type[Entity], Mapping[str, object]] = {
    Tier: {"priority": 0},
    Channel: {
        "drained": False,
        "credential_order": CredentialOrder.TURNS,
        "limits": CredentialLimits(),
        "overrides": (),
        "headers": HeaderRules(),
        "status_map": {},
        "probe": Probe(),
    },
    Model: {"overrides": {}, "routing": ModelRouting()},
}
"""Values that are not shown of a new entity: it says nothing of these fields."""

_SHOWN_AS = {
    "hash": "secret",
    "price_source": "prices from",
    "amount_nano": "amount",
}


def _differences(before: Entity | None, after: Entity) -> tuple[FieldChange, ...]:
    nothing = _UNREMARKED.get(type(after), {}) if before is None else {}
    found = []
    for field in after.__struct_fields__:
        # A prefix goes with its hash, and former secrets are what they are.
        if field in {"prefix", "replaced"} or field in _NAMES:
            continue
        was = nothing.get(field) if before is None else getattr(before, field)
        if was != getattr(after, field):
            found.append(FieldChange(_SHOWN_AS.get(field, field), shown(field, before), shown(field, after)))
    return tuple(found)
