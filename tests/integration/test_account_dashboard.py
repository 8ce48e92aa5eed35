"""The board of one account: its queries, as Grafana would send them, as the role that reader.sql makes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from deploy.grafana.boards.account import BOARD
from tests.support import usage_events
from tests.support.promql import ROOT
from tests.support.usage_events import STARTED_MS, usage_event
from trunkline.core.errors import ErrorType
from trunkline.core.usage import Units
from trunkline.store import ledger
from trunkline.store.database import Connection, Database
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import settle

READER = ROOT / "deploy/grafana/reader.sql"
HOUR = datetime.fromtimestamp(STARTED_MS // 3_600_000 * 3600, UTC)
NAME = "o'neill"
"""What Grafana quotes."""

QUERIES = {panel.title: text for panel in BOARD.panels for text in panel.queries.values()}


def sent(query: str, account: str = NAME) -> str:
    """Return a query with Grafana's variables and macros filled in, as Grafana does."""
    quoted = account.replace("'", "''")
    span = f"hour BETWEEN '{HOUR.isoformat()}' AND '{HOUR.isoformat()}'::timestamptz + interval '1 day'"
    filled = query.replace("${account:sqlstring}", f"'{quoted}'").replace("$__timeFilter(hour)", span)
    assert "$" not in filled
    return filled


@pytest.fixture
async def reader(database: Database) -> AsyncIterator[Connection]:
    """A connection as Grafana's role, to a database in which an account has two answers and a failure."""
    async with database.transaction() as connection:
        channel = await usage_events.add_prices(connection)
        account = await usage_events.add_account(connection, NAME)
        other = await usage_events.add_account(connection, "other")
        key = await connection.fetchval(
            "insert into keys (account_id, name, groups, models) values ($1, 'chat', '{default}', '{*}') returning id",
            account,
        )
        assert await ledger.grant_credit(connection, account, 5_000_000_000, "start")
        events = [
            usage_event(account=account, key=key, channel=channel),
            usage_event(account=account, key=key, channel=channel, units=Units(input=60, output=50)),
            usage_event(account=account, key=key, channel=channel, charged=False, outcome=ErrorType.UPSTREAM_ERROR),
            usage_event(account=other, key=key + 1, channel=channel),
        ]
        await settle(connection, events, await load_price_book(connection, await read_mark(connection)))
        await connection.execute(READER.read_text())
        await connection.execute(READER.read_text())  # again without harm
        await connection.execute("set local role trunkline_reader")
        yield connection
        await connection.execute("reset role")


async def rows(reader: Connection, title: str) -> list[dict[str, Any]]:
    return [dict(row) for row in await reader.fetch(sent(QUERIES[title]))]


async def test_every_query_is_answered_and_nothing_is_told_of_others(reader: Connection) -> None:
    for title, query in QUERIES.items():
        assert await reader.fetch(sent(query)), title
        strangers = await reader.fetch(sent(query, "nobody"))
        assert all(value in {None, 0} for row in strangers for value in row.values()), title


async def test_figures_are_those_of_the_books(reader: Connection) -> None:
    assert await rows(reader, "Balance") == [{"balance": pytest.approx(5 - 360e-9, abs=1e-12)}]
    assert await rows(reader, "Spent") == [{"spent": pytest.approx(360e-9)}]
    assert await rows(reader, "Answers") == [{"answers": 2.0}]
    assert await rows(reader, "Failed attempts") == [{"failed": pytest.approx(1 / 3)}]
    assert await rows(reader, "From a cache") == [{"cached": 0.0}]


async def test_courses_are_by_the_hour(reader: Connection) -> None:
    assert await rows(reader, "Spending by model") == [
        {"time": HOUR, "metric": usage_events.MODEL, "value": pytest.approx(360e-9)}
    ]
    assert await rows(reader, "Tokens") == [
        {"time": HOUR, "input": 260.0, "from caches": 0.0, "to caches": 0.0, "output": 150.0, "reasoning": 0.0}
    ]
    assert await rows(reader, "Attempts by outcome") == [
        {"time": HOUR, "metric": "ok", "value": 2.0},
        {"time": HOUR, "metric": "upstream_error", "value": 1.0},
    ]
    assert await rows(reader, "First token") == [{"time": HOUR, "metric": usage_events.MODEL, "value": 0.12}]


async def test_tables_name_models_and_keys(reader: Connection) -> None:
    assert await rows(reader, "Models") == [
        {"model": usage_events.MODEL, "answers": 2.0, "tokens in": 260.0, "tokens out": 150.0, "usd": 0.0}
    ]
    assert await rows(reader, "Keys") == [{"key": "chat", "answers": 2.0, "failed": 1.0, "usd": 0.0}]


async def test_accounts_can_be_chosen(reader: Connection) -> None:
    (variable,) = BOARD.variables
    assert [row["name"] for row in await reader.fetch(variable.query)] == [NAME, "other"]


@pytest.mark.parametrize(
    "query", ["select * from credentials", "select * from logins", "select * from usage", "select * from key_secrets"]
)
async def test_the_role_reads_nothing_else(reader: Connection, query: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with reader.transaction():
            await reader.fetch(query)


async def test_the_role_changes_nothing(reader: Connection) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with reader.transaction():
            await reader.execute("update balances set balance_nano = 0")
