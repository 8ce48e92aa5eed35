"""Samples one service under load with py-spy and says where its time goes. Called by `bench.__main__`.

py-spy reads a process from outside, so what is profiled is the service as it always runs. What a Python function
spends in C and in the kernel (a socket write, say) counts as the function's own. Only samples in which the interpreter
runs are taken: waiting for sockets is none of them.
"""

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from bench.generator import Generator
from bench.measure import Bench
from bench.orders import Order

RATE_PER_S = 400
MARGIN_S = 30.0
TOP = 30


class ProfileError(Exception):
    """No profile could be taken; says why and what to do."""


class Profile(NamedTuple):
    """Samples by function: at the top of the stack, and anywhere on it."""

    samples: int
    own: Counter[str]
    under: Counter[str]


def parse_folded(text: str) -> Profile:
    """Read py-spy's ``raw`` format: frames from the outermost on, separated by semicolons, and how often."""
    own: Counter[str] = Counter()
    under: Counter[str] = Counter()
    samples = 0
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        if not stack:
            continue
        frames = [short(frame) for frame in stack.split(";")]
        samples += int(count)
        own[frames[-1]] += int(count)
        for frame in set(frames):
            under[frame] += int(count)
    return Profile(samples, own, under)


def short(frame: str) -> str:
    """Return a frame without the folders that all share: ``data_received (runtime/http_server.py:105)``."""
    name, mark, place = frame.partition(" (")
    if not mark:
        return frame
    for root in ("site-packages/", "trunkline/", "services/", "lib/python"):
        _, found, rest = place.rpartition(root)
        if found:
            place = rest if root in {"site-packages/", "lib/python"} else f"{root if root == 'services/' else ''}{rest}"
            break
    return f"{name} ({place}"


def text(title: str, profile: Profile, top: int = TOP) -> str:
    """Return the functions with the most samples of their own, then those with the most under them."""
    lines = [f"{title}: {profile.samples} samples"]
    for head, counted in (("own", profile.own), ("under", profile.under)):
        lines.append(f"  {head:>6}")
        lines += [f"  {count / max(1, profile.samples):6.1%}  {frame}" for frame, count in counted.most_common(top)]
    return "\n".join(lines)


def take(bench: Bench, role: str, order: Order, seconds: float) -> Profile:
    """Sample the first process of a role while a load runs.

    Raises:
        ProfileError: see there.
    """
    sampler = _sampler()
    entries = bench.stack.ready.processes.get(role)
    if not entries:
        raise ProfileError(f"the stack has no process of the role {role}")
    with tempfile.TemporaryDirectory(prefix="trunkline-bench-") as folder:
        output = Path(folder) / "stacks"
        load = Generator(bench.gateway(order))
        try:
            options = {"--pid": entries[0].pid, "--duration": round(seconds), "--rate": RATE_PER_S}
            arguments = [str(part) for option in options.items() for part in option]
            subprocess.run(
                [*sampler, "record", *arguments, "--gil", "--format", "raw", "--function", "--output", str(output)],
                check=True,
                capture_output=True,
                timeout=seconds + MARGIN_S,
            )
        except (subprocess.SubprocessError, OSError) as error:
            said = getattr(error, "stderr", None) or b""
            raise ProfileError(f"py-spy failed (it may need root): {said.decode(errors='replace')[-500:]}") from error
        finally:
            load.outcome()
        return parse_folded(output.read_text())


def _sampler() -> list[str]:
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise ProfileError("py-spy is not installed: pip install py-spy")
    return [found]
