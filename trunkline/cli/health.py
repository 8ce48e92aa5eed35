"""`trunkline credentials` and `trunkline history`."""

from typing import Annotated

import typer

from trunkline.cli import admin, render, render_health

credentials = typer.Typer(no_args_is_help=True, help="How credentials stand with their providers.")


@credentials.command("list")
def list_credentials(
    *,
    refused: Annotated[bool, typer.Option("--refused", help="Only those that their providers refuse.")] = False,
) -> None:
    """List all credentials, and since when their providers refuse them."""
    render.show(render_health.credentials(admin.connect().list_credentials(refused=refused)))


def history(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel.")],
    *,
    by: Annotated[
        str, typer.Option(help="minute (kept for 48 hours), hour (14 days) or day (90 days); in UTC.")
    ] = "hour",
    model: Annotated[str | None, typer.Option(help="Only this model; all of the channel if left out.")] = None,
) -> None:
    """Show what health saw of a channel, the newest first."""
    render.show(render_health.history(admin.connect().show_history(channel, by=by, model=model)))
