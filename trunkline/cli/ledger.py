"""`trunkline ledger`, and the commands of `trunkline accounts` that correct the ledger."""

from collections.abc import Iterator
from typing import Annotated

import typer

from trunkline.cli import admin, render, render_credit, typed
from trunkline.cli.accounts import accounts
from trunkline.cli.failure import CLIError
from trunkline.core.money import usd_text
from trunkline.policy.admin_credit import AdjustmentRequest, BookedTransfer, LedgerStep, RefundRequest

ledger = typer.Typer(no_args_is_help=True, help="The books: whether all of them agree.")

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account.")]


@ledger.command("verify")
def verify() -> None:
    """Recompute all that is projected from the ledger; exit 1 and say what differs if something does."""
    steps = list(_until_done(admin.connect().verify_ledger()))
    render.show(render_credit.checks(steps))
    if any(step.findings for step in steps):
        render.show(render_credit.findings(steps))
        raise typer.Exit(1)


@ledger.command("rebuild")
def rebuild() -> None:
    """Make balances and spending anew from the transfers and the usage that is kept; settlement waits meanwhile."""
    for step in _until_done(admin.connect().rebuild_ledger()):
        render.show(f"{step.step}: {step.count} made anew")


@accounts.command("statement")
def show_statement(account: Account) -> None:
    """Show what came into a wallet and was taken from it, beside the charges of requests."""
    render.show(render_credit.statement(admin.connect().show_statement(account)))


@accounts.command("trial")
def show_trial(account: Account) -> None:
    """Show an account's free trial, and when it ends."""
    view = admin.connect().show_trial(account)
    ended = "" if view.taken_nano is None else f"; {usd_text(view.taken_nano)} USD of it were left and taken back"
    verb = "ends" if view.ended_at is None else "ended"
    render.show(f"{usd_text(view.amount_nano)} USD, {verb} {render.moment_text(view.ends_at)}{ended}")


@accounts.command("adjust", context_settings={"ignore_unknown_options": True})
def adjust_account(
    account: Account,
    usd: Annotated[str, typer.Argument(help="How much, in USD; below zero to take away.")],
    reference: Annotated[str, typer.Option(help="Names the adjustment; booked once however often it is sent.")],
    corrects: Annotated[
        str | None, typer.Option(help="Reference of what it corrects, as the statement has it.")
    ] = None,
) -> None:
    """Correct an account's wallet."""
    request = AdjustmentRequest(typed.amount(usd), reference, corrects)
    _show_booked(admin.connect().adjust_account(account, request))


@accounts.command("refund")
def refund_job(
    account: Account,
    job: Annotated[str, typer.Argument(help="Id of the request, as in its x-request-id.")],
    usd: Annotated[str | None, typer.Option(help="How much of it in USD; all if left out.")] = None,
    reference: Annotated[str | None, typer.Option(help="Names the refund; made of the job if left out.")] = None,
) -> None:
    """Give back what an account was charged for a request; once."""
    request = RefundRequest(job, None if usd is None else typed.amount(usd), reference)
    _show_booked(admin.connect().refund_job(account, request))


def _until_done(steps: Iterator[LedgerStep]) -> Iterator[LedgerStep]:
    """Return the steps that say something.

    Raises:
        CLIError: the work could not be done to its end.
    """
    for step in steps:
        if step.error:
            raise CLIError(step.error)
        if step.done:
            return
        yield step
    raise CLIError("the console's answer was cut off")


def _show_booked(done: BookedTransfer) -> None:
    amount = f"{usd_text(done.amount_nano)} USD"
    first = f"booked {amount}" if done.booked else f"nothing booked: {done.reference!r} was booked before"
    render.show(f"{first}; the balance is {usd_text(done.balance_nano)} USD")
