"""Entry point: ``python -m tests.fuzz [--seconds S] [TARGET ...]``: guides mutations of the seeds by coverage.

Each target runs in a child process for its share of the time. Its corpus grows in ``.data/fuzz/<target>/corpus`` from
run to run. An input that breaks a promise is kept beside it; ``--input FILE`` runs one target on it alone.
Exits 1 if there was one.
"""

import argparse
import contextlib
import hashlib
import io
import os
import re
import sys
import time
from pathlib import Path

import atheris

_BEGUN_S = time.monotonic()  # noqa: TID251 - a program of its own

# It names each module.
with contextlib.redirect_stderr(io.StringIO()), atheris.instrument_imports(include=["trunkline.protocol"]):
    from tests.fuzz.targets import TARGETS, Target

PLACE = Path(__file__).parents[2] / ".data" / "fuzz"
INPUT_BYTES_MAX = 4096
INPUT_TIMEOUT_S = 5
"""An input this small that takes so long means work that grows faster than its input."""
MEMORY_MIB_MAX = 2048
REPORT_LINES_MAX = 60
_RUNS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_PROGRESS = re.compile(r"#\d+\t|stat::")
_WORDS = re.compile(rb'"[A-Za-z_.]{2,40}"|[a-z]+: |\r\n|\n\n')


def _dictionary(target: Target) -> str:
    """Return the words of a target's seeds in libFuzzer's form, so that mutations need not guess them."""
    words = sorted({word for seed in target.seeds for word in _WORDS.findall(seed)})
    return "".join(['"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in words])


def _fuzz(target: Target, place: Path, seconds: int) -> None:
    """Fuzz in this process; does not return."""
    corpus = place / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds:
        (corpus / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    (place / "words").write_text(_dictionary(target))
    log = os.open(place / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    options = {
        "max_total_time": seconds,
        "max_len": INPUT_BYTES_MAX,
        "timeout": INPUT_TIMEOUT_S,
        "rss_limit_mb": MEMORY_MIB_MAX,
        "dict": place / "words",
        "artifact_prefix": f"{place}/",
        "print_final_stats": 1,
    }
    atheris.Setup(["fuzz", *(f"-{name}={value}" for name, value in options.items()), str(corpus)], target.run)
    atheris.Fuzz()


def _run(target: Target, seconds: int) -> bool:
    """Fuzz in a child process; return whether all was well."""
    place = PLACE / target.name
    child = os.fork()
    if not child:
        # libFuzzer keeps the input that broke something when its process ends in the ordinary way.
        _fuzz(target, place, seconds)
        sys.exit(1)
    _, status = os.waitpid(child, 0)
    good = not os.waitstatus_to_exitcode(status)
    log = (place / "log").read_text(errors="replace")
    runs = _RUNS.search(log)
    print(f"{target.name}: {runs[1] if runs else '?'} inputs, {'good' if good else 'BROKEN'}", flush=True)  # noqa: T201 - a program
    if not good:
        report = [line for line in log.splitlines() if not _PROGRESS.match(line)]
        print("\n".join(report[-REPORT_LINES_MAX:]), flush=True)  # noqa: T201 - a program
    return good


def main() -> int:
    """Run what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", epilog="targets: " + " ".join(TARGETS))
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], metavar="TARGET", help="all if none is named")
    parser.add_argument("--seconds", type=int, default=60, metavar="S", help="for all of them together")
    parser.add_argument("--input", type=Path, metavar="FILE", help="run a target once, on this")
    arguments = parser.parse_args()
    chosen = [TARGETS[name] for name in arguments.targets or TARGETS]
    if arguments.input is not None:
        for target in chosen:
            target.run(arguments.input.read_bytes())
        return 0
    broken = False
    for done, target in enumerate(chosen):
        left_s = _BEGUN_S + arguments.seconds - time.monotonic()  # noqa: TID251 - a program of its own
        broken |= not _run(target, max(1, int(left_s / (len(chosen) - done))))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
