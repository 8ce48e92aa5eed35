"""A running stack: what starts when, when it is ready, and how it stops. Called by `dev.main`."""

import asyncio
import os
from collections.abc import Coroutine
from typing import Any
from urllib.parse import urlsplit

import structlog

from trunkline.bus import permissions
from trunkline.core.clock import Clock
from trunkline.dev import configure, propagation, ready, roles, servers
from trunkline.dev.first_login import first_login
from trunkline.dev.identity import unprivileged
from trunkline.dev.ports import LOOPBACK, LOOPBACK_NETWORKS
from trunkline.dev.prepare import Plan
from trunkline.dev.processes import Part, Supervisor, log_tail
from trunkline.dev.ready import ProcessEntry, ReadyFile
from trunkline.policy.upstream_addresses import ALLOW_SETTING
from trunkline.runtime import config
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import StoreError, single_connection
from trunkline.store.migrate import MigrationError, migrate

log = structlog.get_logger()

START_TIMEOUT_S = 90.0
"""To ready, the first time and on a slow machine. Usually it is a few seconds."""

OUTSIDE_TIMEOUT_S = 10.0
"""For a server that was named in the environment to answer."""

POLL_S = 0.02


class StartError(Exception):
    """The stack cannot be brought up; says why."""


class Stack:
    """All parts of a stack.

    Args:
        plan: checked.
        clock, tasks: of this process.
    """

    def __init__(self, plan: Plan, *, clock: Clock, tasks: TaskSet) -> None:
        self._plan = plan
        self._clock = clock
        self._tasks = tasks
        self._supervisors: list[Supervisor] = []
        self._ready = False
        self._logs = plan.data_dir / "logs"
        self.nats_url = self._nats_url(permissions.OPERATOR)
        self.postgres_dsn = plan.settings.database_url
        self.base_urls = [roles.ops_url(port) for port in plan.ports.edges]
        self.console_login = ""
        self.console_url = roles.ops_url(plan.ports.console)
        self.upstream_url = roles.ops_url(plan.ports.upstream)

    def _nats_url(self, user: str) -> str:
        """Return where NATS is for one of its users; one from outside is the same for all."""
        plan = self._plan
        return (
            plan.settings.nats_url or f"nats://{user}:{plan.secrets.nats_passwords[user]}@{LOOPBACK}:{plan.ports.nats}"
        )

    # --- start ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Return when requests can be served.

        Raises:
            StartError: see there.
            PartFailedError: a process says that its settings are wrong.
        """
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await _together(self._start_bus(), self._start_books(), self._start_upstreams())
                await self._start_services("metering", "console")
                await self._configure()
                await _together(*(supervisor.wait_ready() for supervisor in self._supervisors))
                await self._wait_until_known()
                self.console_login = await first_login(self.console_url, self._plan.secrets.admin_key)
        except TimeoutError as error:
            raise StartError(self._unready()) from error
        self._ready = True
        self.write_ready_file()

    async def _start_bus(self) -> None:
        if self._plan.settings.nats_url:
            await self._wait_outside_nats()
        else:
            binary = servers.nats_binary()
            assert binary is not None  # noqa: S101 - `prepare` has looked
            try:
                part = servers.nats_part(
                    binary=binary,
                    data_dir=self._plan.data_dir,
                    passwords=self._plan.secrets.nats_passwords,
                    port=self._plan.ports.nats,
                    log=self._logs / "nats-1.log",
                    lock=self._plan.lock,
                    ready=lambda: nats_answers(self.nats_url),
                )
            except OSError as error:
                raise StartError(f"the configuration of NATS cannot be written: {error.strerror}") from error
            await self._run(part).wait_ready()
        await self._start_services("dispatcher", "edge", "health")

    async def _start_books(self) -> None:
        if not self._plan.settings.database_url:
            await self._start_postgres()
        try:
            await migrate(self.postgres_dsn)
        except StoreError as error:
            raise StartError(f"DATABASE_URL: {error}") from error
        except MigrationError as error:
            raise StartError(f"the database cannot be brought up to date: {error}") from error

    async def _start_postgres(self) -> None:
        package = servers.postgres_package()
        assert package is not None  # noqa: S101 - `prepare` has looked
        plan = self._plan
        try:
            embedded = servers.EmbeddedPostgres(package, plan.data_dir, unprivileged(), plan.secrets.postgres_password)
            await asyncio.to_thread(embedded.prepare)
        except (servers.ServerError, OSError, KeyError) as error:
            raise StartError(str(error)) from error
        self.postgres_dsn = embedded.dsn(plan.ports.postgres)
        part = embedded.part(
            plan.ports.postgres,
            self._logs / "postgres-1.log",
            plan.lock,
            lambda: postgres_answers(self.postgres_dsn),
        )
        await self._run(part).wait_ready()

    async def _start_upstreams(self) -> None:
        site = self._site()
        self._run(roles.helper_part(site, "upstream", self._plan.ports.upstream, "/counts"))
        if self._plan.options.model:
            self._run(roles.helper_part(site, "model", self._plan.ports.model, "/health"))

    async def _start_services(self, *wanted: str) -> None:
        site, ports, settings = self._site(), self._plan.ports, self._plan.settings
        for role in wanted:
            for number, ops_port in enumerate(ports.ops[role], start=1):
                own = {}
                if role == "edge":
                    own = {
                        "TRUNKLINE_EDGE_HOST": settings.edge_host,
                        "TRUNKLINE_EDGE_PORT": str(ports.edges[number - 1]),
                    }
                elif role == "console":
                    own = {
                        "TRUNKLINE_CONSOLE_HOST": settings.console_host,
                        "TRUNKLINE_CONSOLE_PORT": str(ports.console),
                        "TRUNKLINE_BASE_URL": self.base_urls[0],
                    }
                self._run(roles.service_part(site, role, number, ops_port=ops_port, environment=own))

    def _site(self) -> roles.ServiceSite:
        plan = self._plan
        hidden = {"NATS_URL", *(name for names in roles.SECRETS_BY_ROLE.values() for name in names)}
        optional = {name for names in roles.OPTIONAL_SECRETS_BY_ROLE.values() for name in names}
        hidden |= optional | plan.wanted.variables
        # Its own demo upstream, and whatever else is tried out on this machine.
        environment = {"TRUNKLINE_SPOOL_DIR": str(plan.data_dir / "spool"), ALLOW_SETTING: LOOPBACK_NETWORKS}
        environment |= {name: value for name, value in config.environment().items() if name not in hidden}
        environment |= {
            "TRUNKLINE_OPS_HOST": LOOPBACK,
            "TRUNKLINE_LOG_LEVEL": plan.options.log_level or plan.settings.log_level,
            "TRUNKLINE_GRACE_S": f"{plan.settings.grace_s:g}",
        }
        own = {name: value for name, value in config.environment().items() if name in optional} | {
            "DATABASE_URL": self.postgres_dsn,
            "TRUNKLINE_ADMIN_KEY": plan.secrets.admin_key,
            "TRUNKLINE_KEY_PEPPER": plan.secrets.key_pepper,
            "TRUNKLINE_MASTER_KEYS": plan.secrets.master_keys,
        }
        return roles.ServiceSite(
            environment=environment,
            secrets=own,
            nats_urls={role: self._nats_url(role) for role in permissions.ROLES},
            logs=self._logs,
            grace_s=plan.settings.grace_s,
            lock=plan.lock,
        )

    def _run(self, part: Part) -> Supervisor:
        part.log.write_bytes(b"")
        supervisor = Supervisor(part, self._part_ready, clock=self._clock, tasks=self._tasks)
        self._supervisors.append(supervisor)
        supervisor.start()
        return supervisor

    async def _wait_outside_nats(self) -> None:
        deadline = self._clock.now() + OUTSIDE_TIMEOUT_S
        while not await nats_answers(self.nats_url):
            if self._clock.now() > deadline:
                raise StartError("NATS_URL: no NATS answers there")
            await self._clock.sleep(POLL_S)

    async def _configure(self) -> None:
        await next(one for one in self._supervisors if one.part.role == "console").wait_ready()
        try:
            await configure.apply(self.console_url, self._plan.secrets.admin_key, self._plan.wanted.configuration)
        except configure.ApplyError as error:
            raise StartError(f"the configuration was not applied: {error}") from error

    async def _wait_until_known(self) -> None:
        wanted, clock = self._plan.wanted, self._clock
        await propagation.wait_for_projection(self.postgres_dsn, clock)
        await _together(
            *(propagation.wait_for_key(url, wanted.api_key, clock) for url in self.base_urls),
            *(
                propagation.wait_for_channels(roles.ops_url(port), wanted.configuration, clock)
                for port in self._plan.ports.ops["dispatcher"]
            ),
        )

    def _unready(self) -> str:
        waiting = [one for one in self._supervisors if not one.ready]
        lines = [f"not ready after {START_TIMEOUT_S:g} s: {', '.join(one.part.name for one in waiting) or 'the edges'}"]
        lines += [f"--- the end of {one.part.log}:\n{log_tail(one.part.log)}" for one in waiting]
        return "\n".join(lines)

    # --- run -----------------------------------------------------------------------------------------------------

    def _part_ready(self) -> None:
        if self._ready:
            self.write_ready_file()

    def write_ready_file(self) -> None:
        """Describe the stack as it is now, if that was asked for."""
        path = self._plan.options.ready_file
        if path is None:
            return
        processes: dict[str, list[ProcessEntry]] = {
            role: [] for wave in roles.STOP_ORDER for role in wave if role != "model" or self._plan.options.model
        }
        for supervisor in self._supervisors:
            role, index = supervisor.part.role, supervisor.part.number - 1
            ops = self._plan.ports.ops.get(role)
            processes[role].append(
                ProcessEntry(
                    supervisor.pid,
                    roles.ops_url(ops[index]) if ops else "",
                    self.base_urls[index] if role == "edge" else "",
                )
            )
        description = ReadyFile(
            base_url=self.base_urls[0],
            console_url=self.console_url,
            api_key=self._plan.wanted.api_key,
            admin_key=self._plan.secrets.admin_key,
            nats_url=self.nats_url,
            postgres_dsn=self.postgres_dsn,
            upstream_url=self.upstream_url,
            processes=processes,
            console_login=self.console_login,
        )
        try:
            ready.write(path, description)
        except OSError as error:
            log.warning("ready_file_not_written", path=str(path), error=error.strerror)

    # --- stop ----------------------------------------------------------------------------------------------------

    async def stop(self, hurry: asyncio.Event) -> None:
        """End every process, in the order of `roles.STOP_ORDER`; ``hurry`` ends all waiting."""
        self._ready = False
        if self._plan.options.ready_file is not None:
            self._plan.options.ready_file.unlink(missing_ok=True)
        for wave in roles.STOP_ORDER:
            await asyncio.gather(*(one.stop(hurry) for one in self._supervisors if one.part.role in wave))
        os.close(self._plan.lock)


async def _together(*works: Coroutine[Any, Any, None]) -> None:
    """Run all; the first that fails ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except ExceptionGroup as failures:  # not except*: Python 3.11.2 wraps what is raised in it
        first = failures.exceptions[0]
        while isinstance(first, ExceptionGroup):
            first = first.exceptions[0]
        raise first from None


async def nats_answers(url: str) -> bool:
    """Return whether a NATS greets at a URL (the first, of a list)."""
    parts = urlsplit(url.split(",", maxsplit=1)[0].strip())
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 4222)
            try:
                return (await reader.readline()).startswith(b"INFO ")
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return False


async def postgres_answers(dsn: str) -> bool:
    """Return whether Postgres takes a connection."""
    try:
        async with single_connection(dsn, application="trunkline-dev", command_timeout_s=2):
            return True
    except StoreError:
        return False
