"""All tests: ``python -m tests``, in three lanes beside each other to save time.

The first two use a processor for most of their time, so they get one each: one has the tests of whole stacks, the other
all that is without, and then each half of the web page's. The third has what mostly waits (marked ``patient``).

What is given on the command line goes to pytest, and then one run does everything in turn.
"""

# ruff: noqa: S603, T201 - runs pytest and waits for it

import concurrent.futures
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

PYTEST = (sys.executable, "-m", "pytest", "--durations=40")
NO_TESTS = 5
"""Pytest's exit status where nothing was selected."""

BROWSER = "tests/e2e/browser"
PAGES = sorted(str(file) for file in Path(BROWSER).glob("test_*.py"))
WITH_SERVERS = ("tests/integration", "tests/e2e")
"""Where patient tests are."""

WITHOUT = ("unit", "playbooks", "property", "interop", "fuzz", "sim")

LANES = (
    (
        (*PYTEST, "-m", "not patient", f"--ignore={BROWSER}", "tests/e2e"),
        (*PYTEST, *PAGES[::2]),
    ),
    (
        (*PYTEST, "-m", "not patient", *(f"tests/{folder}" for folder in WITHOUT), "tests/integration"),
        (*PYTEST, *PAGES[1::2]),
    ),
    ((*PYTEST, "-m", "patient", f"--ignore={BROWSER}", *WITH_SERVERS),),
)
"""What runs one after the other in each."""


def main() -> int:
    """Run them; print what the first says as it says it, and the others' when they are over. Return the exit status."""
    if len(sys.argv) > 1:
        return subprocess.call([sys.executable, "-m", "pytest", *sys.argv[1:]])
    with concurrent.futures.ThreadPoolExecutor() as beside:
        others = [(lane, tempfile.TemporaryFile()) for lane in LANES[1:]]  # noqa: SIM115 - read when all is over
        running = [beside.submit(_run, lane, said) for lane, said in others]
        statuses = _run(LANES[0], None)
        for one, (_, said) in zip(running, others, strict=True):
            statuses += one.result()
            said.seek(0)
            print("\nBeside these:\n", said.read().decode(errors="replace"), sep="", flush=True)
            said.close()
    return next((status for status in statuses if status not in {0, NO_TESTS}), 0)


def _run(lane: tuple[tuple[str, ...], ...], said: IO[bytes] | None) -> list[int]:
    return [subprocess.call(run, stdout=said, stderr=said) for run in lane]


if __name__ == "__main__":
    sys.exit(main())
