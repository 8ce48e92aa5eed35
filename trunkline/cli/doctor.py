"""`trunkline doctor`: looks at every dependency and says what is wrong and what to do."""

from typing import Annotated

import msgspec
import typer

from trunkline.cli import admin, http, render
from trunkline.cli.chat import endpoint
from trunkline.cli.failure import CLIError
from trunkline.cli.settings import DoctorAccess
from trunkline.policy.admin_api import Check
from trunkline.runtime import config

TIMEOUT_S = 5.0


class _Readiness(msgspec.Struct):
    ready: bool
    waiting_for: list[str] = []


def check_console(access: DoctorAccess) -> list[Check]:
    """Return the console's state and, if it answers, what it sees."""
    if not access.admin_key:
        return [Check("console", False, "TRUNKLINE_ADMIN_KEY is not set, so the console cannot be asked.")]
    try:
        report = admin.client_of(access.console_url, access.admin_key).show_health()
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


def check_ops(url: str) -> Check:
    """Return whether a process says that it is ready."""
    name = f"ops {url}"
    try:
        answer = http.call("GET", f"{url.rstrip('/')}/readyz", timeout_s=TIMEOUT_S)
        readiness = msgspec.json.decode(answer.body, type=_Readiness)
    except CLIError as error:
        return Check(name, False, f"{error}. Is the process running?")
    except msgspec.MsgspecError:
        return Check(name, False, "This is no ops port of Trunkline.")
    if readiness.ready:
        return Check(name, True, "ready")
    return Check(name, False, f"Not ready: it waits for {', '.join(readiness.waiting_for)}.")


def doctor(
    ops: Annotated[
        list[str] | None, typer.Option(help="Ops port to look at, such as http://127.0.0.1:9101; may be given again.")
    ] = None,
) -> None:
    """Check console, Postgres, NATS, the services and the gateway; exit 1 if one of them is broken."""
    access = config.load(DoctorAccess)
    found = [*check_console(access), check_edge(access), *map(check_ops, ops or ())]
    render.show(render.checks(found))
    if not all(check.ok for check in found):
        raise typer.Exit(1)
