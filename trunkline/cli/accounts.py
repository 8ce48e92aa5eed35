"""`trunkline accounts` and `trunkline keys`."""

import datetime as dt
import uuid
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from trunkline.cli import admin, render
from trunkline.cli.failure import CLIError
from trunkline.core.money import usd_text
from trunkline.policy.admin_api import (
    AccountView,
    CreatedKey,
    CreditRequest,
    CreditResult,
    KeyView,
    NewAccount,
    NewKey,
)

accounts = typer.Typer(no_args_is_help=True, help="Who pays: accounts, their balance and credit.")
keys = typer.Typer(no_args_is_help=True, help="API keys of accounts, named ACCOUNT/NAME.")

KeyName = Annotated[str, typer.Argument(metavar="ACCOUNT/NAME", help="The key.")]


def amount(text: str) -> Decimal:
    """Return an amount that a person typed.

    Raises:
        CLIError: it is none.
    """
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise CLIError(f"not an amount in USD: {text}") from error


def split_key(name: str) -> tuple[str, str]:
    """Return account and name of ``ACCOUNT/NAME``.

    Raises:
        CLIError: it is not of that form.
    """
    account, slash, key = name.partition("/")
    if not slash or not account or not key:
        raise CLIError(f"a key is named ACCOUNT/NAME, not {name!r}")
    return account, key


@accounts.command("create")
def create_account(
    name: str,
    tier: Annotated[str | None, typer.Option(help="Its limits.")] = None,
    credit: Annotated[str, typer.Option(help="USD to begin with.")] = "0",
    daily: Annotated[str | None, typer.Option(help="Budget per day in USD.")] = None,
    monthly: Annotated[str | None, typer.Option(help="Budget per month in USD.")] = None,
) -> None:
    """Make an account."""
    new = NewAccount(
        name,
        tier,
        amount(credit),
        None if daily is None else amount(daily),
        None if monthly is None else amount(monthly),
    )
    render.show(render.accounts([admin.connect().post(AccountView, "accounts", body=new)]))


@accounts.command("list")
def list_accounts() -> None:
    """List all accounts."""
    render.show(render.accounts(admin.connect().get(list[AccountView], "accounts")))


@accounts.command("show")
def show_account(name: str) -> None:
    """Show an account and its keys."""
    client = admin.connect()
    account = client.get(AccountView, "accounts", name)
    render.show(render.accounts([account]), "", render.keys(client.get(list[KeyView], "accounts", name, "keys")))


@accounts.command("credit")
def credit_account(
    name: str,
    usd: Annotated[str, typer.Argument(help="How much, in USD.")],
    reference: Annotated[
        str | None, typer.Option(help="Names the grant, such as an invoice; granted once however often it is sent.")
    ] = None,
) -> None:
    """Grant credit to an account."""
    request = CreditRequest(amount(usd), reference or f"cli-{uuid.uuid4()}")
    result = admin.connect().post(CreditResult, "accounts", name, "credit", body=request)
    done = f"granted {usd} USD" if result.granted else f"nothing granted: {request.reference!r} was granted before"
    render.show(f"{done}; the balance is {usd_text(result.balance_nano)} USD")


@keys.command("create")
def create_key(
    name: KeyName,
    group: Annotated[list[str] | None, typer.Option(help="A group it may use; several in order of preference.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="A model or pattern it may use, such as 'gpt-*'.")] = None,
    expires: Annotated[dt.datetime | None, typer.Option(help="When it ends, in UTC.")] = None,
    allow_ip: Annotated[list[str] | None, typer.Option(help="An address range it may be used from.")] = None,
) -> None:
    """Make a key and show its secret, this once."""
    account, key = split_key(name)
    new = NewKey(
        key,
        groups=tuple(group) if group else ("default",),
        models=tuple(model) if model else ("*",),
        expires=None if expires is None else expires.replace(tzinfo=dt.UTC),
        allow_ips=tuple(allow_ip or ()),
    )
    created = admin.connect().post(CreatedKey, "accounts", account, "keys", body=new)
    typer.echo("Keep this secret; it is stored nowhere and not shown again:", err=True)
    typer.echo(created.secret)


@keys.command("list")
def list_keys(account: Annotated[str | None, typer.Option(help="Only of this account.")] = None) -> None:
    """List keys."""
    path = ("keys",) if account is None else ("accounts", account, "keys")
    render.show(render.keys(admin.connect().get(list[KeyView], *path)))


@keys.command("block")
def block_key(name: KeyName) -> None:
    """Refuse a key until it is unblocked."""
    account, key = split_key(name)
    render.show(render.keys([admin.connect().post(KeyView, "accounts", account, "keys", key, "block")]))


@keys.command("unblock")
def unblock_key(name: KeyName) -> None:
    """Accept a blocked key again."""
    account, key = split_key(name)
    render.show(render.keys([admin.connect().post(KeyView, "accounts", account, "keys", key, "unblock")]))


@keys.command("revoke")
def revoke_key(name: KeyName) -> None:
    """Delete a key for good."""
    account, key = split_key(name)
    admin.connect().send("DELETE", "accounts", account, "keys", key)
    render.show(f"revoked {name}")
