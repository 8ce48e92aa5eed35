"""Values of the configuration file in their stored form. Each function raises ValueError with a sentence for people."""

import ipaddress
import re
from decimal import Decimal
from urllib.parse import urlsplit, urlunsplit

import msgspec

from trunkline.bus.snapshots import ParameterRules
from trunkline.core.limits import MODEL_NAME_CHARS_MAX
from trunkline.core.money import PARTS_PER_MILLION, NanoUSD, nano_from_usd
from trunkline.core.usage import UNIT_KINDS
from trunkline.policy.configuration import ParamsEntry, PriceEntry
from trunkline.policy.entities import Prices

NAME_CHARS_MAX = 128
"""Names stand in tables, metric labels and headers; nobody types longer ones."""

AMOUNT_USD_MAX = 1_000_000_000
"""A billion dollars; in nano-USD it still fits a bigint nine times."""


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


def nano_amount(usd: Decimal) -> NanoUSD:
    """Return an amount in nano-USD."""
    if not usd.is_finite() or not 0 <= usd <= AMOUNT_USD_MAX:
        raise ValueError(f"must be between 0 and {AMOUNT_USD_MAX} USD")
    return nano_from_usd(usd)


def unit_kind(name: str) -> str:
    """Return the unit kind that a price is for."""
    try:
        return _PRICE_NAMES[name]
    except KeyError:
        raise ValueError(f"is no unit kind; known are: {', '.join(_PRICE_NAMES)}") from None


def nano_prices(price: PriceEntry) -> Prices:
    """Return prices in nano-USD per million units, by unit kind."""
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


def parameter_rules(params: ParamsEntry) -> ParameterRules:
    """Return the rules as they stand in the snapshot, where values to set are raw JSON."""
    return ParameterRules(
        drop=params.drop,
        set={name: msgspec.Raw(msgspec.json.encode(value, order="sorted")) for name, value in params.set.items()},
        clamp=params.clamp,
    )
