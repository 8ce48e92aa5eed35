"""`trunkline alerts`."""

from typing import Annotated

import typer

from trunkline.cli import admin, render, render_credit, typed
from trunkline.cli.failure import CLIError
from trunkline.policy.configuration import NO_ALERTS_ENTRY, AlertsEntry

alerts = typer.Typer(
    no_args_is_help=True, help="Who is told when budgets and balances run low, and whether it arrived."
)

Account = Annotated[str | None, typer.Argument(metavar="[ACCOUNT]", help="The account; without one, the site's own.")]


@alerts.command("list")
def list_alerts(account: Annotated[str | None, typer.Option(help="Only of this account.")] = None) -> None:
    """List alerts with their way to each address, the newest first."""
    render.show(render_credit.alerts(admin.connect().list_alerts(account=account)))


@alerts.command("show")
def show_terms(account: Account = None) -> None:
    """Show when and where an account's owners, or the site's operators, are told."""
    client = admin.connect()
    view = client.show_site_alerts() if account is None else client.show_account_alerts(account)
    render.show(render_credit.alert_terms(view))


@alerts.command("set")
def set_terms(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account.")],
    *,
    budget_percent: Annotated[
        str | None, typer.Option(metavar="N,…", help="Tell when so much of a budget is used up, such as 50,80,100.")
    ] = None,
    balance_below: Annotated[
        str | None, typer.Option(metavar="USD", help="Tell when the balance falls below it.")
    ] = None,
    webhook: Annotated[str | None, typer.Option(metavar="URL", help="Where a signed POST is sent.")] = None,
    email: Annotated[list[str] | None, typer.Option(metavar="ADDRESS", help="Where mail is sent; several.")] = None,
) -> None:
    """Replace all alerts of an account by those given."""
    wanted = AlertsEntry(
        budget_percent=tuple(typed.count(part) for part in (budget_percent or "").split(",") if part),
        balance_below=None if balance_below is None else typed.amount(balance_below),
        webhook=webhook,
        email=tuple(email or ()),
    )
    if wanted == NO_ALERTS_ENTRY:
        raise CLIError("nothing is given; `trunkline alerts clear` takes all alerts away")
    render.show(render_credit.alert_terms(admin.connect().put_account_alerts(account, wanted)))


@alerts.command("clear")
def clear_terms(account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account.")]) -> None:
    """Tell an account's owners nothing any more."""
    admin.connect().put_account_alerts(account, NO_ALERTS_ENTRY)
    render.show(f"nobody of {account} is told anything any more")


@alerts.command("test")
def send_test(account: Account = None) -> None:
    """Send a test to every address of an account or the site; `alerts list` shows what became of it."""
    client = admin.connect()
    sent = client.test_site_alerts() if account is None else client.test_account_alerts(account)
    render.show(render_credit.alerts([sent]))
