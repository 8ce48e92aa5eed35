"""All tests: ``python -m tests``, in two lanes beside each other to save time.

The first one has most of them, those without processes of their own before the others. The second one has those of
the web page, while nothing in the first one looks at a clock yet, and then those that mostly wait (marked ``patient``).

What is given on the command line goes to pytest, and then one run does everything in turn.
"""

# ruff: noqa: S603, T201 - runs pytest and waits for it

import concurrent.futures
import subprocess
import sys
import tempfile

PYTEST = (sys.executable, "-m", "pytest", "--durations=40")
NO_TESTS = 5
"""Pytest's exit status where nothing was selected."""

BROWSER = "tests/e2e/browser"

MOST = (
    *PYTEST,
    "-m",
    "not patient",
    f"--ignore={BROWSER}",
    *(
        f"tests/{folder}"
        for folder in ("unit", "playbooks", "property", "interop", "fuzz", "sim", "integration", "e2e")
    ),
)
BESIDE = (
    (*PYTEST, BROWSER),
    (*PYTEST, "-m", "patient", f"--ignore={BROWSER}"),
)


def main() -> int:
    """Run them; return the exit status."""
    if len(sys.argv) > 1:
        return subprocess.call([sys.executable, "-m", "pytest", *sys.argv[1:]])
    with tempfile.TemporaryFile() as said:
        with concurrent.futures.ThreadPoolExecutor() as lane:
            beside = lane.submit(lambda: [subprocess.call(run, stdout=said, stderr=said) for run in BESIDE])
            statuses = [subprocess.call(MOST), *beside.result()]
        said.seek(0)
        print("\nBeside these:\n", said.read().decode(errors="replace"), sep="", flush=True)
    return next((status for status in statuses if status not in {0, NO_TESTS}), 0)


if __name__ == "__main__":
    sys.exit(main())
