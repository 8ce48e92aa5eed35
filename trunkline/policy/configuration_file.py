"""Reads the declarative configuration: form, secrets from the environment, checks. Pure, on parsed YAML or JSON.

The CLI and `dev` call `load` with the environment; the console calls it with what the CLI has resolved.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from trunkline.policy.alert_checks import check_alerts
from trunkline.policy.configuration import (
    DEFAULT_GROUP,
    AccountEntry,
    ChannelEntry,
    Configuration,
    ConfigurationError,
    CredentialEntry,
    DiscountEntry,
    GroupEntry,
    ModelEntry,
    Names,
    SiteAlertsEntry,
    TierEntry,
    TrialEntry,
)
from trunkline.policy.configuration_checks import ENVIRONMENT_PREFIX, Checker
from trunkline.policy.list_prices import Serving, list_prices
from trunkline.policy.strict import FaultList, convert

_SECTIONS: dict[str, type[msgspec.Struct]] = {
    "channels": ChannelEntry,
    "models": ModelEntry,
    "groups": GroupEntry,
    "tiers": TierEntry,
    "accounts": AccountEntry,
    "discounts": DiscountEntry,
}
"""Lists of entries."""

_SETTINGS: dict[str, type[msgspec.Struct]] = {"trial": TrialEntry, "alerts": SiteAlertsEntry}
"""What there is one of."""

_ALL = ", ".join((*_SECTIONS, *_SETTINGS))


class _Placed(NamedTuple):
    entry: Any
    place: str


def load(parsed: object, environment: Mapping[str, str], names: Names, now_ms: int) -> Configuration:
    """Return the configuration with its secrets resolved, or say everything that is wrong with it.

    Args:
        parsed: the file's data; None for an empty one.
        environment: where ``env:NAME`` is looked up.
        names: what it may refer to beside what is in it.
        now_ms: Unix time in milliseconds, for list prices.

    Raises:
        ConfigurationError: has every fault with its place.
    """
    faults = FaultList()
    data: object = {} if parsed is None else parsed
    if not isinstance(data, Mapping):
        raise ConfigurationError([f"must be a mapping of {_ALL}"])
    for name in data:
        if name not in _SECTIONS and name not in _SETTINGS:
            faults.add(str(name), f"unknown section; known are: {_ALL}")
    sections = {name: _section(data.get(name), name, faults) for name in _SECTIONS}
    for name, resolve in (("channels", _resolve_channel), ("accounts", _resolve_account)):
        sections[name] = [_Placed(resolve(*placed, environment, faults), placed.place) for placed in sections[name]]
    declared = _declared(data, names)
    # A channel's models are made with it, so cheaper models and fallbacks may be of those, too.
    checker = Checker(msgspec.structs.replace(declared, models=declared.models | _served(data)), faults)
    checks: dict[str, Callable[[Any, str], None]] = {
        "channels": checker.channel,
        "models": checker.model,
        "groups": checker.group,
        "tiers": checker.tier,
        "accounts": checker.account,
        "discounts": checker.discount,
    }
    for name, placed_entries in sections.items():
        for entry, place in placed_entries:
            checks[name](entry, place)
        if name != "discounts":
            checker.unique(((entry.name, f"{place}.name") for entry, place in placed_entries), "name")
    checker.discounts(sections["discounts"])
    one_of = _settings(data, checker, faults)
    checker.unique(_key_secrets(sections["accounts"]), "secret")
    _check_list_prices(sections["models"], sections["channels"], declared, now_ms, faults)
    if faults.faults:
        raise ConfigurationError(faults.faults)
    entries: dict[str, Any] = {
        name: tuple(placed.entry for placed in placed_entries) for name, placed_entries in sections.items()
    }
    if data.get("discounts") is None:
        del entries["discounts"]
    return Configuration(**entries, **one_of)


def _settings(data: Mapping[Any, Any], checker: Checker, faults: FaultList) -> dict[str, Any]:
    """Return what there is one of and the file sets, checked."""
    found = {
        name: convert(data[name], kind, name, faults) for name, kind in _SETTINGS.items() if data.get(name) is not None
    }
    if isinstance(trial := found.get("trial"), TrialEntry):
        checker.trial(trial, "trial")
    if isinstance(alerts := found.get("alerts"), SiteAlertsEntry):
        check_alerts(alerts, "alerts", faults)
    return found


def model_servings(model: str, channels: Iterable[ChannelEntry]) -> list[Serving]:
    """Return how the channels that serve a model do so."""
    return [
        Serving(channel.dialect, channel.base_url, channel.models[model])
        for channel in channels
        if model in channel.models
    ]


def _section(value: object, name: str, faults: FaultList) -> list[_Placed]:
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        faults.add(name, "must be a list")
        return []
    placed = []
    for number, item in enumerate(value):
        place = f"{name}[{number}]"
        # Entry by entry, so that a fault in the form of one does not hide those in the values of the others.
        entry = convert(item, _SECTIONS[name], place, faults)
        if entry is not None:
            placed.append(_Placed(entry, place))
    return placed


def _declared(data: Mapping[Any, Any], names: Names) -> Names:
    # From the raw data: an entry that has another fault still declares its name.
    def declared(section: str) -> frozenset[str]:
        entries = data.get(section)
        if not isinstance(entries, list | tuple):
            return frozenset()
        found = (entry.get("name") for entry in entries if isinstance(entry, Mapping))
        return frozenset(name for name in found if isinstance(name, str))

    return Names(
        groups=names.groups | declared("groups") | {DEFAULT_GROUP},
        tiers=names.tiers | declared("tiers"),
        models=names.models | declared("models"),
        priced=names.priced,
        users=names.users,
        trial=names.trial if data.get("trial") is None else True,
    )


def _served(data: Mapping[Any, Any]) -> frozenset[str]:
    # From the raw data, as in `_declared`.
    channels = data.get("channels")
    if not isinstance(channels, list | tuple):
        return frozenset()
    maps = (entry.get("models") for entry in channels if isinstance(entry, Mapping))
    return frozenset(name for models in maps if isinstance(models, Mapping) for name in models if isinstance(name, str))


def _resolved(secret: str, environment: Mapping[str, str], place: str, faults: FaultList) -> str:
    if not secret.startswith(ENVIRONMENT_PREFIX):
        return secret
    name = secret.removeprefix(ENVIRONMENT_PREFIX)
    if not environment.get(name):
        faults.add(place, f"the environment variable {name} is not set")
        return secret
    return environment[name]


def _resolve_channel(
    entry: ChannelEntry, place: str, environment: Mapping[str, str], faults: FaultList
) -> ChannelEntry:
    if entry.credentials is None:
        return entry
    resolved: list[str | CredentialEntry] = []
    for number, credential in enumerate(entry.credentials):
        here = f"{place}.credentials[{number}]"
        if isinstance(credential, str):
            resolved.append(_resolved(credential, environment, here, faults))
        else:
            secret = _resolved(credential.secret, environment, f"{here}.secret", faults)
            resolved.append(msgspec.structs.replace(credential, secret=secret))
    return msgspec.structs.replace(entry, credentials=tuple(resolved))


def _resolve_account(
    entry: AccountEntry, place: str, environment: Mapping[str, str], faults: FaultList
) -> AccountEntry:
    keys = tuple(
        msgspec.structs.replace(
            key, secret=_resolved(key.secret, environment, f"{place}.keys[{number}].secret", faults)
        )
        for number, key in enumerate(entry.keys)
    )
    return msgspec.structs.replace(entry, keys=keys)


def _key_secrets(accounts: list[_Placed]) -> list[tuple[str, str]]:
    return [
        (key.secret, f"{place}.keys[{number}].secret")
        for account, place in accounts
        for number, key in enumerate(account.keys)
        if not key.secret.startswith(ENVIRONMENT_PREFIX)
    ]


def _check_list_prices(
    models: list[_Placed], channels: list[_Placed], declared: Names, now_ms: int, faults: FaultList
) -> None:
    entries = [placed.entry for placed in channels]
    wanted = {
        placed.entry.name: f"{placed.place}.price"
        for placed in models
        if placed.entry.price is None
        and not placed.entry.free
        and (placed.entry.override or placed.entry.name not in declared.priced)
    }
    for channel, place in channels:
        for model in channel.models:
            if model not in declared.models:
                wanted.setdefault(model, f"{place}.models.{model}")
    for model, place in wanted.items():
        if list_prices(model, model_servings(model, entries), now_ms) is None:
            faults.add(
                place,
                f"no list price is known for {model!r}; give it a price under models, or free: true",
            )
