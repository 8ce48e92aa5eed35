"""How pods run, stop, are watched and are spread, against what the code does."""

import importlib.util
import re
from pathlib import Path

import pytest

from services.edge.config import EdgeSettings
from tests.support.manifests import (
    NAME,
    OVERLAYS,
    ROOT,
    Container,
    Manifest,
    container,
    containers,
    environment,
    named,
    of_kind,
    workloads,
)
from tests.support.network_policies import selects
from trunkline.core import limits
from trunkline.runtime.process import ProcessSettings
from trunkline.runtime.usage_outbox import SpoolSettings

SERVICES = ("edge", "dispatcher", "metering", "health", "console")
PUBLIC = {"edge": EdgeSettings.port, "console": 8081}
CLOSING_S = 15
"""Between the end of the grace time and that of the process: what is in hand is stored, or written down."""

EVERY = [(overlay, each) for overlay in OVERLAYS for each in containers(overlay)]
IDS = [f"{overlay}-{each.role}-{each.spec['name']}" for overlay, each in EVERY]
UNITS = {"Mi": 1024**2, "Gi": 1024**3}


def ops_port(role: str) -> int:
    """Return the ops port as the service's own start says it."""
    spec = importlib.util.find_spec(f"services.{role}.__main__")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    text = Path(spec.origin).read_text() + (folder / "config.py").read_text()
    return int(re.findall(r"(?:ops_port=|OPS_PORT = )(\d+)", text)[0])


def bytes_of(text: str) -> int:
    return int(text[:-2]) * UNITS[text[-2:]]


def ports(each: Container) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in each.spec.get("ports", ())}


def seconds_before_sigterm(each: Container) -> int:
    return int(each.spec["lifecycle"]["preStop"]["sleep"]["seconds"])


@pytest.mark.parametrize(("overlay", "each"), EVERY, ids=IDS)
def test_a_container_may_do_nothing_that_it_need_not(overlay: str, each: Container) -> None:
    assert each.spec["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }, overlay
    context = each.pod["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] == (70 if each.role == "postgres" else 10001)
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert each.pod["automountServiceAccountToken"] is False
    assert each.pod["enableServiceLinks"] is False
    assert not any("hostPath" in volume for volume in each.pod.get("volumes", ()))


@pytest.mark.parametrize(("overlay", "each"), EVERY, ids=IDS)
def test_a_container_says_what_it_needs_and_has_a_bound_of_memory_only(overlay: str, each: Container) -> None:
    assert each.spec["resources"]["requests"].keys() == {"cpu", "memory"}, overlay
    # A bound of CPU would stop a process in the middle of its streams.
    assert each.spec["resources"]["limits"].keys() == {"memory"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_pod_has_an_account_of_its_own_without_a_token(overlay: str) -> None:
    for role, workload in workloads(overlay).items():
        account = workload["spec"]["template"]["spec"]["serviceAccountName"]
        assert account == role
        assert named(overlay, "ServiceAccount", account)["automountServiceAccountToken"] is False


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_workloads_services_and_budgets_select_the_pods_that_they_mean(overlay: str) -> None:
    pods = {role: each["spec"]["template"]["metadata"]["labels"] for role, each in workloads(overlay).items()}
    assert all(labels["app.kubernetes.io/part-of"] == "trunkline" for labels in pods.values())
    for role, workload in workloads(overlay).items():
        if workload["kind"] != "Job":
            assert selects(workload["spec"]["selector"], pods[role])
            assert workload["metadata"]["name"] == role
    for service in of_kind(overlay, "Service"):
        selected = [
            role for role, labels in pods.items() if selects({"matchLabels": service["spec"]["selector"]}, labels)
        ]
        assert selected == [service["metadata"]["name"].removesuffix("-nodes")]
        known = ports(container(overlay, selected[0]))
        assert {known[port["targetPort"]] for port in service["spec"]["ports"]} == {
            port["port"] for port in service["spec"]["ports"]
        }
    budgets = {
        budget["metadata"]["name"]: [
            role for role, labels in pods.items() if selects(budget["spec"]["selector"], labels)
        ]
        for budget in of_kind(overlay, "PodDisruptionBudget")
    }
    assert budgets == {role: [role] for role in (*SERVICES, "nats")}
    most = {
        budget["metadata"]["name"]: budget["spec"]["maxUnavailable"]
        for budget in of_kind(overlay, "PodDisruptionBudget")
    }
    assert most == {role: "25%" if role in {"edge", "dispatcher"} else 1 for role in budgets}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_ports_are_those_that_the_code_listens_on_and_the_image_exposes(overlay: str) -> None:
    found = {role: ports(container(overlay, role)) for role in SERVICES}
    assert found == {
        role: {"ops": ops_port(role)} | ({"http": PUBLIC[role]} if role in PUBLIC else {}) for role in SERVICES
    }
    exposed = re.findall(r"^EXPOSE (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[0].split()
    assert {port for opened in found.values() for port in opened.values()} == {int(port) for port in exposed}


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("role", SERVICES)
def test_a_service_is_asked_on_its_ops_port_whether_it_lives_and_is_ready(overlay: str, role: str) -> None:
    spec = container(overlay, role).spec
    asked = {kind: spec[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert asked == {
        "startupProbe": {"path": "/livez", "port": "ops"},
        "livenessProbe": {"path": "/livez", "port": "ops"},
        "readinessProbe": {"path": "/readyz", "port": "ops"},
    }
    assert '"/livez"' in (ROOT / "trunkline/runtime/ops.py").read_text()
    assert '"/readyz"' in (ROOT / "trunkline/runtime/ops.py").read_text()


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("role", SERVICES)
def test_a_pod_is_given_the_time_that_its_process_takes_to_stop(overlay: str, role: str) -> None:
    each = container(overlay, role)
    settings = environment(overlay, each)
    grace_s = float(settings.get("TRUNKLINE_GRACE_S") or ProcessSettings.grace_s)
    assert each.pod["terminationGracePeriodSeconds"] >= seconds_before_sigterm(each) + grace_s + CLOSING_S
    if role in {"edge", "dispatcher"}:
        deadline = environment(overlay, container(overlay, "edge")).get("TRUNKLINE_JOB_DEADLINE_S")
        assert grace_s > float(deadline or EdgeSettings.job_deadline_s)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_edges_go_on_while_load_balancers_take_notice(overlay: str) -> None:
    assert seconds_before_sigterm(container(overlay, "edge")) >= 10
    assert workloads(overlay)["edge"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_memory_is_enough_for_the_bodies_that_a_process_may_hold(overlay: str) -> None:
    for role, name in (("edge", "TRUNKLINE_BODIES_BYTES_MAX"), ("dispatcher", "TRUNKLINE_DISPATCHER_BODIES_BYTES_MAX")):
        each = container(overlay, role)
        bodies = int(environment(overlay, each).get(name) or limits.BODIES_BYTES_MAX)
        assert bytes_of(each.spec["resources"]["limits"]["memory"]) >= bodies + 256 * UNITS["Mi"]


def volume_of_spool(overlay: str, role: str) -> tuple[Manifest, int]:
    """Return the volume that a role's spool is on, and its size."""
    each = container(overlay, role)
    directory = environment(overlay, each)["TRUNKLINE_SPOOL_DIR"]
    assert directory is not None
    (name,) = (mount["name"] for mount in each.spec["volumeMounts"] if directory.startswith(f"{mount['mountPath']}/"))
    claims = {
        claim["metadata"]["name"]: claim for claim in workloads(overlay)[role]["spec"].get("volumeClaimTemplates", ())
    }
    if name in claims:
        return claims[name], bytes_of(claims[name]["spec"]["resources"]["requests"]["storage"])
    (volume,) = (volume for volume in each.pod["volumes"] if volume["name"] == name)
    return volume, bytes_of(volume["emptyDir"]["sizeLimit"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_first_copy_of_usage_outlives_its_pod_and_both_find_room(overlay: str) -> None:
    for role in ("edge", "dispatcher"):
        _, size = volume_of_spool(overlay, role)
        bound = environment(overlay, container(overlay, role)).get("TRUNKLINE_SPOOL_BYTES_MAX")
        assert size >= 2 * int(bound or SpoolSettings.spool_bytes_max)
    volume, _ = volume_of_spool(overlay, "dispatcher")
    assert volume["spec"]["accessModes"] == ["ReadWriteOnce"]
    retention = workloads(overlay)["dispatcher"]["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert retention == {"whenDeleted": "Retain", "whenScaled": "Retain"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_of_a_kind_are_spread_over_zones_and_nodes(overlay: str) -> None:
    for role in (*SERVICES, "nats"):
        spread = workloads(overlay)[role]["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert [each["topologyKey"] for each in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        assert all(each["labelSelector"] == {"matchLabels": {NAME: role}} for each in spread)


def test_production_has_several_of_each() -> None:
    scaled = {
        scaler["metadata"]["name"]: scaler["spec"]["minReplicas"]
        for scaler in of_kind("production", "HorizontalPodAutoscaler")
    }
    fixed = {
        role: each["spec"].get("replicas") for role, each in workloads("production").items() if each["kind"] != "Job"
    }
    assert scaled == {"edge": 3, "dispatcher": 3}
    # A number beside an autoscaler would undo its work with each rollout.
    assert fixed == {"edge": None, "dispatcher": None, "metering": 2, "health": 2, "console": 2, "nats": 3}


def test_dev_is_one_of_each_with_images_that_compose_has_too() -> None:
    assert {each["spec"].get("replicas") for each in workloads("dev").values()} == {None}
    compose = (ROOT / "docker-compose.yml").read_text()
    assert all(f"image: {each.spec['image']}\n" in compose for each in containers("dev"))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_ingress_leads_to_services_and_ports_that_exist(overlay: str) -> None:
    for ingress in of_kind(overlay, "Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = named(overlay, "Service", path["backend"]["service"]["name"])
                assert path["backend"]["service"]["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}
