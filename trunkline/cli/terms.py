"""`trunkline limits` and `trunkline budgets`: what accounts, users, keys, tiers and groups may do and spend."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from trunkline.cli import admin, render, render_accounts, typed
from trunkline.cli.failure import CLIError
from trunkline.policy.admin_accounts import HolderKind
from trunkline.policy.configuration import NO_BUDGETS_ENTRY, BudgetsEntry
from trunkline.policy.meters import NO_LIMITS, Budgets, Limits

if TYPE_CHECKING:
    from trunkline.cli.client import Client

limits = typer.Typer(no_args_is_help=True, help="Limits of accounts, users, keys, tiers and groups.")
budgets = typer.Typer(no_args_is_help=True, help="Budgets of accounts, users and keys, in USD.")

RPM = Annotated[int | None, typer.Option(help="Requests in any minute.")]
RPD = Annotated[int | None, typer.Option(help="Requests per day.")]
TPM = Annotated[int | None, typer.Option(help="Tokens in any minute.")]
TPD = Annotated[int | None, typer.Option(help="Tokens per day.")]
Images = Annotated[int | None, typer.Option(help="Images in any minute.")]
Concurrency = Annotated[int | None, typer.Option(help="Requests at a time.")]
Daily = Annotated[str | None, typer.Option(help="Budget per day in USD.")]
Monthly = Annotated[str | None, typer.Option(help="Budget per month in USD.")]

Kind = Annotated[HolderKind, typer.Argument(metavar="KIND", help="account, user, key, tier or group.")]
BudgetKind = Annotated[HolderKind, typer.Argument(metavar="KIND", help="account, user or key.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name; ACCOUNT/NAME of a user or key.")]
LimitFamilies = Annotated[
    list[str] | None,
    typer.Option("--family", metavar="PATTERN,…:rpm=N,…", help="Limits of all models that match, together; several."),
]
BudgetFamilies = Annotated[
    list[str] | None,
    typer.Option("--family", metavar="PATTERN,…:daily=USD,…", help="Budget of all models that match; several."),
]
Cheaper = Annotated[
    list[str] | None,
    typer.Option(metavar="MODEL=CHEAPER", help="What takes over for a model whose budget is used up; several."),
]


_LIMITS: dict[HolderKind, Callable[["Client"], tuple[Callable[..., Limits], Callable[..., Limits]]]] = {
    HolderKind.ACCOUNT: lambda client: (client.show_account_limits, client.put_account_limits),
    HolderKind.USER: lambda client: (client.show_user_limits, client.put_user_limits),
    HolderKind.KEY: lambda client: (client.show_key_limits, client.put_key_limits),
    HolderKind.TIER: lambda client: (client.show_tier_limits, client.put_tier_limits),
    HolderKind.GROUP: lambda client: (client.show_group_limits, client.put_group_limits),
}
_BUDGETS: dict[HolderKind, Callable[["Client"], tuple[Callable[..., Budgets], Callable[..., Budgets]]]] = {
    HolderKind.ACCOUNT: lambda client: (client.show_account_budgets, client.put_account_budgets),
    HolderKind.USER: lambda client: (client.show_user_budgets, client.put_user_budgets),
    HolderKind.KEY: lambda client: (client.show_key_budgets, client.put_key_budgets),
}
"""What shows the terms of one, and what replaces them."""


def _limits(kind: HolderKind, name: str, wanted: Limits | None) -> Limits:
    """Return the limits of one, after they were replaced if others are wanted."""
    show, put = _LIMITS[kind](admin.connect())
    names = _names(kind, name)
    return show(*names) if wanted is None else put(*names, wanted)


def _budgets(kind: HolderKind, name: str, wanted: BudgetsEntry | None) -> Budgets:
    """Return the budgets of one, after they were replaced if others are wanted."""
    if kind not in _BUDGETS:
        raise CLIError(f"a {kind} has no budgets; {', '.join(_BUDGETS)} have")
    show, put = _BUDGETS[kind](admin.connect())
    names = _names(kind, name)
    return show(*names) if wanted is None else put(*names, wanted)


def _names(kind: HolderKind, name: str) -> tuple[str, ...]:
    return typed.split_name(name, f"a {kind}") if kind in {HolderKind.USER, HolderKind.KEY} else (name,)


@limits.command("show")
def show_limits(kind: Kind, name: Name) -> None:
    """Show the limits of one account, user, key, tier or group."""
    render.show(render_accounts.limits(_limits(kind, name, None)))


@limits.command("set")
def set_limits(
    kind: Kind,
    name: Name,
    *,
    rpm: RPM = None,
    rpd: RPD = None,
    tpm: TPM = None,
    tpd: TPD = None,
    images_per_minute: Images = None,
    concurrency: Concurrency = None,
    family: LimitFamilies = None,
) -> None:
    """Replace all limits of one by those given; what is not given is not limited any more."""
    wanted = typed.limits(
        family, rpm=rpm, rpd=rpd, tpm=tpm, tpd=tpd, images_per_minute=images_per_minute, concurrency=concurrency
    )
    if wanted == NO_LIMITS:
        raise CLIError("no limit is given; `trunkline limits clear` takes them all away")
    render.show(render_accounts.limits(_limits(kind, name, wanted)))


@limits.command("clear")
def clear_limits(kind: Kind, name: Name) -> None:
    """Take away all limits of one."""
    render.show(render_accounts.limits(_limits(kind, name, NO_LIMITS)))


@budgets.command("show")
def show_budgets(kind: BudgetKind, name: Name) -> None:
    """Show the budgets of one account, user or key."""
    render.show(*render_accounts.budgets(_budgets(kind, name, None)))


@budgets.command("set")
def set_budgets(
    kind: BudgetKind,
    name: Name,
    *,
    daily: Daily = None,
    monthly: Monthly = None,
    family: BudgetFamilies = None,
    cheaper: Cheaper = None,
) -> None:
    """Replace all budgets of one by those given; what is not given has no budget any more."""
    wanted = typed.budgets(daily, monthly, family, cheaper)
    if wanted == msgspec.structs.replace(NO_BUDGETS_ENTRY, cheaper=wanted.cheaper):
        raise CLIError("no budget is given; `trunkline budgets clear` takes them all away")
    render.show(*render_accounts.budgets(_budgets(kind, name, wanted)))


@budgets.command("clear")
def clear_budgets(kind: BudgetKind, name: Name) -> None:
    """Take away all budgets of one."""
    render.show(*render_accounts.budgets(_budgets(kind, name, NO_BUDGETS_ENTRY)))
