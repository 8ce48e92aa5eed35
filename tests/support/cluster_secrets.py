"""The Secrets that docs/operating/kubernetes.md makes: its own lines are run, with a kubectl that asks no cluster."""

import base64
import functools
import json
import re
import shlex
import subprocess
import tempfile
from pathlib import Path

from tests.support.manifests import KUBECTL, OVERLAYS, ROOT, TRACED
from trunkline.dev import secrets

PAGE = ROOT / "docs" / "operating" / "kubernetes.md"

_KUBECTL_SCRIPT = """#!/bin/bash
case "$*" in
  *"create secret"*) exec {kubectl} "$@" --dry-run=client --output=json >> {made} ;;
  *"get secret database-app"*) echo -n {uri} | base64 --wrap=0 ;;
  "apply -f deploy/k8s/base/namespace.yaml") ;;
  *) echo "not expected: kubectl $*" >&2; exit 1 ;;
esac
"""

_URI = "postgresql://trunkline:secret@database-rw.trunkline:5432/trunkline"
"""As CloudNativePG writes it."""


_HEADERS = "TRUNKLINE_TRACE_HEADERS=authorization=Basic%20drawn==\n"
"""As an operator adds it."""


def made_secrets(overlay: str) -> dict[str, dict[str, str]]:
    """Return the Secrets that the page's lines make for an overlay: values by key, by name.

    A region's are production's; what docs/operating/regions.md adds is not among them.
    """
    return _made(overlay if overlay in {*OVERLAYS, TRACED} else "production")


@functools.cache
def _made(overlay: str) -> dict[str, dict[str, str]]:
    text = PAGE.read_text().partition("## Secrets\n")[2].partition("\n## ")[0]
    if overlay == "dev":
        text = text.replace("scheme=tls # for dev: nats", "scheme=nats")
    every, dev, production, traced = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    own = {"dev": dev, "production": production, TRACED: production + traced}[overlay]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / ".env").write_text(secrets.environment_lines(secrets.draw()) + _HEADERS)
        made, kubectl = folder / "made.json", folder / "kubectl"
        kubectl.write_text(
            _KUBECTL_SCRIPT.format(kubectl=shlex.quote(str(KUBECTL)), made=shlex.quote(str(made)), uri=_URI)
        )
        kubectl.chmod(0o700)
        lines = f'PATH="{folder}:$PATH"\n{every}{own}'
        command = ["bash", "-euo", "pipefail", "-c", lines]
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=60)  # noqa: S603 - our own page
        assert done.returncode == 0, done.stderr.decode()
        return _read(made.read_text())


def _read(text: str) -> dict[str, dict[str, str]]:
    found, decoder = {}, json.JSONDecoder()
    while text := text.strip():
        secret, end = decoder.raw_decode(text)
        text = text[end:]
        assert secret["metadata"]["namespace"] == "trunkline"
        found[secret["metadata"]["name"]] = {
            key: base64.b64decode(value).decode() for key, value in secret["data"].items()
        }
    return found
