"""Limits and budgets of accounts, users, keys, tiers and groups: shown, and replaced as a whole."""

from functools import partial

from aiohttp import web

from services.console.context import Context
from services.console.http import answer, bind, own_user, read_struct, refuse
from trunkline.policy.admin_accounts import HolderKind
from trunkline.policy.configuration import BudgetsEntry
from trunkline.policy.configuration_values import nano_budgets
from trunkline.policy.meters import Limits
from trunkline.policy.operations import terms as operations
from trunkline.policy.strict import FaultList
from trunkline.policy.terms_checks import check_budgets, check_limits
from trunkline.store import holders
from trunkline.store.configuration import read_names
from trunkline.store.database import Connection
from trunkline.store.holders import Holder


class TermsAPI:
    """Handlers of ``…/limits`` and ``…/budgets``.

    Args:
        context: of the console.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        found = []
        for kind, terms in operations.LIMITS.items():
            found.append(bind(terms.show, partial(self._show_limits, kind)))
            found.append(bind(terms.put, partial(self._put_limits, kind)))
        for kind, terms in operations.BUDGETS.items():
            found.append(bind(terms.show, partial(self._show_budgets, kind)))
            found.append(bind(terms.put, partial(self._put_budgets, kind)))
        return found

    async def _show_limits(self, kind: HolderKind, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await holders.read_limits(connection, await _holder(connection, kind, request)))

    async def _put_limits(self, kind: HolderKind, request: web.Request) -> web.Response:
        limits = await read_struct(request, Limits)
        faults = FaultList()
        check_limits(limits, "", faults)
        refuse(faults)
        async with self._context.changing() as connection:
            await holders.put_limits(connection, await _holder(connection, kind, request), limits)
        return answer(limits)

    async def _show_budgets(self, kind: HolderKind, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await holders.read_budgets(connection, await _holder(connection, kind, request)))

    async def _put_budgets(self, kind: HolderKind, request: web.Request) -> web.Response:
        entry = await read_struct(request, BudgetsEntry)
        async with self._context.changing() as connection:
            faults = FaultList()
            check_budgets(entry, (await read_names(connection, [])).models, "", faults)
            refuse(faults)
            budgets = nano_budgets(entry)
            await holders.put_budgets(connection, await _holder(connection, kind, request), budgets)
        return answer(budgets)


async def _holder(connection: Connection, kind: HolderKind, request: web.Request) -> Holder:
    """Return whose terms a request is about.

    Raises:
        NotFoundError: it is a key that is not the caller's own, who may touch no others.
    """
    holder = Holder(kind, tuple(request.match_info[place] for place in operations.PLACES[kind]))
    user = own_user(request)
    if user is not None and kind is HolderKind.KEY:
        await holders.require_key_of(connection, holder, user)
    return holder
