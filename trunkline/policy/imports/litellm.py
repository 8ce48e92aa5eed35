"""LiteLLM's ``config.yaml`` as a configuration: deployments become channels, router settings the routing of models.

Deployments that differ in nothing but the model become one channel with several models, and those that differ in
nothing but the key one channel with several credentials.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from trunkline.bus.snapshots import Strategy
from trunkline.core.limits import FALLBACKS_MAX
from trunkline.policy import configuration_values as values
from trunkline.policy.configuration import ConfigurationError
from trunkline.policy.configuration_checks import ENVIRONMENT_PREFIX
from trunkline.policy.imports import tolerant
from trunkline.policy.imports.litellm_deployments import WEIGHT, Deployment, DeploymentReader
from trunkline.policy.imports.litellm_fields import Variables, seconds
from trunkline.policy.imports.remarks import Imported, RemarkList
from trunkline.policy.imports.tolerant import servings
from trunkline.policy.list_prices import list_prices
from trunkline.policy.routing_checks import WEIGHT_MAX

_SECTIONS: Final = frozenset(
    {
        *("model_list", "router_settings", "litellm_settings", "general_settings"),
        *("environment_variables", "credential_list"),
    }
)

_STRATEGIES: Final = {
    "simple-shuffle": Strategy.PRIORITY,
    "least-busy": Strategy.LEAST_BUSY,
    "latency-based-routing": Strategy.LATENCY,
    "cost-based-routing": Strategy.COST,
}

_FALLBACKS: Final = {
    "fallbacks": "fallbacks",
    "context_window_fallbacks": "context_fallbacks",
    "content_policy_fallbacks": "filter_fallbacks",
}
"""LiteLLM's kinds of fallbacks, and the fields of our models."""

_ANY_MODEL: Final = "*"

_REASONS: Final = {
    "num_retries": "how often a job is tried follows from its plan and its deadline",
    "allowed_fails": "health judges channels by their error rate",
    "cooldown_time": "health judges channels by their error rate",
    "retry_policy": "what is tried again follows from the kind of error",
    "drop_params": "translations leave out what a dialect has no word for",
    "cache": "answers are not stored; providers' own prompt caches are used",
    "cache_params": "answers are not stored; providers' own prompt caches are used",
    "callbacks": "metrics, logs and usage exports take their place",
    "success_callback": "metrics, logs and usage exports take their place",
    "failure_callback": "metrics, logs and usage exports take their place",
    "master_key": "the console has its own admin key, TRUNKLINE_ADMIN_KEY",
    "database_url": "the console and metering have their own, DATABASE_URL",
    "max_budget": "budgets belong to accounts, users and keys",
}
"""Why settings that many have are left out."""


def convert(data: object, now_ms: int) -> Imported:
    """Return what a file is in our terms.

    Args:
        data: plain, as `reading.read_yaml` returns it.
        now_ms: Unix time in milliseconds, for list prices.

    Raises:
        ConfigurationError: it is no such file.
    """
    if not isinstance(data, dict) or not isinstance(data.get("model_list"), list):
        raise ConfigurationError(["must be a LiteLLM config.yaml: a mapping with a list named model_list"])
    remarks = RemarkList()
    router, library = (tolerant.mapping(data.get(name)) for name in ("router_settings", "litellm_settings"))
    reader = DeploymentReader(
        remarks,
        Variables(
            {name: tolerant.text(value) for name, value in tolerant.mapping(data.get("environment_variables")).items()},
            remarks,
        ),
        _credentials(data),
        seconds(router.get("timeout")) or seconds(library.get("request_timeout")),
    )
    entries = enumerate(tolerant.listing(data["model_list"]))
    deployments = [
        found for number, entry in entries if (found := reader.read(entry, f"model_list[{number}]")) is not None
    ]
    aliases = _aliases(router, {deployment.public for deployment in deployments}, remarks)
    channels = _channels(deployments, aliases, remarks)
    models = _models(deployments, aliases, remarks)
    _routing(models, router, library, remarks)
    _settings(data, remarks)
    unpriced = (name for name, model in models.items() if "price" not in model)
    for name in unpriced:
        if list_prices(name, servings(name, channels), now_ms) is None:
            remarks.to_do(f"models.{name}", "no price is known: set one under models, or free: true")
    variables = sorted(
        {
            one.credential.removeprefix(ENVIRONMENT_PREFIX)
            for one in deployments
            if one.credential is not None and one.credential.startswith(ENVIRONMENT_PREFIX)
        }
    )
    for name in variables:
        remarks.to_do("", f"set the environment variable {name} where you apply the configuration")
    routed = [model for model in models.values() if len(model) > 1]
    configuration = {"channels": channels, "models": routed}
    return Imported({name: part for name, part in configuration.items() if part}, remarks.all(), tuple(variables))


def _credentials(data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    entries = [tolerant.mapping(entry) for entry in tolerant.listing(data.get("credential_list"))]
    return {
        tolerant.text(entry.get("credential_name")): tolerant.mapping(entry.get("credential_values"))
        for entry in entries
    }


def _aliases(router: Mapping[str, Any], known: set[str], remarks: RemarkList) -> dict[str, list[str]]:
    """Return the further names of models."""
    aliases: dict[str, list[str]] = {}
    for alias, target in tolerant.mapping(router.get("model_group_alias")).items():
        place = f"router_settings.model_group_alias.{alias}"
        model = tolerant.text(target.get("model") if isinstance(target, dict) else target)
        try:
            values.check_model_name(alias)
        except ValueError as error:
            remarks.left_out(place, f"the name {error}")
            continue
        if model not in known:
            remarks.left_out(place, "names no model of model_list that was taken")
        elif alias in known:
            remarks.left_out(place, "is the name of a model itself")
        else:
            aliases.setdefault(model, []).append(alias)
            if isinstance(target, dict) and target.get("hidden"):
                remarks.changed(place, "a further name of the model; it is listed, too")
            else:
                remarks.taken(place, "a further name of the model")
    return aliases


def _channels(
    deployments: Iterable[Deployment], aliases: Mapping[str, list[str]], remarks: RemarkList
) -> list[dict[str, Any]]:
    by_credential: dict[bytes, list[list[Deployment]]] = {}
    for one in deployments:
        # With a limit of its own it stays apart, since a channel's credential has one for all of its models.
        apart = one.place if one.limits else ""
        alike = tolerant.json_bytes([one.provider, one.fields, one.credential, one.weight, apart])
        sets = by_credential.setdefault(alike, [])
        free = next((some for some in sets if all(one.public != other.public for other in some)), None)
        if free is None:
            sets.append([one])
        else:
            free.append(one)
    by_models: dict[bytes, list[list[Deployment]]] = {}
    for number, some in enumerate(some for sets in by_credential.values() for some in sets):
        served = {one.public: [one.upstream, one.prices] for one in some}
        # One without a credential is the same upstream again, and stays a channel of its own.
        key = tolerant.json_bytes([some[0].fields, served, number if some[0].credential is None else None])
        by_models.setdefault(key, []).append(some)
    unique = tolerant.UniqueNames()
    return [_channel(sets, aliases, unique, remarks) for sets in by_models.values()]


def _channel(
    sets: list[list[Deployment]], aliases: Mapping[str, list[str]], unique: tolerant.UniqueNames, remarks: RemarkList
) -> dict[str, Any]:
    first = sets[0][0]
    name = unique.take(first.provider)
    models, costs = {}, {}
    for one in sets[0]:
        for public in (one.public, *aliases.get(one.public, ())):
            models[public] = one.upstream
            if one.prices:
                costs[public] = dict(one.prices)
    channel: dict[str, Any] = {"name": name, **first.fields, "models": models}
    credentials: dict[str, dict[str, Any]] = {}
    for some in sets:
        for one in some:
            if one.credential is not None and one.credential in credentials:
                remarks.changed(one.place, "the same key at the same upstream again: counted once")
            elif one.credential is not None and one.credential not in credentials:
                credentials[one.credential] = {"secret": one.credential, **one.limits}
            remarks.taken(one.place, f"channel {name}")
    channel["credentials"] = [one if len(one) > 1 else one["secret"] for one in credentials.values()]
    if first.credential is None and first.limits:
        channel["limits"] = first.limits
    weight = min(sum(some[0].weight for some in sets), WEIGHT_MAX)
    if weight != WEIGHT:
        channel["weight"] = weight
    if costs:
        channel["costs"] = costs
    return channel


def _models(
    deployments: Iterable[Deployment], aliases: Mapping[str, list[str]], remarks: RemarkList
) -> dict[str, dict[str, Any]]:
    """Return models by name, with their prices; where deployments differ, the highest of each kind."""
    models: dict[str, dict[str, Any]] = {}
    for one in deployments:
        for public in (one.public, *aliases.get(one.public, ())):
            model = models.setdefault(public, {"name": public})
            if not one.prices:
                continue
            price = model.setdefault("price", {})
            if price and price != one.prices:
                remarks.changed(one.place, f"{public} has several prices: clients pay the highest of each kind")
            for kind, usd in one.prices.items():
                price[kind] = max(usd, price.get(kind, usd))
    return models


def _routing(
    models: dict[str, dict[str, Any]], router: Mapping[str, Any], library: Mapping[str, Any], remarks: RemarkList
) -> None:
    written = tolerant.text(router.get("routing_strategy"))
    strategy = _STRATEGIES.get(written)
    place = "router_settings.routing_strategy"
    if written and strategy is None:
        remarks.changed(place, "priority: by priority, and by weight among equals")
    elif strategy is not None:
        remarks.taken(place, f"strategy {strategy}")
    if strategy is not None and strategy is not Strategy.PRIORITY:
        for model in models.values():
            model["strategy"] = strategy.value
    sections = (("router_settings", router), ("litellm_settings", library))
    found = [
        (name, ours, chain, f"{section}.{theirs}[{number}].{name}")
        for section, settings in sections
        for theirs, ours in _FALLBACKS.items()
        for number, entry in enumerate(tolerant.listing(settings.get(theirs)))
        for name, chain in tolerant.mapping(entry).items()
    ]
    found += [
        (_ANY_MODEL, "fallbacks", settings["default_fallbacks"], f"{section}.default_fallbacks")
        for section, settings in sections
        if settings.get("default_fallbacks") is not None
    ]
    # Those of a model by its name first: the others are for models without.
    for name, field, chain, place in sorted(found, key=lambda one: one[0] == _ANY_MODEL):
        wanted = models if name == _ANY_MODEL else {name: models[name]} if name in models else {}
        if wanted:
            _fallbacks(wanted, field, _known(chain, models, place, remarks))
            remarks.taken(place, f"{field} of {'each model without' if name == _ANY_MODEL else name}")
        else:
            remarks.left_out(place, "is for a model that was not taken")


def _known(chain: object, models: Mapping[str, object], place: str, remarks: RemarkList) -> list[str]:
    listed = [chain] if isinstance(chain, str) else tolerant.listing(chain)
    known = [other for other in dict.fromkeys(tolerant.text(one) for one in listed) if other in models]
    if len(known) < len(listed):
        remarks.left_out(place, "some of what takes over is no model that was taken, or changes the request")
    return known


def _fallbacks(models: Mapping[str, dict[str, Any]], field: str, chain: list[str]) -> None:
    for model in models.values():
        others = [other for other in chain if other != model["name"]][:FALLBACKS_MAX]
        if others and field not in model:
            model[field] = others


def _settings(data: Mapping[str, Any], remarks: RemarkList) -> None:
    read = frozenset({*_FALLBACKS, "default_fallbacks"})
    for section, known in (
        ("router_settings", read | {"routing_strategy", "model_group_alias", "timeout"}),
        ("litellm_settings", read | {"request_timeout"}),
        ("general_settings", frozenset[str]()),
    ):
        settings = tolerant.mapping(data.get(section))
        for name in known & {"timeout", "request_timeout"} & settings.keys():
            if seconds(settings[name]) is None:
                remarks.left_out(f"{section}.{name}", "is no number of seconds that a channel may have")
            else:
                remarks.taken(f"{section}.{name}", "timeouts.total_s of every channel without its own")
        for name in settings:
            if name in _REASONS and name not in known:
                remarks.left_out(f"{section}.{name}", _REASONS[name])
        remarks.others(section, settings, known | frozenset(_REASONS), "have no counterpart")
    for section in data:
        if section not in _SECTIONS:
            remarks.left_out(section, "has no counterpart")
