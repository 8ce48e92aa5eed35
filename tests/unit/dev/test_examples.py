"""The examples are what the README says, and the configuration among them is one that can be applied."""

import ast
import re
from pathlib import Path

import yaml

from trunkline.dev import secrets
from trunkline.policy.configuration import Names
from trunkline.policy.configuration_file import load

ROOT = Path(__file__).parents[3]
NOW_MS = 1_800_000_000_000


def test_example_configuration_has_no_fault() -> None:
    parsed = yaml.safe_load((ROOT / "examples/config.yaml").read_text())
    environment = {"OPENAI_API_KEY": "sk-a", "DEEPSEEK_API_KEY": "sk-b", "TEAM_KEY": secrets.draw().api_key}
    assert [channel.name for channel in load(parsed, environment, Names(), NOW_MS).channels] == [
        "openai-main",
        "deepseek",
    ]


def test_compose_configuration_has_no_fault() -> None:
    parsed = yaml.safe_load((ROOT / "deploy/compose/demo.yaml").read_text())
    configuration = load(parsed, {"TRUNKLINE_API_KEY": secrets.draw().api_key}, Names(), NOW_MS)
    assert configuration.channels[0].base_url == "http://upstream:9200/v1"


def test_example_programs_are_python() -> None:
    for path in (ROOT / "examples").glob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path


def test_make_targets_and_local_links_of_the_readme_exist() -> None:
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", readme)) <= targets
    for link in re.findall(r"\]\(([^)]+)\)", readme):
        assert (ROOT / link).exists(), link
