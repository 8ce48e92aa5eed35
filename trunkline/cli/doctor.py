"""`trunkline doctor`: looks at every dependency and says what is wrong and what to do.

It asks whom it is told of: console and gateway by their addresses; ops ports by ``--ops``; NATS and Postgres themselves
where NATS_URL and DATABASE_URL are set, which is what helps when no console answers.
"""

import asyncio
import importlib
from collections.abc import Iterable
from typing import Annotated

import msgspec
import typer

from trunkline.cli import admin, bus, http, render
from trunkline.cli.chat import endpoint
from trunkline.cli.doctor_ops import check_ops
from trunkline.cli.failure import CLIError
from trunkline.cli.settings import BusAccess, DoctorAccess
from trunkline.policy import vault
from trunkline.policy.admin_api import Check
from trunkline.runtime import config
from trunkline.runtime.clock import SystemClock

TIMEOUT_S = 5.0


def check_console(access: DoctorAccess) -> list[Check]:
    """Return the console's state and, if it answers, what it sees."""
    if not access.admin_key:
        return [Check("console", False, "TRUNKLINE_ADMIN_KEY is not set, so the console cannot be asked.")]
    try:
        report = admin.client_of(access.console_url, access.admin_key, access.console_ca_path).show_health()
    except CLIError as error:
        return [Check("console", False, str(error))]
    return [Check("console", True, f"answers at {access.console_url}"), *report.checks]


def check_edge(access: DoctorAccess) -> Check:
    """Return whether clients can reach the gateway with the API key, if there is one."""
    url = endpoint(access.base_url, "/models")
    headers = {"authorization": f"Bearer {access.api_key}"} if access.api_key else {}
    try:
        status = http.call("GET", url, headers=headers, timeout_s=TIMEOUT_S).status
    except CLIError as error:
        return Check("gateway", False, f"{error}. Start an edge, or correct TRUNKLINE_BASE_URL.")
    match status:
        case 200:
            return Check("gateway", True, f"answers at {access.base_url}, and takes the API key")
        case 401 if not access.api_key:
            return Check(
                "gateway", True, f"answers at {access.base_url}; TRUNKLINE_API_KEY is not set, so no key was tried"
            )
        case 401 | 403:
            return Check("gateway", False, "It refuses TRUNKLINE_API_KEY. Make a key with `trunkline keys create`.")
        case _:
            return Check("gateway", False, f"It answers {status} at {url}. Look at the edge's log.")


async def check_bus(url: str) -> list[Check]:
    """Return what NATS itself tells."""
    condition = importlib.import_module("trunkline.runtime.bus_condition")
    try:
        async with bus.connected(BusAccess(nats_url=url), name="trunkline-doctor") as client:
            found: list[Check] = await condition.read_condition(client, SystemClock())
            return found
    except CLIError as error:
        return [Check("nats", False, f"{error}.")]


async def check_postgres(url: str, master_keys: str) -> list[Check]:
    """Return what Postgres itself tells."""
    database = importlib.import_module("trunkline.store.database")
    condition = importlib.import_module("trunkline.store.condition")
    try:
        keys = vault.Vault(vault.parse_masters(master_keys)) if master_keys else None
    except ValueError as error:
        return [Check("master keys", False, f"TRUNKLINE_MASTER_KEYS: {error}.")]
    try:
        async with database.single_connection(
            url, application="trunkline-doctor", command_timeout_s=TIMEOUT_S
        ) as connection:
            found: list[Check] = await condition.read_condition(connection, keys)
            return found
    except database.StoreError as error:
        return [Check("postgres", False, f"{error}. {_postgres_remedy(error)}")]


def _postgres_remedy(error: Exception) -> str:
    cause = type(error.__cause__).__name__
    if "Password" in cause or "Authorization" in cause:
        return "Correct user and password in DATABASE_URL."
    if "CatalogName" in cause:
        return "Make the database, or correct its name in DATABASE_URL."
    if "TooManyConnections" in cause:
        return "Stop what is not needed, or raise max_connections."
    return "Start it, or correct DATABASE_URL."


def merged(found: Iterable[Check]) -> list[Check]:
    """Return one check of each name: of several, the first that is broken, else the first that warns."""
    checks: dict[str, Check] = {}
    for check in found:
        held = checks.get(check.name)
        if held is None or (held.ok and not check.ok) or (held.ok and check.warning and not held.warning):
            checks[check.name] = check
    return list(checks.values())


def doctor(
    ops: Annotated[
        list[str] | None, typer.Option(help="Ops port to look at, such as http://127.0.0.1:9101; may be given again.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Check console, Postgres, NATS, the services and the gateway; exit 1 if one of them is broken."""
    access = config.load(DoctorAccess)
    found = [*check_console(access), check_edge(access)]
    for url in ops or ():
        found += check_ops(url)
    if access.nats_url:
        found += asyncio.run(check_bus(access.nats_url))
    if access.database_url:
        found += asyncio.run(check_postgres(access.database_url, access.master_keys))
    checks = merged(found)
    if as_json:
        render.show(msgspec.json.encode(checks).decode())
    else:
        render.show(render.checks(checks))
    if not all(check.ok for check in checks):
        raise typer.Exit(1)
