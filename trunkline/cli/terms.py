"""`trunkline limits` and `trunkline budgets`: what accounts, users, keys, tiers and groups may do and spend."""

from typing import Annotated

import msgspec
import typer

from trunkline.cli import admin, render, render_accounts, typed
from trunkline.cli.failure import CLIError
from trunkline.policy.admin_accounts import BUDGET_HOLDERS, HolderKind, holder_path
from trunkline.policy.configuration import NO_BUDGETS_ENTRY
from trunkline.policy.meters import NO_LIMITS, Budgets, Limits

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


def _path(kind: HolderKind, name: str) -> tuple[str, ...]:
    names = typed.split_name(name, f"a {kind}") if kind in {HolderKind.USER, HolderKind.KEY} else (name,)
    return holder_path(kind, names)


def _budgets_path(kind: HolderKind, name: str) -> tuple[str, ...]:
    if kind not in BUDGET_HOLDERS:
        raise CLIError(f"a {kind} has no budgets; {', '.join(BUDGET_HOLDERS)} have")
    return _path(kind, name)


@limits.command("show")
def show_limits(kind: Kind, name: Name) -> None:
    """Show the limits of one account, user, key, tier or group."""
    render.show(render_accounts.limits(admin.connect().get(Limits, *_path(kind, name), "limits")))


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
    render.show(render_accounts.limits(admin.connect().put(Limits, *_path(kind, name), "limits", body=wanted)))


@limits.command("clear")
def clear_limits(kind: Kind, name: Name) -> None:
    """Take away all limits of one."""
    render.show(render_accounts.limits(admin.connect().put(Limits, *_path(kind, name), "limits", body=NO_LIMITS)))


@budgets.command("show")
def show_budgets(kind: BudgetKind, name: Name) -> None:
    """Show the budgets of one account, user or key."""
    render.show(*render_accounts.budgets(admin.connect().get(Budgets, *_budgets_path(kind, name), "budgets")))


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
    path = _budgets_path(kind, name)
    render.show(*render_accounts.budgets(admin.connect().put(Budgets, *path, "budgets", body=wanted)))


@budgets.command("clear")
def clear_budgets(kind: BudgetKind, name: Name) -> None:
    """Take away all budgets of one."""
    path = _budgets_path(kind, name)
    render.show(*render_accounts.budgets(admin.connect().put(Budgets, *path, "budgets", body=NO_BUDGETS_ENTRY)))
