"""Logins as users of accounts. Called by the console, under `configuration.lock_configuration`."""

import dataclasses
from typing import Final

from trunkline.policy.access import Role
from trunkline.store.configuration import ConflictError, NotFoundError
from trunkline.store.database import Connection

ADOPTED_MAX: Final = 10
"""Accounts that the first operator is made an owner of. A new site has one or two."""


@dataclasses.dataclass(frozen=True)
class Member:
    """A user of an account.

    Attributes:
        id: of the user.
        login_id: who signs in as it; None for nobody.
        role: see there.
    """

    id: int
    login_id: int | None
    role: Role


async def find_member(connection: Connection, account: str, user: str) -> Member | None:
    """Return a user; None if there is none of that name."""
    row = await connection.fetchrow(
        "select u.id, u.login_id, u.role from users u join accounts a on a.id = u.account_id"
        " where a.name = $1 and u.name = $2",
        account,
        user,
    )
    return None if row is None else Member(row["id"], row["login_id"], Role(row["role"]))


async def require_member(connection: Connection, account: str, user: str) -> Member:
    """Return a user that somebody signs in as.

    Raises:
        NotFoundError: there is none of that name, or it has no login.
    """
    member = await find_member(connection, account, user)
    if member is None:
        raise NotFoundError(f"there is no user {account}/{user}")
    if member.login_id is None:
        raise NotFoundError(f"user {account}/{user} has no login")
    return member


async def is_member(connection: Connection, account: str, login_id: int) -> bool:
    """Return whether a login is a user of an account."""
    found: bool = await connection.fetchval(
        "select exists (select from users u join accounts a on a.id = u.account_id"
        " where a.name = $1 and u.login_id = $2)",
        account,
        login_id,
    )
    return found


async def set_member(connection: Connection, user_id: int, login_id: int, role: Role) -> None:
    """Make a login a user, with a role."""
    await connection.execute("update users set login_id = $2, role = $3 where id = $1", user_id, login_id, role.value)


async def adopt_accounts(connection: Connection, login_id: int, user: str) -> None:
    """Make a login the owner of accounts that nobody signs in to, the oldest first.

    Args:
        connection: in any state.
        login_id: who.
        user: name of the user that it becomes in each; an account that has one of that name stays as it is.
    """
    await connection.execute(
        "insert into users (account_id, name, login_id, role) select a.id, $2, $1, 'owner' from accounts a"
        " where not exists ("
        "  select from users u where u.account_id = a.id and (u.login_id is not null or u.name = $2)"
        " ) order by a.id limit $3",
        login_id,
        user,
        ADOPTED_MAX,
    )


async def set_role(connection: Connection, account: str, member: Member, role: Role) -> None:
    """Give a user's login another role.

    Raises:
        ConflictError: it is the last owner.
    """
    if role is not Role.OWNER:
        await keep_an_owner(connection, account, member)
    await connection.execute("update users set role = $2 where id = $1", member.id, role.value)


async def remove_member(connection: Connection, account: str, member: Member) -> None:
    """Take a user's login out of the account; its keys are the caller's to block.

    Raises:
        ConflictError: it is the last owner.
    """
    await keep_an_owner(connection, account, member)
    await connection.execute("update users set login_id = null, role = $2 where id = $1", member.id, Role.MEMBER.value)


async def keep_an_owner(connection: Connection, account: str, member: Member) -> None:
    """Return if somebody owns an account although this user does not, or it has no owner anyway.

    Raises:
        ConflictError: it is the last owner.
    """
    if member.role is not Role.OWNER or member.login_id is None:
        return
    others = await connection.fetchval(
        "select exists (select from users where role = 'owner' and login_id is not null and id <> $2"
        " and account_id = (select id from accounts where name = $1))",
        account,
        member.id,
    )
    if not others:
        raise ConflictError(f"this is the last owner of account {account!r}; make another user one first")
