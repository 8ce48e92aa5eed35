"""Entry point: ``python -m tests.chaos [--minutes M] [--seed N] [--only KIND ...]``. Exits 1 if a promise was broken.

Needs root and Linux. A run with the same seed has the same faults in the same order.
"""

import argparse
import secrets
import sys

from tests.chaos.faults import possible
from tests.chaos.run import Say, run
from tests.chaos.schedule import Kind, draw_schedule
from tests.support import network_clocks
from tests.support.network import why_unavailable


def main() -> int:
    """Run it; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Break a cluster in every way we know.")
    parser.add_argument("--minutes", type=float, default=30.0, help="of faults; recoveries come on top")
    parser.add_argument("--seed", type=int, default=None, help="of an earlier run")
    parser.add_argument("--only", nargs="*", choices=[kind.name for kind in Kind], help="these faults")
    arguments = parser.parse_args()
    if reason := why_unavailable():
        sys.stdout.write(f"{reason}\n")
        return 1
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    wanted = [Kind[name] for name in arguments.only] if arguments.only else list(Kind)
    kinds = possible(wanted)
    say = Say(lambda line: sys.stdout.write(f"{line}\n") and sys.stdout.flush())
    if kinds != wanted:
        say(f"without {', '.join(set(wanted) - set(kinds))}: {network_clocks.why_unavailable()}")
    found = run(seed, draw_schedule(seed, arguments.minutes * 60, kinds), say)
    for sentence in found:
        sys.stdout.write(f"BROKEN: {sentence}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
