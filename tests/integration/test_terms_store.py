"""Terms as metering loads them, and the mark that tells when they have changed, on a real Postgres."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from trunkline.bus.snapshots import SealedCredential
from trunkline.policy.access import Standing
from trunkline.policy.configuration_file import load
from trunkline.policy.keys import mint
from trunkline.policy.meters import AccountTerms, Budgets, FamilyLimits, HolderTerms, Limits
from trunkline.store.apply import apply_configuration
from trunkline.store.configuration import lock_configuration, read_names
from trunkline.store.database import Connection, Database
from trunkline.store.key_blocks import block_key
from trunkline.store.terms import load_terms, read_terms_mark

NOW_MS = 1_790_000_000_000
SECRETS = [mint(bytes((number + 7 * key) % 248 for number in range(64))) for key in range(4)]
CONFIGURATION: dict[str, Any] = {
    "tiers": [{"name": "basic", "rpm": 50, "families": [{"models": ["gpt-*"], "rpm": 60}]}],
    "groups": [{"name": "vip", "limits": {"rpm": 100}}, {"name": "plain"}],
    "accounts": [
        {
            "name": "acme",
            "tier": "basic",
            "time_zone": "Asia/Shanghai",
            "limits": {"rpd": 500},
            "budgets": {"monthly": 50},
            "users": [{"name": "kim", "limits": {"rpm": 5}, "budgets": {"daily": 1}}, {"name": "lee"}],
            "keys": [
                {"name": "a", "secret": SECRETS[0], "user": "kim", "limits": {"tpm": 9}},
                {"name": "b", "secret": SECRETS[1], "groups": ["vip"], "budgets": {"daily": 2}},
                {"name": "c", "secret": SECRETS[2]},
            ],
        },
        {"name": "other", "keys": [{"name": "d", "secret": SECRETS[3]}]},
    ],
}


def no_seal(credential: int, secret: str) -> SealedCredential:
    raise AssertionError("nothing is sealed here")


async def apply(database: Database, parsed: dict[str, Any]) -> None:
    async with database.transaction() as connection:
        await lock_configuration(connection)
        configuration = load(parsed, {}, await read_names(connection), NOW_MS)
        await apply_configuration(connection, configuration, pepper=b"pepper", seal=no_seal, now_ms=NOW_MS)


async def ids(connection: Connection, table: str) -> dict[str, int]:
    rows = await connection.fetch(f"select id, name from {table}")  # noqa: S608 - three constants
    return {row["name"]: row["id"] for row in rows}


async def test_terms_are_those_of_the_account_and_of_the_keys_asked_for(database: Database) -> None:
    await apply(database, CONFIGURATION)
    async with database.connection() as connection:
        accounts, keys, users = [await ids(connection, table) for table in ("accounts", "keys", "users")]
        acme, other = accounts["acme"], accounts["other"]
        # A key that is another account's, one that nobody has, an account that nobody has.
        wanted = {acme: [keys["a"], keys["b"], keys["d"], 999], other: (), 999: {keys["c"]}}
        found = await load_terms(connection, wanted)
    groups = {"vip": Limits(rpm=100)}
    assert found == {
        acme: AccountTerms(
            account=acme,
            time_zone="Asia/Shanghai",
            tier=Limits(rpm=50, families=(FamilyLimits(models=("gpt-*",), rpm=60),)),
            limits=Limits(rpd=500),
            budgets=Budgets(monthly_nano=50_000_000_000),
            keys={
                keys["a"]: HolderTerms(limits=Limits(tpm=9), user=users["kim"]),
                keys["b"]: HolderTerms(budgets=Budgets(daily_nano=2_000_000_000)),
            },
            users={users["kim"]: HolderTerms(Limits(rpm=5), Budgets(daily_nano=1_000_000_000))},
            groups=groups,
        ),
        other: AccountTerms(account=other, groups=groups),
    }


async def test_many_accounts_take_three_statements(database: Database) -> None:
    statements: list[str] = []
    async with database.connection() as connection:
        await connection.execute(
            "insert into accounts (name) select 'account-' || n from generate_series(1, 500) n;"
            "insert into keys (account_id, name, groups, models) select id, 'k', '{default}', '{*}' from accounts"
        )
        keys = {row["account_id"]: [row["id"]] for row in await connection.fetch("select id, account_id from keys")}
        # The driver's own questions for types come with the first use.
        assert await load_terms(connection, {}) == {}
        with connection.query_logger(lambda record: statements.append(record.query)):
            found = await load_terms(connection, keys)
        assert len(found) == 500
        assert {account: list(terms.keys) for account, terms in found.items()} == keys
    assert len(statements) == 3


async def test_terms_that_cannot_be_read_leave_their_account_out(database: Database) -> None:
    await apply(database, CONFIGURATION)
    async with database.connection() as connection:
        accounts = await ids(connection, "accounts")
        await connection.execute("""update accounts set limits = '{"rpm": "many"}' where name = 'acme'""")
        await connection.execute("""update groups set limits = '{"rpm": "many"}' where name = 'vip'""")
        found = await load_terms(connection, {number: [] for number in accounts.values()})
    assert found == {accounts["other"]: AccountTerms(account=accounts["other"])}


CHANGES = [
    """update accounts set limits = '{"rpm": 1}' where name = 'acme'""",
    """update accounts set budgets = '{}' where name = 'acme'""",
    "update accounts set tier = null where name = 'acme'",
    "update accounts set time_zone = 'UTC' where name = 'acme'",
    """update users set limits = '{}' where name = 'kim'""",
    "update users set budgets = '{}'",
    """update keys set limits = '{"rpm": 1}'""",
    """update keys set budgets = '{"daily_nano": 1}' where name = 'a'""",
    "update keys set user_id = null where name = 'a'",
    """update tiers set limits = '{}'""",
    """update groups set limits = '{}' where name = 'vip'""",
    """insert into groups (name, limits) values ('new', '{"rpm": 1}')""",
    "insert into tiers (name) values ('new')",
    "delete from keys where name = 'a'",
    "delete from users where name = 'lee'",
]
NO_CHANGES = [
    "update accounts set limits = limits, budgets = budgets",
    "update keys set blocked = true, models = '{a}', name = name || '-x'",
    "update keys set limits = limits, user_id = user_id where name = 'a'",
    "update groups set multiplier_ppm = 5",
    "update users set name = 'kimberly' where name = 'kim'",
    "insert into accounts (name) values ('third')",
    "insert into keys (account_id, name, groups, models) select min(id), 'e', '{default}', '{*}' from accounts",
    "insert into users (account_id, name) select min(id), 'pat' from accounts",
]


@pytest.mark.parametrize(("statement", "step"), [*((one, 1) for one in CHANGES), *((one, 0) for one in NO_CHANGES)])
async def test_the_mark_grows_with_every_change_and_no_other(database: Database, statement: str, step: int) -> None:
    await apply(database, CONFIGURATION)
    async with database.connection() as connection:
        before = await read_terms_mark(connection)
        await connection.execute(statement)
        assert await read_terms_mark(connection) - before == step


async def test_a_transaction_moves_the_mark_once_and_when_it_commits(database: Database) -> None:
    await apply(database, CONFIGURATION)

    async def in_transaction(then: Callable[[asyncpg.transaction.Transaction], Awaitable[None]]) -> tuple[int, int]:
        async with database.connection() as connection, database.connection() as watching:
            before = await read_terms_mark(watching)
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute("""update keys set limits = '{"rpm": 3}'""")
            await connection.execute("""update users set limits = '{"rpm": 3}'""")
            meanwhile = await read_terms_mark(watching) - before
            await then(transaction)
            return meanwhile, await read_terms_mark(watching) - before

    assert await in_transaction(asyncpg.transaction.Transaction.rollback) == (0, 0)
    assert await in_transaction(asyncpg.transaction.Transaction.commit) == (0, 1)


async def test_applying_the_same_terms_again_is_no_change(database: Database) -> None:
    await apply(database, CONFIGURATION)
    async with database.connection() as connection:
        before = await read_terms_mark(connection)
    await apply(database, CONFIGURATION)
    async with database.transaction() as connection:
        await lock_configuration(connection)
        await block_key(connection, "acme", "a", Standing.OPERATOR)
        assert await read_terms_mark(connection) == before
