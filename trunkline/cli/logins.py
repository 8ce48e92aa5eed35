"""`trunkline logins`."""

from typing import Annotated

import typer

from trunkline.cli import admin, render, render_accounts, render_logins
from trunkline.cli.settings import ConsoleAccess
from trunkline.policy.admin_identity import LoginLink, LoginView, NewLogin
from trunkline.runtime import config

logins = typer.Typer(no_args_is_help=True, help="People who sign in to the console.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The login.")]


@logins.command("list")
def list_logins(
    search: Annotated[str | None, typer.Option(help="Only those with this in their name or address.")] = None,
    state: Annotated[str | None, typer.Option(help="Only unconfirmed, waiting, active or blocked ones.")] = None,
) -> None:
    """List logins."""
    client = admin.connect()
    found: list[LoginView] = []
    while page := client.list_logins(search=search, state=state, after=found[-1].name if found else None):
        found += page
    render.show(render_logins.logins(found))


@logins.command("create")
def create_login(
    name: Name,
    *,
    email: Annotated[str | None, typer.Option(help="An address; it counts as proved.")] = None,
    operator: Annotated[bool, typer.Option("--operator", help="Let it do everything.")] = False,
    account: Annotated[bool, typer.Option("--account", help="Give it an account of its name.")] = False,
) -> None:
    """Make a login, and print the link by which its person chooses a password."""
    new = NewLogin(name, email, operator, account=account)
    made = admin.connect().create_login(new)
    render.show(render_logins.logins([made.login]))
    _show(made.link)


@logins.command("link")
def link_login(name: Name) -> None:
    """Print a link that sets a login's password once; earlier ones end."""
    _show(admin.connect().link_login(name))


@logins.command("approve")
def approve_login(name: Name) -> None:
    """Let a registered login in, with an account of its own."""
    render.show(render_logins.logins([admin.connect().approve_login(name)]))


@logins.command("keys")
def list_keys(name: Name) -> None:
    """List a login's keys in all accounts: those of its users, and those whose secret it was shown."""
    render.show(render_accounts.keys(admin.connect().list_login_keys(name)))


@logins.command("block")
def block_login(
    name: Name,
    *,
    withdraw_keys: Annotated[
        bool, typer.Option("--withdraw-keys", help="Block its keys, too: those that `logins keys` lists.")
    ] = False,
) -> None:
    """Refuse a login until it is unblocked; its sessions end."""
    render.show(render_logins.logins([admin.connect().block_login(name, withdraw_keys=withdraw_keys)]))


@logins.command("unblock")
def unblock_login(name: Name) -> None:
    """Accept a blocked login again."""
    render.show(render_logins.logins([admin.connect().unblock_login(name)]))


@logins.command("first-link")
def first_link() -> None:
    """Print the link by which somebody becomes the first operator; earlier ones end."""
    _show(admin.connect().first_operator_link())


def _show(link: LoginLink) -> None:
    """Print a link alone, so that it can be piped, and until when it holds beside it."""
    console_url = config.load(ConsoleAccess).console_url.rstrip("/")
    typer.echo(f"{console_url}/{link.url}" if link.url.startswith("#") else link.url)
    typer.echo(f"valid once, until {render.moment_text(link.ends_at)} UTC", err=True)
