"""Writes what is made from declarations: docs, OpenAPI, the CLI's client, permissions of NATS, dashboards, alert rules.

``make docs`` runs it; with ``--check`` it changes nothing and fails if a page is stale, which the tests do. The
metrics come from a running stack, since each process knows its own best.
"""

import argparse
import dataclasses
import functools
import importlib
import json
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer.main

from deploy.grafana.boards import files as dashboards
from docs.generate_admin_api import admin_api_page, cli_client_text, openapi_text
from services.console.config import ConsoleSettings
from services.dispatcher.config import DispatcherSettings
from services.edge.config import EdgeSettings
from services.health.config import HealthSettings
from services.metering.config import MeteringSettings
from tests.support.fault_kinds import Fault, Seen
from tests.support.fault_table import GROUPS
from trunkline.bus.permissions_text import authorization_text
from trunkline.cli.settings import BusAccess, ConsoleAccess, DatabaseAccess, DoctorAccess, EdgeAccess
from trunkline.dev.prepare import DevSettings
from trunkline.protocol.fidelity import TABLE
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES
from trunkline.runtime.process import ProcessSettings

DOCS = Path(__file__).parent
OPERATING = DOCS / "operating"
CLIENT = DOCS.parent / "trunkline" / "cli" / "client.py"
NATS_PERMISSIONS = DOCS.parent / "deploy" / "nats" / "permissions.conf"
RULES = DOCS.parent / "deploy" / "prometheus" / "rules"
CLUSTER_RULES = DOCS.parent / "deploy" / "k8s" / "components" / "monitoring" / "rules.yaml"
READY_TIMEOUT_S = 60.0
GENERATED = "<!-- Made by `make docs` from the declarations in the code. Do not edit. -->\n\n"
GENERATED_CONFIGURATION = """\
# Made by `make docs` from trunkline/bus/permissions.py. Do not edit.
# The passwords are variables of the server's environment: letters and digits, a letter first.

"""
GENERATED_OBJECTS = "# Made by `make docs` from deploy/prometheus/rules. Do not edit.\n"

SETTINGS = {
    "Every service": ProcessSettings,
    "edge": EdgeSettings,
    "dispatcher": DispatcherSettings,
    "metering": MeteringSettings,
    "health": HealthSettings,
    "console": ConsoleSettings,
    "trunkline: commands that talk to the console": ConsoleAccess,
    "trunkline chat": EdgeAccess,
    "trunkline doctor": DoctorAccess,
    "trunkline migrate": DatabaseAccess,
    "trunkline backup, restore and mirror": BusAccess,
    "trunkline dev": DevSettings,
}


def settings_page() -> str:
    """Return docs/operating/settings.md."""
    lines = [
        "# Settings\n\n",
        "Each is an environment variable. `NAME_FILE` names a file that holds the value instead, as container ",
        "platforms mount secrets. All faults are reported together, before any port is bound, with exit code 64.\n",
    ]
    common = {field.name for field in dataclasses.fields(ProcessSettings)}
    for title, settings in SETTINGS.items():
        lines.append(f"\n## {title}\n\n| setting | type | default | |\n| --- | --- | --- | --- |\n")
        for field in dataclasses.fields(settings):
            if settings is not ProcessSettings and issubclass(settings, ProcessSettings) and field.name in common:
                continue
            declared = field.metadata["declaration"]
            lines.append(f"| `{declared.name}` | {_type(field.type)} | {_default(field)} | {declared.help} |\n")
    return "".join(lines)


def _type(kind: object) -> str:
    name = kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)
    return {"str": "text", "int": "whole number", "float": "number", "bool": "true or false", "Path": "path"}.get(
        name, "names, separated by commas" if "tuple" in name else name
    )


def _default(field: "dataclasses.Field[object]") -> str:
    if field.default is dataclasses.MISSING:
        return "required"
    if isinstance(field.default, tuple):
        return f"`{','.join(field.default)}`" if field.default else ""
    return f"`{field.default}`" if field.default not in {"", None} else ""


def commands_page() -> str:
    """Return docs/operating/commands.md."""
    # By name, and now: the client that it imports may have been made anew only a moment ago.
    app = importlib.import_module("trunkline.cli.__main__").app
    lines = ["# The command line\n\n`trunkline` is a thin client of the admin API.\n"]
    _describe(typer.main.get_command(app), ["trunkline"], lines)
    return "".join(lines)


def _describe(command: Any, path: list[str], lines: list[str]) -> None:
    # Any: typer carries a click of its own, whose classes are not its public interface.
    children = getattr(command, "commands", {})
    if not children:
        context = command.context_class(command, info_name=" ".join(path))
        usage = command.get_usage(context).removeprefix("Usage: ")
        lines.append(f"\n## `{' '.join(usage.split())}`\n\n{(command.help or '').strip()}\n")
        rows = [param.get_help_record(context) for param in command.params if param.param_type_name == "option"]
        shown = [row for row in rows if row is not None and "--help" not in row[0]]
        if shown:
            lines.append("\n| option | |\n| --- | --- |\n")
            lines.extend(f"| `{option}` | {' '.join(text.split())} |\n" for option, text in shown)
    for name in sorted(children):
        _describe(children[name], [*path, name], lines)


def metrics_page() -> str:
    """Return docs/operating/metrics.md, from the ops ports of a stack that is started for it."""
    with tempfile.TemporaryDirectory() as folder:
        ready_file = Path(folder) / "ready.json"
        stack = subprocess.Popen(
            [sys.executable, "-m", "trunkline.dev", "--port=0", f"--ready-file={ready_file}", f"--data-dir={folder}"],
            stdout=subprocess.DEVNULL,
        )
        try:
            processes = _wait_for(ready_file, stack)["processes"]
            lines = ["# Metrics\n\nOn each process's ops port under `/metrics`. Labels hold configured names only.\n"]
            for role in ("edge", "dispatcher", "metering", "health", "console"):
                lines.append(f"\n## {role}\n\n| metric | kind | |\n| --- | --- | --- |\n")
                lines.extend(_metrics_of(processes[role][0]["ops_url"]))
        finally:
            stack.terminate()
            stack.wait()
    return "".join(lines)


def _wait_for(ready_file: Path, stack: "subprocess.Popen[bytes]") -> dict[str, dict[str, list[dict[str, str]]]]:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not ready_file.exists():
        if stack.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("the stack did not start")
        time.sleep(0.1)
    parsed: dict[str, dict[str, list[dict[str, str]]]] = json.loads(ready_file.read_text())
    return parsed


def _metrics_of(ops_url: str) -> list[str]:
    with urllib.request.urlopen(f"{ops_url}/metrics") as answer:
        text = answer.read().decode()
    helps, kinds = {}, {}
    for line in text.splitlines():
        if line.startswith("# HELP trunkline_"):
            _, _, name, words = line.split(" ", 3)
            helps[name] = words
        elif line.startswith("# TYPE trunkline_"):
            _, _, name, kind = line.split(" ", 3)
            kinds[name] = kind
    shown = sorted(name for name in helps if not name.endswith("_created"))
    return [f"| `{name}` | {kinds[name]} | {helps[name]} |\n" for name in shown]


def fidelity_page() -> str:
    """Return docs/fidelity.md."""
    columns = {OPENAI_CHAT: "chat", OPENAI_RESPONSES: "responses", ANTHROPIC: "anthropic", GEMINI: "gemini"}
    lines = [
        "# What a crossing keeps\n\n",
        "A request whose provider speaks another dialect is translated. Each row is something that a request may use; ",
        "each column says what becomes of it on the way to a provider of that dialect. Empty: it arrives as it is. ",
        "*degraded*: the answer still means the same. *dropped*: it changes cost, speed or style only. Both are named ",
        "in the response header `x-trunkline-fidelity`. *refused*: the request is answered with a 400 that names the ",
        "field.\n",
        f"\n| feature | {' | '.join(columns.values())} | becomes |\n| --- |{' --- |' * (len(columns) + 1)}\n",
    ]
    for row in TABLE.values():
        marks = [row.marks[name].value if name in row.marks else "" for name in columns]
        lines.append(f"| `{row.feature.value}` | {' | '.join(marks)} | {row.becomes} |\n")
    return "".join(lines)


def nats_permissions_text() -> str:
    """Return deploy/nats/permissions.conf."""
    return GENERATED_CONFIGURATION + authorization_text()


def cluster_rules_text() -> str:
    """Return deploy/k8s/components/monitoring/rules.yaml: kustomize cannot make objects of files itself."""
    objects = [GENERATED_OBJECTS]
    for path in sorted(RULES.glob("*.yml")):
        objects.append(
            "---\napiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n"
            f"  name: trunkline-{path.stem}\n  labels: {{app.kubernetes.io/part-of: trunkline}}\nspec:\n"
        )
        objects.append(textwrap.indent(path.read_text(), "  "))
    return "".join(objects)


def faults_page() -> str:
    """Return docs/faults.md, from the table that the tests bring about."""
    lines = [
        "# What a provider can do wrong\n\n",
        "Each row is brought about by `tests/e2e/test_fault_upstreams.py`, with real processes, for a plain answer ",
        "and for a stream: at a model's only channel, and at the first of two. *Client*: what the client of an ",
        "OpenAI dialect gets of the only channel; 200 with an error is one inside a stream that had begun. ",
        "*Attempts* are made at that channel, the later ones after a pause. *Second channel*: whether it answers ",
        "instead. *Counts against*: what is left alone for it; a channel only after several of them. Clients pay ",
        "for answers, and for what had come of a stream that had begun; for nothing else.\n",
    ]
    for title, faults in GROUPS.items():
        lines.append(f"\n## {title}\n\n| the provider | form | client | in the books | attempts | second channel ")
        lines.append("| counts against |\n| --- | --- | --- | --- | --- | --- | --- |\n")
        for fault in faults.values():
            lines.extend(_fault_rows(fault))
    return "".join(lines)


def _fault_rows(fault: Fault) -> list[str]:
    """Return one row for both forms if the same is seen of them, else one for each."""
    of_form = {("stream" if streamed else "plain"): fault.of(streamed=streamed) for streamed in fault.forms()}
    if len(of_form) == 2 and of_form["plain"] == of_form["stream"]:
        of_form = {"both": of_form["plain"]}
    return [f"| {fault.does} | {form} | {_outcome(fault, seen)} |\n" for form, seen in of_form.items()]


def _outcome(fault: Fault, seen: Seen) -> str:
    if seen.error is None:
        return f"the answer | | {seen.attempts} | | nothing"
    wait = ", and when to come again" if seen.waits else ""
    second = "answers" if seen.retried else "is not asked"
    shown = f"{seen.status} `{seen.code}`{wait}"
    return f"{shown} | `{seen.error.value}` | {seen.attempts} | {second} | {fault.against.value}"


def main() -> None:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a page is stale; change nothing")
    check = parser.parse_args().check
    stale = []
    pages: dict[Path, Callable[[], str]] = {
        CLIENT: cli_client_text,  # first: the commands need it
        DOCS / "openapi.json": openapi_text,
        OPERATING / "admin-api.md": admin_api_page,
        OPERATING / "settings.md": settings_page,
        OPERATING / "commands.md": commands_page,
        OPERATING / "metrics.md": metrics_page,
        NATS_PERMISSIONS: nats_permissions_text,
        CLUSTER_RULES: cluster_rules_text,
        **{path: functools.partial(str, text) for path, text in dashboards().items()},
        DOCS / "fidelity.md": fidelity_page,
        DOCS / "faults.md": faults_page,
    }
    for path, page in pages.items():
        text = (GENERATED if path.suffix == ".md" else "") + page()
        if path.exists() and path.read_text() == text:
            continue
        stale.append(path.name)
        if not check:
            path.write_text(text)
    if stale and check:
        raise SystemExit(f"stale: {', '.join(stale)}; run `make docs`")


if __name__ == "__main__":
    main()
