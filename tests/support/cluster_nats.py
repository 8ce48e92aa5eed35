"""The nodes of NATS as an overlay of deploy/k8s describes them, run here: its files, with other paths and ports."""

import re
from pathlib import Path
from typing import NamedTuple

from tests.support.cluster_secrets import made_secrets
from tests.support.manifests import container, named

CERTIFICATES = "/etc/nats-tls/"
CERTIFICATE_FILES = {"tls.crt": "certificate.pem", "tls.key": "key.pem", "ca.crt": "certificate.pem"}
"""What stands for them here: one certificate, which is its own authority."""


class NodePorts(NamedTuple):
    """What a node listens on: the ports of its container, by name."""

    nats: int
    cluster: int
    monitor: int


POD_PORTS = NodePorts(4222, 6222, 8222)


def configuration(overlay: str) -> dict[str, str]:
    """Return the files that a node has under /etc/nats, by name."""
    files: dict[str, str] = {}
    volumes = container(overlay, "nats").pod["volumes"]
    (config,) = (volume for volume in volumes if volume["name"] == "config")
    for source in config["projected"]["sources"]:
        files |= named(overlay, "ConfigMap", source["configMap"]["name"])["data"]
    return files


def write_node(folder: Path, overlay: str, number: int, ports: list[NodePorts], certificates: Path) -> Path:
    """Write a node's files to a folder, and return its configuration.

    Args:
        folder: of this node.
        overlay: which it is of.
        number: of the node.
        ports: of all nodes, by number.
        certificates: where `tests.support.http_certificate` has put one.
    """
    files = configuration(overlay)
    text = files["nats.conf"].replace("/var/run/nats/", f"{folder}/").replace("/data", f"{folder}/data")
    for name, other in CERTIFICATE_FILES.items():
        text = text.replace(f"{CERTIFICATES}{name}", str(certificates / other))
    text = re.sub(
        r"nats://nats-(\d)\.nats-nodes:6222",
        lambda route: f"nats://localhost:{ports[int(route[1])].cluster}",
        text,
    )
    for port, free in zip(POD_PORTS, ports[number], strict=True):
        text = re.sub(rf"\b(port|http): {port}\b", rf"\1: {free}", text)
    files["nats.conf"] = text
    for name, content in files.items():
        (folder / name).write_text(content)
    return folder / "nats.conf"


def node_environment(overlay: str, number: int) -> dict[str, str]:
    """Return the variables of a node that its configuration names."""
    return {"POD_NAME": f"nats-{number}", **made_secrets(overlay)["nats-passwords"]}
