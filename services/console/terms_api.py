"""Limits and budgets of accounts, users, keys, tiers and groups: shown, and replaced as a whole."""

from functools import partial

from aiohttp import web

from services.console.context import Context
from services.console.http import answer, read_struct, refuse
from trunkline.policy.admin_accounts import BUDGET_HOLDERS, HolderKind, holder_path
from trunkline.policy.admin_api import PREFIX
from trunkline.policy.configuration import BudgetsEntry
from trunkline.policy.configuration_values import nano_budgets
from trunkline.policy.meters import Limits
from trunkline.policy.strict import FaultList
from trunkline.policy.terms_checks import check_budgets, check_limits
from trunkline.store import holders
from trunkline.store.configuration import read_names
from trunkline.store.holders import Holder

_NAMED_BY: dict[HolderKind, tuple[str, ...]] = {
    HolderKind.ACCOUNT: ("account",),
    HolderKind.USER: ("account", "user"),
    HolderKind.KEY: ("account", "key"),
    HolderKind.TIER: ("name",),
    HolderKind.GROUP: ("name",),
}
"""Which parts of the path name a holder; as in the routes of the other APIs."""


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
        for kind, parts in _NAMED_BY.items():
            path = "/".join(holder_path(kind, tuple(f"{{{part}}}" for part in parts)))
            limits, budgets = f"{PREFIX}/{path}/limits", f"{PREFIX}/{path}/budgets"
            found.append(web.get(limits, partial(self._show_limits, kind)))
            found.append(web.put(limits, partial(self._put_limits, kind)))
            if kind in BUDGET_HOLDERS:
                found.append(web.get(budgets, partial(self._show_budgets, kind)))
                found.append(web.put(budgets, partial(self._put_budgets, kind)))
        return found

    async def _show_limits(self, kind: HolderKind, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await holders.read_limits(connection, _holder(kind, request)))

    async def _put_limits(self, kind: HolderKind, request: web.Request) -> web.Response:
        limits = await read_struct(request, Limits)
        faults = FaultList()
        check_limits(limits, "", faults)
        refuse(faults)
        async with self._context.changing() as connection:
            await holders.put_limits(connection, _holder(kind, request), limits)
        return answer(limits)

    async def _show_budgets(self, kind: HolderKind, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer(await holders.read_budgets(connection, _holder(kind, request)))

    async def _put_budgets(self, kind: HolderKind, request: web.Request) -> web.Response:
        entry = await read_struct(request, BudgetsEntry)
        async with self._context.changing() as connection:
            faults = FaultList()
            check_budgets(entry, (await read_names(connection, [])).models, "", faults)
            refuse(faults)
            budgets = nano_budgets(entry)
            await holders.put_budgets(connection, _holder(kind, request), budgets)
        return answer(budgets)


def _holder(kind: HolderKind, request: web.Request) -> Holder:
    return Holder(kind, tuple(request.match_info[part] for part in _NAMED_BY[kind]))
