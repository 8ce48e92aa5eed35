"""The command line of `trunkline dev`. Pure: all faults are collected, none stops the reading of the rest."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

PORT_MAX = 65535
PROCESSES_MAX = 32
"""Of one role. More on one machine is not a development stack."""

_LEVELS = ("debug", "info", "warning", "error")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What was asked for.

    Attributes:
        config: configuration file to apply instead of the built-in one.
        ready_file: where to describe the running stack as JSON.
        data_dir: holds all state between runs.
        port: of the first edge; 0 takes free ports for everything.
        upstream_port: of the demo upstream; 0 picks one.
        edges, dispatchers, meterings: how many processes.
        log_level: of the services; None takes the environment's.
        model: whether a real language model runs beside the demo upstream.
    """

    config: Path | None = None
    ready_file: Path | None = None
    data_dir: Path = Path(".data/dev")
    port: int = 8080
    upstream_port: int = 0
    edges: int = 1
    dispatchers: int = 1
    meterings: int = 1
    log_level: str | None = None
    model: bool = False


def _path(text: str) -> Path:
    if not text:
        raise ValueError("must be a path")
    return Path(text)


def _whole(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _port(text: str) -> int:
    if not _whole(text) or int(text) > PORT_MAX:
        raise ValueError(f"must be a port from 0 to {PORT_MAX}")
    return int(text)


def _count(text: str) -> int:
    if not _whole(text) or not 1 <= int(text) <= PROCESSES_MAX:
        raise ValueError(f"must be a number from 1 to {PROCESSES_MAX}")
    return int(text)


def _level(text: str) -> str:
    if text not in _LEVELS:
        raise ValueError(f"must be one of {', '.join(_LEVELS)}")
    return text


@dataclasses.dataclass(frozen=True)
class _Flag:
    metavar: str
    parse: Callable[[str], Any]
    help: str


_FLAGS = {
    "--config": _Flag("FILE", _path, "apply this configuration instead of the built-in one"),
    "--ready-file": _Flag("FILE", _path, "once all is ready, describe it here as JSON"),
    "--data-dir": _Flag("DIR", _path, "where state is kept between runs (default .data/dev)"),
    "--port": _Flag("N", _port, "port of the first edge (default 8080); 0 takes free ports for everything"),
    "--upstream-port": _Flag("N", _port, "port of the demo upstream (default: a free one)"),
    "--edges": _Flag("N", _count, "how many edges (default 1)"),
    "--dispatchers": _Flag("N", _count, "how many dispatchers (default 1)"),
    "--meterings": _Flag("N", _count, "how many metering processes (default 1)"),
    "--log-level": _Flag("LEVEL", _level, f"of the services: {', '.join(_LEVELS)}"),
    "--model": _Flag("", _level, "serve a real language model too (its packages come with `make run-model`)"),
}


def parse(args: list[str]) -> tuple[Options, list[str]]:
    """Return the options, from ``--name value`` or ``--name=value``, and every fault, one sentence each.

    An option at fault is left at its default, so that the caller can go on and find what else is wrong.
    """
    values: dict[str, Any] = {}
    faults: list[str] = []
    waiting = list(args)
    while waiting:
        name, equals, value = waiting.pop(0).partition("=")
        flag = _FLAGS.get(name)
        if flag is None:
            faults.append(f"{name} is not an option of `trunkline dev`; see --help")
            continue
        if not flag.metavar:
            if equals:
                faults.append(f"{name} takes no value")
            values[_field(name)] = True
            continue
        if not equals:
            if not waiting or waiting[0].startswith("--"):
                faults.append(f"{name} needs a value")
                continue
            value = waiting.pop(0)
        try:
            values[_field(name)] = flag.parse(value)
        except ValueError as error:
            faults.append(f"{name} {error}")
    return Options(**values), faults


def _field(name: str) -> str:
    return name.removeprefix("--").replace("-", "_")


def help_text() -> str:
    """Return what ``--help`` prints."""
    lines = ["Usage: trunkline dev [OPTIONS]", "", "Run the whole stack on this machine.", ""]
    for name, flag in _FLAGS.items():
        lines.append(f"  {f'{name} {flag.metavar}'.strip():<22} {flag.help}")
    lines += ["", "NATS_URL and DATABASE_URL in the environment replace the embedded servers.", ""]
    return "\n".join(lines)
