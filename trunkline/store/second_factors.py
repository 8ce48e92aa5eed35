"""Authenticator apps and recovery codes of logins. Called by the console; secrets are sealed, codes hashed."""

from collections.abc import Collection

from trunkline.policy.vault import Sealed
from trunkline.store.database import Connection


async def begin_totp(connection: Connection, login_id: int, sealed: Sealed) -> bool:
    """Store a secret that is to be confirmed, instead of an earlier one that never was; False if one is confirmed."""
    status = await connection.execute(
        "update logins set totp_master = $2, totp_nonce = $3, totp_secret = $4, totp_last_step = 0"
        " where id = $1 and totp_confirmed_at is null",
        login_id,
        *sealed,
    )
    return bool(status == "UPDATE 1")


async def confirm_totp(connection: Connection, login_id: int, sealed: Sealed, step: int) -> bool:
    """Let a secret count from now on; ``step`` of the code that proved it is used up. False if it is another by now."""
    status = await connection.execute(
        "update logins set totp_confirmed_at = now(), totp_last_step = $3"
        " where id = $1 and totp_secret = $2 and totp_confirmed_at is null",
        login_id,
        sealed.ciphertext,
        step,
    )
    return bool(status == "UPDATE 1")


async def take_step(connection: Connection, login_id: int, step: int) -> bool:
    """Use a code up by its step; False if it, or a later one, was used before: of many at once one gets it."""
    status = await connection.execute(
        "update logins set totp_last_step = $2 where id = $1 and totp_last_step < $2", login_id, step
    )
    return bool(status == "UPDATE 1")


async def remove_totp(connection: Connection, login_id: int) -> None:
    """Take the app and the recovery codes off a login, in a transaction."""
    await connection.execute(
        "update logins set totp_master = null, totp_nonce = null, totp_secret = null, totp_confirmed_at = null,"
        " totp_last_step = 0 where id = $1",
        login_id,
    )
    await connection.execute("delete from recovery_codes where login_id = $1", login_id)


async def put_recovery_codes(connection: Connection, login_id: int, hashes: Collection[bytes]) -> None:
    """Replace a login's recovery codes, in a transaction."""
    await connection.execute("delete from recovery_codes where login_id = $1", login_id)
    await connection.execute(
        "insert into recovery_codes (hash, login_id) select hash, $1 from unnest($2::bytea[]) as hash",
        login_id,
        hashes,
    )


async def take_recovery_code(connection: Connection, login_id: int, hash_: bytes) -> bool:
    """Use a recovery code up; False if the login has none of that hash."""
    status = await connection.execute("delete from recovery_codes where login_id = $1 and hash = $2", login_id, hash_)
    return bool(status == "DELETE 1")


async def recovery_codes_left(connection: Connection, login_id: int) -> int:
    """Return how many recovery codes a login has."""
    count: int = await connection.fetchval("select count(*) from recovery_codes where login_id = $1", login_id)
    return count
