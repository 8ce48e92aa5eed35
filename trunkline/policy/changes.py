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

from trunkline.core.money import usd_text
from trunkline.policy import configuration_values as values
from trunkline.policy.configuration import AccountEntry, ChannelEntry, Configuration, KeyEntry, ModelEntry
from trunkline.policy.configuration_file import model_servings
from trunkline.policy.entities import (
    KINDS,
    Account,
    Channel,
    Cost,
    Entity,
    Group,
    Key,
    Model,
    Prices,
    Tier,
    entity_name,
)
from trunkline.policy.keys import PREFIX, key_hash
from trunkline.policy.list_prices import SOURCE, list_prices

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
        *(Group(entry.name, values.multiplier_ppm(entry.multiplier)) for entry in configuration.groups),
        *(Tier(*msgspec.structs.astuple(entry)) for entry in configuration.tiers),
        *(_account(entry) for entry in configuration.accounts),
        *(_key(account.name, key, pepper) for account in configuration.accounts for key in account.keys),
        *(_model(entry, configuration.channels, now_ms) for entry in entries.values()),
        *(_channel(entry, current.get(("channel", entry.name)), pepper) for entry in configuration.channels),
        *(
            Cost(channel.name, model, values.nano_prices(price))
            for channel in configuration.channels
            for model, price in channel.costs.items()
        ),
    ]


def _account(entry: AccountEntry) -> Account:
    daily, monthly = entry.budgets.daily, entry.budgets.monthly
    return Account(
        entry.name,
        entry.tier,
        None if daily is None else values.nano_amount(daily),
        None if monthly is None else values.nano_amount(monthly),
    )


def _key(account: str, entry: KeyEntry, pepper: bytes) -> Key:
    return Key(
        account=account,
        name=entry.name,
        hash=key_hash(entry.secret, pepper),
        prefix=entry.secret[:PREFIX_CHARS],
        groups=entry.groups,
        models=entry.models,
        expires_ms=moment_ms(entry.expires),
        allow_ips=tuple(values.normal_network(network) for network in entry.allow_ips),
    )


def moment_ms(moment: dt.datetime | None) -> int | None:
    """Return a moment as Unix time in milliseconds; one without a zone is in UTC."""
    if moment is None:
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
    return round(aware.timestamp() * 1000)


def _model(entry: ModelEntry, channels: Iterable[ChannelEntry], now_ms: int) -> Model:
    if entry.free:
        prices, source = values.FREE, "free"
    elif entry.price is not None:
        prices, source = values.nano_prices(entry.price), "configuration"
    else:
        # The check of the configuration has found that there is a list price.
        prices, source = list_prices(entry.name, model_servings(entry.name, channels), now_ms) or {}, SOURCE
    return Model(entry.name, entry.lane, entry.owned_by, entry.free, prices, source)


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
_SHOWN_AS = {"hash": "secret", "fingerprints": "credentials", "daily_nano": "daily", "monthly_nano": "monthly"}


def _differences(before: Entity | None, after: Entity) -> tuple[FieldChange, ...]:
    found = []
    for field in after.__struct_fields__:
        # Where prices come from matters to nobody while they are the same, and a prefix goes with its hash.
        if field in {"price_source", "prefix"} or field in _NAMES:
            continue
        was = None if before is None else getattr(before, field)
        becomes = getattr(after, field)
        if was != becomes:
            shown = _shown(field, before), _shown(field, after)
            found.append(FieldChange(_SHOWN_AS.get(field, field), *shown))
    return tuple(found)


def _shown(field: str, entity: Entity | None) -> str:
    value = None if entity is None else getattr(entity, field)
    if value is None:
        return "none"
    match field:
        case "hash":
            return f"{entity.prefix}…" if isinstance(entity, Key) else ""
        case "fingerprints":
            # The start of a keyed hash tells two sets apart and says nothing of the secrets.
            return f"{len(value)} ({', '.join(mark[:6] for mark in value)})" if value else "0"
        case "prices":
            return prices_text(value)
        case "daily_nano" | "monthly_nano":
            return f"{usd_text(value)} USD"
        case "expires_ms":
            return dt.datetime.fromtimestamp(value / 1000, dt.UTC).isoformat()
        case _:
            return msgspec.json.encode(value).decode()


def prices_text(prices: Prices) -> str:
    """Return prices as people write them: USD per million units."""
    return ", ".join(f"{kind} {usd_text(nano)}" for kind, nano in prices.items()) or "none"
