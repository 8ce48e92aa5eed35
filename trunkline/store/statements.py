"""What came into a wallet and was taken from it, beside charges of jobs. Called by the console."""

from trunkline.policy.admin_credit import StatementLine
from trunkline.store.corrections import SITE_BOOKS
from trunkline.store.database import Connection
from trunkline.store.ledger import Book, book_number

LINES_MAX = 1000
"""Lines of one statement, the newest: a top-up each day for years."""

# Both parts by the beginning of the index transfers_reference.
_READ = """
select occurred_at, kind::text as kind, reference, amount_nano,
       coalesce(corrects_job::text, corrects_reference) as corrects
from transfers where credit = $1 and reference is not null
union all
select occurred_at, kind::text, reference, -amount_nano, coalesce(corrects_job::text, corrects_reference)
from transfers where credit = any($2::bigint[]) and debit = $1 and reference is not null
order by occurred_at desc, reference limit $3
"""


async def read_statement(connection: Connection, account_id: int) -> list[StatementLine]:
    """Return the newest `LINES_MAX` transfers of an account's wallet that have a reference, the newest first."""
    rows = await connection.fetch(_READ, book_number(Book.WALLET, account_id), SITE_BOOKS, LINES_MAX)
    return [StatementLine(**row) for row in rows]
