"""`trunkline accounts savings`."""

from typing import Annotated

import typer

from trunkline.cli import admin, render, render_credit
from trunkline.cli.accounts import accounts
from trunkline.policy.admin_credit import Savings


@accounts.command("savings")
def show_savings(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Whose usage.")],
    month: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="This month if left out; in UTC.")] = None,
) -> None:
    """Show where an account could have paid less: cheaper models of the same family, caches that are not used."""
    query = {} if month is None else {"month": month}
    found = admin.connect().get(Savings, "accounts", account, "savings", query=query)
    render.show(*render_credit.savings(found))
