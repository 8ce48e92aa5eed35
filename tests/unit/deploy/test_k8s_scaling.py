"""What pods are counted by, against the metrics and settings that the code declares."""

import re
from typing import Any

import pytest
import yaml

from tests.support.manifests import (
    K8S,
    NAMESPACE,
    ROOT,
    Manifest,
    container,
    environment,
    named,
    of_kind,
    workloads,
)

METRICS = set(re.findall(r"^\| `(trunkline_\w+)` \|", (ROOT / "docs/operating/metrics.md").read_text(), re.MULTILINE))
RULES: list[dict[str, Any]] = yaml.safe_load((K8S / "prometheus-adapter" / "values.yaml").read_text())["rules"][
    "custom"
]


def pods_metrics(scaler: Manifest) -> dict[str, int]:
    """Return what an autoscaler wants of each pod on average, by metric."""
    return {
        metric["pods"]["metric"]["name"]: int(metric["pods"]["target"]["averageValue"])
        for metric in scaler["spec"]["metrics"]
        if metric["type"] == "Pods"
    }


@pytest.mark.parametrize("role", ["edge", "dispatcher"])
def test_an_autoscaler_counts_what_exists_by_what_the_code_counts(role: str) -> None:
    scaler = named("production", "HorizontalPodAutoscaler", role)
    target = scaler["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == (workloads("production")[role]["kind"], role)
    (metric,) = pods_metrics(scaler)
    assert metric in METRICS
    assert metric.startswith(f"trunkline_{role}_")
    patterns = [re.search(r'__name__=~"([^"]+)"', rule["seriesQuery"]) for rule in RULES]
    assert any(pattern and re.fullmatch(pattern[1], metric) for pattern in patterns)


def test_rules_of_the_adapter_make_nothing_that_no_autoscaler_wants() -> None:
    wanted = {name for scaler in of_kind("production", "HorizontalPodAutoscaler") for name in pods_metrics(scaler)}
    patterns = [re.search(r'__name__=~"([^"]+)"', rule["seriesQuery"]) for rule in RULES]
    made = {name for name in METRICS for pattern in patterns if pattern and re.fullmatch(pattern[1], name)}
    assert made == wanted


def test_there_are_more_dispatchers_before_the_room_of_any_is_used_up() -> None:
    most = environment("production", container("production", "dispatcher"))["TRUNKLINE_DISPATCHER_JOBS_MAX"]
    assert most is not None
    (average,) = pods_metrics(named("production", "HorizontalPodAutoscaler", "dispatcher")).values()
    # With three of them the other two take the jobs of one that is lost.
    assert average * 3 / 2 <= int(most)


def test_going_down_takes_longer_than_a_pod_takes_to_go() -> None:
    for scaler in of_kind("production", "HorizontalPodAutoscaler"):
        pod = workloads("production")[scaler["metadata"]["name"]]["spec"]["template"]["spec"]
        window = scaler["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"]
        assert window > pod["terminationGracePeriodSeconds"]


def test_metering_is_scaled_by_the_length_of_its_queue() -> None:
    scaled = named("production+keda", "ScaledObject", "metering")
    assert (scaled["apiVersion"], scaled["metadata"]["namespace"]) == ("keda.sh/v1alpha1", NAMESPACE)
    target = scaled["spec"]["scaleTargetRef"]["name"]
    # A Deployment is what KEDA takes when no kind is named. A number in it would undo KEDA's work with each rollout.
    assert "replicas" not in named("production+keda", "Deployment", target)["spec"]
    (trigger,) = scaled["spec"]["triggers"]
    assert f'namespace="{NAMESPACE}"' in trigger["metadata"]["query"]
    assert set(re.findall(r"trunkline_\w+", trigger["metadata"]["query"])) <= METRICS
    assert trigger["metadata"]["query"].startswith("max(")  # each process tells the whole stream's
    assert not [each for each in of_kind("production", "HorizontalPodAutoscaler") if each["metadata"]["name"] == target]
