"""The libraries of the web page are what their table says."""

import hashlib
import re

import pytest

from services.console.web_files import FOLDER

VENDOR = FOLDER / "vendor"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (VENDOR / "README.md").read_text().splitlines()
    if re.match(r"\| [a-z-]+\.(js|css) ", line)
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row[0]))
def test_a_library_has_the_sum_and_the_licence_of_its_row(row: list[str]) -> None:
    file, _, version, _, licences, sha256 = row
    assert hashlib.sha256((VENDOR / file).read_bytes()).hexdigest() == sha256
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    for licence in licences.split(", "):
        assert re.search(r"MIT|Permission is hereby granted|Apache License", (VENDOR / licence).read_text())


def test_every_library_has_a_row() -> None:
    listed = {row[0] for row in ROWS} | {licence for row in ROWS for licence in row[4].split(", ")} | {"README.md"}
    assert {path.name for path in VENDOR.iterdir()} == listed
