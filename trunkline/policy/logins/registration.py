"""Who may make a login for themselves, and what they are given. One setting of the site, kept by the console."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from trunkline.policy.configuration import DEFAULT_GROUP, Names
from trunkline.policy.logins import passwords
from trunkline.policy.logins.names import check_pattern, fits
from trunkline.policy.strict import FaultList

LANGUAGES: Final = ("en", "zh")
"""What the page and mails are written in."""

SITE_NAME_CHARS_MAX: Final = 60
HELP_CHARS_MAX: Final = 300
DOMAINS_MAX: Final = 50

PER_DAY_DEFAULT: Final = 50
"""Registrations from one network: a class that begins together, and no flood."""

PER_DAY_MAX: Final = 100_000


class LoginState(StrEnum):
    """Where a login stands.

    Attributes:
        UNCONFIRMED: the address is not proved.
        WAITING: for an operator's approval.
        ACTIVE: it may sign in.
        BLOCKED: by an operator.
    """

    UNCONFIRMED = "unconfirmed"
    WAITING = "waiting"
    ACTIVE = "active"
    BLOCKED = "blocked"


class RegistrationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=False):
    """How people become users by themselves.

    Attributes:
        open: whether anybody may.
        site_name: what the page is called.
        name_pattern: regular expression that a name must match as a whole, such as ``^[0-9]{10}$``; empty for any.
        name_help: what the pattern asks for, by language.
        password_chars_min: of new passwords, operators' included.
        approval: whether an operator must approve each.
        email_required: whether they must prove an address of mail.
        email_domains: what must stand behind its @; empty for anything.
        tier: of the account that each gets.
        groups: that its people may give to keys.
        trial: whether it gets the free trial.
        per_day_max: registrations from one network in a day.
    """

    open: bool = False
    site_name: str = "Trunkline"
    name_pattern: str = ""
    name_help: Mapping[str, str] = {}
    password_chars_min: int = passwords.CHARS_MIN
    approval: bool = True
    email_required: bool = False
    email_domains: tuple[str, ...] = ()
    tier: str | None = None
    groups: tuple[str, ...] = (DEFAULT_GROUP,)
    trial: bool = False
    per_day_max: int = PER_DAY_DEFAULT


def check_registration(settings: RegistrationSettings, names: Names, faults: FaultList) -> None:
    """Note what cannot be in settings.

    Args:
        settings: see there.
        names: of the configuration.
        faults: receives the faults.
    """
    try:
        check_pattern(settings.name_pattern)
    except ValueError as error:
        faults.add("name_pattern", str(error))
    if not settings.site_name.strip() or len(settings.site_name) > SITE_NAME_CHARS_MAX:
        faults.add("site_name", f"must have 1 to {SITE_NAME_CHARS_MAX} characters")
    for language, text in settings.name_help.items():
        if language not in LANGUAGES:
            faults.add(f"name_help.{language}", f"must be one of {', '.join(LANGUAGES)}")
        if len(text) > HELP_CHARS_MAX:
            faults.add(f"name_help.{language}", f"must have at most {HELP_CHARS_MAX} characters")
    _between(settings.password_chars_min, passwords.CHARS_MIN, passwords.CHARS_MIN_MAX, "password_chars_min", faults)
    _between(settings.per_day_max, 1, PER_DAY_MAX, "per_day_max", faults)
    if len(settings.email_domains) > DOMAINS_MAX:
        faults.add("email_domains", f"must be at most {DOMAINS_MAX}")
    for number, domain in enumerate(settings.email_domains):
        if "@" in domain or "." not in domain or domain != domain.strip().lower():
            faults.add(f"email_domains[{number}]", "must be a domain in lower case, such as example.com")
    if settings.tier is not None and settings.tier not in names.tiers:
        faults.add("tier", f"unknown tier {settings.tier!r}; declare it under tiers")
    check_groups(settings.groups, names, "groups", faults)
    if settings.trial and not names.trial:
        faults.add("trial", "there is no free trial; declare one under trial")


def check_groups(groups: tuple[str, ...], names: Names, place: str, faults: FaultList) -> None:
    """Note groups that are not there, or twice, or none at all."""
    if not groups:
        faults.add(place, "must name at least one group")
    for number, group in enumerate(groups):
        if group not in names.groups:
            faults.add(f"{place}[{number}]", f"unknown group {group!r}; declare it under groups")
    if len(set(groups)) != len(groups):
        faults.add(place, "names a group twice")


def name_fault(name: str, settings: RegistrationSettings) -> str | None:
    """Return why nobody may register under a name, or None."""
    if fits(name, settings.name_pattern):
        return None
    return settings.name_help.get("en") or f"must match {settings.name_pattern}"


def asks_for_email(settings: RegistrationSettings) -> bool:
    """Return whether whoever registers must prove an address."""
    return settings.email_required or bool(settings.email_domains)


def email_fault(email: str | None, settings: RegistrationSettings) -> str | None:
    """Return why nobody may register with an address, or without one, or None."""
    if email is None:
        return "is missing" if asks_for_email(settings) else None
    if settings.email_domains and email.rpartition("@")[2] not in settings.email_domains:
        return f"must end in @{' or @'.join(settings.email_domains)}"
    return None


def first_state(settings: RegistrationSettings, *, to_confirm: bool) -> LoginState:
    """Return where a registration begins; ``to_confirm``: it has an address that must be proved."""
    return LoginState.UNCONFIRMED if to_confirm else confirmed_state(settings)


def confirmed_state(settings: RegistrationSettings) -> LoginState:
    """Return where a registration stands when its address is proved, or need not be."""
    return LoginState.WAITING if settings.approval else LoginState.ACTIVE


def _between(value: int, low: int, high: int, place: str, faults: FaultList) -> None:
    if not low <= value <= high:
        faults.add(place, f"must be between {low} and {high}")
