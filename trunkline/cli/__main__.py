"""The program `trunkline`: its commands, and the one place where errors become a line on standard error."""

import importlib
import sys

import typer

from trunkline.cli import (
    accounts,
    alerts,
    backup,
    channels,
    chat,
    codes,
    configure,
    doctor,
    health,
    imports,
    keys,
    ledger,
    logins,
    mirror,
    payments,
    prices,
    terms,
    usage,
)
from trunkline.cli.failure import CLIError
from trunkline.runtime import dumps
from trunkline.runtime.config import EXIT_USAGE, SettingsError

EXIT_INTERRUPTED = 130
"""128 and SIGINT, as shells have it."""

app = typer.Typer(
    name="trunkline",
    help="Trunkline, a distributed gateway for large-language-model APIs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its renderer alone doubles the time that --help takes
)
app.command()(configure.apply)
app.add_typer(imports.imports, name="import")
app.add_typer(keys.keys, name="keys")
app.add_typer(accounts.accounts, name="accounts")
app.add_typer(accounts.users, name="users")
app.add_typer(logins.logins, name="logins")
app.add_typer(terms.limits, name="limits")
app.add_typer(terms.budgets, name="budgets")
app.add_typer(channels.channels, name="channels")
app.add_typer(channels.models, name="models")
app.add_typer(health.credentials, name="credentials")
app.command()(health.history)
app.add_typer(prices.prices, name="prices")
app.add_typer(prices.costs, name="costs")
app.add_typer(ledger.ledger, name="ledger")
app.add_typer(payments.payments, name="payments")
app.add_typer(codes.codes, name="codes")
app.add_typer(alerts.alerts, name="alerts")
app.add_typer(usage.usage, name="usage")
app.command()(chat.chat)
app.command()(doctor.doctor)
app.command()(configure.migrate)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(mirror.mirror)
app.add_typer(configure.projection, name="projection")


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def dev(context: typer.Context) -> None:
    """Run the whole stack on this machine; `trunkline dev --help` says more."""
    # By name: it brings servers and services that no other command needs.
    stack = importlib.import_module("trunkline.dev.main")
    raise typer.Exit(stack.main(context.args))


def main() -> None:
    """Run the command of the process's arguments and exit."""
    dumps.forbid()  # the admin key is in its memory
    try:
        app()
    except SettingsError as error:
        _fail("the settings are incomplete:", tuple(error.faults), EXIT_USAGE)
    except CLIError as error:
        _fail(str(error), error.faults, error.exit_code)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has enough of it.
        sys.stderr.close()
        sys.exit(0)


def _fail(message: str, faults: tuple[str, ...], exit_code: int) -> None:
    typer.echo(f"trunkline: {message}", err=True)
    for fault in faults:
        typer.echo(f"  {fault}", err=True)
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
