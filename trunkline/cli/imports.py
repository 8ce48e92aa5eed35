"""`trunkline import`: configurations of other gateways as ours. Needs no console."""

import secrets
from pathlib import Path
from typing import Annotated

import typer

from trunkline.cli.failure import CLIError
from trunkline.cli.render import printable
from trunkline.policy.configuration import ConfigurationError
from trunkline.policy.imports import Format, import_text
from trunkline.policy.imports.new_api import Part
from trunkline.policy.imports.reading import JSON_BYTES_MAX
from trunkline.policy.imports.writing import yaml_text
from trunkline.policy.keys import mint
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.config import EXIT_USAGE

RANDOM_BYTES = 64

imports = typer.Typer(
    no_args_is_help=True,
    help="Configurations of other gateways. YAML goes to standard output, what became of each part to standard error.",
)

_FILE = typer.Argument(metavar="FILE", help="The file.")


@imports.command("litellm")
def import_litellm(file: Annotated[Path, _FILE]) -> None:
    """Turn LiteLLM's config.yaml into a configuration."""
    _show(Format.LITELLM, file, [])


@imports.command("new-api")
def import_new_api(
    file: Annotated[Path, _FILE],
    include: Annotated[
        list[Part] | None, typer.Option(help="What to take: channels, accounts or both; channels if left out.")
    ] = None,
) -> None:
    """Turn an export of New API, or of one-api, into a configuration."""
    _show(Format.NEW_API, file, include or [Part.CHANNELS])


def _show(format_: Format, file: Path, include: list[Part]) -> None:
    try:
        if file.stat().st_size > JSON_BYTES_MAX:
            raise CLIError(f"{file} is larger than {JSON_BYTES_MAX} bytes", exit_code=EXIT_USAGE)
        text = file.read_bytes()
    except OSError as error:
        raise CLIError(f"{file} cannot be read: {error.strerror}", exit_code=EXIT_USAGE) from error
    try:
        imported = import_text(format_, text, include, _draw_secret, SystemClock().wall_ms())
    except ConfigurationError as error:
        raise CLIError(f"{file} cannot be imported:", faults=tuple(error.faults), exit_code=EXIT_USAGE) from error
    typer.echo(yaml_text(imported.configuration), nl=False)
    for remark in imported.remarks:
        fate = remark.fate.value.replace("_", " ")
        typer.echo(printable(f"{fate}: {remark.place}{': ' if remark.place else ''}{remark.message}"), err=True)


def _draw_secret() -> str:
    return mint(secrets.token_bytes(RANDOM_BYTES))
