"""`trunkline usage`, `trunkline usage export` and `trunkline accounts savings`."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from trunkline.cli import admin, render, render_credit
from trunkline.cli.accounts import accounts
from trunkline.cli.failure import CLIError

PIECE_BYTES = 64 * 1024

usage = typer.Typer(invoke_without_command=True, help="Sum up what was used, charged and paid.")

Since = Annotated[str | None, typer.Option(help="First day or moment, in UTC; 30 days ago if left out.")]
Until = Annotated[str | None, typer.Option(help="Day or moment at which it ends, in UTC.")]
Account = Annotated[str | None, typer.Option(help="Only of this account.")]
Key = Annotated[str | None, typer.Option(help="Only of this key of the account.")]


@usage.callback()
def sum_usage(
    context: typer.Context,
    *,
    by: Annotated[
        str, typer.Option(help="What to sum by: day, account, key, model, channel, group; separated by commas.")
    ] = "day,model",
    account: Account = None,
    key: Key = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Sum up what was used, charged and paid."""
    if context.invoked_subcommand is not None:
        return
    dimensions = [name for name in by.split(",") if name]
    rows = admin.connect().sum_usage(by=",".join(dimensions), account=account, key=key, since=since, until=until)
    render.show(render.usage(rows, dimensions))


@usage.command("export")
def export_usage(
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; standard output if left out.")
    ] = None,
    format_: Annotated[str, typer.Option("--format", help="csv or parquet.")] = "csv",
    account: Account = None,
    user: Annotated[str | None, typer.Option(help="Only of this user of the account.")] = None,
    key: Key = None,
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
    channel: Annotated[str | None, typer.Option(help="Only of this channel.")] = None,
    group: Annotated[str | None, typer.Option(help="Only through this group.")] = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Write what is kept of each attempt to a file, money in nano-USD."""
    if output is None and format_ != "csv" and sys.stdout.isatty():
        raise CLIError(f"{format_} is not for terminals; name a file with --output")
    answer = admin.connect().export_usage(
        format_=format_,
        account=account,
        user=user,
        key=key,
        model=model,
        channel=channel,
        group=group,
        since=since,
        until=until,
    )
    with answer as response, _written(output) as file:
        while piece := response.read(PIECE_BYTES):
            file.write(piece)


@accounts.command("savings")
def show_savings(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Whose usage.")],
    month: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="This month if left out; in UTC.")] = None,
) -> None:
    """Show where an account could have paid less: cheaper models of the same family, caches that are not used."""
    render.show(*render_credit.savings(admin.connect().show_savings(account, month=month)))


@contextlib.contextmanager
def _written(output: Path | None) -> Iterator[BinaryIO]:
    """Lend a file, which has its name only when all is in it."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(output)
    except OSError as error:
        raise CLIError(f"{output} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
