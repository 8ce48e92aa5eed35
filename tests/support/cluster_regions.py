"""A node of NATS of a region's overlay (deploy/k8s/overlays), run here: its files, with other paths and ports."""

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from tests.support.cluster_nats import CERTIFICATE_FILES, CERTIFICATES, configuration
from tests.support.manifests import container, environment

HOME, ABROAD = "regions/home", "regions/abroad"
GATEWAY_HOME, GATEWAY_ABROAD = "gateways/home", "gateways/abroad"
LEAF_NODES, GATEWAYS = (HOME, ABROAD), (GATEWAY_HOME, GATEWAY_ABROAD)
REGIONS = (*LEAF_NODES, *GATEWAYS)
"""All overlays of regions."""

PASSWORD = "drawn1"
"""Each of them here."""

_VARIABLE = re.compile(r"\$([A-Z_]{4,})\b")
_ADDRESS = re.compile(r"nats(?:-(?P<number>\d)\.nats-nodes|\.(?P<region>home|abroad)\.example\.com):(?P<port>\d{4})")


class Pod(NamedTuple):
    """A node: its overlay, and its number there."""

    overlay: str
    number: int = 0


Ports: TypeAlias = Callable[[Pod, str], int]
"""Tells which port of this machine is that of a pod."""


def in_a_row(pod: Pod, port: str) -> int:
    """Let each node of an overlay have the next port, the first the pod's."""
    return int(port) + pod.number


def variables(overlay: str) -> set[str]:
    """Return the names of the variables that a node's configuration has."""
    return set(_VARIABLE.findall("".join(configuration(overlay).values())))


def write_region(
    folder: Path, pod: Pod, certificates: Path, ports: Ports = in_a_row, password: str = PASSWORD
) -> tuple[Path, dict[str, str]]:
    """Write a node's files to a folder; returns its configuration, and its environment.

    Args:
        folder: of this node.
        pod: which node it is.
        certificates: where `tests.support.http_certificate` has put one.
        ports: of all nodes. The first of a region is the one that its load balancer leads to.
        password: of the user by which it tells the other region who it is.
    """
    paths = {f"{CERTIFICATES}{file}": str(certificates / other) for file, other in CERTIFICATE_FILES.items()}
    paths |= {"/var/run/nats/": f"{folder}/", "/data": f"{folder}/data"}
    for name, text in configuration(pod.overlay).items():
        here = re.sub("|".join(paths), lambda found: paths[found[0]], text)
        here = re.sub(r"\b(port: |http: )(\d{4})\b", lambda found: f"{found[1]}{ports(pod, found[2])}", here)
        (folder / name).write_text(_ADDRESS.sub(partial(_address, pod.overlay, ports), here))
    home_url = f"tls://region:{password}@nats.home.example.com:7422"
    return folder / "region.conf", {
        "PATH": os.defpath,
        **dict.fromkeys(variables(pod.overlay), PASSWORD),
        "NATS_REGION_PASSWORD": password,
        "NATS_HOME_URL": _ADDRESS.sub(partial(_address, pod.overlay, ports), home_url),
        **_environment(pod),
    }


def _environment(pod: Pod) -> dict[str, str]:
    """Return the variables of a node's manifest; the value of one may name those before it."""
    found: dict[str, str] = {}
    for name, value in environment(pod.overlay, container(pod.overlay, "nats")).items():
        text = f"nats-{pod.number}" if name == "POD_NAME" else value or ""
        found[name] = re.sub(r"\$\((\w+)\)", lambda other: found.get(other[1], other[0]), text)
    return found


def _address(overlay: str, ports: Ports, found: re.Match[str]) -> str:
    """Return where a node is here that another one calls by name."""
    if found["number"]:
        other = Pod(overlay, int(found["number"]))
    else:
        other = Pod(f"{overlay.partition('/')[0]}/{found['region']}")
    return f"localhost:{ports(other, found['port'])}"
