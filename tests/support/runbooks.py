"""The pages of docs/operating/runbooks, one for each alert, and what they tell people to type."""

import re
from pathlib import Path

from tests.support.promql import ROOT

RUNBOOKS = ROOT / "docs/operating/runbooks"
PAGES = sorted(RUNBOOKS.glob("*.md"))


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in a language: ``promql``, ``sh`` or ``sql``."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def queries(page: Path) -> list[str]:
    """Return the page's queries for Prometheus, one a line."""
    return [query for block in blocks(page, "promql") for query in block.splitlines()]
