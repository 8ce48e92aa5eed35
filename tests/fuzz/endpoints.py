"""Made-up requests, right and wrong ones, for every operation of the admin API: ``python -m tests.fuzz.endpoints``.

Schemathesis makes them from the OpenAPI document that the console itself serves, on a stack of its own. No answer may
be the server's own fault, and each has to be of a kind that the document tells of. Exits 1 otherwise.
"""

# ruff: noqa: S603, T201 - runs a program and prints

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.support.surface import Surface, running_surface
from trunkline.policy.admin_api import PREFIX

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
REQUEST_TIMEOUT_S = 40
"""Discovering a provider's models takes its time."""

_CASES = re.compile(r"(\d+) generated")
_TESTED = re.compile(r"Tested: (\d+)")


class Fuzzed(NamedTuple):
    """What came of a run.

    Attributes:
        good: whether every answer was as it should be.
        operations: that were called.
        cases: requests that were made up.
        report: what schemathesis said.
    """

    good: bool
    operations: int
    cases: int
    report: str


def fuzz(surface: Surface, *, examples: int, phases: tuple[str, ...], seed: int) -> Fuzzed:
    """Call every operation.

    Args:
        surface: of a stack that may be changed in any way.
        examples: at most, of each operation in a phase that makes them up.
        phases: of schemathesis: ``coverage`` takes each bound of each field, ``fuzzing`` makes requests up.
        seed: of all that chance decides.
    """
    url = f"{surface.ready.console_url}{PREFIX}"
    document = surface.admin("GET", "/openapi.json")
    command = [
        *(str(Path(sys.executable).with_name("st")), "--no-color", "run", "openapi.json", "--url", url),
        *("--header", f"authorization: Bearer {surface.ready.admin_key}", "--checks", ",".join(CHECKS)),
        *("--phases", ",".join(phases), "--max-examples", str(examples), "--seed", str(seed), "--workers", "2"),
        *("--request-timeout", str(REQUEST_TIMEOUT_S), "--continue-on-failure"),
    ]
    with tempfile.TemporaryDirectory() as folder:  # it keeps examples in the working directory, too
        (Path(folder) / "openapi.json").write_text(json.dumps(document))
        done = subprocess.run(command, capture_output=True, cwd=folder, text=True, check=False)
    report = done.stdout + done.stderr
    tested, cases = _TESTED.search(report), _CASES.search(report)
    return Fuzzed(not done.returncode, int(tested[1]) if tested else 0, int(cases[1]) if cases else 0, report)


def main() -> int:
    """Run it; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.endpoints", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--examples", type=int, default=30, metavar="N", help="of each operation")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of all that chance decides")
    arguments = parser.parse_args()
    with running_surface() as surface:
        found = fuzz(surface, examples=arguments.examples, phases=("coverage", "fuzzing"), seed=arguments.seed)
    print(found.report)
    return 0 if found.good else 1


if __name__ == "__main__":
    sys.exit(main())
