"""The languages of the status page: which one a reader gets, and that each has every text."""

import string

import msgspec
import pytest

from trunkline.policy.incidents import Level
from trunkline.policy.status_words import CHINESE, CHOICES_MAX, ENGLISH, WORDS, language_of, time_text


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", ENGLISH),
        ("zh", CHINESE),
        ("zh-CN,zh;q=0.9,en;q=0.8", CHINESE),
        ("ZH-Hant-TW", CHINESE),
        ("en-US,en;q=0.9,zh;q=0.8", ENGLISH),
        ("fr;q=1.0, zh;q=0.5, en;q=0.4", CHINESE),
        ("en;q=0.3, zh ; q=0.5", CHINESE),
        ("zh;q=0, en;q=0.001", ENGLISH),
        ("zh;q=0", ENGLISH),
        ("zh;q=high, *", ENGLISH),
        ("fr, de, *;q=0.1", ENGLISH),
        ("zhang", ENGLISH),
        ("," * 5000 + "zh", ENGLISH),
        (", " * (CHOICES_MAX - 1) + "zh", CHINESE),
        ("zh;q=1;q=1;" + "\ud800", ENGLISH),
    ],
)
def test_readers_get_the_language_that_they_want_most(accepted: str, language: str) -> None:
    assert language_of(accepted) == language


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_languages_say_the_same_with_the_same_parts() -> None:
    english = WORDS[ENGLISH]
    for words in WORDS.values():
        for name in english.__struct_fields__:
            one, other = getattr(english, name), getattr(words, name)
            assert type(one) is type(other)
            if isinstance(one, str):
                assert other
                assert _fields(other) == _fields(one), name
        assert set(words.levels) == {*Level, None}
        assert set(words.events) == {Level.DEGRADED, Level.DOWN}
        texts = [text for text in msgspec.structs.astuple(words) if isinstance(text, str)]
        for text in (*texts, *words.levels.values(), *words.events.values()):
            assert not set('<>&"') & set(text)  # they are put into the page as they are


@pytest.mark.parametrize(
    ("length_s", "english", "chinese"),
    [
        (0, "less than a minute", "不到 1 分钟"),
        (59, "less than a minute", "不到 1 分钟"),
        (60, "1 min", "1 分钟"),
        (3599, "59 min", "59 分钟"),
        (3600, "1 h", "1 小时"),
        (7500, "2 h 5 min", "2 小时 5 分钟"),
        (86_400 + 60, "1 d", "1 天"),
        (2 * 86_400 + 3 * 3600 + 240, "2 d 3 h", "2 天 3 小时"),
    ],
)
def test_times_have_their_two_largest_units(length_s: int, english: str, chinese: str) -> None:
    assert time_text(WORDS[ENGLISH], length_s) == english
    assert time_text(WORDS[CHINESE], length_s) == chinese
