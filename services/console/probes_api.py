"""Asking a channel's provider on the spot: does it work, and what does it offer?

The console asks itself, as health does for its probes and by the same means: an operator who has just changed a channel
wants to know before a job finds out.
"""

import contextlib
from collections.abc import Iterator

from aiohttp import web

from services.console.channel_trial import LIST_TIMEOUT_S, NO_MODELS, OURS, Trial, provider_words
from services.console.context import Context
from services.console.http import RequestError, answer, bad_request, bind, read_struct
from services.console.query import row_id
from trunkline.bus.snapshots import ChannelSnapshot, SealedCredential
from trunkline.core.errors import ErrorType
from trunkline.policy.admin_probes import ChannelTest
from trunkline.policy.operations import probes as operations
from trunkline.policy.probe_call import read_answer
from trunkline.policy.upstream_models import PAGES_MAX, ModelsPage, discovered, list_call, read_page
from trunkline.policy.vault import VaultError
from trunkline.runtime.http_client import HTTPClientPool
from trunkline.runtime.probe_http import ProbeFailedError, send_probe
from trunkline.store.configuration import NotFoundError
from trunkline.store.configuration_writes import find_channel
from trunkline.store.outbox import read_channels

AT_ONCE_MAX = 8
"""Providers asked at a time; each may take its time over an answer."""

BUSY_RETRY_S = 5

PAGE_BYTES_MAX = 2 * 1024 * 1024
"""A thousand models with all that OpenRouter tells of each."""

_NOT_HAD = "The provider's list of models cannot be had"


class ProbesAPI:
    """Handlers of ``/channels/{channel}/test`` and ``/channels/{channel}/discovered``.

    Args:
        context: of the console.
        pool: connections to upstreams, with their guard.
    """

    def __init__(self, context: Context, pool: HTTPClientPool) -> None:
        self._context = context
        self._pool = pool
        self._under_way = 0

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [bind(operations.TEST, self._test), bind(operations.DISCOVER, self._discover)]

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        if self._under_way >= AT_ONCE_MAX:
            message = f"{AT_ONCE_MAX} providers are being asked already. Try again in a moment."
            raise RequestError(503, ErrorType.GATEWAY_BUSY, message, retry_after_s=BUSY_RETRY_S)
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def _test(self, request: web.Request) -> web.Response:
        wanted = await read_struct(request, ChannelTest) if request.can_read_body else ChannelTest()
        channel = await self._channel(request.match_info["channel"])
        if wanted.model is not None and wanted.model not in channel.models:
            raise bad_request(f"The channel {channel.name!r} does not serve {wanted.model!r}.")
        credential = _credential(channel, wanted.credential)
        trial = Trial(channel, credential, self._open(credential), clock=self._context.clock)
        with self._place():
            return answer(await trial.run(self._pool, wanted.model))

    async def _discover(self, request: web.Request) -> web.Response:
        channel = await self._channel(request.match_info["channel"])
        secret = self._open(_credential(channel, _number(request.query.get("credential"))))
        names: list[str] = []
        cursor, pages = "", 0
        with self._place():
            while pages < PAGES_MAX:
                page = await self._page(channel, secret, cursor)
                names += page.names
                pages += 1
                # The same cursor again would bring the same page.
                if not page.cursor or page.cursor == cursor:
                    cursor = ""
                    break
                cursor = page.cursor
        return answer(discovered(channel, names, complete=not cursor))

    async def _page(self, channel: ChannelSnapshot, secret: str | None, cursor: str) -> ModelsPage:
        call = list_call(channel, secret, cursor)
        try:
            said = await send_probe(self._pool, call, timeout_s=LIST_TIMEOUT_S, bytes_max=PAGE_BYTES_MAX)
        except ProbeFailedError as error:
            fault = OURS[error.result]
            raise RequestError(502, fault.type, f"{_NOT_HAD}. {fault.message}") from None
        if said.status != 200:
            said_of_it = read_answer(channel, call, said, self._context.clock.wall_ms()).fault
            type_ = ErrorType.UPSTREAM_ERROR if said_of_it is None else said_of_it.type
            words = provider_words(said, secret)
            raise RequestError(502, type_, f"{_NOT_HAD} (status {said.status}). {words}".strip())
        if not said.whole:
            raise RequestError(502, ErrorType.UPSTREAM_INVALID, f"The list is over {PAGE_BYTES_MAX} bytes a page.")
        try:
            return read_page(channel.dialect, said.body)
        except ValueError:
            raise RequestError(502, NO_MODELS.type, NO_MODELS.message) from None

    async def _channel(self, name: str) -> ChannelSnapshot:
        async with self._context.database.connection() as connection:
            return (await read_channels(connection, [await find_channel(connection, name)]))[0]

    def _open(self, credential: SealedCredential | None) -> str | None:
        try:
            return None if credential is None else self._context.vault.open(credential)
        except VaultError:
            message = "The credential cannot be opened. Give the console the master key that sealed it, or add it anew."
            raise RequestError(409, ErrorType.GATEWAY_INTERNAL, message) from None


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    found = row_id(text)
    if found is None:
        raise bad_request("credential must be the id of a credential.")
    return found


def _credential(channel: ChannelSnapshot, number: int | None) -> SealedCredential | None:
    if number is None:
        return channel.credentials[0] if channel.credentials else None
    found = next((credential for credential in channel.credentials if credential.id == number), None)
    if found is None:
        raise NotFoundError(f"the channel {channel.name!r} has no credential {number}")
    return found
