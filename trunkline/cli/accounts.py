"""`trunkline accounts` and `trunkline users`."""

import uuid
from typing import Annotated

import typer
from msgspec import UNSET

from trunkline.cli import admin, render, render_accounts, terms, typed
from trunkline.cli.failure import CLIError
from trunkline.core.money import usd_text
from trunkline.policy.admin_accounts import AccountChange, CreditRequest, NewAccount, NewUser, UserChange
from trunkline.policy.configuration import DEFAULT_GROUP
from trunkline.policy.periods import UTC

accounts = typer.Typer(no_args_is_help=True, help="Who pays: accounts, their balance and credit.")
users = typer.Typer(no_args_is_help=True, help="People of accounts, whose keys share limits and budgets.")

UserName = Annotated[str, typer.Argument(metavar="ACCOUNT/NAME", help="The user.")]
Zone = "Whose days and months count, such as Asia/Shanghai."


@accounts.command("create")
def create_account(
    name: str,
    *,
    tier: Annotated[str | None, typer.Option(help="Whose limits it has.")] = None,
    credit: Annotated[str, typer.Option(help="USD to begin with.")] = "0",
    trial: Annotated[bool, typer.Option("--trial", help="Give it the free trial.")] = False,
    daily: terms.Daily = None,
    monthly: terms.Monthly = None,
    time_zone: Annotated[str, typer.Option(help=Zone)] = UTC,
    group: Annotated[
        list[str] | None, typer.Option("--group", help="A group that its people may give to keys; several.")
    ] = None,
) -> None:
    """Make an account."""
    budgets = typed.budgets(daily, monthly)
    new = NewAccount(
        name,
        tier,
        time_zone,
        groups=tuple(group or (DEFAULT_GROUP,)),
        credit=typed.amount(credit),
        budgets=budgets,
        trial=trial,
    )
    render.show(render_accounts.accounts([admin.connect().create_account(new)]))


@accounts.command("list")
def list_accounts() -> None:
    """List all accounts."""
    render.show(render_accounts.accounts(admin.connect().list_accounts()))


@accounts.command("show")
def show_account(name: str) -> None:
    """Show an account, its limits, budgets, users and keys."""
    client = admin.connect()
    account = client.show_account(name)
    render.show(*render_accounts.account(account, client.list_users(name), client.list_keys(name)))


@accounts.command("change")
def change_account(
    name: str,
    tier: Annotated[str | None, typer.Option(help="Whose limits it has.")] = None,
    no_tier: Annotated[bool, typer.Option("--no-tier", help="It has no tier any more.")] = False,
    time_zone: Annotated[str | None, typer.Option(help=Zone)] = None,
) -> None:
    """Change an account's tier or time zone."""
    if tier is not None and no_tier:
        raise CLIError("--tier and --no-tier exclude each other")
    change = AccountChange(
        tier=None if no_tier else UNSET if tier is None else tier,
        time_zone=UNSET if time_zone is None else time_zone,
    )
    render.show(render_accounts.accounts([admin.connect().change_account(name, change)]))


@accounts.command("credit")
def credit_account(
    name: str,
    usd: Annotated[str, typer.Argument(help="How much, in USD.")],
    reference: Annotated[
        str | None, typer.Option(help="Names the grant, such as an invoice; granted once however often it is sent.")
    ] = None,
) -> None:
    """Grant credit to an account."""
    request = CreditRequest(typed.amount(usd), reference or f"cli-{uuid.uuid4()}")
    result = admin.connect().credit_account(name, request)
    done = f"granted {usd} USD" if result.granted else f"nothing granted: {request.reference!r} was granted before"
    render.show(f"{done}; the balance is {usd_text(result.balance_nano)} USD")


@users.command("create")
def create_user(
    name: UserName,
    *,
    rpm: terms.RPM = None,
    tpm: terms.TPM = None,
    concurrency: terms.Concurrency = None,
    daily: terms.Daily = None,
    monthly: terms.Monthly = None,
) -> None:
    """Make a user; `limits set` and `budgets set` can say more."""
    account, user = typed.split_name(name, "a user")
    limits = typed.limits(None, rpm=rpm, tpm=tpm, concurrency=concurrency)
    new = NewUser(user, limits, typed.budgets(daily, monthly))
    render.show(render_accounts.users([admin.connect().create_user(account, new)]))


@users.command("list")
def list_users(account: Annotated[str | None, typer.Option(help="Only of this account.")] = None) -> None:
    """List users."""
    client = admin.connect()
    render.show(render_accounts.users(client.list_all_users() if account is None else client.list_users(account)))


@users.command("rename")
def rename_user(name: UserName, new_name: str) -> None:
    """Give a user another name."""
    account, user = typed.split_name(name, "a user")
    render.show(render_accounts.users([admin.connect().rename_user(account, user, UserChange(new_name))]))


@users.command("delete")
def delete_user(name: UserName) -> None:
    """Delete a user who has no keys."""
    account, user = typed.split_name(name, "a user")
    admin.connect().delete_user(account, user)
    render.show(f"deleted user {name}")
