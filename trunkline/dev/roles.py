"""How each service is run: its module, its ports, and which secrets it is given. Used by `dev.stack`.

Services are started by module name; this package imports none of them.
"""

import dataclasses
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from trunkline.dev.http_call import CallError, call
from trunkline.dev.ports import LOOPBACK
from trunkline.dev.processes import Part

KILL_MARGIN_S = 3.0
"""A service that has used up its grace still has to close and flush; past this it hangs."""

_NATS = "NATS_URL"
_DATABASE = "DATABASE_URL"
_ADMIN_KEY = "TRUNKLINE_ADMIN_KEY"
_PEPPER = "TRUNKLINE_KEY_PEPPER"
_MASTER_KEYS = "TRUNKLINE_MASTER_KEYS"
_TRACE_HEADERS = "TRUNKLINE_TRACE_HEADERS"

SECRETS_BY_ROLE: Mapping[str, tuple[str, ...]] = {
    "edge": (_PEPPER,),
    "dispatcher": (_MASTER_KEYS,),
    "metering": (_DATABASE,),
    "health": (_MASTER_KEYS,),
    "console": (_DATABASE, _ADMIN_KEY, _PEPPER, _MASTER_KEYS),
}
"""A process gets what it needs and no more: an edge can open no upstream credential, whoever breaks into it."""

OPTIONAL_SECRETS_BY_ROLE: Mapping[str, tuple[str, ...]] = {
    "edge": (_TRACE_HEADERS,),
    "dispatcher": (_TRACE_HEADERS,),
    "metering": (_TRACE_HEADERS,),
}
"""Those of our own environment that are handed on where they are set."""

OPS_PORTS: Mapping[str, int] = {"edge": 9101, "dispatcher": 9102, "metering": 9103, "health": 9104, "console": 9105}

STOP_ORDER: tuple[tuple[str, ...], ...] = (
    ("edge",),
    ("dispatcher",),
    ("metering", "health", "console"),
    ("upstream", "model"),
    ("nats",),
    ("postgres",),
)
"""First who takes requests, then who answers them, then who books them, then what all of them stand on."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServiceSite:
    """What all services of a stack share.

    Attributes:
        environment: settings for every service.
        secrets: by name; each service gets those of `SECRETS_BY_ROLE` and `OPTIONAL_SECRETS_BY_ROLE`.
        nats_urls: by role, each with its own password.
        logs: folder.
        grace_s: seconds for jobs to finish when stopping.
        lock: file descriptor that every process inherits.
    """

    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    nats_urls: Mapping[str, str]
    logs: Path
    grace_s: float
    lock: int


def service_part(
    site: ServiceSite, role: str, number: int, *, ops_port: int, environment: Mapping[str, str] | None = None
) -> Part:
    """Return how a service is run.

    Args:
        site: see there.
        role: one of `SECRETS_BY_ROLE`.
        number: from 1, among those of its role.
        ops_port: of this process.
        environment: settings of this process alone.
    """
    optional = (name for name in OPTIONAL_SECRETS_BY_ROLE.get(role, ()) if name in site.secrets)
    secrets = (*SECRETS_BY_ROLE[role], *optional)
    return Part(
        role=role,
        number=number,
        command=python_module(f"services.{role}"),
        environment={
            **site.environment,
            # A file named in our own environment goes before what was drawn.
            **{name: site.secrets[name] for name in secrets if f"{name}_FILE" not in site.environment},
            _NATS: site.nats_urls[role],
            "TRUNKLINE_OPS_PORT": str(ops_port),
            **(environment or {}),
        },
        log=site.logs / f"{role}-{number}.log",
        ready=lambda: answers_ok(f"{ops_url(ops_port)}/readyz"),
        stop=((signal.SIGTERM, site.grace_s + KILL_MARGIN_S),),
        keep_fds=(site.lock,),
    )


_HELPERS = {"upstream": "trunkline.dev.demo.upstream", "model": "trunkline.dev.model"}
"""What stands in for providers, by role: modules that are run."""


def helper_part(site: ServiceSite, role: str, port: int, ready_path: str) -> Part:
    """Return how a module of this package is run as a process: the demo upstream and the real model."""
    return Part(
        role=role,
        number=1,
        command=(*python_module(_HELPERS[role]), "--port", str(port)),
        environment=site.environment,
        log=site.logs / f"{role}-1.log",
        ready=lambda: answers_ok(f"{ops_url(port)}{ready_path}"),
        stop=((signal.SIGTERM, KILL_MARGIN_S),),
        keep_fds=(site.lock,),
    )


def python_module(module: str) -> tuple[str, ...]:
    """Return the command that runs a module with our interpreter; -P: not with what lies in the working folder."""
    return (sys.executable, "-P", "-m", module)


def ops_url(port: int) -> str:
    """Return the address of a port of ours."""
    return f"http://{LOOPBACK}:{port}"


async def answers_ok(url: str, *, bearer: str = "") -> bool:
    """Return whether a GET is answered with 200."""
    try:
        return (await call("GET", url, bearer=bearer)).status == 200
    except CallError:
        return False
