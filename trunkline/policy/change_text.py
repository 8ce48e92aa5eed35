"""Fields of configuration entities as people read them, in diffs. Pure."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from trunkline.bus.snapshots import CredentialLimits
from trunkline.core.money import usd_text
from trunkline.policy import routing_text
from trunkline.policy.alerts import alerts_text
from trunkline.policy.discounts import DiscountStep, percent_text
from trunkline.policy.entities import Channel, Credential, Entity, Key, Prices
from trunkline.policy.terms_text import budgets_text, limits_text


def shown(field: str, entity: Entity | None) -> str:
    """Return a field of an entity, None for one that is not there, as text for people; no secret."""
    value = None if entity is None else getattr(entity, field)
    if value is None:
        return "none"
    texts = _CHANNEL_TEXTS if isinstance(entity, Channel) else _TEXTS
    if (text := texts.get(field)) is not None:
        return text(value)
    match field:
        case "hash":
            return f"{entity.prefix}…" if isinstance(entity, Key) else ""
        case "steps":
            return ", ".join(map(_step_text, value)) or "none"
        case "expires_ms":
            return dt.datetime.fromtimestamp(value / 1000, dt.UTC).isoformat()
        case _:
            return msgspec.json.encode(value).decode()


def _credentials_text(credentials: tuple[Credential, ...]) -> str:
    return f"{len(credentials)} ({', '.join(map(_credential_text, credentials))})" if credentials else "0"


def _credential_text(credential: Credential) -> str:
    # The start of a keyed hash tells two sets apart and says nothing of the secrets.
    parts = [credential.fingerprint[:6]]
    if credential.weight != 1:
        parts.append(f"weight {credential.weight}")
    if credential.limits != CredentialLimits():
        parts.append(routing_text.credential_limits_text(credential.limits))
    return " ".join(parts)


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
    "routing": routing_text.model_routing_text,
}
"""How values of these fields are shown."""

_CHANNEL_TEXTS: Mapping[str, Callable[[Any], str]] = {
    "timeouts": routing_text.timeouts_text,
    "params": routing_text.rules_text,
    "credentials": _credentials_text,
    "limits": routing_text.credential_limits_text,
    "overrides": routing_text.overrides_text,
    "headers": routing_text.headers_text,
    "status_map": routing_text.status_map_text,
    "probe": routing_text.probe_text,
}
"""How a channel's are."""
