"""What `kubectl kustomize` makes of deploy/k8s, and what one asks of it: containers, their settings, their secrets."""

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import yaml

ROOT = Path(__file__).parents[2]
K8S = ROOT / "deploy" / "k8s"
OVERLAYS = ("dev", "production")
TRACED = "production+tracing"
"""Production with one component more, as an overlay over it has it; see `rendered`."""

NAMESPACE = "trunkline"
NAME = "app.kubernetes.io/name"

Manifest: TypeAlias = dict[str, Any]
"""One object of Kubernetes, as YAML says it."""

_WORKLOADS = ("Deployment", "StatefulSet", "Job")
KUBECTL = Path(sys.executable).with_name("kubectl")


class Container(NamedTuple):
    """A container of a pod.

    Attributes:
        role: what its pod is called (`NAME`).
        spec: its own.
        pod: of the pod that it is in.
    """

    role: str
    spec: Manifest
    pod: Manifest

    @property
    def module(self) -> str:
        """What ``python -m`` is given, empty where the image is not ours."""
        return str(self.spec["args"][0]) if self.spec["image"].split(":")[0].split("@")[0].endswith("trunkline") else ""


@functools.cache
def rendered(overlay: str) -> tuple[Manifest, ...]:
    """Return the objects of an overlay, with one component more after a plus. Not to be changed by who gets them."""
    name, _, component = overlay.partition("+")
    folder = K8S / "overlays" / name
    if not component:
        return render(folder)
    with tempfile.TemporaryDirectory() as scratch:
        resources, components = (
            os.path.relpath(path, os.path.realpath(scratch)) for path in (folder, K8S / "components" / component)
        )
        (Path(scratch) / "kustomization.yaml").write_text(
            yaml.safe_dump({"namespace": NAMESPACE, "resources": [resources], "components": [components]})
        )
        return render(Path(scratch))


def render(folder: Path) -> tuple[Manifest, ...]:
    """Return the objects that a folder's kustomization.yaml makes."""
    command = [str(KUBECTL), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)  # noqa: S603 - the test extra's own
    assert done.returncode == 0, done.stderr.decode()
    # In C: there are 300 KB of it.
    return tuple(yaml.load_all(done.stdout, Loader=yaml.CSafeLoader))


def of_kind(overlay: str, *kinds: str) -> list[Manifest]:
    """Return the objects of these kinds."""
    return [manifest for manifest in rendered(overlay) if manifest["kind"] in kinds]


def named(overlay: str, kind: str, name: str) -> Manifest:
    """Return one object; there must be exactly one."""
    (found,) = (manifest for manifest in of_kind(overlay, kind) if manifest["metadata"]["name"] == name)
    return found


def workloads(overlay: str) -> dict[str, Manifest]:
    """Return what runs pods, by what the pods are called."""
    return {
        manifest["spec"]["template"]["metadata"]["labels"][NAME]: manifest for manifest in of_kind(overlay, *_WORKLOADS)
    }


def containers(overlay: str) -> Iterator[Container]:
    """Yield every container, those that run before the others among them."""
    for role, manifest in workloads(overlay).items():
        pod = manifest["spec"]["template"]["spec"]
        for spec in (*pod.get("initContainers", ()), *pod["containers"]):
            yield Container(role, spec, pod)


def container(overlay: str, role: str) -> Container:
    """Return the container that is called as its pod is."""
    (found,) = (each for each in containers(overlay) if each.role == each.spec["name"] == role)
    return found


def environment(overlay: str, each: Container) -> dict[str, str | None]:
    """Return a container's variables; None for the value of one that comes from elsewhere."""
    found: dict[str, str | None] = {}
    for source in each.spec.get("envFrom", ()):
        if "configMapRef" in source:
            found |= named(overlay, "ConfigMap", source["configMapRef"]["name"]).get("data") or {}
    for variable in each.spec.get("env", ()):
        found[variable["name"]] = variable.get("value")
    return found


def secret_files(each: Container) -> dict[str, tuple[str, str]]:
    """Return which key of which Secret each file of a container holds, by the file's path."""
    volumes = {volume["name"]: volume for volume in each.pod.get("volumes", ())}
    files = {}
    for mount in each.spec.get("volumeMounts", ()):
        for source in volumes.get(mount["name"], {}).get("projected", {}).get("sources", ()):
            for item in source.get("secret", {}).get("items", ()):
                files[f"{mount['mountPath']}/{item['path']}"] = (source["secret"]["name"], item["key"])
    return files


def mounted_secret(each: Container, path: str) -> str | None:
    """Return which Secret a container has whole at a path, None if there is none."""
    volumes = {volume["name"]: volume for volume in each.pod.get("volumes", ())}
    for mount in each.spec.get("volumeMounts", ()):
        if mount["mountPath"] == path and "secret" in volumes[mount["name"]]:
            return str(volumes[mount["name"]]["secret"]["secretName"])
    return None


def secrets_of(each: Container) -> Iterator[tuple[str, str | None]]:
    """Yield every Secret and key that a container is given; None for all keys of one."""
    yield from secret_files(each).values()
    for source in each.spec.get("envFrom", ()):
        if "secretRef" in source:
            yield source["secretRef"]["name"], None
    for variable in each.spec.get("env", ()):
        if (reference := variable.get("valueFrom", {}).get("secretKeyRef")) is not None:
            yield reference["name"], reference["key"]
    mounted = {mount["name"] for mount in each.spec.get("volumeMounts", ())}
    for volume in each.pod.get("volumes", ()):
        if volume["name"] in mounted and "secret" in volume:
            yield volume["secret"]["secretName"], None
