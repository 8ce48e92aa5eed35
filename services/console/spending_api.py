"""What was spent of an account's budgets."""

import datetime as dt

from aiohttp import web

from services.console.context import Context
from services.console.http import answer, bind
from trunkline.bus.allowance import Meter, Period
from trunkline.policy.admin_accounts import HolderKind
from trunkline.policy.admin_credit import SpentBudget
from trunkline.policy.meters import budget_meters
from trunkline.policy.operations import spending
from trunkline.policy.periods import span_at
from trunkline.store.account_views import accounts
from trunkline.store.budget_books import BudgetBook, read_budget_books


class SpendingAPI:
    """Handler of ``/accounts/{account}/spending``.

    Args:
        context: of the console.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [bind(spending.LIST, self._list)]

    async def _list(self, request: web.Request) -> web.Response:
        now_ms = self._context.clock.wall_ms()
        async with self._context.database.connection() as connection:
            [account] = await accounts(connection, request.match_info["account"])
            books = await read_budget_books(connection, [account.id], lately=True)
        present = [book for book in books if _is_present(book, now_ms)]
        own = {book.meter.id: book for book in present if book.holder is HolderKind.ACCOUNT}
        found = [
            _spent(meter, own.get(meter.id), account.time_zone, now_ms) for meter in budget_meters(account.budgets)
        ]
        found += [
            _spent(book.meter, book, account.time_zone, now_ms)
            for book in present
            if book.holder is not HolderKind.ACCOUNT
        ]
        return answer(found)


def _is_present(book: BudgetBook, now_ms: int) -> bool:
    return book.period_start == span_at(book.meter.period, book.time_zone, now_ms).start


def _spent(meter: Meter, book: BudgetBook | None, time_zone: str, now_ms: int) -> SpentBudget:
    """Return a budget as people see it; without a book nothing was spent of it."""
    until_ms = span_at(meter.period, time_zone, now_ms).until_ms
    return SpentBudget(
        holder=HolderKind.ACCOUNT if book is None else book.holder,
        name="" if book is None else book.name,
        period="monthly" if meter.period is Period.MONTH else "daily",
        models=meter.models,
        limit_nano=meter.limit,
        spent_nano=0 if book is None else book.spent_nano,
        refuses=book is not None and book.refuses,
        until=dt.datetime.fromtimestamp(until_ms / 1000, dt.UTC),
    )
