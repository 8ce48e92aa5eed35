"""Where and on what a run was made."""

import os
import platform
import subprocess
from pathlib import Path

from bench.results import Machine

GIT_TIMEOUT_S = 10.0


def describe() -> Machine:
    """Return what is known of this machine."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    return Machine(
        cpu=cpu,
        cores=len(os.sched_getaffinity(0)),
        kernel=f"{platform.system()} {platform.release().partition('-')[0]}",
        python=platform.python_version(),
        load_before=os.getloadavg()[0],
    )


def commit() -> str:
    """Return the commit of the source, with ``+`` if there are changes; ``unknown`` outside a checkout."""
    source = Path(__file__).parent
    try:
        name = _git(source, "rev-parse", "--short=12", "HEAD")
        return f"{name}+" if _git(source, "status", "--porcelain") else name
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(source: Path, *arguments: str) -> str:
    finished = subprocess.run(
        ["git", "-C", str(source), *arguments], check=True, capture_output=True, text=True, timeout=GIT_TIMEOUT_S
    )
    return finished.stdout.strip()


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
