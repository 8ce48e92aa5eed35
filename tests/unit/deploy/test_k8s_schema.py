"""Every object is one that Kubernetes takes, and one that others know only by its own few fields."""

import functools
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils

from tests.support.cluster_regions import REGIONS
from tests.support.cluster_secrets import PAGE
from tests.support.manifests import (
    K8S,
    NAMESPACE,
    OVERLAYS,
    TRACED,
    Manifest,
    containers,
    named,
    of_kind,
    rendered,
    secrets_of,
)

VERSIONS = ("1.33", "1.37")
"""The oldest that the page names, and the newest that the schemas know."""

DEFINED_ELSEWHERE = {
    "Certificate": "cert-manager.io/v1",
    "Cluster": "postgresql.cnpg.io/v1",
    "Issuer": "cert-manager.io/v1",
    "PodMonitor": "monitoring.coreos.com/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
}
"""Kinds of operators: their schemas are not Kubernetes's."""

WITHOUT_NAMESPACE = {"Namespace"}


@pytest.fixture(autouse=True)
def schemas_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, "schema_contents", read_once)


@functools.cache
def read_once(filename: str, version: str) -> Any:
    return ORIGINAL(filename, version)


ORIGINAL = utils.schema_contents


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", [*OVERLAYS, TRACED, *REGIONS])
def test_kubernetes_takes_every_object(overlay: str, version: str) -> None:
    for manifest in rendered(overlay):
        if DEFINED_ELSEWHERE.get(manifest["kind"]) != manifest["apiVersion"]:
            assert kubernetes_validate.validate(manifest, version, strict=True) == version


def test_a_field_that_is_misspelt_is_not_taken() -> None:
    service = {**named("dev", "Service", "edge"), "specs": {}}
    with pytest.raises(kubernetes_validate.ValidationError, match="specs"):
        kubernetes_validate.validate(service, VERSIONS[0], strict=True)


@pytest.mark.parametrize("overlay", [*OVERLAYS, *REGIONS])
def test_every_object_is_in_the_namespace_and_is_there_once(overlay: str) -> None:
    keys = [(each["kind"], each["metadata"]["name"]) for each in rendered(overlay)]
    assert len(keys) == len(set(keys))
    namespaces = {each["metadata"].get("namespace") for each in rendered(overlay) if each["kind"] != "Namespace"}
    assert namespaces == {NAMESPACE}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_are_held_to_the_restricted_standard(overlay: str) -> None:
    labels = named(overlay, "Namespace", NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_only_the_dev_overlay_does_without_the_operators_of_others() -> None:
    assert of_kind("dev", *DEFINED_ELSEWHERE) == []
    assert {each["kind"] for each in of_kind("production", *DEFINED_ELSEWHERE)} == DEFINED_ELSEWHERE.keys()


def test_certificates_come_from_issuers_that_exist() -> None:
    issuers = {issuer["metadata"]["name"]: issuer["spec"] for issuer in of_kind("production", "Issuer")}
    secrets: dict[str, Manifest] = {}
    for certificate in of_kind("production", "Certificate"):
        spec = certificate["spec"]
        assert spec["issuerRef"]["name"] in issuers
        assert spec["issuerRef"]["kind"] == "Issuer"
        secrets[spec["secretName"]] = spec
    assert secrets["authority"]["isCA"] is True
    assert issuers["authority"]["ca"]["secretName"] == "authority"
    used = {name for each in containers("production") for name, _ in secrets_of(each) if name.startswith("nats-")}
    assert secrets.keys() == {"authority", "nats-client-operator"} | used - {"nats-passwords"}


def test_the_database_is_the_one_that_the_page_and_the_policies_mean() -> None:
    (cluster,) = of_kind("production", "Cluster")
    spec = cluster["spec"]
    # What CloudNativePG makes for the application is named after the cluster (https://cloudnative-pg.io/docs/).
    assert f"get secret {cluster['metadata']['name']}-app " in PAGE.read_text()
    assert spec["bootstrap"] == {"initdb": {"database": "trunkline", "owner": "trunkline"}}
    # One may be lost, and then there is another one that has every commit.
    assert (spec["instances"], spec["postgresql"]["synchronous"]) == (3, {"method": "any", "number": 1})
    selector = named("production", "NetworkPolicy", "database")["spec"]["podSelector"]["matchLabels"]
    assert spec["inheritedMetadata"]["labels"] == selector


def test_the_image_of_production_is_named_by_its_digest() -> None:
    images = {
        container["image"]
        for workload in of_kind("production", "Deployment", "StatefulSet", "Job")
        for container in workload["spec"]["template"]["spec"]["containers"]
        if "trunkline" in container["image"]
    }
    (image,) = images
    name, _, digest = image.partition("@")
    assert ":" not in name.rpartition("/")[2]
    assert digest.startswith("sha256:")


def test_every_component_is_in_an_overlay_or_in_a_test() -> None:
    overlays = (K8S / "overlays").rglob("kustomization.yaml")
    used = {
        Path(path).name for overlay in overlays for path in yaml.safe_load(overlay.read_text()).get("components", ())
    }
    assert {folder.name for folder in (K8S / "components").iterdir()} - used == {"keda", "tracing"}
