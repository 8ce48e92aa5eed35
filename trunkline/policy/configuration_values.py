"""Values of the configuration file in their stored form. Each function raises ValueError with a sentence for people."""

import ipaddress
import re
import zoneinfo
from collections.abc import Iterable, Mapping
from decimal import Decimal
from urllib.parse import urlsplit, urlunsplit

import msgspec

from trunkline.bus.snapshots import ChannelOverride, CredentialLimits, ModelRouting, ParameterRules, Timeouts
from trunkline.core.limits import MODEL_NAME_CHARS_MAX
from trunkline.core.money import PARTS_PER_MILLION, NanoUSD, nano_from_usd
from trunkline.core.usage import UNIT_KINDS, is_image_variant
from trunkline.policy.alerts import AlertTerms
from trunkline.policy.configuration import (
    AlertsEntry,
    BudgetsEntry,
    CredentialEntry,
    ModelEntry,
    OverrideEntry,
    ParamsEntry,
    PriceEntry,
    SiteAlertsEntry,
    TimeoutsEntry,
)
from trunkline.policy.entities import Prices
from trunkline.policy.meters import Budgets, ModelBudget
from trunkline.policy.pricing import IMAGE_VARIANT_PREFIX

NAME_CHARS_MAX = 128
"""Names stand in tables, metric labels and headers; nobody types longer ones."""

REFERENCE_CHARS_MAX = 128
"""Invoices, payments and jobs have names of a third of it."""

AMOUNT_USD_MAX = 1_000_000_000
"""A billion dollars; in nano-USD it still fits a bigint nine times."""

PRICES_MAX = 200
"""Of one model: every kind, and images of a dozen sizes in a dozen qualities. Edges hold them all."""

FREE: Prices = dict.fromkeys(("input", "output", "searches", "seconds", "images", "characters", "requests"), 0)
"""Nothing for every kind; the other kinds are priced as these (`policy.pricing.FALLBACKS`)."""

_PRICE_NAMES = {**{kind: kind for kind in UNIT_KINDS}, "cached_input": "cache_read"}
_LANE = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def check_name(name: str, *, chars_max: int = NAME_CHARS_MAX, slash: bool = False) -> None:
    """Refuse what cannot be a name.

    Args:
        name: of anything but a lane.
        chars_max: the bound.
        slash: whether it may hold one; accounts and channels may not, since ``account/key`` names a key.
    """
    if not name or name != name.strip() or not name.isprintable():
        raise ValueError("must be a name without control characters or spaces around it")
    if len(name) > chars_max:
        raise ValueError(f"must have at most {chars_max} characters")
    if not slash and "/" in name:
        raise ValueError("must not hold a slash")


def check_reference(reference: str) -> None:
    """Refuse what cannot name a transfer."""
    check_name(reference, chars_max=REFERENCE_CHARS_MAX, slash=True)


def check_model_name(name: str) -> None:
    """Refuse what cannot be a model's name, public or upstream."""
    check_name(name, chars_max=MODEL_NAME_CHARS_MAX, slash=True)


def check_lane(lane: str) -> None:
    """Refuse what cannot be part of a subject on the bus."""
    if _LANE.fullmatch(lane) is None:
        raise ValueError("must be letters, digits, - and _ only, at most 64")


def check_upstream_secret(secret: str) -> None:
    """Refuse what cannot stand in an HTTP header."""
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ValueError("must be printable ASCII without spaces")


def normal_base_url(text: str) -> str:
    """Return an upstream's address: scheme and host in lower case, no trailing slash."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError("must be a URL such as https://api.example.com/v1") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be a URL such as https://api.example.com/v1")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or password; use credentials")
    if parts.query or parts.fragment or not text.isprintable() or " " in text:
        raise ValueError("must end with its path: no query, fragment or spaces")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    authority = host if port is None else f"{host}:{port}"
    return urlunsplit((parts.scheme, authority, parts.path.rstrip("/"), "", ""))


def normal_network(text: str) -> str:
    """Return an address range in CIDR form; a single address is a range of one."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError as error:
        raise ValueError("must be an IP address or a CIDR range such as 10.0.0.0/8") from error


def check_time_zone(name: str) -> None:
    """Refuse what is no time zone of the IANA's database."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = False
    else:
        known = name != "localtime"  # on some machines a name for whatever zone they are in
    if not known:
        raise ValueError("must be a time zone such as UTC or Asia/Shanghai")


def nano_amount(usd: Decimal) -> NanoUSD:
    """Return an amount in nano-USD."""
    if not usd.is_finite() or not 0 <= usd <= AMOUNT_USD_MAX:
        raise ValueError(f"must be between 0 and {AMOUNT_USD_MAX} USD")
    return nano_from_usd(usd)


def nano_budgets(entry: BudgetsEntry) -> Budgets:
    """Return budgets in nano-USD."""

    def nano(usd: Decimal | None) -> NanoUSD | None:
        return None if usd is None else nano_amount(usd)

    return Budgets(
        daily_nano=nano(entry.daily),
        monthly_nano=nano(entry.monthly),
        models=tuple(ModelBudget(one.models, nano(one.daily), nano(one.monthly)) for one in entry.models),
        cheaper=entry.cheaper,
    )


def alert_terms(entry: AlertsEntry) -> AlertTerms:
    """Return an account's alerts, thresholds in their order."""
    return AlertTerms(
        budget_percent=tuple(sorted(entry.budget_percent)),
        balance_below_nano=None if entry.balance_below is None else nano_amount(entry.balance_below),
        webhook=entry.webhook,
        email=entry.email,
    )


def site_alert_terms(entry: SiteAlertsEntry) -> AlertTerms:
    """Return where the site's operators are told."""
    return AlertTerms(webhook=entry.webhook, email=entry.email)


def unit_kind(name: str) -> str:
    """Return the unit kind that a price is for, with the size and quality of images where it names some."""
    if name.startswith(IMAGE_VARIANT_PREFIX):
        if not is_image_variant(name.removeprefix(IMAGE_VARIANT_PREFIX)):
            raise ValueError(
                "must name a size, a quality or both, in lower case: images@1024x1024, images@high, "
                "images@1024x1024/high"
            )
        return name
    try:
        return _PRICE_NAMES[name]
    except KeyError:
        raise ValueError(f"is no unit kind; known are: {', '.join(_PRICE_NAMES)}") from None


def nano_prices(price: PriceEntry) -> Prices:
    """Return prices in nano-USD per million units, by unit kind."""
    if len(price) > PRICES_MAX:
        raise ValueError(f"must have at most {PRICES_MAX} prices")
    prices: Prices = {}
    for name, usd in price.items():
        kind = unit_kind(name)
        if kind in prices:
            raise ValueError("has both cached_input and cache_read, which are the same")
        prices[kind] = nano_amount(usd)
    return prices


def multiplier_ppm(multiplier: Decimal) -> int:
    """Return a group's multiplier in parts per million."""
    if not multiplier.is_finite() or not 0 <= multiplier <= 1000:
        raise ValueError("must be between 0 and 1000")
    ppm = multiplier * PARTS_PER_MILLION
    if ppm != ppm.to_integral_value():
        raise ValueError("must have at most six decimals")
    return int(ppm)


def discount_ppm(percent: Decimal) -> int:
    """Return a discount in parts per million."""
    if not percent.is_finite() or not 0 <= percent <= 100:
        raise ValueError("must be between 0 and 100")
    ppm = percent * (PARTS_PER_MILLION // 100)
    if ppm != ppm.to_integral_value():
        raise ValueError("must have at most four decimals")
    return int(ppm)


def parameter_rules(params: ParamsEntry) -> ParameterRules:
    """Return the rules as they stand in the snapshot, where values to set are raw JSON."""
    return ParameterRules(
        drop=params.drop,
        set=raw_values(params.set),
        default=raw_values(params.default),
        clamp=params.clamp,
        rename=params.rename,
    )


def raw_values(fields: Mapping[str, object]) -> dict[str, msgspec.Raw]:
    """Return values as JSON."""
    return {name: msgspec.Raw(msgspec.json.encode(value, order="sorted")) for name, value in fields.items()}


def normal_rules(rules: ParameterRules) -> ParameterRules:
    """Return rules whose raw JSON is written as `parameter_rules` writes it, whoever wrote it."""

    def normal(fields: Mapping[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
        return raw_values({name: msgspec.json.decode(value) for name, value in fields.items()})

    return msgspec.structs.replace(rules, set=normal(rules.set), default=normal(rules.default))


def channel_overrides(entries: Iterable[OverrideEntry], timeouts: Timeouts) -> tuple[ChannelOverride, ...]:
    """Return what differs for some models, with the channel's timeouts where an entry leaves one out."""
    return tuple(
        ChannelOverride(
            entry.models,
            None if entry.timeouts is None else _filled(entry.timeouts, timeouts),
            parameter_rules(entry.params),
        )
        for entry in entries
    )


def _filled(entry: TimeoutsEntry, timeouts: Timeouts) -> Timeouts:
    given = {name: getattr(entry, name) for name in entry.__struct_fields__ if getattr(entry, name) is not None}
    return msgspec.structs.replace(timeouts, **given)


def credential_limits(entry: CredentialEntry) -> CredentialLimits:
    """Return a credential's own limits."""
    return CredentialLimits(entry.jobs, entry.rpm, entry.tpm)


def model_routing(entry: ModelEntry) -> ModelRouting:
    """Return how a model's jobs are routed."""
    return ModelRouting(**{name: getattr(entry, name) for name in ModelRouting.__struct_fields__})
