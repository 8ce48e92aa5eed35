"""A node of NATS as deploy/k8s/overlays/regions describes it, run here: its files, with other paths and ports."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from tests.support.cluster_nats import CERTIFICATE_FILES, CERTIFICATES, configuration

HOME, ABROAD = "regions/home", "regions/abroad"
POD_PORTS = ("4222", "6222", "7422", "8222")
_VARIABLE = re.compile(r"\$([A-Z_]{4,})\b")


def write_region(
    folder: Path, overlay: str, certificates: Path, ports: Mapping[str, int], home_url: str
) -> tuple[Path, dict[str, str]]:
    """Write a node's files to a folder; returns its configuration, and its environment.

    Args:
        folder: of this node.
        overlay: one of those above.
        certificates: where `tests.support.http_certificate` has put one.
        ports: instead of each of `POD_PORTS`.
        home_url: by which the other region reaches home.
    """
    paths = {f"{CERTIFICATES}{file}": str(certificates / other) for file, other in CERTIFICATE_FILES.items()}
    paths |= {"/var/run/nats/": f"{folder}/", "/data": f"{folder}/data"}
    files = configuration(overlay)
    for name, text in files.items():
        here = re.sub("|".join(paths), lambda found: paths[found[0]], text)
        here = re.sub(r"\b(port: |http: |:)(\d{4})\b", lambda found: f"{found[1]}{ports.get(found[2], found[2])}", here)
        (folder / name).write_text(here)
    variables = dict.fromkeys(_VARIABLE.findall("".join(files.values())), "drawn1")
    return folder / "region.conf", {"PATH": os.defpath, **variables, "NATS_HOME_URL": home_url}
