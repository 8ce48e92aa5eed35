"""Alerts: when owners of accounts and operators of the site are told something, what they read, and how it is signed.

Pure. `store.alert_sweep` looks whether there is something to tell, `services/console/deliverer.py` brings it to people.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from trunkline.core.money import usd_text

PERCENT_MAX: Final = 100
THRESHOLDS_MAX: Final = 20
EMAILS_MAX: Final = 20
"""Of one account or of the site. More people than that read a list of their own."""

BUDGET: Final = "budget"
BALANCE: Final = "balance"
PAYMENT_ASIDE: Final = "payment_aside"
CREDENTIAL_ASIDE: Final = "credential_aside"
TEST: Final = "test"

ATTEMPTS_MAX: Final = 10
"""Tries of one delivery, over most of a day: a receiver that is away for longer is looked after by nobody."""

_WAIT_MIN_S = 10.0
_WAIT_FACTOR = 3.0
_WAIT_MAX_S = 6 * 3600.0

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how secrets of this scheme begin


class AlertTerms(msgspec.Struct, frozen=True, omit_defaults=True):
    """When an account's owners are told, and where.

    Attributes:
        budget_percent: of each budget: told once per period and threshold when so much of it is used up.
        balance_below_nano: told when the balance falls below it, again only after it was above it.
        webhook: URL that is sent a signed POST.
        email: addresses.
    """

    budget_percent: tuple[int, ...] = ()
    balance_below_nano: int | None = None
    webhook: str | None = None
    email: tuple[str, ...] = ()


NO_ALERTS: Final = AlertTerms()


def alerts_text(terms: AlertTerms) -> str:
    """Return alerts as people read them in a list of changes."""
    parts = []
    if terms.budget_percent:
        parts.append(f"budgets at {', '.join(f'{percent} %' for percent in terms.budget_percent)}")
    if terms.balance_below_nano is not None:
        parts.append(f"balance below {usd_text(terms.balance_below_nano)} USD")
    parts += [f"to {target}" for target in (*terms.email, *([terms.webhook] if terms.webhook else []))]
    return ", ".join(parts) or "none"


def reached(percents: Sequence[int], spent_nano: int, limit_nano: int, *, refuses: bool = False) -> list[int]:
    """Return the thresholds of a budget that its spending has reached, in the order of ``percents``.

    A budget of zero has none: nothing can be spent of it.

    Args:
        percents: the thresholds.
        spent_nano: of the budget, in nano-USD.
        limit_nano: the budget.
        refuses: what is left is too little for a request that came: used up, whatever the figures say.
    """
    if limit_nano <= 0:
        return []
    return [
        percent
        for percent in percents
        if limit_nano * percent <= spent_nano * 100 or (refuses and percent == PERCENT_MAX)
    ]


def retry_wait_s(attempts: int) -> float | None:
    """Return how long to wait after so many failed attempts, in seconds; None if there is to be no other."""
    if attempts >= ATTEMPTS_MAX:
        return None
    return min(_WAIT_MIN_S * _WAIT_FACTOR ** (attempts - 1), _WAIT_MAX_S)


# --- webhooks --------------------------------------------------------------------------------------------------------


def signing_key(pepper: bytes, account_id: int | None) -> bytes:
    """Return the key that webhooks of an account, or of the site, are signed with.

    Made of the pepper, so that no secret is stored: each account has its own, and none tells another's.
    """
    return hmac.digest(pepper, f"alerts:{account_id or 0}".encode(), hashlib.sha256)


def signing_secret(pepper: bytes, account_id: int | None) -> str:
    """Return `signing_key` as receivers are told it."""
    return SECRET_PREFIX + base64.b64encode(signing_key(pepper, account_id)).decode()


def webhook_headers(key: bytes, message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """Return the headers that let a receiver verify a webhook.

    The scheme is that of https://www.standardwebhooks.com, for which there are libraries in every language.

    Args:
        key: see `signing_key`.
        message_id: the same on every try, so that a receiver knows what it had before.
        at_s: Unix time in seconds.
        body: of the request.
    """
    signed = f"{message_id}.{at_s}.".encode() + body
    mark = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(at_s), "webhook-signature": f"v1,{mark}"}


# --- mail ------------------------------------------------------------------------------------------------------------


def mail_subject(kind: str, subject: str, payload: Mapping[str, Any]) -> str:
    """Return the subject of a mail, in one line."""
    match kind:
        case "budget":
            whose = "" if payload["holder"] == "account" else f" of {payload['holder']} {payload['name']}"
            text = f"{subject}: {payload['percent']} % of the {payload['budget']} budget{whose} is used up"
        case "balance":
            text = f"{subject}: the balance is below {payload['below_usd']} USD"
        case "payment_aside":
            text = f"Payment {subject} waits for a person: {payload['reason']}"
        case "credential_aside":
            text = f"Credential {payload['credential']} of channel {payload['channel']} is refused by its provider"
        case "test":
            text = f"{subject}: this is a test"
        case _:
            text = f"{subject}: {kind}"
    return " ".join(text.split())


def mail_text(kind: str, subject: str, payload: Mapping[str, Any]) -> str:
    """Return the text of a mail: what there is to say, a line each."""
    lines = [f"{name.replace('_', ' ')}: {_shown(value)}" for name, value in payload.items() if value not in ("", [])]
    return "\n".join((mail_subject(kind, subject, payload), "", *lines, ""))


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
