"""The container files name only settings, modules, files and services that exist."""

import dataclasses
import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.console.config import ConsoleSettings
from services.dispatcher.config import DispatcherSettings
from services.edge.config import EdgeSettings
from services.health.config import HealthSettings
from services.metering.config import MeteringSettings
from trunkline.cli.settings import ConsoleAccess, DatabaseAccess
from trunkline.dev import secrets

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if "build" in service}

SETTINGS: dict[str, type] = {
    "edge": EdgeSettings,
    "dispatcher": DispatcherSettings,
    "metering": MeteringSettings,
    "health": HealthSettings,
    "console": ConsoleSettings,
    "migrate": DatabaseAccess,
    "apply": ConsoleAccess,
}

FOR_THE_CONFIGURATION = {"apply": {"TRUNKLINE_API_KEY"}}
"""Names that are no settings: deploy/compose/demo.yaml refers to them."""


def declared(settings: type) -> dict[str, bool]:
    """Return each setting's name and whether it is required."""
    return {
        field.metadata["declaration"].name: field.default is dataclasses.MISSING
        for field in dataclasses.fields(settings)
    }


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_service_is_given_settings_that_it_declares_and_all_that_it_needs(name: str) -> None:
    given = set(OURS[name]["environment"]) - FOR_THE_CONFIGURATION.get(name, set())
    known = declared(SETTINGS[name])
    assert given <= known.keys()
    assert {setting for setting, required in known.items() if required} <= given


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_what_there_is_to_set_of_tracing_is_passed_on_from_the_environment_of_compose(name: str) -> None:
    # No value: Compose takes its own, and leaves out what it has none for (Compose specification, `environment`).
    given = {key: value for key, value in OURS[name]["environment"].items() if "_TRACE_" in key}
    assert given == dict.fromkeys(setting for setting in declared(SETTINGS[name]) if "_TRACE_" in setting)


def test_every_service_of_ours_is_checked() -> None:
    assert set(OURS) == {*SETTINGS, "upstream"}


@pytest.mark.parametrize("name", sorted(OURS))
def test_command_is_a_module_that_exists(name: str) -> None:
    module = OURS[name]["command"][0]
    assert importlib.util.find_spec(module) is not None


def test_edges_and_dispatchers_are_two_each() -> None:
    assert OURS["edge"]["deploy"]["replicas"] == OURS["dispatcher"]["deploy"]["replicas"] == 2


def test_mounted_files_and_dependencies_exist() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
        assert set(service.get("depends_on", [])) <= COMPOSE["services"].keys()


def test_variables_are_those_that_make_secrets_writes() -> None:
    wanted = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
    written = {line.partition("=")[0] for line in secrets.environment_lines(secrets.draw()).splitlines()}
    assert wanted == written


def test_scraped_and_balanced_services_and_their_ports_exist() -> None:
    ports = {"edge": 9101, "dispatcher": 9102, "metering": 9103, "health": 9104, "console": 9105}
    prometheus = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    scraped = {
        config["dns_sd_configs"][0]["names"][0]: config["dns_sd_configs"][0]["port"]
        for config in prometheus["scrape_configs"]
    }
    assert scraped == ports
    assert "edge:8080" in (ROOT / "deploy/haproxy/haproxy.cfg").read_text()
    assert "check port 9101" in (ROOT / "deploy/haproxy/haproxy.cfg").read_text()


def test_image_is_made_of_files_that_its_context_has() -> None:
    context = (ROOT / ".dockerignore").read_text().splitlines()
    recipe = (ROOT / "Dockerfile").read_text()
    named = set(re.findall(r"requirements/\w+\.txt", recipe))
    assert named == {line[1:] for line in context if line.startswith("!requirements/")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", recipe, re.MULTILINE)
    for source in " ".join(copied).split():
        assert (ROOT / source).exists()
        assert any(line.removeprefix("!").startswith(source.rstrip("/")) for line in context if line.startswith("!"))


def test_the_first_process_of_a_container_hears_when_it_is_to_end() -> None:
    (entry,) = re.findall(r"^ENTRYPOINT \[(.+)\]$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert entry == '"python", "-P", "-m", "trunkline.runtime.container"'
