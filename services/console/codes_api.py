"""Redemption codes: made in batches, shown once, redeemed for an account."""

import datetime as dt
import secrets

from aiohttp import web

from services.console.context import Context
from services.console.http import RequestError, answer, bad_request, bind, read_struct, refuse
from services.console.query import path_id
from trunkline.core.errors import ErrorType
from trunkline.policy import codes as forms
from trunkline.policy.admin_credit import CreatedCodes, NewCodes, Redeemed, RedemptionRequest
from trunkline.policy.configuration_values import NAME_CHARS_MAX, nano_amount
from trunkline.policy.operations import codes as operations
from trunkline.policy.strict import FaultList
from trunkline.store import codes, ledger
from trunkline.store.configuration_writes import find_account

_HOUR_S = 3600


class CodesAPI:
    """Handlers of ``/codes`` and of accounts' redemptions.

    Args:
        context: of the console.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            bind(operations.LIST, self._list),
            bind(operations.CREATE, self._create),
            bind(operations.WITHDRAW, self._withdraw),
            bind(operations.REDEEM, self._redeem),
        ]

    async def _list(self, _request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await codes.list_batches(connection))

    async def _create(self, request: web.Request) -> web.Response:
        wanted = await read_struct(request, NewCodes)
        expires = wanted.expires
        if expires is not None and expires.tzinfo is None:
            expires = expires.replace(tzinfo=dt.UTC)
        amount_nano = self._check(wanted, expires)
        made = {forms.mint(secrets.token_bytes(forms.RANDOM_CHARS)) for _ in range(wanted.count)}
        hashes = [self._hash(code) for code in made]
        async with self._context.transaction() as connection:
            batch = await codes.create_batch(
                connection, hashes, amount_nano=amount_nano, note=wanted.note, expires_at=expires
            )
        return answer(CreatedCodes(batch, tuple(made)), 201)

    def _check(self, wanted: NewCodes, expires: dt.datetime | None) -> int:
        """Return what each code is worth, in nano-USD.

        Raises:
            ConfigurationError: there cannot be such codes.
        """
        faults, amount_nano = FaultList(), 0
        try:
            amount_nano = nano_amount(wanted.usd)
        except ValueError as error:
            faults.add("usd", str(error))
        else:
            if amount_nano == 0:
                faults.add("usd", "must be more than 0")
        if not 1 <= wanted.count <= forms.CODES_MAX:
            faults.add("count", f"must be between 1 and {forms.CODES_MAX}")
        if expires is not None and expires.timestamp() * 1000 <= self._context.clock.wall_ms():
            faults.add("expires", "is past")
        if len(wanted.note) > NAME_CHARS_MAX or (wanted.note and not wanted.note.isprintable()):
            faults.add("note", f"must have at most {NAME_CHARS_MAX} characters, and no control characters")
        refuse(faults)
        return amount_nano

    def _hash(self, code: str) -> bytes:
        normal = forms.normal_form(code)
        if normal is None:
            # Not counted as a guess: it can be none, and who mistypes shall not be locked out.
            raise bad_request("This is no code: one looks like TL-XXXX-XXXX-XXXX. Is a character wrong?")
        return forms.code_hash(normal, self._context.pepper)

    async def _withdraw(self, request: web.Request) -> web.Response:
        async with self._context.transaction() as connection:
            return answer(await codes.withdraw_batch(connection, path_id(request, "batch")))

    async def _redeem(self, request: web.Request) -> web.Response:
        hash_ = self._hash((await read_struct(request, RedemptionRequest)).code)
        async with self._context.database.connection() as connection:
            account_id = await find_account(connection, request.match_info["account"])
            if not await codes.count_failure(connection, account_id):
                wait_s = _HOUR_S - self._context.clock.wall_ms() // 1000 % _HOUR_S
                raise RequestError(
                    429,
                    ErrorType.POLICY_RATE_LIMITED,
                    f"Too many codes of this account were wrong. Try again in {-(-wait_s // 60)} minutes.",
                    retry_after_s=wait_s,
                )
            async with connection.transaction():
                redemption = await codes.redeem(connection, account_id, hash_)
            balance_nano = await ledger.balance(connection, account_id)
        return answer(Redeemed(redemption.redeemed, redemption.amount_nano, balance_nano))
