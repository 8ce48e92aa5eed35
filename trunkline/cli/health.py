"""`trunkline credentials` and `trunkline history`."""

from typing import Annotated

import typer
from msgspec import UNSET

from trunkline.cli import admin, render, render_health, typed
from trunkline.cli.failure import CLIError
from trunkline.policy.admin_api import CredentialChange

credentials = typer.Typer(no_args_is_help=True, help="How credentials stand with their providers, and their limits.")


@credentials.command("list")
def list_credentials(
    *,
    refused: Annotated[bool, typer.Option("--refused", help="Only those that their providers refuse.")] = False,
) -> None:
    """List all credentials, and since when their providers refuse them."""
    render.show(render_health.credentials(admin.connect().list_credentials(refused=refused)))


@credentials.command("change")
def change_credential(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel.")],
    credential: Annotated[int, typer.Argument(metavar="ID", help="As in `trunkline channels show`.")],
    *,
    weight: Annotated[int | None, typer.Option(help="Its share where the order is weighted.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Attempts at a time.")] = None,
    no_jobs: Annotated[bool, typer.Option("--no-jobs", help="The channel's holds.")] = False,
    rpm: Annotated[int | None, typer.Option(help="Attempts in a minute.")] = None,
    no_rpm: Annotated[bool, typer.Option("--no-rpm", help="The channel's holds.")] = False,
    tpm: Annotated[int | None, typer.Option(help="Tokens in a minute.")] = None,
    no_tpm: Annotated[bool, typer.Option("--no-tpm", help="The channel's holds.")] = False,
) -> None:
    """Change what is given of a credential; everything else stays."""
    change = CredentialChange(
        weight=UNSET if weight is None else weight,
        jobs=typed.either("jobs", jobs, no_jobs, None),
        rpm=typed.either("rpm", rpm, no_rpm, None),
        tpm=typed.either("tpm", tpm, no_tpm, None),
    )
    if change == CredentialChange():
        raise CLIError("nothing to change is given; see `trunkline credentials change --help`")
    render.show(render.credentials([admin.connect().change_credential(channel, credential, change)]))


@credentials.command("reseal")
def reseal_credentials(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is sealed with which master key.")] = False,
) -> None:
    """Seal all that is sealed with the newest master key; exit 1 if something stays with another one."""
    done = admin.connect().reseal_credentials(dry_run=dry_run)
    render.show(f"{done.resealed} sealed anew with master key {done.newest}", render_health.sealed(done))
    if not dry_run and any(count.master != done.newest for count in done.sealed):
        raise typer.Exit(1)


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
