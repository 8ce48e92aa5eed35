"""What becomes of a login that is let in: an account of its own, as the settings of registration say."""

from services.console.context import Context
from services.console.http import refuse
from trunkline.policy.configuration import AccountEntry, Configuration, UserEntry
from trunkline.policy.configuration_checks import Checker
from trunkline.policy.logins.registration import LoginState, RegistrationSettings
from trunkline.policy.strict import FaultList
from trunkline.store import logins
from trunkline.store.configuration import NotFoundError, read_names
from trunkline.store.database import Connection
from trunkline.store.registration import account_is_free, own_account


async def activate(context: Context, connection: Connection, login_id: int, settings: RegistrationSettings) -> None:
    """Let a login in, and make the account of its name if that is free. A login that was let in before stays as it is.

    Args:
        context: of the console.
        connection: in a transaction under the configuration's lock.
        login_id: whose.
        settings: what the account gets.

    Raises:
        NotFoundError: there is no such login.
        ConfigurationError: its name can be none of an account, or the settings name a tier that is gone.
    """
    login = await logins.read_login(connection, login_id, lock=True)
    if login is None:
        raise NotFoundError("there is no such login any more")
    await logins.set_state(connection, login, LoginState.ACTIVE)
    await give_account(context, connection, login_id, login.name, settings)


async def give_account(
    context: Context, connection: Connection, login_id: int, name: str, settings: RegistrationSettings
) -> None:
    """Make the account of a login's name, with it as the owner, unless there is one of that name. See `activate`."""
    if not await account_is_free(connection, name):
        return
    names = await read_names(connection, [])
    # The trial may have been taken from the site since: nobody is kept out for that.
    entry = AccountEntry(
        name=name, tier=settings.tier, trial=settings.trial and names.trial, users=(UserEntry(name=name),)
    )
    faults = FaultList()
    Checker(names, faults).account(entry, "account")
    refuse(faults)
    await context.apply(connection, Configuration(accounts=(entry,)))
    await own_account(connection, login_id, name, name, settings.groups)
