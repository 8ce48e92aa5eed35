"""The ledger by hand: corrections of wallets, statements, and checks of the whole."""

from collections.abc import AsyncIterator

from aiohttp import web

from services.console.context import Context
from services.console.http import answer, bad_request, bind, error_message, read_struct
from services.console.streams import NDJSON, Room, lines, stream, streaming
from trunkline.core.ids import parse_job
from trunkline.policy.admin_credit import AdjustmentRequest, BookedTransfer, LedgerStep, RefundRequest
from trunkline.policy.configuration_values import check_reference, nano_amount
from trunkline.policy.operations import ledger as operations
from trunkline.store import corrections, ledger, ledger_checks, ledger_sums, statements, trials
from trunkline.store.configuration_writes import find_account


class LedgerAPI:
    """Handlers of ``/ledger`` and of accounts' adjustments, refunds, statements and trials.

    Args:
        context: of the console.
        room: for long answers.
    """

    def __init__(self, context: Context, room: Room) -> None:
        self._context = context
        self._room = room

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            bind(operations.BOOKS, self._books),
            bind(operations.LIST_REFUSED, self._refused),
            bind(operations.VERIFY, self._verify),
            bind(operations.REBUILD, self._rebuild),
            bind(operations.STATEMENT, self._statement),
            bind(operations.TRIAL, self._trial),
            bind(operations.ADJUST, self._adjust),
            bind(operations.REFUND, self._refund),
        ]

    async def _books(self, _request: web.Request) -> web.Response:
        async with (
            self._context.database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            return answer(await ledger_sums.read_books(connection))

    async def _refused(self, _request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await ledger_sums.read_refused(connection))

    async def _statement(self, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            account_id = await find_account(connection, request.match_info["account"])
            return answer(await statements.read_statement(connection, account_id))

    async def _trial(self, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            account_id = await find_account(connection, request.match_info["account"])
            return answer(await trials.show_trial(connection, account_id))

    async def _adjust(self, request: web.Request) -> web.Response:
        wanted = await read_struct(request, AdjustmentRequest)
        try:
            check_reference(wanted.reference)
            amount_nano = nano_amount(abs(wanted.usd)) * (-1 if wanted.usd < 0 else 1)
        except ValueError as error:
            raise bad_request(f"The amount or its reference {error}.") from error
        if amount_nano == 0:
            raise bad_request("The amount must not be 0 USD.")
        async with self._context.transaction() as connection:
            account_id = await find_account(connection, request.match_info["account"])
            booked = await corrections.adjust_wallet(
                connection, account_id, amount_nano, wanted.reference, wanted.corrects
            )
            balance_nano = await ledger.balance(connection, account_id)
        return answer(BookedTransfer(booked, amount_nano, wanted.reference, balance_nano))

    async def _refund(self, request: web.Request) -> web.Response:
        wanted = await read_struct(request, RefundRequest)
        reference = wanted.reference if wanted.reference is not None else f"refund of {wanted.job}"
        try:
            check_reference(reference)
            job = parse_job(wanted.job)
            amount_nano = None if wanted.usd is None else nano_amount(wanted.usd)
        except ValueError as error:
            raise bad_request(
                "The job must be a request's id, the amount and the reference must be possible."
            ) from error
        if amount_nano == 0:
            raise bad_request("The amount must be more than 0 USD.")
        async with self._context.transaction() as connection:
            account_id = await find_account(connection, request.match_info["account"])
            refund = await corrections.refund_charge(
                connection, account_id, job, amount_nano=amount_nano, reference=reference
            )
            balance_nano = await ledger.balance(connection, account_id)
        return answer(BookedTransfer(refund.booked, refund.amount_nano, refund.reference, balance_nano))

    @streaming
    async def _verify(self, request: web.Request) -> web.StreamResponse:
        with self._room.place():
            return await stream(request, lines(self._checks(), _failed), content_type=NDJSON)

    async def _checks(self) -> AsyncIterator[LedgerStep]:
        async with (
            self._context.database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            async for name, findings in ledger_checks.check(connection):
                yield LedgerStep(name, tuple(findings))
        yield LedgerStep(done=True)

    @streaming
    async def _rebuild(self, request: web.Request) -> web.StreamResponse:
        with self._room.place():
            return await stream(request, lines(self._rebuilds(), _failed), content_type=NDJSON)

    async def _rebuilds(self) -> AsyncIterator[LedgerStep]:
        async with self._context.database.connection() as connection:
            rebuilt = await ledger_checks.rebuild(connection)
        yield LedgerStep("balances", count=rebuilt.books)
        yield LedgerStep("budgets", count=rebuilt.budgets)
        yield LedgerStep(done=True)


def _failed(error: Exception) -> LedgerStep:
    return LedgerStep(error=error_message(error))
