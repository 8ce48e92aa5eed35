"""What health has seen of channels and credentials, for operators."""

import datetime as dt

from aiohttp import web

from services.console.context import Context
from services.console.http import answer, bad_request, bind
from services.console.query import moment
from trunkline.policy.health_history import SPANS
from trunkline.policy.operations import health
from trunkline.store.credential_states import list_states
from trunkline.store.health_history import read_history

_SPANS = {span.name: span for span in SPANS}


class HealthAPI:
    """Handlers of ``/credentials`` and ``/history``.

    Args:
        context: of the console.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            bind(health.CREDENTIALS, self._credentials),
            bind(health.HISTORY, self._history),
        ]

    async def _credentials(self, request: web.Request) -> web.Response:
        refused = request.query.get("refused", "false")
        if refused not in {"true", "false"}:
            raise bad_request("refused must be true or false.")
        async with self._context.database.connection() as connection:
            return answer(await list_states(connection, refused=refused == "true"))

    async def _history(self, request: web.Request) -> web.Response:
        span = _SPANS.get(request.query.get("by", "hour"))
        if span is None:
            raise bad_request(f"by must be one of {', '.join(_SPANS)}.")
        kept_from = dt.datetime.fromtimestamp(self._context.clock.wall_ms() / 1000, dt.UTC) - span.kept
        since = moment(request, "since", kept_from)
        channel, model = request.match_info["channel"], request.query.get("model", "")
        async with self._context.database.connection() as connection:
            return answer(await read_history(connection, channel, model, span, since))
