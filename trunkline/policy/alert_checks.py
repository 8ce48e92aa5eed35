"""What must hold of alerts beyond their form. Called by `configuration_checks` and the console."""

import re
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from trunkline.policy import configuration_values as values
from trunkline.policy.alerts import EMAILS_MAX, PERCENT_MAX, THRESHOLDS_MAX
from trunkline.policy.configuration import AlertsEntry, SiteAlertsEntry
from trunkline.policy.strict import FaultList, joined

V = TypeVar("V")

URL_CHARS_MAX = 2048
EMAIL_CHARS_MAX = 254
"""What SMTP can carry (RFC 5321 section 4.5.3.1.3)."""

_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?", re.ASCII)
"""As in HTML's forms (https://html.spec.whatwg.org/#valid-e-mail-address): no quotes, spaces or line ends."""


def check_alerts(entry: AlertsEntry | SiteAlertsEntry, place: str, faults: FaultList) -> None:
    """Check alerts of an account or the site; ``place`` may be empty."""
    if isinstance(entry, AlertsEntry):
        _thresholds(entry, place, faults)
        told = bool(entry.budget_percent) or entry.balance_below is not None
        if told and not entry.email and entry.webhook is None:
            faults.add(joined(place, "webhook"), "is missing, and so is email: nobody would be told")
    if entry.webhook is not None:
        _try(check_webhook, entry.webhook, joined(place, "webhook"), faults)
    if len(entry.email) > EMAILS_MAX:
        faults.add(joined(place, "email"), f"must have at most {EMAILS_MAX} addresses")
    for number, address in enumerate(entry.email):
        _try(_check_email, address, joined(place, f"email[{number}]"), faults)
        if address in entry.email[:number]:
            faults.add(joined(place, f"email[{number}]"), "is there twice")


def _thresholds(entry: AlertsEntry, place: str, faults: FaultList) -> None:
    percents = entry.budget_percent
    if len(percents) > THRESHOLDS_MAX:
        faults.add(joined(place, "budget_percent"), f"must have at most {THRESHOLDS_MAX} thresholds")
    for number, percent in enumerate(percents):
        here = joined(place, f"budget_percent[{number}]")
        if not 1 <= percent <= PERCENT_MAX:
            faults.add(here, f"must be between 1 and {PERCENT_MAX}")
        if percent in percents[:number]:
            faults.add(here, "is there twice")
    if entry.balance_below is not None:
        _try(_check_balance, entry, joined(place, "balance_below"), faults)


def _check_balance(entry: AlertsEntry) -> None:
    if not entry.balance_below or not values.nano_amount(entry.balance_below):
        raise ValueError("must be more than 0 USD")


def check_webhook(url: str) -> None:
    """Refuse what cannot be the URL of a webhook. Where it may lead is judged when it is called."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError("must be a URL such as https://example.com/alerts") from error
    if parts.scheme not in {"https", "http"} or not parts.hostname or port == 0:
        raise ValueError("must be a URL such as https://example.com/alerts")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or password; what is sent is signed")
    if parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("must be printable ASCII without spaces and fragment")
    if len(url) > URL_CHARS_MAX:
        raise ValueError(f"must have at most {URL_CHARS_MAX} characters")


def _check_email(address: str) -> None:
    if len(address) > EMAIL_CHARS_MAX or _EMAIL.fullmatch(address) is None:
        raise ValueError("must be an address such as ops@example.com")


def _try(check: Callable[[V], object], value: V, place: str, faults: FaultList) -> None:
    try:
        check(value)
    except ValueError as error:
        faults.add(place, str(error))
