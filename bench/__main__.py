"""Entry point: ``python -m bench [COMMAND]``; see ``--help``. Exits 1 if a request failed."""

import argparse
import signal
import sys
import time
from pathlib import Path

import msgspec

from bench import (
    capacity,
    capacity_report,
    compare,
    dialects,
    explorer,
    machine,
    plans,
    report,
    scenarios,
    soak,
    strategies,
    strategy_plots,
)
from bench.explorer import ExplorerError
from bench.generator import GeneratorError
from bench.load import FILES_SPARE, allow_files
from bench.money import MoneyError
from bench.processes import ProcessGoneError
from bench.profile import ProfileError
from bench.results import PROMISED_ROLES, Report
from bench.rival import RivalError
from bench.scale import ScaleError, sizes
from bench.stack import StackError, home
from bench.workloads import FULL, QUICK, Effort

COMMANDS = (
    "measure",
    "scale",
    "money",
    "dialects",
    "strategies",
    "plans",
    "explorer",
    "compare",
    "soak",
    "capacity",
    "profile",
)

EXIT_INTERRUPTED = 130
"""As shells say it: 128 and the number of SIGINT."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures the gateway on this machine, on a stack of its own that it starts and ends.",
        epilog="measure: CPU, latency, memory and time to ready. scale: a request's cost as keys and channels grow. "
        "dialects: what translation between dialects costs, in this process without a stack. "
        "money: usage events settled and allowances drawn. "
        "strategies: what each strategy of routing makes of simulated troubles, without a stack. "
        "plans: what planning a job's first attempt costs, without a stack. "
        "explorer: how quickly questions about ten million attempts are answered. "
        "compare: the same loads through LiteLLM's proxy, in turn; it is installed into a folder of its own. "
        "soak: whether memory grows under an even load. "
        "capacity: what a large load needs, without a stack. "
        "profile: where one service's time goes under load (needs py-spy).",
    )
    parser.add_argument("command", nargs="?", default="measure", choices=COMMANDS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    parser.add_argument("--quick", action="store_true", help="less of everything, in about a minute")
    parser.add_argument(
        "--only",
        type=_parts,
        default=set(scenarios.PARTS),
        metavar="PARTS",
        help="measure: some of " + ",".join(scenarios.PARTS),
    )
    parser.add_argument("--streams", type=int, metavar="N", help="measure: hold so many open streams and no others")
    parser.add_argument("--patience", type=float, metavar="S", help="seconds to wait for a calm machine, on each stack")
    parser.add_argument("--keys", type=int, default=100_000, metavar="N", help="scale: how many keys at the most")
    parser.add_argument("--channels", type=int, default=1000, metavar="N", help="scale: how many channels at the most")
    parser.add_argument("--role", default="edge", choices=PROMISED_ROLES, help="profile: which service")
    parser.add_argument("--load", default="plain", choices=("plain", "stream"), help="profile: under which load")
    parser.add_argument("--costs", type=Path, metavar="FILE", help="capacity: a report of measure to take costs from")
    parser.add_argument("--minutes", type=float, default=30.0, metavar="M", help="soak: for how long")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="profile: for how long")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="strategies, capacity: of all that chance decides"
    )
    parser.add_argument("--plots", type=Path, metavar="DIR", help="strategies: write plots as SVG here")
    return parser


def _parts(names: str) -> set[str]:
    parts = set(names.split(","))
    if unknown := parts - set(scenarios.PARTS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return parts


def _effort(arguments: argparse.Namespace) -> Effort:
    effort = QUICK if arguments.quick else FULL
    if arguments.streams is not None:
        effort = msgspec.structs.replace(effort, held=(arguments.streams,))
    if arguments.patience is not None:
        effort = msgspec.structs.replace(effort, patience_s=arguments.patience)
    return effort


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "strategies":
        _compare_strategies(arguments)
        return 0
    if arguments.command == "plans":
        print(plans.text(list(plans.costs())))
        return 0
    if arguments.command == "explorer":
        _explore(arguments)
        return 0
    if arguments.command == "capacity":
        costs = capacity.MEASURED if arguments.costs is None else capacity.costs_of(arguments.costs)
        print(capacity_report.text(capacity_report.work_out(costs, seed=arguments.seed, quick=arguments.quick)))
        return 0
    if arguments.command == "soak":
        return _soak(arguments)
    effort = _effort(arguments)
    if arguments.command == "compare":
        return _compare(arguments, effort)
    # A stream is one open file in each process that relays it; processes inherit the limit.
    allow_files(max(effort.held) + FILES_SPARE)
    if arguments.command == "profile":
        with home() as place:
            print(scenarios.profile(place, arguments.role, arguments.load, arguments.seconds))
        return 0
    found = Report(
        date=time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        commit=machine.commit(),
        machine=machine.describe(),
        quick=arguments.quick,
    )
    if arguments.command == "dialects":
        found.translations = dialects.measure(dialects.QUICK if arguments.quick else dialects.FULL)
    else:
        _run_on_stack(arguments, effort, found)
    print(report.text(found))
    if arguments.json is not None:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    return 1 if found.failures() else 0


def _compare_strategies(arguments: argparse.Namespace) -> None:
    found = strategies.compare(arguments.seed, _say, quick=arguments.quick)
    print(f"{time.strftime('%Y-%m-%d', time.gmtime())}, commit {machine.commit()}, seed {arguments.seed}\n")
    print(strategies.text(found))
    if arguments.json is not None:
        arguments.json.write_bytes(msgspec.json.encode(found) + b"\n")
    if arguments.plots is not None:
        arguments.plots.mkdir(parents=True, exist_ok=True)
        for name, drawing in strategy_plots.plots(found).items():
            (arguments.plots / name).write_text(drawing)


def _explore(arguments: argparse.Namespace) -> None:
    with home() as place:
        found = explorer.explore(place, _say, quick=arguments.quick)
    print(f"{time.strftime('%Y-%m-%d', time.gmtime())}, commit {machine.commit()}\n")
    print(explorer.text(found))
    if arguments.json is not None:
        arguments.json.write_bytes(explorer.as_json(found))


def _compare(arguments: argparse.Namespace, effort: Effort) -> int:
    with home() as place:
        found = compare.compare(place, effort, _say)
    print(f"{time.strftime('%Y-%m-%d', time.gmtime())}, commit {machine.commit()}\n")
    print(compare.text(found))
    if arguments.json is not None:
        arguments.json.write_bytes(compare.as_json(found))
    return 1 if found.failures else 0


def _soak(arguments: argparse.Namespace) -> int:
    with home() as place:
        found = soak.soak(place, arguments.minutes, _say)
    print(f"{time.strftime('%Y-%m-%d', time.gmtime())}, commit {machine.commit()}\n")
    print(soak.text(found))
    if arguments.json is not None:
        arguments.json.write_bytes(soak.as_json(found))
    return 1 if found.fault() else 0


def _run_on_stack(arguments: argparse.Namespace, effort: Effort, found: Report) -> None:
    with home() as place:
        if arguments.command == "scale":
            scenarios.measure_scale(place, sizes(arguments.keys, arguments.channels), effort, found, _say)
        elif arguments.command == "money":
            scenarios.measure_money(place, effort, found, _say)
        else:
            scenarios.measure(place, arguments.only, effort, found, _say)


def main() -> int:
    """Run what was asked for; return the exit status."""
    arguments = _parser().parse_args()
    # Asked to stop either way, the stack is ended on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except (
        StackError,
        GeneratorError,
        ProcessGoneError,
        ProfileError,
        ScaleError,
        MoneyError,
        ExplorerError,
        RivalError,
        OSError,
    ) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
