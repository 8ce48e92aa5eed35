"""Accounts, users and keys as people see them, for the admin API. Read only; secrets are not among it."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import asyncpg

from trunkline.policy.access import Role, Standing
from trunkline.policy.admin_accounts import AccountView, EndingSecret, KeyState, KeyView, UserView
from trunkline.store import ledger
from trunkline.store.configuration import NotFoundError, decode_budgets, decode_limits, strategy_of
from trunkline.store.database import Connection
from trunkline.store.views import LIST_MAX


class WantedKeys(NamedTuple):
    """Which keys are looked for.

    Attributes:
        search: what must be in its name, the beginning of its secret, its account, user, groups or models.
        state: that it must be in.
        after: account and name after which they begin.
        limit: how many at most.
    """

    search: str | None = None
    state: KeyState | None = None
    after: tuple[str, str] | None = None
    limit: int = LIST_MAX


ALL_KEYS: Final = WantedKeys()

# $1 the name of the only one, $2 what is looked for, $3 after which name, $4 how many.
_ACCOUNTS: Final = """
select a.id, a.name, a.tier, a.time_zone, a.groups, a.limits, a.budgets, a.created_at,
       (select count(*) from users where account_id = a.id) as users,
       (select count(*) from keys where account_id = a.id) as keys,
       coalesce((select spent_nano from monthly_spending where account_id = a.id
                 and month = date_trunc('month', now() at time zone 'UTC')::date), 0) as spent_nano
from accounts a
where ($1::text is null or a.name = $1)
  and ($2::text is null
       or strpos(lower(concat_ws(chr(10), a.name, a.tier, array_to_string(a.groups, chr(10)))), lower($2)) > 0)
  and ($3::text is null or a.name > $3)
order by a.name limit $4
"""

# $1 to $3 the names of account, key and user, $4 and $5 what is looked for, $6 and $7 after which account and key,
# $8 ids, $9 how many.
_KEYS: Final = """
select k.id, a.name as account, k.name, s.prefix, k.groups, k.models, k.expires_at, k.allow_ips, k.blocked,
       k.blocked_by, k.created_at, u.name as user, k.endpoints, k.limits, k.budgets, k.strategy,
       k.playground_seed is not null as playground
from keys k join accounts a on a.id = k.account_id
     join key_secrets s on s.key_id = k.id and s.expires_at is null
     left join users u on u.id = k.user_id
where ($1::text is null or a.name = $1)
  and ($2::text is null or k.name = $2)
  and ($3::text is null or u.name = $3)
  and ($4::text is null
       or strpos(lower(concat_ws(chr(10), k.name, s.prefix, a.name, u.name, array_to_string(k.groups, chr(10)),
                                 array_to_string(k.models, chr(10)))), lower($4)) > 0)
  and ($5::text is null
       or $5 = case when k.blocked then 'blocked' when k.expires_at <= now() then 'expired' else 'valid' end)
  and ($6::text is null or (a.name, k.name) > ($6, $7::text))
  and ($8::bigint[] is null or k.id = any($8))
order by a.name, k.name limit $9
"""


async def accounts(
    connection: Connection,
    name: str | None = None,
    *,
    search: str | None = None,
    after: str | None = None,
    limit: int = LIST_MAX,
) -> list[AccountView]:
    """Return accounts in the order of their names, or the one of that name.

    Args:
        connection: in any state.
        name: of the only one.
        search: what must be in its name, tier or groups.
        after: name after which they begin.
        limit: how many at most.

    Raises:
        NotFoundError: there is none of that name.
    """
    rows = await connection.fetch(_ACCOUNTS, name, search, after, limit)
    if name is not None and not rows:
        raise NotFoundError(f"there is no account {name!r}")
    balances = await ledger.balances(connection, [row["id"] for row in rows])
    return [_account_view(row, balances.get(row["id"], 0)) for row in rows]


def _account_view(row: asyncpg.Record, balance_nano: int) -> AccountView:
    return AccountView(
        id=row["id"],
        name=row["name"],
        tier=row["tier"],
        time_zone=row["time_zone"],
        groups=tuple(row["groups"]),
        balance_nano=balance_nano,
        limits=decode_limits(row["limits"]),
        budgets=decode_budgets(row["budgets"]),
        users=row["users"],
        keys=row["keys"],
        created_at=row["created_at"],
        spent_nano=row["spent_nano"],
    )


async def users(connection: Connection, account: str | None = None, user: str | None = None) -> list[UserView]:
    """Return users, all or an account's, or the one of that name.

    Raises:
        NotFoundError: ``user`` was given and is not there.
    """
    rows = await connection.fetch(
        "select u.id, a.name as account, u.name, u.limits, u.budgets, u.created_at, u.role, l.name as login,"
        " (select count(*) from keys where user_id = u.id) as keys"
        " from users u join accounts a on a.id = u.account_id left join logins l on l.id = u.login_id"
        " where ($1::text is null or a.name = $1) and ($2::text is null or u.name = $2)"
        " order by a.name, u.name limit $3",
        account,
        user,
        LIST_MAX,
    )
    if user is not None and not rows:
        raise NotFoundError(f"there is no user {account}/{user}")
    return [
        UserView(
            id=row["id"],
            account=row["account"],
            name=row["name"],
            limits=decode_limits(row["limits"]),
            budgets=decode_budgets(row["budgets"]),
            keys=row["keys"],
            created_at=row["created_at"],
            role=Role(row["role"]),
            login=row["login"],
        )
        for row in rows
    ]


async def keys(
    connection: Connection,
    account: str | None = None,
    key: str | None = None,
    *,
    user: str | None = None,
    ids: Sequence[int] | None = None,
    wanted: WantedKeys = ALL_KEYS,
) -> list[KeyView]:
    """Return keys, all or an account's, or the one of that name; with ``user`` only those of that user.

    Args:
        connection: in any state.
        account: whose they are.
        key: name of the only one.
        user: whose alone they are to be.
        ids: of those that are asked for; None for any.
        wanted: narrows them further.

    Raises:
        NotFoundError: ``key`` was given and is not there.
    """
    after = wanted.after or (None, None)
    rows = await connection.fetch(_KEYS, account, key, user, wanted.search, wanted.state, *after, ids, wanted.limit)
    if key is not None and not rows:
        raise NotFoundError(f"there is no key {account}/{key}")
    ending = await _ending_secrets(connection, [row["id"] for row in rows])
    return [_key_view(row, ending.get(row["id"], [])) for row in rows]


def _key_view(row: asyncpg.Record, ending: Sequence[EndingSecret]) -> KeyView:
    return KeyView(
        id=row["id"],
        account=row["account"],
        name=row["name"],
        prefix=row["prefix"],
        groups=tuple(row["groups"]),
        models=tuple(row["models"]),
        expires_at=row["expires_at"],
        allow_ips=tuple(row["allow_ips"]),
        blocked=row["blocked"],
        blocked_by=Standing(row["blocked_by"]) if row["blocked"] else None,
        created_at=row["created_at"],
        user=row["user"],
        endpoints=tuple(row["endpoints"]),
        limits=decode_limits(row["limits"]),
        budgets=decode_budgets(row["budgets"]),
        ending=tuple(ending),
        strategy=strategy_of(row["strategy"]),
        playground=row["playground"],
    )


async def _ending_secrets(connection: Connection, keys: list[int]) -> dict[int, list[EndingSecret]]:
    found: dict[int, list[EndingSecret]] = {}
    for row in await connection.fetch(
        "select key_id, prefix, expires_at from key_secrets where key_id = any($1) and expires_at > now()"
        " order by expires_at desc",
        keys,
    ):
        found.setdefault(row["key_id"], []).append(EndingSecret(row["prefix"], row["expires_at"]))
    return found
