"""Prometheus's own tool on its configuration, its rules and their tests: alerts fire when they should, only then."""

# ruff: noqa: S603 - runs promtool and waits for it

import subprocess
from pathlib import Path

import pytest

from tests.support.prometheus import CONFIGURATION, binary
from tests.support.promql import RULES

CASES = sorted((RULES.parent / "tests").glob("*.yml"))


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run(
        [binary("promtool"), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    assert done.returncode == 0, done.stdout.decode()


def test_configuration_and_the_rules_that_it_loads_are_valid() -> None:
    promtool("check", "config", CONFIGURATION)
    promtool("check", "rules", *sorted(RULES.glob("*.yml")))


def test_each_file_of_rules_has_its_tests() -> None:
    assert [path.name for path in CASES] == sorted(path.name for path in RULES.glob("*.yml"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should(path: Path) -> None:
    promtool("test", "rules", path)
