"""The queries that runbooks give people for Postgres are ones that it answers."""

import pytest

from tests.support.runbooks import PAGES, blocks
from trunkline.store.database import Database

QUERIES = [(page.stem, query) for page in PAGES for query in blocks(page, "sql")]


@pytest.mark.parametrize(("page", "query"), QUERIES, ids=[page for page, _ in QUERIES])
async def test_postgres_answers(database: Database, page: str, query: str) -> None:
    assert query.rstrip().endswith(";"), page
    async with database.connection() as connection:
        await connection.fetch(query)


def test_there_are_some() -> None:
    assert len(QUERIES) >= 5
