"""Who may register, and what becomes of who does. Called by the console."""

from typing import Final

import msgspec

from trunkline.policy.access import Role
from trunkline.policy.logins.registration import RegistrationSettings
from trunkline.store.configuration import json_text
from trunkline.store.database import Connection

SETTING: Final = "registration"

_decode = msgspec.json.Decoder(RegistrationSettings).decode


async def read_registration(connection: Connection) -> RegistrationSettings:
    """Return the settings of registration; without any, it is closed."""
    value = await connection.fetchval("select value from console_settings where name = $1", SETTING)
    return RegistrationSettings() if value is None else _decode(value)


async def put_registration(connection: Connection, settings: RegistrationSettings) -> None:
    """Write the settings of registration."""
    await connection.execute(
        "insert into console_settings (name, value) values ($1, $2)"
        " on conflict (name) do update set value = excluded.value",
        SETTING,
        json_text(settings),
    )


async def account_is_free(connection: Connection, name: str) -> bool:
    """Return whether no account has a name."""
    taken: bool = await connection.fetchval("select exists (select from accounts where name = $1)", name)
    return not taken


async def own_account(connection: Connection, login_id: int, account: str, user: str, groups: tuple[str, ...]) -> None:
    """Make a login the owner of an account that was made for it, as its user of that name."""
    await connection.execute("update accounts set groups = $2 where name = $1", account, groups)
    await connection.execute(
        "update users set login_id = $3, role = $4"
        " where account_id = (select id from accounts where name = $1) and name = $2",
        account,
        user,
        login_id,
        Role.OWNER.value,
    )
