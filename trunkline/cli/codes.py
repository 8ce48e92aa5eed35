"""`trunkline codes`, and `trunkline accounts redeem`."""

import datetime as dt
from typing import Annotated

import typer

from trunkline.cli import admin, render, render_credit, typed
from trunkline.cli.accounts import accounts
from trunkline.core.money import usd_text
from trunkline.policy.admin_credit import NewCodes, RedemptionRequest

codes = typer.Typer(no_args_is_help=True, help="Redemption codes.")


@codes.command("create")
def create_codes(
    *,
    amount: Annotated[str, typer.Option(help="What each is worth, in USD.")],
    count: Annotated[int, typer.Option(help="How many.")] = 1,
    expires: Annotated[dt.datetime | None, typer.Option(help="When they end, in UTC; never if left out.")] = None,
    note: Annotated[str, typer.Option(help="What they are for.")] = "",
) -> None:
    """Make codes and print them, one a line, this once."""
    moment = None if expires is None else expires.replace(tzinfo=dt.UTC)
    made = admin.connect().create_codes(NewCodes(typed.amount(amount), count, moment, note))
    typer.echo("\n".join(made.codes))
    typer.echo(f"batch {made.batch.id}: {made.batch.codes} codes of {usd_text(made.batch.amount_nano)} USD", err=True)


@codes.command("list")
def list_batches() -> None:
    """List batches of codes, the newest first (never the codes)."""
    render.show(render_credit.batches(admin.connect().list_codes()))


@codes.command("withdraw")
def withdraw_batch(batch: Annotated[int, typer.Argument(metavar="BATCH", help="Number of the batch.")]) -> None:
    """Let no code of a batch be redeemed any more; what was redeemed stays."""
    render.show(render_credit.batches([admin.connect().withdraw_codes(batch)]))


@accounts.command("redeem")
def redeem_code(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Whose wallet it goes to.")],
    code: Annotated[str, typer.Argument(metavar="CODE", help="The code.")],
) -> None:
    """Redeem a code for an account."""
    done = admin.connect().redeem_code(account, RedemptionRequest(code))
    amount = usd_text(done.amount_nano)
    first = f"redeemed {amount} USD" if done.redeemed else f"nothing redeemed: the account had the {amount} USD before"
    render.show(f"{first}; the balance is {usd_text(done.balance_nano)} USD")
