"""Writes the audit log around changes, and shows it.

The row, with what was there before, is committed before the handler runs; the outcome is added when the answer is
known. So no change is made that leaves no row, also if the console dies in the middle of it. The row of what a stranger
was refused goes again: it changed nothing, and strangers without end would fill the log.
"""

import contextlib
from collections.abc import AsyncIterator

import structlog
from aiohttp import web

from services.console.context import Context
from services.console.http import answer, bad_request, bind, caller_of
from services.console.query import optional_moment, row_id
from services.console.shell import Recorded
from trunkline.policy.access import Caller
from trunkline.policy.audit import kept
from trunkline.policy.operations import audit as operations
from trunkline.policy.operations.operation import Operation
from trunkline.store import audit as store
from trunkline.store.configuration import NotFoundError
from trunkline.store.database import Database, StoreError

log = structlog.get_logger()

SUBJECT_CHARS_MAX = 1000
"""Of a path: a dozen names at their longest, percent-encoded, are under it."""


class _Record:
    def __init__(self) -> None:
        self.response: web.StreamResponse | None = None

    def ended(self, response: web.StreamResponse) -> None:
        self.response = response


class AuditLog:
    """Notes changes; see `services.console.shell.Audit`.

    Args:
        database: of the process.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextlib.asynccontextmanager
    async def recording(
        self, request: web.Request, operation: Operation, caller: Caller | None
    ) -> AsyncIterator[Recorded]:
        """See `services.console.shell.Audit`."""
        begun = store.Begun(
            login=None if caller is None else caller.login,
            actor="nobody" if caller is None else caller.name,
            address=request.remote or "",
            operation=operation.id,
            account=request.match_info.get("account"),
            subject=request.path[:SUBJECT_CHARS_MAX],
            before=await _shown(request, operation),
        )
        async with self._database.connection() as connection:
            entry = await store.begin(connection, begun)
        record = _Record()
        try:
            yield record
        finally:
            if record.response is not None:
                await self._end(entry, record.response, stranger=caller is None)

    async def _end(self, entry: int, response: web.StreamResponse, *, stranger: bool) -> None:
        body = response.body if isinstance(response, web.Response) else None
        after = kept(body) if isinstance(body, bytes) else None
        try:
            async with self._database.connection() as connection:
                if stranger and 400 <= response.status < 500:
                    await store.withdraw(connection, entry)
                else:
                    await store.end(connection, entry, response.status, after)
        except StoreError as error:
            # The change is made, and its row stands; only its outcome is unknown there.
            log.warning("audit_outcome_lost", entry=entry, error=type(error.__cause__ or error).__name__)


async def _shown(request: web.Request, operation: Operation) -> str | None:
    """Return what the operation that shows the subject says of it now."""
    if operation.shows is None:
        return None
    routes = request.app.router.named_resources()[operation.shows]
    route = next(route for route in routes if route.method == "GET")  # beside the HEAD that aiohttp adds
    try:
        response = await route.handler(request)
    except NotFoundError:
        return None  # it is about to be made
    body = response.body if isinstance(response, web.Response) else None
    return kept(body) if isinstance(body, bytes) else None


class AuditAPI:
    """Handlers of the audit log.

    Args:
        context: of the console.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [bind(operations.LIST_ALL, self._list), bind(operations.LIST, self._list)]

    async def _list(self, request: web.Request) -> web.Response:
        account = request.match_info.get("account")
        if account is None and caller_of(request).operator:
            account = request.query.get("account")
        wanted = store.AuditFilter(
            account=account,
            actor=request.query.get("actor"),
            operation=request.query.get("operation"),
            since=optional_moment(request, "since"),
            until=optional_moment(request, "until"),
            before=_entry_id(request.query.get("before")),
        )
        async with self._context.database.connection() as connection:
            return answer(await store.read_page(connection, wanted))


def _entry_id(text: str | None) -> int | None:
    if text is None:
        return None
    found = row_id(text)
    if found is None:
        raise bad_request("before must be the id of an entry.")
    return found
