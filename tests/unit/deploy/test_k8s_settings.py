"""Manifests and code name the same settings, and the secrets are those that the page makes."""

import dataclasses
import importlib.util
import re
from pathlib import Path

import pytest

from services.console.config import ConsoleSettings
from services.dispatcher.config import DispatcherSettings
from services.edge.config import EdgeSettings
from services.health.config import HealthSettings
from services.metering.config import MeteringSettings
from tests.support.cluster_regions import REGIONS
from tests.support.cluster_secrets import PAGE, made_secrets
from tests.support.http_certificate import certified
from tests.support.manifests import (
    K8S,
    OVERLAYS,
    TRACED,
    Container,
    containers,
    environment,
    mounted_secret,
    of_kind,
    rendered,
    secret_files,
    secrets_of,
)
from trunkline.bus import permissions
from trunkline.cli.settings import ConsoleAccess, DatabaseAccess
from trunkline.runtime.config import load

SETTINGS: dict[str, type] = {
    "services.edge": EdgeSettings,
    "services.dispatcher": DispatcherSettings,
    "services.metering": MeteringSettings,
    "services.health": HealthSettings,
    "services.console": ConsoleSettings,
    "trunkline.cli migrate": DatabaseAccess,
    "trunkline.cli apply": ConsoleAccess,
}

NO_SETTINGS = {"trunkline.dev.demo.upstream"}
FOR_THE_CONFIGURATION = {"TRUNKLINE_API_KEY"}
"""No setting: deploy/compose/demo.yaml refers to it."""

MADE_ELSEWHERE = {certificate["spec"]["secretName"] for certificate in of_kind("production", "Certificate")}
"""By cert-manager; see components/cert-manager."""

CERTIFICATE_KEYS = {"tls.crt": "certificate.pem", "ca.crt": "certificate.pem", "tls.key": "key.pem"}
"""What it puts into a Secret (https://cert-manager.io/docs/usage/certificate/), and what stands for it here."""

ALL = (*OVERLAYS, TRACED)
OURS = [(overlay, each) for overlay in (*ALL, *REGIONS) for each in containers(overlay) if each.module]
IDS = [f"{overlay}-{each.role}" for overlay, each in OURS]


def command(each: Container) -> str:
    words = each.spec["args"]
    return " ".join(words[:2]) if words[0] == "trunkline.cli" else str(words[0])


def declared(settings: type) -> dict[str, bool]:
    """Return each setting's name and whether it is required."""
    return {
        field.metadata["declaration"].name: field.default is dataclasses.MISSING
        for field in dataclasses.fields(settings)
    }


def readable(overlay: str, each: Container, folder: Path) -> dict[str, str]:
    """Return a container's variables, with the files of its secrets as they would be."""
    files, made, found = secret_files(each), made_secrets(overlay), {}
    certified(folder)
    for name, value in environment(overlay, each).items():
        if name.endswith("_PATH"):
            assert value is not None
            directory, _, key = value.rpartition("/")
            assert mounted_secret(each, directory) in MADE_ELSEWHERE
            found[name] = str(folder / CERTIFICATE_KEYS[key])
        elif name.endswith("_FILE"):
            assert value is not None
            secret, key = files[value]
            (folder / key).write_text(made[secret][key])
            found[name] = str(folder / key)
        elif value is not None:
            found[name] = value
    return found


@pytest.mark.parametrize(("overlay", "each"), OURS, ids=IDS)
def test_command_is_a_module_that_exists(overlay: str, each: Container) -> None:
    assert importlib.util.find_spec(each.module) is not None
    assert command(each) in SETTINGS.keys() | NO_SETTINGS


@pytest.mark.parametrize(("overlay", "each"), OURS, ids=IDS)
def test_what_it_is_given_is_declared_needed_and_legal(overlay: str, each: Container, tmp_path: Path) -> None:
    if command(each) in NO_SETTINGS:
        assert environment(overlay, each) == {}
        return
    settings = SETTINGS[command(each)]
    given = {name.removesuffix("_FILE") for name in environment(overlay, each)} - FOR_THE_CONFIGURATION
    known = declared(settings)
    assert given <= known.keys()
    assert {name for name, required in known.items() if required} <= given
    assert load(settings, readable(overlay, each, tmp_path))


@pytest.mark.parametrize("overlay", ALL)
def test_every_service_is_there_once(overlay: str) -> None:
    commands = [command(each) for of, each in OURS if of == overlay]
    assert sorted(commands) == sorted(SETTINGS.keys() | NO_SETTINGS if overlay == "dev" else SETTINGS.keys() - {
        "trunkline.cli apply"
    })  # fmt: skip


@pytest.mark.parametrize(("overlay", "each"), OURS, ids=IDS)
def test_secrets_are_files_and_no_setting_of_a_config_map_is_one(overlay: str, each: Container) -> None:
    settings = SETTINGS.get(command(each), DatabaseAccess)
    secret = {f.metadata["declaration"].name for f in dataclasses.fields(settings) if f.metadata["declaration"].secret}
    assert not secret & environment(overlay, each).keys()


@pytest.mark.parametrize("overlay", ALL)
def test_the_page_makes_the_secrets_that_pods_have_and_no_others(overlay: str) -> None:
    made = made_secrets(overlay)
    wanted: set[tuple[str, str]] = set()
    for each in containers(overlay):
        for name, key in secrets_of(each):
            if name not in MADE_ELSEWHERE:
                wanted |= {(name, key)} if key is not None else {(name, each_key) for each_key in made[name]}
    assert wanted == {(name, key) for name, values in made.items() for key in values}


def test_each_service_shows_a_certificate_of_its_own_to_nats() -> None:
    shown = {each.role: mounted_secret(each, "/run/secrets/nats") for of, each in OURS if of == "production"}
    assert shown == {"migrate": None} | {role: f"nats-client-{role}" for role in permissions.ROLES}
    certificates = {each["spec"]["secretName"]: each["spec"] for each in of_kind("production", "Certificate")}
    for role in permissions.ROLES:
        assert certificates[f"nats-client-{role}"]["commonName"] == role
        assert "client auth" in certificates[f"nats-client-{role}"]["usages"]


@pytest.mark.parametrize("overlay", ALL)
def test_the_page_has_every_secret_in_its_table(overlay: str) -> None:
    table = re.findall(r"^\| (`.*?) \|", PAGE.read_text(), re.MULTILINE)
    names = {name for row in table for name in re.findall(r"`([a-z-]+)`", row)}
    named = {f"trunkline-nats{name}" if name.startswith("-") else name for name in names}
    used = {name for each in containers(overlay) for name, _ in secrets_of(each)}
    used |= {tls["secretName"] for ingress in of_kind(overlay, "Ingress") for tls in ingress["spec"]["tls"]}
    assert used <= named


@pytest.mark.parametrize("overlay", ALL)
def test_each_role_has_its_own_user_of_nats(overlay: str) -> None:
    made = made_secrets(overlay)
    scheme = "nats" if overlay == "dev" else "tls"
    for role in permissions.ROLES:
        password = made["nats-passwords"][permissions.password_variable(role)]
        assert made[f"trunkline-nats-{role}"]["NATS_URL"] == f"{scheme}://{role}:{password}@nats:4222"
        (each,) = (each for each in containers(overlay) if each.module == f"services.{role}")
        assert {name for name, _ in secrets_of(each) if "-nats-" in name} == {f"trunkline-nats-{role}"}


def test_what_traces_is_given_all_that_there_is_to_set_of_it() -> None:
    for each in (each for of, each in OURS if of == TRACED):
        known = {name for name in declared(SETTINGS[command(each)]) if name.startswith("TRUNKLINE_TRACE_")}
        given = {name.removesuffix("_FILE") for name in environment(TRACED, each)}
        assert {name for name in given if name.startswith("TRUNKLINE_TRACE_")} == known


def test_settings_that_manifests_and_the_page_name_in_words_exist() -> None:
    known = {name for settings in SETTINGS.values() for name in declared(settings)} | FOR_THE_CONFIGURATION
    for path in (*K8S.rglob("*.yaml"), PAGE):
        names = set(re.findall(r"\b(TRUNKLINE_[A-Z_]+[A-Z]|DATABASE_URL|NATS_URL)\b", path.read_text()))
        assert {name.removesuffix("_FILE") for name in names} <= known, path


@pytest.mark.parametrize("overlay", ALL)
def test_files_that_pods_mount_are_those_of_config_maps_that_exist(overlay: str) -> None:
    names = {manifest["metadata"]["name"] for manifest in rendered(overlay) if manifest["kind"] == "ConfigMap"}
    for each in containers(overlay):
        for volume in each.pod.get("volumes", ()):
            sources = [volume, *volume.get("projected", {}).get("sources", ())]
            assert {source["configMap"]["name"] for source in sources if "configMap" in source} <= names
