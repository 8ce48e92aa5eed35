"""All tests: ``python -m tests``. Those that mostly wait (marked ``patient``) run beside the others, to save time.

What is given on the command line goes to pytest, and then one run does everything in turn.
"""

# ruff: noqa: S603, T201 - runs pytest and waits for it

import subprocess
import sys
import tempfile

PYTEST = [sys.executable, "-m", "pytest", "--durations=15"]
NO_TESTS = 5
"""Pytest's exit status where nothing was selected."""


def main() -> int:
    """Run them; return the exit status."""
    if len(sys.argv) > 1:
        return subprocess.call([sys.executable, "-m", "pytest", *sys.argv[1:]])
    with tempfile.TemporaryFile() as said:
        patient = subprocess.Popen([*PYTEST, "-m", "patient"], stdout=said, stderr=subprocess.STDOUT)
        try:
            others = subprocess.call([*PYTEST, "-m", "not patient"])
            waited = patient.wait()
        finally:
            patient.terminate()
            patient.wait()
        said.seek(0)
        print("\nTests that mostly wait:\n", said.read().decode(errors="replace"), sep="", flush=True)
    return next((status for status in (others, waited) if status not in {0, NO_TESTS}), 0)


if __name__ == "__main__":
    sys.exit(main())
