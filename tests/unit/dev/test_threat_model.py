"""The threat model names code and tests: all of them exist."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "THREAT_MODEL.md").read_text()
TESTS = sorted(set(re.findall(r"`(test_\w+\.py)::(\w+)`", PAGE)))
CODE = sorted(set(re.findall(r"`((?:trunkline|services|deploy|requirements|tests)/[^` ]+|Dockerfile)`", PAGE)))
ROWS = [[cell.strip() for cell in line[1:-1].split("|")] for line in PAGE.splitlines() if line.startswith("| ")]
HEAD = ["attack", "defence", "shown by", "what remains"]
LINE = ["---"] * len(HEAD)


@functools.cache
def all_files() -> list[Path]:
    return [path for path in (ROOT / "tests").rglob("test_*.py") if "node_modules" not in path.parts]


@functools.cache
def functions_of(path: Path) -> set[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, functions)}


def test_the_page_names_enough() -> None:
    """What is not found by the patterns above is not looked at."""
    assert len(TESTS) > 60
    assert len(CODE) > 40
    assert not re.search(r"`test_\w+\.py`", PAGE)


@pytest.mark.parametrize(("file", "test"), TESTS, ids=lambda part: part)
def test_each_test_exists(file: str, test: str) -> None:
    assert len([path for path in all_files() if path.name == file and test in functions_of(path)]) == 1


@pytest.mark.parametrize("path", CODE)
def test_each_file_exists(path: str) -> None:
    assert (ROOT / path).is_file()


def test_each_attack_has_its_four_cells_and_says_what_stands_in_its_way() -> None:
    attacks = [cells for cells in ROWS if len(cells) == len(HEAD) and cells not in (HEAD, LINE)]
    assert len(attacks) > 60
    for attack, defence, shown, remains in attacks:
        assert attack
        assert "::" in shown if defence else remains, attack


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md", "docs/operating/README.md"])
def test_it_is_found_from(page: str) -> None:
    assert "THREAT_MODEL.md)" in (ROOT / page).read_text()
