"""Regions that gateways join: each knows the others by their names and ports, and home alone has JetStream."""

import re
from pathlib import Path

import pytest

from tests.support.cluster_nats import configuration
from tests.support.cluster_regions import GATEWAY_ABROAD, GATEWAY_HOME, GATEWAYS, Pod, write_region
from tests.support.manifests import container, named, workloads

CLUSTERS = {GATEWAY_HOME: "trunkline", GATEWAY_ABROAD: "abroad"}
PORT = 7222


def said(overlay: str, key: str, *files: str) -> list[str]:
    """Return what files of a node's configuration say of a key, in the order of the files."""
    text = "\n".join(configuration(overlay)[file] for file in files or ("nats.conf", "region.conf"))
    return re.findall(rf'^\s*{key}: "?([^\s"]+)"?$', text, re.MULTILINE)


def addresses(overlay: str) -> dict[str, str]:
    """Return where the gateways are that a node knows, by the names of their clusters."""
    return dict(re.findall(r'\{ name: (\w+), url: "tls://([^"]+)" \}', configuration(overlay)["gateway.conf"]))


def nodes(overlay: str) -> list[Pod]:
    return [Pod(overlay, number) for number in range(workloads(overlay)["nats"]["spec"]["replicas"])]


@pytest.mark.parametrize("overlay", GATEWAYS)
def test_all_know_all_by_the_names_of_their_clusters(overlay: str) -> None:
    assert addresses(overlay).keys() == set(CLUSTERS.values())
    # The last of a block is what counts: of the cluster's and the gateway's.
    assert said(overlay, "name")[-2:] == [CLUSTERS[overlay]] * 2
    assert said(overlay, "advertise") == [addresses(overlay)[CLUSTERS[overlay]]]


@pytest.mark.parametrize("overlay", GATEWAYS)
def test_a_region_is_where_the_others_look_for_it(overlay: str) -> None:
    host, _, port = addresses(overlay)[CLUSTERS[overlay]].partition(":")
    assert (port, said(overlay, "port", "gateway.conf")) == (str(PORT), [str(PORT)])
    certificate = named(overlay, "Certificate", "nats")["spec"]
    assert host in certificate["dnsNames"]
    assert {"server auth", "client auth"} <= set(certificate["usages"])
    ports = {port["name"]: port["containerPort"] for port in container(overlay, "nats").spec["ports"]}
    service = named(overlay, "Service", "nats-regions")["spec"]
    assert service["type"] == "LoadBalancer"
    assert [(each["port"], ports[each["targetPort"]]) for each in service["ports"]] == [(PORT, PORT)]


@pytest.mark.parametrize("overlay", GATEWAYS)
def test_a_gateway_asks_for_a_certificate_and_a_password(overlay: str) -> None:
    assert said(overlay, "verify", "gateway.conf") == ["true"]
    assert "authorization { user: region, password: $NATS_REGION_PASSWORD }" in configuration(overlay)["gateway.conf"]


@pytest.mark.parametrize("overlay", GATEWAYS)
def test_a_way_that_is_cut_is_found_in_seconds(overlay: str) -> None:
    assert said(overlay, "ping_interval")[-1] == "5s"


def test_home_is_productions_cluster_under_its_name() -> None:
    """Its nodes are replaced one by one, and let in none of a cluster with another name."""
    assert said(GATEWAY_HOME, "name", "nats.conf") == [CLUSTERS[GATEWAY_HOME]]
    assert re.findall(r"^(\w+)", configuration(GATEWAY_HOME)["region.conf"], re.MULTILINE) == ["include", "gateway"]
    assert nodes(GATEWAY_HOME) == [Pod(GATEWAY_HOME, number) for number in range(3)]


def test_abroad_has_no_jetstream_no_disk_and_no_probe_that_asks_for_them() -> None:
    assert said(GATEWAY_ABROAD, "jetstream") == ["disabled"]
    spec, each = workloads(GATEWAY_ABROAD)["nats"]["spec"], container(GATEWAY_ABROAD, "nats")
    assert not {"volumeClaimTemplates", "persistentVolumeClaimRetentionPolicy"} & spec.keys()
    assert {mount["mountPath"] for mount in each.spec["volumeMounts"]} == {
        "/etc/nats",
        "/etc/nats-tls",
        "/var/run/nats",
    }
    probes = ("startupProbe", "livenessProbe", "readinessProbe")
    assert {each.spec[probe]["httpGet"]["path"] for probe in probes} == {"/healthz"}


def test_abroads_nodes_know_each_other() -> None:
    routes = re.findall(r"nats://(\S+)", configuration(GATEWAY_ABROAD)["region.conf"])
    assert routes == [f"nats-{pod.number}.nats-nodes:6222" for pod in nodes(GATEWAY_ABROAD)]
    assert len(routes) == 2


def test_no_two_nodes_of_all_regions_have_one_name(tmp_path: Path) -> None:
    """Gateways refuse a node that is called as one of their own."""
    names = []
    for overlay in GATEWAYS:
        variable = said(overlay, "server_name")[-1].removeprefix("$")
        names += [write_region(tmp_path, pod, tmp_path)[1][variable] for pod in nodes(overlay)]
    assert names == ["nats-0", "nats-1", "nats-2", "abroad-nats-0", "abroad-nats-1"]
