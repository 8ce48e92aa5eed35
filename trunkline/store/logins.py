"""Logins: rows to structs and back. Called by the console.

What could leave the site without an operator runs under `configuration.lock_configuration`.
"""

import dataclasses
import datetime as dt
from typing import Final

import asyncpg
import msgspec

from trunkline.policy.access import Role
from trunkline.policy.admin_identity import LoginView, Place
from trunkline.policy.logins.registration import LoginState
from trunkline.policy.vault import Sealed
from trunkline.store.configuration import ConflictError, NotFoundError
from trunkline.store.database import Connection
from trunkline.store.login_links import Purpose

PAGE_MAX: Final = 500
"""Logins of one page: more is for a search."""

_COLUMNS = (
    "l.id, l.name, l.email, l.email_confirmed_at is not null as email_confirmed, l.password_hash, l.operator, l.state,"
    " l.language, l.totp_master, l.totp_nonce, l.totp_secret, l.totp_confirmed_at is not null as totp_confirmed,"
    " l.totp_last_step"
)

PLACES = (
    "coalesce((select jsonb_agg(jsonb_build_object('name', a.name, 'role', u.role, 'user', u.name) order by a.name)"
    " from users u join accounts a on a.id = u.account_id where u.login_id = l.id), '[]')"
)
"""The accounts of a login ``l``, as JSON that `decode_places` reads."""

decode_places = msgspec.json.Decoder(tuple[Place, ...]).decode


@dataclasses.dataclass(frozen=True)
class Login:
    """A login, with what proves that somebody is its person.

    Attributes:
        id, name, email, operator, state, language: see `policy.admin_identity.LoginView`.
        email_confirmed: whether the address is proved.
        password_hash: Argon2id; None for none.
        totp: its sealed secret; None for none.
        totp_confirmed: whether an app has proved that it has the secret; before, it counts for nothing.
        totp_last_step: of the last code that was taken.
    """

    id: int
    name: str
    email: str | None
    email_confirmed: bool
    password_hash: str | None
    operator: bool
    state: LoginState
    language: str | None
    totp: Sealed | None
    totp_confirmed: bool
    totp_last_step: int

    @property
    def second_factor(self) -> bool:
        """Whether its password is not enough."""
        return self.totp is not None and self.totp_confirmed


def _login(row: asyncpg.Record) -> Login:
    sealed = None
    if row["totp_secret"] is not None:
        sealed = Sealed(row["totp_master"], row["totp_nonce"], row["totp_secret"])
    return Login(
        id=row["id"],
        name=row["name"],
        email=row["email"],
        email_confirmed=row["email_confirmed"],
        password_hash=row["password_hash"],
        operator=row["operator"],
        state=LoginState(row["state"]),
        language=row["language"],
        totp=sealed,
        totp_confirmed=row["totp_confirmed"],
        totp_last_step=row["totp_last_step"],
    )


async def find_login(connection: Connection, name: str, *, by_email: bool = False) -> Login | None:
    """Return the login of a name, or, if that is asked for, of a proved address; None if there is none."""
    row = await connection.fetchrow(
        f"select {_COLUMNS} from logins l where lower(l.name) = lower($1)"  # noqa: S608 - constants
        " or ($2 and l.email_confirmed_at is not null and lower(l.email) = lower($1))",
        name,
        by_email,
    )
    return None if row is None else _login(row)


async def read_login(connection: Connection, login_id: int, *, lock: bool = False) -> Login | None:
    """Return a login; None if it is not there any more. ``lock``: until the transaction ends nobody changes it."""
    row = await connection.fetchrow(
        f"select {_COLUMNS} from logins l where l.id = $1 {'for update' if lock else ''}",  # noqa: S608 - constants
        login_id,
    )
    return None if row is None else _login(row)


async def require_login(connection: Connection, name: str) -> Login:
    """Return the login of a name.

    Raises:
        NotFoundError: there is none.
    """
    login = await find_login(connection, name)
    if login is None:
        raise NotFoundError(f"there is no login {name!r}")
    return login


async def create_login(
    connection: Connection,
    name: str,
    *,
    email: str | None,
    email_confirmed: bool,
    password_hash: str | None,
    operator: bool,
    state: LoginState,
    language: str | None,
) -> int:
    """Make a login and return its id.

    Raises:
        ConflictError: its name, or its proved address, is taken.
    """
    login_id: int | None = await connection.fetchval(
        "insert into logins (name, email, email_confirmed_at, password_hash, operator, state, language)"
        " values ($1, $2, case when $3 then now() end, $4, $5, $6, $7) on conflict do nothing returning id",
        name,
        email,
        email_confirmed,
        password_hash,
        operator,
        state.value,
        language,
    )
    if login_id is None:
        raise ConflictError(
            "the address is that of another login"
            if await find_login(connection, name) is None
            else f"there is a login {name!r} already; take another name"
        )
    return login_id


async def change_login(connection: Connection, login: Login, *, name: str, email: str | None, operator: bool) -> None:
    """Give a login another name, another address (which counts as proved), or what an operator may.

    Args:
        connection: in a transaction under the configuration's lock.
        login: as it is.
        name: that it is to have.
        email: that it is to have.
        operator: whether it is to be one.

    Raises:
        ConflictError: name or address are taken; or it is the last operator.
    """
    if login.operator and not operator:
        await _keep_an_operator(connection, login)
    try:
        async with connection.transaction():
            await connection.execute(
                "update logins set name = $2, email = $3, operator = $4, email_confirmed_at ="
                " case when $3::text is null then null when $3 is distinct from email then now()"
                " else email_confirmed_at end where id = $1",
                login.id,
                name,
                email,
                operator,
            )
    except asyncpg.UniqueViolationError as error:
        raise ConflictError("the name or the address is that of another login") from error
    if email != login.email:
        # Whoever reads the mail of the old address opens nothing any more.
        await connection.execute("delete from login_links where login_id = $1 and email is not null", login.id)


async def delete_login(connection: Connection, login: Login) -> None:
    """Delete a login under the configuration's lock; its users stay without one.

    Raises:
        ConflictError: it is the last operator.
    """
    if login.operator:
        await _keep_an_operator(connection, login)
    await connection.execute("update users set role = $2 where login_id = $1", login.id, Role.MEMBER.value)
    await connection.execute("delete from logins where id = $1", login.id)


async def set_state(connection: Connection, login: Login, state: LoginState) -> None:
    """Let a login in, or keep it out; then its sessions and links end. Under the configuration's lock.

    Raises:
        ConflictError: it is the last operator, and would be kept out.
    """
    if state is not LoginState.ACTIVE:
        if login.operator:
            await _keep_an_operator(connection, login)
        await connection.execute("delete from sessions where login_id = $1", login.id)
        await connection.execute("delete from login_links where login_id = $1", login.id)
    await connection.execute("update logins set state = $2 where id = $1", login.id, state.value)


async def confirm_email(connection: Connection, login: Login, email: str, state: LoginState) -> bool:
    """Note that an address is proved, and where the login stands now; False if another login has proved it before."""
    try:
        async with connection.transaction():
            await connection.execute(
                "update logins set email = $2, email_confirmed_at = now(), state = $3 where id = $1",
                login.id,
                email,
                state.value,
            )
    except asyncpg.UniqueViolationError:
        return False
    return True


async def set_password(connection: Connection, login_id: int, password_hash: str) -> None:
    """Give a login a password, in a transaction; links that would set another end."""
    await connection.execute("update logins set password_hash = $2 where id = $1", login_id, password_hash)
    await connection.execute(
        "delete from login_links where login_id = $1 and purpose = $2", login_id, Purpose.SET_PASSWORD.value
    )


async def rehash_password(connection: Connection, login: Login, password_hash: str) -> None:
    """Store the same password as it is hashed today, unless it has been changed meanwhile."""
    await connection.execute(
        "update logins set password_hash = $3 where id = $1 and password_hash = $2",
        login.id,
        login.password_hash,
        password_hash,
    )


async def set_language(connection: Connection, login_id: int, language: str | None) -> None:
    """Choose a login's language."""
    await connection.execute("update logins set language = $2 where id = $1", login_id, language)


async def has_operator(connection: Connection) -> bool:
    """Return whether somebody can sign in as an operator."""
    found: bool = await connection.fetchval("select exists (select from logins where operator and state = 'active')")
    return found


async def _keep_an_operator(connection: Connection, login: Login) -> None:
    others = await connection.fetchval(
        "select exists (select from logins where operator and state = 'active' and id <> $1)", login.id
    )
    if not others:
        raise ConflictError(f"{login.name!r} is the last operator; make another login one first")


async def forget_unconfirmed(connection: Connection, before: dt.datetime) -> None:
    """Delete registrations made before a moment whose address nobody has proved: their names are free again."""
    await connection.execute("delete from logins where state = 'unconfirmed' and created_at < $1", before)


_VIEWS = f"""
select {_COLUMNS}, l.created_at, l.signed_in_at, {PLACES} as places,
       exists (select from login_subjects where login_id = l.id) as elsewhere,
       (select count(*) from sessions where login_id = l.id and ends_at > now()) as sessions
from logins l where ($1::text is null or lower(l.name) = lower($1))
  and ($2::text is null or strpos(lower(l.name), lower($2)) > 0 or strpos(lower(l.email), lower($2)) > 0)
  and ($3::text is null or l.state = $3) and ($4::text is null or lower(l.name) > lower($4))
order by lower(l.name) limit $5
"""  # noqa: S608 - made of constants


async def login_views(
    connection: Connection,
    *,
    name: str | None = None,
    search: str | None = None,
    state: str | None = None,
    after: str | None = None,
    limit: int = PAGE_MAX,
) -> list[LoginView]:
    """Return logins in the order of their names.

    Args:
        connection: to read with.
        name: only the one of this name.
        search: only those with this in name or address.
        state: only those.
        after: only those after this name.
        limit: how many.

    Raises:
        NotFoundError: ``name`` was given and is not there.
    """
    rows = await connection.fetch(_VIEWS, name, search, state, after, limit)
    if name is not None and not rows:
        raise NotFoundError(f"there is no login {name!r}")
    return [_view(row) for row in rows]


def _view(row: asyncpg.Record) -> LoginView:
    return LoginView(
        id=row["id"],
        name=row["name"],
        email=row["email"],
        email_confirmed=row["email_confirmed"],
        operator=row["operator"],
        state=LoginState(row["state"]),
        language=row["language"],
        password=row["password_hash"] is not None,
        totp=row["totp_confirmed"],
        elsewhere=row["elsewhere"],
        sessions=row["sessions"],
        created_at=row["created_at"],
        signed_in_at=row["signed_in_at"],
        accounts=decode_places(row["places"]),
    )


async def places_of(connection: Connection, login_id: int) -> tuple[Place, ...]:
    """Return the accounts that a login is a user of."""
    rows = await connection.fetch(
        "select a.name, u.role, u.name as user from users u join accounts a on a.id = u.account_id"
        " where u.login_id = $1 order by a.name",
        login_id,
    )
    return tuple(Place(row["name"], Role(row["role"]), row["user"]) for row in rows)
