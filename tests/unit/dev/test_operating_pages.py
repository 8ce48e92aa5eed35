"""The pages for people who run it: what they name exists (commands, settings, places), and the first has them all."""

import re
from pathlib import Path

import pytest

from tests.support.promql import readable
from tests.support.typed_commands import check_command, commands

ROOT = Path(__file__).parents[3]
OPERATING = ROOT / "docs" / "operating"
MADE = {"admin-api.md", "commands.md", "metrics.md", "settings.md"}
"""By `make docs`, which has a test of its own."""

PAGES = sorted(
    path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *OPERATING.rglob("*.md")) if path.name not in MADE
)
NO_COMMAND_LINE = {"dev"}
"""`trunkline dev` is started by `make run`, or as a module."""


TRACES = {"trunkline_trace_spans_exported_total", "trunkline_trace_spans_dropped_total"}
"""Of processes that trace, which those of metrics.md do not."""


def anchors(page: Path) -> set[str]:
    """Return what a link may name behind ``#``, as GitHub makes it of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_exist(page: Path) -> None:
    for words in commands(page.read_text()):
        if words[:1] and words[0] not in NO_COMMAND_LINE | {"…"}:
            check_command(words)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_settings_exist(page: Path) -> None:
    known = (OPERATING / "settings.md").read_text()
    for setting in re.findall(r"\bTRUNKLINE_[A-Z0-9_]*[A-Z0-9]\b", page.read_text()):
        assert f"`{setting.removesuffix('_FILE')}`" in known, setting


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_metrics_exist_by_the_names_that_prometheus_has(page: Path) -> None:
    known = readable() | TRACES
    for metric in re.findall(r"`(trunkline_[a-z0-9_]+)", page.read_text()):
        assert metric in known or f"{metric}_count" in known, metric


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]+))?\)", page.read_text()):
        place = (page.parent / target) if target else page
        assert place.exists(), target
        assert not anchor or place.suffix != ".md" or anchor in anchors(place), (target, anchor)


def test_the_first_page_leads_to_all_others() -> None:
    first = (OPERATING / "README.md").read_text()
    for page in OPERATING.glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in first, page.name
