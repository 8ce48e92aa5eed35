"""`trunkline payments`."""

from typing import Annotated

import typer

from trunkline.cli import admin, render, render_credit, typed
from trunkline.policy.admin_credit import PaymentAssignment

payments = typer.Typer(no_args_is_help=True, help="Payments that providers have announced.")


@payments.command("list")
def list_payments(
    aside: Annotated[bool, typer.Option("--aside", help="Only those that wait for a person.")] = False,
) -> None:
    """List payments, the newest first; amounts in the smallest unit of their currency."""
    render.show(render_credit.payments(admin.connect().list_payments(aside=aside)))


@payments.command("assign")
def assign_payment(
    provider: Annotated[str, typer.Argument(metavar="PROVIDER", help="Whose payment it is, such as stripe.")],
    reference: Annotated[str, typer.Argument(metavar="REFERENCE", help="The payment.")],
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Whose wallet it goes to.")],
    usd: Annotated[
        str | None, typer.Option(help="What it is worth in USD; may be left out if it was paid in USD.")
    ] = None,
) -> None:
    """Book a payment that was kept aside."""
    body = PaymentAssignment(account, None if usd is None else typed.amount(usd))
    render.show(render_credit.payments([admin.connect().assign_payment(provider, reference, body)]))
