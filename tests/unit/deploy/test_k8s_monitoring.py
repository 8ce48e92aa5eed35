"""What a cluster's Prometheus and Grafana are given is what stands in deploy/prometheus and deploy/grafana."""

import json
import re

import pytest
import yaml

from deploy.grafana.boards import DASHBOARDS
from docs.generate import CLUSTER_RULES, RULES, cluster_rules_text
from tests.support.cluster_regions import ABROAD, GATEWAY_ABROAD
from tests.support.manifests import ROOT, containers, named, of_kind, workloads
from tests.support.network_policies import selects

BYTES_MAX = 256 * 1024
"""`kubectl apply` keeps each object in an annotation of itself, and all annotations may have this (Kubernetes, API
validation)."""


def test_the_exporter_of_nats_tells_what_the_alerts_ask_for() -> None:
    head = (ROOT / "deploy/prometheus/rules/dependencies.yml").read_text().partition("groups:")[0]
    (flags,) = re.findall(r"`(-prefix=[^`]+)`", head)
    args = next(each.spec["args"] for each in containers("production") if each.spec["name"] == "exporter")
    assert set(flags.split()) <= set(args)


def test_rules_are_those_of_the_files() -> None:
    assert CLUSTER_RULES.read_text() == cluster_rules_text()
    shipped = {each["metadata"]["name"]: each["spec"] for each in of_kind("production", "PrometheusRule")}
    assert shipped == {f"trunkline-{path.stem}": yaml.safe_load(path.read_text()) for path in RULES.glob("*.yml")}


def test_boards_are_those_of_the_files_and_the_sidecar_finds_them() -> None:
    found = [
        each for each in of_kind("production", "ConfigMap") if "grafana_dashboard" in each["metadata"].get("labels", ())
    ]
    assert {each["metadata"]["labels"]["grafana_dashboard"] for each in found} == {"1"}
    shipped = {name: text for each in found for name, text in each["data"].items()}
    assert shipped == {path.name: path.read_text() for path in DASHBOARDS.glob("*.json")}
    assert all(len(json.dumps(each).encode()) < BYTES_MAX for each in found)


@pytest.mark.parametrize("overlay", [ABROAD, GATEWAY_ABROAD])
def test_abroad_only_those_are_missed_that_should_be_there(overlay: str) -> None:
    (expr,) = (
        rule["expr"]
        for group in named(overlay, "PrometheusRule", "trunkline-silence")["spec"]["groups"]
        for rule in group["rules"]
        if rule.get("alert") == "TrunklineRoleAbsent"
    )
    assert set(re.findall(r'job="(\w+)"', expr)) == workloads(overlay).keys() - {"nats"}


def test_prometheus_finds_the_metrics_of_every_pod_that_has_some() -> None:
    monitor = named("production", "PodMonitor", "trunkline")["spec"]
    endpoints = {endpoint["port"] for endpoint in monitor["podMetricsEndpoints"]}
    scraped = set()
    for role, workload in workloads("production").items():
        template = workload["spec"]["template"]
        opened = {port["name"] for each in template["spec"]["containers"] for port in each.get("ports", ())}
        if selects(monitor["selector"], template["metadata"]["labels"]) and opened & endpoints:
            scraped.add(role)
    assert scraped == {"edge", "dispatcher", "metering", "health", "console", "nats"}
