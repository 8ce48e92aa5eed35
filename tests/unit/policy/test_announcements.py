"""Which announcements somebody is shown, and in which language."""

import datetime as dt

import pytest

from trunkline.policy.announcements import (
    SHOWN_MAX,
    TEXT_CHARS_MAX,
    Announcement,
    Audience,
    Level,
    check_announcement,
    current,
)
from trunkline.policy.strict import FaultList

NOW = dt.datetime(2030, 1, 31, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
BOTH = {"en": "hello", "zh": "你好"}


def made(number: int, **fields: object) -> Announcement:
    usual = {"texts": BOTH, "level": Level.INFO, "audience": Audience.EVERYONE, "since": NOW - DAY, "until": None}
    return Announcement(id=number, created_at=NOW, **{**usual, **fields})  # type: ignore[arg-type]  # as given


def ids(*announcements: Announcement, signed_in: bool = True) -> list[int]:
    return [one.id for one in current(list(announcements), NOW, "en", signed_in=signed_in)]


def test_what_is_over_or_still_to_come_is_not_shown() -> None:
    assert ids(made(1, since=NOW + DAY), made(2, until=NOW), made(3, since=NOW), made(4, until=NOW + DAY)) == [3, 4]


def test_what_matters_most_comes_first_and_then_the_newest() -> None:
    critical = made(1, level=Level.CRITICAL, since=NOW - 9 * DAY)
    assert ids(made(2), critical, made(3, level=Level.WARNING), made(4, since=NOW)) == [1, 3, 4, 2]
    assert len(ids(*(made(number) for number in range(SHOWN_MAX + 1)))) == SHOWN_MAX


def test_some_are_for_those_who_are_signed_in() -> None:
    assert ids(made(1, audience=Audience.SIGNED_IN), made(2), signed_in=False) == [2]
    assert ids(made(1, audience=Audience.SIGNED_IN), made(2)) == [2, 1]


@pytest.mark.parametrize(
    ("texts", "language", "found"),
    [
        (BOTH, "zh", ("zh", "你好")),
        (BOTH, "fr", ("en", "hello")),
        ({"zh": "你好"}, "en", ("zh", "你好")),
    ],
)
def test_a_language_that_is_missing_is_stood_in_for(
    texts: dict[str, str], language: str, found: tuple[str, str]
) -> None:
    [one] = current([made(1, texts=texts)], NOW, language, signed_in=False)
    assert (one.language, one.text) == found


@pytest.mark.parametrize(
    ("texts", "until", "faults"),
    [
        ({"en": "a\n\tb"}, None, []),
        ({}, None, ["texts: must have a text in one of en, zh, at least"]),
        ({"fr": "a"}, None, ["texts.fr: must be one of en, zh"]),
        ({"en": " \n"}, None, ["texts.en: must not be empty; leave the language out"]),
        ({"en": "a\x00"}, None, ["texts.en: must not hold control characters"]),
        ({"en": "a" * (TEXT_CHARS_MAX + 1)}, None, [f"texts.en: must have at most {TEXT_CHARS_MAX} characters"]),
        ({"en": "a"}, NOW, ["until: must be later than since"]),
    ],
)
def test_checks(texts: dict[str, str], until: dt.datetime | None, faults: list[str]) -> None:
    found = FaultList()
    check_announcement(texts, NOW, until, found)
    assert found.faults == faults
