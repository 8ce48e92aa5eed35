"""Alerts and their pages: each has the other, and both name only what exists. What fires when is promtool's to test."""

import functools
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.promql import OF_EXPORTERS, ROOT, RULES, Rule, names_in, readable, rules
from tests.support.runbooks import PAGES, RUNBOOKS, blocks, queries
from tests.support.typed_commands import check_command

ALERTS = {rule.name: rule.alert for rule in rules() if rule.alert is not None}

SAFE_LABELS = {"channel", "instance", "job", "lane", "model", "server_id", "server_name", "slot_name", "use", "why"}
"""Configured names and closed sets of words: what a client types stands in no alert."""

LINES = range(15, 45)
"""A page is read by somebody in a hurry."""


def test_each_alert_has_its_page_and_each_page_its_alert() -> None:
    assert [page.stem for page in PAGES] == sorted(ALERTS)


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_alert_says_what_whoever_gets_it_needs(name: str) -> None:
    alert: dict[str, Any] = ALERTS[name]
    assert set(alert["labels"]) == {"severity"}
    assert alert["labels"]["severity"] in {"page", "ticket", "none"}
    notes = alert["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert (ROOT / notes["runbook_url"]) == RUNBOOKS / f"{name}.md"
    assert notes["summary"].endswith(".")
    assert notes["description"].endswith(".")
    assert "{{" not in notes["summary"]
    assert set(re.findall(r"\$labels\.(\w+)", notes["description"])) <= SAFE_LABELS


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_rule_reads_metrics_that_exist(rule: Rule) -> None:
    assert names_in(rule.expr) - OF_EXPORTERS <= readable()


def test_recorded_names_say_level_metric_and_operations() -> None:
    for rule in rules():
        if rule.alert is None:
            assert re.fullmatch(r"[a-z]+:trunkline_[a-z_]+:(ratio_)?(rate|increase|mean|p\d\d_)\d+[mhd]", rule.name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_is_short_and_tells_all(page: Path) -> None:
    lines = page.read_text().splitlines()
    assert lines[0] == f"# {page.stem}"
    assert len(lines) in LINES
    for part in ("**Urgency.**", "**What users feel.**", "## What to look at", "## What to do", "**Over** "):
        assert sum(line.startswith(part) for line in lines) == 1, part


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_reads_metrics_that_exist(page: Path) -> None:
    assert queries(page)
    for query in queries(page):
        assert names_in(query) - OF_EXPORTERS <= readable()
    for name in re.findall(r"`(trunkline_\w+)`", page.read_text()):
        assert name in readable()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_names_commands_that_exist(page: Path) -> None:
    said = [line for block in blocks(page, "sh") for line in block.splitlines()]
    assert all(line.startswith(("trunkline ", "curl ")) for line in said)
    for line in [*said, *re.findall(r"`(trunkline [a-z][^`]+)`", page.read_text())]:
        if line.startswith("trunkline "):
            check_command(shlex.split(line)[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_links_to_what_exists(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert (page.parent / target).resolve().exists(), target
    routes = (ROOT / "services/console/web/routes.js").read_text()
    for place in re.findall(r"`#(/[a-z/]+)", text):
        assert f'page("{place.removesuffix("/")}' in routes, place
    settings = (ROOT / "docs/operating/settings.md").read_text()
    for name in re.findall(r"`(TRUNKLINE_\w+)`", text):
        assert f"`{name}`" in settings, name


@functools.cache
def cases() -> list[dict[str, Any]]:
    """Return what promtool is asked."""
    files = (RULES.parent / "tests").glob("*.yml")
    return [case for path in files for case in yaml.safe_load(path.read_text())["tests"]]


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_alert_has_a_test_that_fires_and_one_that_does_not(name: str) -> None:
    fires, quiet = [], []
    for case in cases():
        seen = {sample["labels"] for test in case["promql_expr_test"] for sample in test["exp_samples"]}
        (fires if f'{{alertname="{name}"}}' in seen else quiet).append(case["name"])
    assert any(f"{name} fires" in case for case in fires)
    assert any(f"{name} is quiet" in case for case in quiet) or name == "TrunklineWatchdog"
