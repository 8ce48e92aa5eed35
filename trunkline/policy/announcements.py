"""What the site's operators tell their users: its forms, and which of them somebody is shown. Pure."""

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from trunkline.policy.status_words import CHINESE, ENGLISH
from trunkline.policy.strict import FaultList

LANGUAGES: Final = (ENGLISH, CHINESE)
"""Those of the console; in this order one stands for another that is missing."""

TEXT_CHARS_MAX: Final = 4000
"""Two screens. More belongs on a page of its own, with a link to it."""

SHOWN_MAX: Final = 50
"""Announcements at a time, the newest; nobody reads a second screen of them."""


class Level(StrEnum):
    """How much an announcement matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Audience(StrEnum):
    """Who is shown an announcement."""

    EVERYONE = "everyone"
    SIGNED_IN = "signed_in"


class NewAnnouncement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An announcement to be made.

    Attributes:
        texts: markdown by language, ``en`` and ``zh``; at least one of them.
        level: see there.
        audience: see there.
        since: when it begins; now if left out.
        until: when it ends; never if left out.
    """

    texts: dict[str, str]
    level: Level = Level.INFO
    audience: Audience = Audience.EVERYONE
    since: dt.datetime | None = None
    until: dt.datetime | None = None


class AnnouncementChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to be different of an announcement; fields as in `NewAnnouncement`, what is left out stays."""

    texts: dict[str, str] | UnsetType = UNSET
    level: Level | UnsetType = UNSET
    audience: Audience | UnsetType = UNSET
    since: dt.datetime | UnsetType = UNSET
    until: dt.datetime | UnsetType | None = UNSET


class Announcement(msgspec.Struct, frozen=True):
    """An announcement as operators see it; fields as in `NewAnnouncement`."""

    id: int
    texts: dict[str, str]
    level: Level
    audience: Audience
    since: dt.datetime
    until: dt.datetime | None
    created_at: dt.datetime


class CurrentAnnouncement(msgspec.Struct, frozen=True):
    """An announcement as its readers see it.

    Attributes:
        id: of the announcement, by which a browser knows what was read.
        level: see there.
        language: of the text.
        text: markdown, as an operator wrote it.
        since, until: from when to when it is shown.
    """

    id: int
    level: Level
    language: str
    text: str
    since: dt.datetime
    until: dt.datetime | None


def check_announcement(
    texts: Mapping[str, str], since: dt.datetime, until: dt.datetime | None, faults: FaultList
) -> None:
    """Note what is wrong with an announcement. Moments have a time zone."""
    if not texts:
        faults.add("texts", f"must have a text in one of {', '.join(LANGUAGES)}, at least")
    for language, text in texts.items():
        place = f"texts.{language}"
        if language not in LANGUAGES:
            faults.add(place, f"must be one of {', '.join(LANGUAGES)}")
        elif not text.strip():
            faults.add(place, "must not be empty; leave the language out")
        elif len(text) > TEXT_CHARS_MAX:
            faults.add(place, f"must have at most {TEXT_CHARS_MAX} characters")
        elif any(letter < " " and letter not in "\n\t\r" for letter in text):
            faults.add(place, "must not hold control characters")
    if until is not None and until <= since:
        faults.add("until", "must be later than since")


def current(
    announcements: list[Announcement], now: dt.datetime, language: str, *, signed_in: bool
) -> list[CurrentAnnouncement]:
    """Return what somebody is shown now, what matters most first and then the newest.

    Args:
        announcements: any.
        now: with a time zone.
        language: that the reader wants.
        signed_in: whether the reader is.
    """
    shown = [
        one
        for one in announcements
        if one.since <= now
        and (one.until is None or now < one.until)
        and (signed_in or one.audience is Audience.EVERYONE)
    ]
    levels = list(Level)
    shown.sort(key=lambda one: (levels.index(one.level), one.since, one.id), reverse=True)
    found = []
    for one in shown[:SHOWN_MAX]:
        spoken = next((known for known in (language, *LANGUAGES) if known in one.texts), None)
        if spoken is not None:
            found.append(CurrentAnnouncement(one.id, one.level, spoken, one.texts[spoken], one.since, one.until))
    return found
