"""The texts of the web page: both languages complete, no text missing, none that nobody shows."""

import json
import re
from functools import cache
from typing import Any

import pytest

from services.console.web_files import FOLDER, read_folder

_LITERAL = re.compile(r'"([a-z][a-z_]*(?:\.[A-Za-z0-9_-]+)+)"')
_BEGINNING = re.compile(r"`([a-z][a-z_]*\.(?:[A-Za-z0-9_.-]*[._])?)\$\{")
_ASKED = re.compile(r'\b(?:t|rich)\(\s*"([^"]+)"')
_PARAMETER = re.compile(r"\{(\w+)\}")

ENGLISH_PLURALS = {"one", "other"}
CHINESE_PLURALS = {"other"}


@cache
def files() -> dict[str, bytes]:
    return read_folder(FOLDER)


@cache
def words(language: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files()[f"words/{language}.json"])
    return found


@cache
def script() -> str:
    """All modules of ours, without what their comments say."""
    ours = [body.decode() for name, body in files().items() if name.endswith(".js") and not name.startswith("vendor/")]
    return re.sub(r"/\*\*.*?\*/", "", "\n".join(ours), flags=re.DOTALL)


def parameters(text: str | dict[str, str]) -> set[str]:
    texts = [text] if isinstance(text, str) else list(text.values())
    return {name for each in texts for name in _PARAMETER.findall(each)}


def test_both_languages_say_the_same_things() -> None:
    assert sorted(words("en")) == sorted(words("zh"))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_files_have_the_keys_of_their_part_in_order(language: str) -> None:
    for path in sorted((FOLDER / "words" / language).glob("*.json")):
        keys = list(json.loads(path.read_text()))
        assert keys == sorted(keys), path.name
        assert {key.partition(".")[0] for key in keys} == {path.stem.replace("-", "_")}, path.name


def test_a_text_has_the_same_parameters_in_both_languages() -> None:
    english, chinese = words("en"), words("zh")
    different = {key for key in english.keys() & chinese.keys() if parameters(english[key]) != parameters(chinese[key])}
    assert different == set()


@pytest.mark.parametrize(("language", "plurals"), [("en", ENGLISH_PLURALS), ("zh", CHINESE_PLURALS)])
def test_a_text_that_counts_has_every_plural_of_its_language(language: str, plurals: set[str]) -> None:
    assert {key: set(text) for key, text in words(language).items() if isinstance(text, dict)} == {
        key: plurals for key, text in words(language).items() if isinstance(text, dict)
    }


def test_every_text_that_is_asked_for_is_there() -> None:
    assert sorted(set(_ASKED.findall(script())) - words("en").keys()) == []


def test_every_beginning_of_a_key_has_keys() -> None:
    missing = {
        beginning
        for beginning in _BEGINNING.findall(script())
        if beginning.partition(".")[0] in areas()
        if not any(key.startswith(beginning) for key in words("en"))
    }
    assert missing == set()


def test_every_text_is_shown_somewhere() -> None:
    literals = set(_LITERAL.findall(script()))
    beginnings = tuple(_BEGINNING.findall(script()))
    # `${key}_text`: the words beside those of a key that is a literal.
    ends = set(re.findall(r"`\$\{\w+\}(_[a-z_]+)`", script()))
    beside = {key + end for key in literals for end in ends}
    unused = [key for key in words("en") if key not in literals | beside and not key.startswith(beginnings)]
    assert unused == []


def areas() -> set[str]:
    return {key.partition(".")[0] for key in words("en")}


def test_chinese_has_chinese_marks() -> None:
    wrong = {
        key: text
        for key, text in words("zh").items()
        if re.search(
            r"[\u4e00-\u9fff][,;:?!]|[,;?!][\u4e00-\u9fff]", text if isinstance(text, str) else " ".join(text.values())
        )
    }
    assert wrong == {}
