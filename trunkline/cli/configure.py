"""`trunkline apply`, `trunkline migrate`, `trunkline projection rebuild`: what changes the system as a whole."""

import asyncio
import importlib
from pathlib import Path
from typing import Annotated

import typer
import yaml

from trunkline.cli import admin, render
from trunkline.cli.failure import CLIError
from trunkline.cli.settings import DatabaseAccess
from trunkline.policy.configuration import Configuration, ConfigurationError, Names
from trunkline.policy.configuration_file import load
from trunkline.runtime import config
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.config import EXIT_USAGE

FILE_BYTES_MAX = 8 * 1024 * 1024
"""What the console takes."""

projection = typer.Typer(no_args_is_help=True, help="The snapshots that edges and dispatchers hold.")


def read_file(path: Path, names: Names) -> Configuration:
    """Return the configuration in a file, with secrets from the environment.

    Args:
        path: of a YAML file.
        names: what it may refer to beside what is in it.

    Raises:
        CLIError: it cannot be read, or has faults: all of them.
    """
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise CLIError(f"{path} is larger than {FILE_BYTES_MAX} bytes", exit_code=EXIT_USAGE)
        parsed = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise CLIError(f"{path} cannot be read: {error.strerror}", exit_code=EXIT_USAGE) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: no UTF-8, or a number or date that is none.
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or type(error).__name__
        raise CLIError(f"{path} is not valid YAML{where}: {problem}", exit_code=EXIT_USAGE) from error
    try:
        return load(parsed, config.environment(), names, SystemClock().wall_ms())
    except ConfigurationError as error:
        raise CLIError(f"{path} is wrong:", faults=tuple(error.faults), exit_code=EXIT_USAGE) from error


def apply(
    file: Annotated[Path, typer.Option("--file", "-f", help="The configuration, in YAML.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
) -> None:
    """Make the system hold what a configuration file says; what the file does not name is left alone."""
    client = admin.connect()
    applied = client.apply_configuration(read_file(file, client.list_names()), dry_run=dry_run)
    render.show(render.changes(applied.changes, dry_run=applied.dry_run))


@projection.command("rebuild")
def rebuild() -> None:
    """Write every snapshot anew from the database, and delete those that should not be there."""
    rebuilt = admin.connect().rebuild_projection()
    rows = [(bucket, str(count), str(rebuilt.deleted.get(bucket, 0))) for bucket, count in rebuilt.written.items()]
    figures = frozenset({"written", "deleted"})
    render.show(render.table(("bucket", "written", "deleted"), rows, right=figures))


def migrate() -> None:
    """Bring the database at DATABASE_URL up to date."""
    # By name: only this command of the CLI needs a driver for Postgres, and loading it takes longer than --help may.
    migrations = importlib.import_module("trunkline.store.migrate")
    database = importlib.import_module("trunkline.store.database")
    access = config.load(DatabaseAccess)
    try:
        names: list[str] = asyncio.run(migrations.migrate(access.database_url))
    except (database.StoreError, migrations.MigrationError) as error:
        raise CLIError(str(error)) from error
    render.show("\n".join(f"ran {name}" for name in names) or "The database is up to date.")
