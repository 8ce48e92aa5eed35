"""Accounts' terms as metering needs them, for `policy.meters`."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import asyncpg
import msgspec
import structlog

from trunkline.policy.meters import NO_LIMITS, AccountTerms, HolderTerms, Limits
from trunkline.store.configuration import decode_budgets, decode_limits
from trunkline.store.database import Connection

log = structlog.get_logger()


async def read_terms_mark(connection: Connection) -> int:
    """Return a number that grows when terms change; cheap enough for every second.

    Read it before the terms: what changes between the two is then loaded once too often and never too seldom.
    """
    mark: int = await connection.fetchval("select version from terms_version")
    return mark


async def load_terms(connection: Connection, keys: Mapping[int, Collection[int]]) -> dict[int, AccountTerms]:
    """Return accounts' terms, in three statements whatever their number.

    Args:
        connection: in a transaction or not.
        keys: ids of the keys wanted, by their account's id.

    Returns:
        Terms by account, with the limits of all groups that have some. An account or key that is not there, and a key
        of another account, is left out; an account with terms that cannot be read, too: it must not spend without them.
    """
    accounts = await connection.fetch(
        "select a.id, a.time_zone, a.limits, a.budgets, t.limits as tier"
        " from accounts a left join tiers t on t.name = a.tier where a.id = any($1)",
        list(keys),
    )
    rows = await connection.fetch(
        "select k.id, k.account_id, k.limits, k.budgets, k.user_id,"
        " u.limits as user_limits, u.budgets as user_budgets"
        " from keys k left join users u on u.id = k.user_id where k.id = any($1)",
        sorted({key for wanted in keys.values() for key in wanted}),
    )
    groups = _groups(await connection.fetch("select name, limits from groups where limits <> '{}'"))
    keys_of_account: defaultdict[int, list[asyncpg.Record]] = defaultdict(list)
    for row in rows:
        if row["id"] in keys.get(row["account_id"], ()):
            keys_of_account[row["account_id"]].append(row)
    terms = {}
    for account in accounts:
        try:
            terms[account["id"]] = _terms(account, keys_of_account[account["id"]], groups)
        except msgspec.MsgspecError:
            log.error("terms_unreadable", account=account["id"])  # noqa: TRY400 - the text quotes the row
    return terms


def _groups(rows: Iterable[asyncpg.Record]) -> dict[str, Limits]:
    groups = {}
    for row in rows:
        try:
            groups[row["name"]] = decode_limits(row["limits"])
        except msgspec.MsgspecError:
            # Of all accounts: to leave them out would stop everybody, also those who never use this group.
            log.error("terms_unreadable", group=row["name"])  # noqa: TRY400 - the text quotes the row
    return groups


def _terms(account: asyncpg.Record, keys: Sequence[asyncpg.Record], groups: dict[str, Limits]) -> AccountTerms:
    holders: dict[int, HolderTerms] = {}
    users: dict[int, HolderTerms] = {}
    for key in keys:
        user = key["user_id"] or 0
        holders[key["id"]] = HolderTerms(decode_limits(key["limits"]), decode_budgets(key["budgets"]), user)
        if user and user not in users:
            users[user] = HolderTerms(decode_limits(key["user_limits"]), decode_budgets(key["user_budgets"]))
    return AccountTerms(
        account=account["id"],
        time_zone=account["time_zone"],
        tier=NO_LIMITS if account["tier"] is None else decode_limits(account["tier"]),
        limits=decode_limits(account["limits"]),
        budgets=decode_budgets(account["budgets"]),
        keys=holders,
        users=users,
        groups=groups,
    )
