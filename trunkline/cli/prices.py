"""`trunkline prices` and `trunkline costs`: what clients pay, and what providers ask of us, by date."""

import datetime as dt
from decimal import Decimal
from typing import Annotated

import msgspec
import typer

from trunkline.cli import admin, render_prices
from trunkline.cli.failure import CLIError
from trunkline.cli.render import changes, show
from trunkline.cli.typed import amount
from trunkline.policy.admin_api import NewPrices

prices = typer.Typer(no_args_is_help=True, help="What models cost clients, in USD per million units, by date.")
costs = typer.Typer(no_args_is_help=True, help="What channels' providers ask of us, in USD per million units, by date.")

Model = Annotated[str, typer.Argument(metavar="MODEL", help="Public name of the model.")]
Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel.")]
Version = Annotated[int, typer.Argument(metavar="VERSION", help="Its number, as shown.")]
Input = Annotated[str | None, typer.Option("--input", help="Price of a million input tokens.")]
Output = Annotated[str | None, typer.Option(help="Price of a million output tokens.")]
CachedInput = Annotated[str | None, typer.Option(help="Price of a million input tokens that came from a cache.")]
Others = Annotated[
    list[str] | None,
    typer.Option(
        "--price",
        metavar="KIND=USD",
        help="Price of a million units of another kind: cache_write_5m, seconds, images@1024x1024/high, …; repeatable.",
    ),
]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="MOMENT", help="When they begin, such as 2030-01-31T00:00Z; now if left out."),
]


def moment(text: str | None) -> dt.datetime | None:
    """Return a moment that a person typed; one without a time zone is in UTC.

    Raises:
        CLIError: it is none.
    """
    if text is None:
        return None
    try:
        parsed = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise CLIError(f"not a day or moment such as 2030-01-31 or 2030-01-31T12:00Z: {text}") from error
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=dt.UTC)


def price_entry(
    input_: str | None, output: str | None, cached_input: str | None, others: list[str] | None
) -> dict[str, Decimal]:
    """Return the prices that a person typed, by kind.

    Raises:
        CLIError: one is no amount, or a kind is there twice.
    """
    named = [("input", input_), ("output", output), ("cached_input", cached_input)]
    for text in others or ():
        kind, equals, usd = text.partition("=")
        if not equals:
            raise CLIError(f"a price is written KIND=USD, not {text!r}")
        named.append((kind, usd))
    entry: dict[str, Decimal] = {}
    for kind, typed in named:
        if typed is None:
            continue
        if kind in entry:
            raise CLIError(f"the price of {kind} is there twice")
        entry[kind] = amount(typed)
    return entry


@prices.command("show")
def show_prices(model: Model) -> None:
    """Show a model's prices: those in force, those to come, and those that were."""
    show(render_prices.versions(admin.connect().show_prices(model)))


@prices.command("set")
def set_prices(
    model: Model,
    *,
    input_: Input = None,
    output: Output = None,
    cached_input: CachedInput = None,
    price: Others = None,
    from_: From = None,
    over_list: Annotated[
        bool, typer.Option("--over-list", help="Follow the list price but for the kinds given.")
    ] = False,
    free: Annotated[bool, typer.Option("--free", help="Let it cost nothing.")] = False,
) -> None:
    """Give a model new prices, all of them at once, now or from a moment on."""
    new = NewPrices(price_entry(input_, output, cached_input, price), moment(from_), over_list, free)
    show(render_prices.versions(admin.connect().set_prices(model, new)))


@prices.command("withdraw")
def withdraw_prices(model: Model, version: Version) -> None:
    """Take back prices that are not in force yet."""
    admin.connect().withdraw_prices(model, version)
    show(f"withdrew version {version} of the prices of {model}")


@prices.command("refresh")
def refresh_prices(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
) -> None:
    """Take the installed list's prices for all models that follow it; what was set by hand stays."""
    refreshed = admin.connect().refresh_prices(dry_run=dry_run)
    show(changes(refreshed.changes, dry_run=refreshed.dry_run))
    for model in refreshed.unlisted:
        typer.echo(f"{model} is on no list any more; its prices stay.", err=True)


@prices.command("compare")
def compare_prices(
    account: Annotated[str, typer.Option(help="Whose usage.")],
    month: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="This month if left out; in UTC.")] = None,
    models: Annotated[str | None, typer.Option(help="Models to compare with, separated by commas.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON, amounts in nano-USD.")] = False,
) -> None:
    """Show what an account's usage of a month would have cost on other models."""
    found = admin.connect().compare_prices(account=account, month=month, models=models)
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        show(*render_prices.comparison(found))


@costs.command("show")
def show_costs(
    channel: Channel, model: Annotated[str | None, typer.Argument(metavar="MODEL", help="Only of this model.")] = None
) -> None:
    """Show what a channel's provider asks for its models: in force, to come, and past."""
    client = admin.connect()
    show(render_prices.versions(client.list_costs(channel) if model is None else client.show_costs(channel, model)))


@costs.command("set")
def set_costs(
    channel: Channel,
    model: Model,
    *,
    input_: Input = None,
    output: Output = None,
    cached_input: CachedInput = None,
    price: Others = None,
    from_: From = None,
) -> None:
    """Say what a channel's provider asks for a model, all of it at once, now or from a moment on."""
    new = NewPrices(price_entry(input_, output, cached_input, price), moment(from_))
    show(render_prices.versions(admin.connect().set_costs(channel, model, new)))


@costs.command("withdraw")
def withdraw_costs(channel: Channel, model: Model, version: Version) -> None:
    """Take back costs that are not in force yet."""
    admin.connect().withdraw_costs(channel, model, version)
    show(f"withdrew version {version} of the costs of {model} at {channel}")
