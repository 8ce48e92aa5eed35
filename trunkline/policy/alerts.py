"""Alerts: when owners of accounts and operators of the site are told something, and where. Pure."""

from typing import Final

import msgspec

PERCENT_MAX: Final = 100
THRESHOLDS_MAX: Final = 20
EMAILS_MAX: Final = 20
"""Of one account or of the site. More people than that read a list of their own."""


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
