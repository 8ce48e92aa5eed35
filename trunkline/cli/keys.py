"""`trunkline keys`."""

import datetime as dt
from typing import Annotated

import typer
from msgspec import UNSET

from trunkline.bus.snapshots import Strategy
from trunkline.cli import admin, render, render_accounts, terms, typed
from trunkline.cli.failure import CLIError
from trunkline.policy.admin_accounts import OVERLAP_S_DEFAULT, CreatedKey, KeyChange, NewKey, Rotation
from trunkline.policy.configuration import DEFAULT_GROUP

keys = typer.Typer(no_args_is_help=True, help="API keys of accounts, named ACCOUNT/NAME.")

KeyName = Annotated[str, typer.Argument(metavar="ACCOUNT/NAME", help="The key.")]
Groups = Annotated[
    list[str] | None, typer.Option("--group", help="A group it may use; several in order of preference.")
]
Models = Annotated[list[str] | None, typer.Option("--model", help="A model or pattern it may use, such as 'gpt-*'.")]
Endpoints = Annotated[
    list[str] | None, typer.Option("--endpoint", help="An endpoint it may call, such as chat_completions; several.")
]
Networks = Annotated[list[str] | None, typer.Option("--allow-ip", help="An address range it may be used from.")]
Expires = Annotated[dt.datetime | None, typer.Option(help="When it ends, in UTC.")]
Routing = Annotated[Strategy | None, typer.Option("--strategy", help="How channels are chosen for its jobs.")]
User = Annotated[str | None, typer.Option(help="Whose it is, by the user's name within the account.")]


@keys.command("create")
def create_key(
    name: KeyName,
    *,
    group: Groups = None,
    model: Models = None,
    expires: Expires = None,
    allow_ip: Networks = None,
    user: User = None,
    endpoint: Endpoints = None,
    strategy: Routing = None,
    rpm: terms.RPM = None,
    tpm: terms.TPM = None,
    concurrency: terms.Concurrency = None,
    daily: terms.Daily = None,
    monthly: terms.Monthly = None,
) -> None:
    """Make a key and show its secret, this once; `limits set` and `budgets set` can say more."""
    account, key = typed.split_name(name)
    new = NewKey(
        key,
        groups=tuple(group or (DEFAULT_GROUP,)),
        models=tuple(model or ("*",)),
        expires=None if expires is None else expires.replace(tzinfo=dt.UTC),
        allow_ips=tuple(allow_ip or ()),
        user=user,
        endpoints=tuple(endpoint or ()),
        limits=typed.limits(None, rpm=rpm, tpm=tpm, concurrency=concurrency),
        budgets=typed.budgets(daily, monthly),
        strategy=strategy,
    )
    _show_secret(admin.connect().create_key(account, new))


@keys.command("list")
def list_keys(account: Annotated[str | None, typer.Option(help="Only of this account.")] = None) -> None:
    """List keys."""
    client = admin.connect()
    render.show(render_accounts.keys(client.list_all_keys() if account is None else client.list_keys(account)))


@keys.command("show")
def show_key(name: KeyName) -> None:
    """Show a key, its limits and budgets (never its secret)."""
    account, key = typed.split_name(name)
    render.show(*render_accounts.key(admin.connect().show_key(account, key)))


@keys.command("change")
def change_key(
    name: KeyName,
    *,
    new_name: Annotated[str | None, typer.Option("--name", help="Another name within the account.")] = None,
    group: Groups = None,
    model: Models = None,
    expires: Expires = None,
    never_expires: Annotated[bool, typer.Option("--never-expires", help="It has no end any more.")] = False,
    allow_ip: Networks = None,
    any_ip: Annotated[bool, typer.Option("--any-ip", help="It may be used from anywhere.")] = False,
    user: User = None,
    no_user: Annotated[bool, typer.Option("--no-user", help="It is nobody's any more.")] = False,
    endpoint: Endpoints = None,
    any_endpoint: Annotated[bool, typer.Option("--any-endpoint", help="It may call every endpoint.")] = False,
    strategy: Routing = None,
    no_strategy: Annotated[bool, typer.Option("--no-strategy", help="The model or group decides.")] = False,
) -> None:
    """Change what is given of a key; everything else stays."""
    account, key = typed.split_name(name)
    moment = None if expires is None else expires.replace(tzinfo=dt.UTC)
    change = KeyChange(
        name=UNSET if new_name is None else new_name,
        groups=tuple(group) if group else UNSET,
        models=tuple(model) if model else UNSET,
        expires=typed.either("expires", moment, never_expires, None),
        allow_ips=typed.either("allow-ip", tuple(allow_ip or ()) or None, any_ip, ()),
        user=typed.either("user", user, no_user, None),
        endpoints=typed.either("endpoint", tuple(endpoint or ()) or None, any_endpoint, ()),
        strategy=typed.either("strategy", strategy, no_strategy, None),
    )
    if change == KeyChange():
        raise CLIError("nothing to change is given; see `trunkline keys change --help`")
    render.show(*render_accounts.key(admin.connect().change_key(account, key, change)))


@keys.command("block")
def block_key(name: KeyName) -> None:
    """Refuse a key until it is unblocked."""
    account, key = typed.split_name(name)
    render.show(render_accounts.keys([admin.connect().block_key(account, key)]))


@keys.command("unblock")
def unblock_key(name: KeyName) -> None:
    """Accept a blocked key again."""
    account, key = typed.split_name(name)
    render.show(render_accounts.keys([admin.connect().unblock_key(account, key)]))


@keys.command("rotate")
def rotate_key(
    name: KeyName,
    overlap: Annotated[
        int, typer.Option(help="Seconds that the present secret stays valid beside the new one; 0 ends it now.")
    ] = OVERLAP_S_DEFAULT,
) -> None:
    """Give a key a new secret and show it, this once."""
    account, key = typed.split_name(name)
    _show_secret(admin.connect().rotate_key(account, key, Rotation(overlap)))


@keys.command("revoke")
def revoke_key(name: KeyName) -> None:
    """Delete a key for good."""
    account, key = typed.split_name(name)
    admin.connect().delete_key(account, key)
    render.show(f"revoked {name}")


def _show_secret(created: CreatedKey) -> None:
    typer.echo("Keep this secret; it is stored nowhere and not shown again:", err=True)
    typer.echo(created.secret)
