"""Free trials: given to new accounts, and what is left of them taken back. Called by the console.

Both are transfers with a reference of their own, so each happens once whoever does it how often.
"""

from trunkline.bus.allowance import WALLET
from trunkline.policy.admin_credit import TrialView
from trunkline.policy.entities import FreeTrial
from trunkline.policy.trials import taken_back_nano, unspent_nano
from trunkline.store.allowances import StoredAccount, WrittenAccount, read_accounts, write_states
from trunkline.store.configuration import NotFoundError
from trunkline.store.database import Connection
from trunkline.store.ledger import Book, Transfer, book_number, transfer_once

REFERENCE = "trial"

ENDED_AT_A_TIME_MAX = 100
"""Trials looked at in one go; the others have their turn a moment later."""


async def grant_trial(connection: Connection, account_id: int, trial: FreeTrial) -> bool:
    """Give a new account its trial, once; return whether it was given now.

    Args:
        connection: in a transaction.
        account_id: of an account that was charged nothing before: what it is charged counts against the trial.
        trial: of an amount above zero.
    """
    new = await connection.fetchval(
        "insert into trials (account_id, amount_nano, ends_at) values ($1, $2, now() + make_interval(days => $3))"
        " on conflict do nothing returning true",
        account_id,
        trial.amount_nano,
        trial.days,
    )
    if not new:
        return False
    sides = book_number(Book.GRANTS), book_number(Book.WALLET, account_id)
    return await transfer_once(connection, Transfer("trial", *sides, trial.amount_nano, REFERENCE))


async def show_trial(connection: Connection, account_id: int) -> TrialView:
    """Return an account's trial.

    Raises:
        NotFoundError: it has none.
    """
    row = await connection.fetchrow(
        "select amount_nano, granted_at, ends_at, ended_at, taken_nano from trials where account_id = $1", account_id
    )
    if row is None:
        raise NotFoundError("the account has no free trial")
    return TrialView(**row)


async def due_trials(connection: Connection) -> list[int]:
    """Return accounts whose trial is over and has not been settled, at most `ENDED_AT_A_TIME_MAX`.

    In no order: of those that must wait others are not to be kept waiting.
    """
    rows = await connection.fetch(
        "select account_id from trials where ended_at is null and ends_at <= now() order by random() limit $1",
        ENDED_AT_A_TIME_MAX,
    )
    return [row["account_id"] for row in rows]


async def end_trial(connection: Connection, account_id: int) -> int | None:
    """Take back what is left of a trial that is over.

    Args:
        connection: in a transaction.
        account_id: whose.

    Returns:
        What was taken, in nano-USD; None if another is at it, or it must wait for what edges hold.
    """
    trial = await connection.fetchrow(
        "select amount_nano, extract(epoch from now() - ends_at)::float8 as late_s from trials"
        " where account_id = $1 and ended_at is null and ends_at <= now() for update skip locked",
        account_id,
    )
    if trial is None:
        return None
    wallet = book_number(Book.WALLET, account_id)
    # Not while the projections are rebuilt, which locks the table first and then these rows.
    await connection.execute("lock table balances in row exclusive mode")
    # From here on no charge is settled and no grant booked for the account, in the order in which these lock books.
    await connection.execute(
        "select from balances where book = any($1::bigint[]) order by book for update",
        [book_number(Book.GRANTS), wallet],
    )
    # And no draw is decided: one that read the balance before has to read it again.
    await connection.execute("select from allowances where account_id = $1 for update", account_id)
    stored = (await read_accounts(connection, [account_id])).get(account_id)
    unspent = unspent_nano(trial["amount_nano"], *await _charges(connection, account_id))
    if stored is None:
        taken: int | None = 0
    else:
        taken = taken_back_nano(unspent, stored.balance_nano, _held_nano(stored), late_s=trial["late_s"])
    if taken is None:
        return None
    if taken and stored is not None:
        await write_states(connection, [WrittenAccount(account_id, stored.version, stored.state, durable=True)])
        await transfer_once(connection, Transfer("expiry", wallet, book_number(Book.GRANTS), taken, REFERENCE))
    await connection.execute(
        "update trials set ended_at = now(), taken_nano = $2 where account_id = $1", account_id, taken
    )
    return taken


async def _charges(connection: Connection, account_id: int) -> tuple[int, int]:
    """Return what an account was ever charged, and what of it was refunded."""
    row = await connection.fetchrow(
        "select (select coalesce(sum(spent_nano), 0)::bigint from monthly_spending where account_id = $1) as charged,"
        " (select coalesce(sum(amount_nano), 0)::bigint from transfers"
        " where credit = $2 and kind = 'refund' and reference is not null) as refunded",
        account_id,
        book_number(Book.WALLET, account_id),
    )
    return row["charged"], row["refunded"]


def _held_nano(stored: StoredAccount) -> int:
    """Return what of a wallet edges have drawn and neither spent nor returned, as far as is known."""
    settled = stored.settled.get(WALLET, {})
    return sum(
        max(lease.drawn.get(WALLET, 0) - settled.get(number, 0), 0) for number, lease in stored.state.leases.items()
    )
