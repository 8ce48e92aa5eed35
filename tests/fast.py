"""The fast part: ``python -m tests.fast``. Lint, and the tests without sockets in two halves, all side by side."""

# ruff: noqa: S603, T201 - runs programs and waits for them

import subprocess
import sys
import tempfile
from typing import IO

_PYTEST = (sys.executable, "-m", "pytest", "--quiet", "--hypothesis-profile=quick", "--capture=sys")
"""Output is taken at Python's own level: to take it from the descriptors is a tenth of what such short tests cost."""

LINT = (
    (sys.executable, "-m", "ruff", "format", "--check", "--quiet", "."),
    (sys.executable, "-m", "ruff", "check", "--quiet", "."),
    (sys.executable, "-m", "mypy"),
    (sys.executable, "-c", "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"),
)
"""In the order in which what they find matters to the next."""

WITH_POSTGRES = "tests/property/test_ledger.py"
"""The only one of the folders below that starts a server."""

WITH_PROPERTIES = ("tests/unit/policy", "tests/unit/dev")
"""Units that take the first half to about the length of the second."""

HALVES = (
    (*_PYTEST, f"--ignore={WITH_POSTGRES}", "tests/property", "tests/playbooks", "tests/interop", *WITH_PROPERTIES),
    (*_PYTEST, *(f"--ignore={folder}" for folder in WITH_PROPERTIES), "tests/unit"),
)


def main() -> int:
    """Run all of it; print what failed, and the last line of what did not. Return the exit status."""
    halves = [_start(command) for command in HALVES]
    failed = []
    for command in LINT:
        linted = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if linted.returncode:
            failed.append(linted.returncode)
            print(linted.stdout.decode(errors="replace"), flush=True)
    for process, said in halves:
        status = process.wait()
        said.seek(0)
        text = said.read().decode(errors="replace").rstrip()
        failed += [status] if status else []
        print(text if status else text.rpartition("\n")[2], flush=True)
    return failed[0] if failed else 0


def _start(command: tuple[str, ...]) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    said = tempfile.TemporaryFile()  # noqa: SIM115 - read when the process is over
    return subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT), said


if __name__ == "__main__":
    sys.exit(main())
