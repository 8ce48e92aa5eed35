"""What a real Postgres tells the doctor."""

import datetime as dt

import pytest

from trunkline.policy.admin_api import Check
from trunkline.policy.diagnosis import warning
from trunkline.policy.vault import Vault
from trunkline.store.condition import read_condition
from trunkline.store.database import Database
from trunkline.store.migrate import read_migrations

WELL = Check("postgres", True, "answers; 0 changes wait to be projected")
SINCE = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
VAULT = Vault({1: bytes(32)})
_CHANNEL = (
    "insert into channels (name, dialect, base_url, models, groups, timeouts, params)"
    " values ($1, 'openai', 'http://x', $2, '{default}', '{}', '{}') returning id"
)


async def _condition(database: Database, vault: Vault | None = None) -> list[Check]:
    async with database.connection() as connection:
        return await read_condition(connection, vault)


async def test_a_database_in_order(database: Database) -> None:
    assert await _condition(database, VAULT) == [WELL]


async def test_a_schema_that_is_behind_or_ahead(database: Database) -> None:
    last = read_migrations()[-1].name
    async with database.connection() as connection:
        await connection.execute("insert into schema_migrations (name, checksum) values ('9999_later.sql', '')")
    assert await _condition(database) == [
        WELL,
        warning("schema", "It is ahead of this program by 9999_later.sql: a newer version has been here."),
    ]
    async with database.connection() as connection:
        await connection.execute("delete from schema_migrations where name = $1", last)
    assert await _condition(database) == [
        Check("postgres", False, f"It lacks 1 migrations ({last}). Run `trunkline migrate`.")
    ]
    async with database.connection() as connection:
        await connection.execute("drop schema public cascade; create schema public")
    (found,) = await _condition(database)
    assert not found.ok
    assert found.message.startswith(f"It lacks {len(read_migrations())} migrations (0001_")


async def test_changes_that_nobody_projects(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("insert into outbox (bucket, token, created_at) values ('keys', 'a', $1)", SINCE)
        await connection.execute("update outbox set created_at = now() - interval '1 minute'")
    well, late = await _condition(database)
    assert well.message == "answers; 1 changes wait to be projected"
    assert (late.name, late.ok) == ("projection", False)
    assert late.since is not None
    assert 55 < (dt.datetime.now(dt.UTC) - late.since).total_seconds() < 120


@pytest.mark.parametrize(("master", "opens"), [(1, True), (2, False)])
async def test_credentials_that_cannot_be_opened(database: Database, master: int, opens: bool) -> None:
    sealed = Vault({master: bytes(32)}).seal(7, "sk-secret", bytes(12))
    async with database.connection() as connection:
        channel = await connection.fetchval(_CHANNEL, "vendor", "{}")
        await connection.execute(
            "insert into credentials (id, channel_id, fingerprint, master, nonce, ciphertext)"
            " values (7, $1, 'f', $2, $3, $4)",
            channel,
            sealed.master,
            sealed.nonce,
            sealed.ciphertext,
        )
    assert await _condition(database) == [WELL], "without master keys they are not tried"
    found = await _condition(database, VAULT)
    if opens:
        assert found == [WELL]
        wrong = Vault({1: bytes(31) + b"x"})
        assert [check.name for check in await _condition(database, wrong)] == ["postgres", "credentials"]
    else:
        assert found[1:] == [
            Check(
                "credentials",
                False,
                "Credentials of vendor cannot be opened: they were sealed with version 2 of the master key."
                " Put that key back into TRUNKLINE_MASTER_KEYS, or set the credentials anew.",
            )
        ]


async def test_a_channel_whose_credentials_are_all_refused(database: Database) -> None:
    async with database.connection() as connection:
        channel = await connection.fetchval(_CHANNEL, "vendor", "{}")
        for number in (1, 2):
            await connection.execute(
                "insert into credentials (id, channel_id, fingerprint, master, nonce, ciphertext)"
                " values ($1, $2, $3, 1, '', '')",
                number,
                channel,
                str(number),
            )
        await connection.execute("insert into credential_states values (1, $1, 401, $1)", SINCE)
        assert await read_condition(connection) == [WELL], "another one serves"
        later = SINCE + dt.timedelta(hours=1)
        await connection.execute("insert into credential_states values (2, $1, 401, $1)", later)
        assert await read_condition(connection) == [
            WELL,
            Check(
                "channels",
                False,
                "Every credential of vendor is refused by its provider. Set new ones: `trunkline credentials`.",
                since=later,
            ),
        ]
        await connection.execute("update channels set enabled = false")
        assert await read_condition(connection) == [WELL]


async def test_models_that_cannot_be_used(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("insert into models (name, free) values ('lonely', true), ('unpriced', false)")
        await connection.fetchval(_CHANNEL, "vendor", '{"unpriced": "up"}')
        assert await read_condition(connection) == [
            WELL,
            warning("prices", "unpriced cannot be used: set a price, or make them free."),
            warning("models", "lonely cannot be used: no enabled channel serves them."),
        ]


async def test_usage_that_was_set_aside(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("insert into usage_refused (refused_at, reason, payload) values ($1, 'x', '')", SINCE)
        assert await read_condition(connection) == [
            WELL,
            warning(
                "usage", "1 messages of usage could not be settled and were set aside; see table usage_refused.", SINCE
            ),
        ]
