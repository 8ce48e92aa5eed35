"""The model square: which models can be called by an account's people, and by anybody who asks for a key."""

import asyncio
import datetime as dt
from collections.abc import Sequence

from aiohttp import web

from services.console.channel_news import ChannelNews
from services.console.context import Context
from services.console.http import answer, bind
from trunkline.policy.admin_square import LiveFigures, ModelSquare
from trunkline.policy.list_prices import Listed, Serving, listed
from trunkline.policy.operations import square
from trunkline.policy.square import offers, serving_channels
from trunkline.policy.square_figures import ChannelUptime, Known, live_figures, share_ppm
from trunkline.store import square as rows
from trunkline.store.configuration import NotFoundError
from trunkline.store.database import Connection, StoreError

FRESH_S = 10.0
"""How old the public square may be: as old as health's samples are."""

LISTED_KEPT_MAX = 20_000
"""Models that were looked up in the lists of prices; past it they are looked up anew. More than any console has."""


class SquareAPI:
    """Handlers of ``/accounts/{account}/models`` and ``/public/models``.

    Args:
        context: of the console.
        news: what health says of channels.
        base_url: of the gateway, as clients are given it.
        public_groups: whose models anybody may see; empty: nobody.
    """

    def __init__(self, context: Context, news: ChannelNews, base_url: str, public_groups: Sequence[str]) -> None:
        self._context = context
        self._news = news
        self._base_url = base_url
        self._public_groups = tuple(public_groups)
        self._listed: dict[tuple[str, tuple[Serving, ...], int], Listed] = {}
        self._reading = asyncio.Lock()
        self._public: ModelSquare | None = None
        self._public_due = 0.0

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [bind(square.LIST, self._list), bind(square.LIST_PUBLIC, self._list_public)]

    async def _list(self, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            groups = await rows.groups_of(connection, request.match_info["account"])
            wanted = request.query.get("group")
            if wanted is not None:
                groups = tuple(group for group in groups if group == wanted)
            return answer(await self._square(connection, groups))

    async def _list_public(self, _request: web.Request) -> web.Response:
        """Answer anybody; the rows are read at most once in `FRESH_S`, however many ask.

        Raises:
            StoreError: Postgres is away, and was from the beginning.
        """
        if not self._public_groups:
            raise NotFoundError("this gateway shows no models to the public")
        async with self._reading:
            if self._public is None or self._context.clock.now() >= self._public_due:
                await self._read_public()
        response = answer(self._public)
        response.headers["cache-control"] = f"public, max-age={FRESH_S:.0f}"
        return response

    async def _read_public(self) -> None:
        self._public_due = self._context.clock.now() + FRESH_S
        try:
            async with self._context.database.connection() as connection:
                self._public = await self._square(connection, self._public_groups)
        except StoreError:
            # What was offered a while ago most likely still is.
            if self._public is None:
                raise

    async def _square(self, connection: Connection, groups: tuple[str, ...]) -> ModelSquare:
        source = await rows.read_source(connection, dict(self._news.refused))
        serving = {
            model: [channel.id for channel in channels] for model, channels in serving_channels(source, groups).items()
        }
        live = await self._live(connection, serving)
        # Looking many models up in the lists takes a second, the first time.
        models = await asyncio.to_thread(offers, source, groups, live, self._find_listed)
        return ModelSquare(self._base_url, groups, models)

    async def _live(self, connection: Connection, serving: dict[str, list[int]]) -> dict[str, LiveFigures]:
        now_ms = self._context.clock.wall_ms()
        now = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC)
        places = [(channel, model) for model, channels in serving.items() for channel in channels]
        times = await rows.channel_times(connection, sorted({channel for channel, _ in places}), now)
        known = Known(
            reports=await rows.model_reports(connection, serving, now_ms),
            uptimes={
                channel: ChannelUptime(
                    share_ppm(time.day_known_s, time.day_ejected_s), share_ppm(time.month_known_s, time.month_ejected_s)
                )
                for channel, time in times.items()
            },
            first_tokens=await rows.first_tokens(connection, places, now),
            figures=self._news.figures(),
        )
        return {model: live_figures(model, channels, known) for model, channels in serving.items()}

    def _find_listed(self, model: str, servings: tuple[Serving, ...]) -> Listed:
        now_ms = self._context.clock.wall_ms()
        place = (model, servings, now_ms // 86_400_000)  # lists have prices by date
        found = self._listed.get(place)
        if found is None:
            if len(self._listed) >= LISTED_KEPT_MAX:
                self._listed.clear()
            found = self._listed[place] = listed(model, servings, now_ms)
        return found
