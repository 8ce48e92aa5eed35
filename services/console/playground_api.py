"""The playground: passes a request on to an edge, with the user's own key, and its answer back as it comes.

Nothing of either is kept or logged. It is a client like any other: groups, limits, budgets and prices are the edge's
matter.
"""

import contextlib
import secrets
from collections import Counter
from collections.abc import Callable, Iterator

import structlog
from aiohttp import web

from services.console.context import Context
from services.console.edge_call import AnswerHead, EdgeAnswer, EdgeClient
from services.console.http import RequestError, bind, caller_of, read_bytes
from services.console.streams import streaming
from trunkline.core.errors import ErrorType
from trunkline.policy.keys import key_hash
from trunkline.policy.operations import playground
from trunkline.policy.playground import SEED_BITS, secret_of
from trunkline.runtime.http_client import HTTPClientError
from trunkline.store import playground_keys
from trunkline.store.database import Connection
from trunkline.store.playground_keys import DrawnSecret, PlaygroundKey

log = structlog.get_logger()

REQUEST_BYTES_MAX = 20 * 1024 * 1024
"""Of one request: a conversation with a dozen pictures. What is larger is work for a program."""

STREAMS_PER_LOGIN_MAX = 6
"""Answers at a time: two models side by side, in three windows."""

STREAMS_MAX = 500
"""Answers at a time of all people at this console: a class or two that press the button together."""

WAITING_BYTES_MAX = 512 * 1024 * 1024
"""Of all requests until their answers begin, when they are let go: two dozen of the largest, and thousands of plain
ones."""

KNOWN_WITHIN_S = 3.0
"""How long a new key is given until the edges know it; it takes a second at the most."""

KNOWN_RETRY_S = 0.1

CLIENT_CHECK_S = 0.25
"""How often it is looked whether the page is still there, while nothing comes: so that the provider is stopped within a
second."""

BUSY_RETRY_S = 5

PASSED_HEADERS = frozenset({"content-type", "cache-control", "retry-after", "retry-after-ms"})
"""Of an edge's answer, beside all that begin with ``x-``."""


class _GoneError(Exception):
    """The page does not wait any more."""


class PlaygroundAPI:
    """Handler of ``/accounts/{account}/playground/chat``.

    Args:
        context: of the console.
        edge: to the edges.
    """

    def __init__(self, context: Context, edge: EdgeClient) -> None:
        self._context = context
        self._edge = edge
        self._streams: Counter[int] = Counter()
        self._waiting_bytes = 0

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [bind(playground.CHAT, self._chat)]

    @streaming
    async def _chat(self, request: web.Request) -> web.StreamResponse:
        account, caller = request.match_info["account"], caller_of(request)
        place = caller.places.get(account)
        if place is None or caller.login is None:
            raise RequestError(
                403,
                ErrorType.POLICY_ACCESS_DENIED,
                f"You are no user of account {account!r}, and the playground spends its money in its users' names. "
                "Become a member of it, or use an account of your own.",
            )
        with self._place(caller.login):
            try:
                return await self._pass_on(request, await self._begun(request, account, place.user))
            except _GoneError:
                return web.Response(status=499)
            except HTTPClientError as error:
                raise RequestError(
                    503,
                    ErrorType.GATEWAY_NOT_READY,
                    "The gateway does not answer the console. Try again in a moment; if it goes on, the operator "
                    "should look at TRUNKLINE_EDGE_URL.",
                    retry_after_s=BUSY_RETRY_S,
                ) from error

    @contextlib.contextmanager
    def _place(self, login: int) -> Iterator[None]:
        if self._streams[login] >= STREAMS_PER_LOGIN_MAX:
            message = f"You have {STREAMS_PER_LOGIN_MAX} answers under way. Stop one, or wait until one has ended."
            raise RequestError(429, ErrorType.GATEWAY_BUSY, message, retry_after_s=BUSY_RETRY_S)
        if self._streams.total() >= STREAMS_MAX:
            message = "Too many people use the playground at this moment. Try again in a few seconds."
            raise RequestError(503, ErrorType.GATEWAY_BUSY, message, retry_after_s=BUSY_RETRY_S)
        self._streams[login] += 1
        try:
            yield
        finally:
            self._streams[login] -= 1
            if not self._streams[login]:
                del self._streams[login]

    async def _begun(self, request: web.Request, account: str, user: str) -> tuple[AnswerHead, EdgeAnswer]:
        """Return the answer of which the head is there; the request itself is let go with it."""
        with self._held() as take:
            body = await read_bytes(request, REQUEST_BYTES_MAX, take)
            return await self._ask(request, body, await self._secret(account, user))

    @contextlib.contextmanager
    def _held(self) -> Iterator[Callable[[int], None]]:
        """Lend what counts the bytes of a request, until the end of the block."""
        held_bytes = 0

        def take(count: int) -> None:
            nonlocal held_bytes
            if self._waiting_bytes + count > WAITING_BYTES_MAX:
                message = "Too many large requests wait for the gateway at this moment. Try again in a few seconds."
                raise RequestError(503, ErrorType.GATEWAY_BUSY, message, retry_after_s=BUSY_RETRY_S)
            self._waiting_bytes += count
            held_bytes += count

        try:
            yield take
        finally:
            self._waiting_bytes -= held_bytes

    # --- the key -------------------------------------------------------------------------------------------------

    async def _secret(self, account: str, user: str) -> str:
        """Return the secret of the user's key, which is made or set right if it must be.

        Raises:
            RequestError: the key is blocked.
        """
        async with self._context.database.connection() as connection:
            key = await playground_keys.find(connection, account, user)
        if key is None or not self._right(key):
            async with self._context.changing() as connection:
                key = await self._set_right(connection, account, user)
        if not key.usable:
            message = (
                f"Your playground is blocked: its key, {key.name!r}, was blocked or has ended. Unblock it on the page "
                "of keys, or ask who runs the account."
            )
            raise RequestError(403, ErrorType.POLICY_KEY_BLOCKED, message)
        return secret_of(key.seed, self._context.pepper)

    def _right(self, key: PlaygroundKey) -> bool:
        # One that is blocked stays as it is until somebody unblocks it.
        return not key.usable or (key.current and key.hash == self._drawn(key.seed).hash)

    def _drawn(self, seed: int) -> DrawnSecret:
        secret = secret_of(seed, self._context.pepper)
        return DrawnSecret(seed, secret, key_hash(secret, self._context.pepper))

    async def _set_right(self, connection: Connection, account: str, user: str) -> PlaygroundKey:
        drawn = self._drawn(secrets.randbits(SEED_BITS))
        key = await playground_keys.find(connection, account, user)
        if key is None:
            await playground_keys.make(connection, account, user, drawn)
        elif not self._right(key):
            if key.hash != self._drawn(key.seed).hash:
                # Rotated by hand, or the pepper is another one.
                await playground_keys.renew(connection, account, key.name, drawn)
            await playground_keys.follow_account(connection, account, key.name)
        made = await playground_keys.find(connection, account, user)
        assert made is not None  # noqa: S101 - in the same transaction
        return made

    # --- the answer ----------------------------------------------------------------------------------------------

    async def _ask(self, request: web.Request, body: bytes, secret: str) -> tuple[AnswerHead, EdgeAnswer]:
        """Return an answer of which the head is there; waits until a new key is known."""
        clock = self._context.clock
        deadline = clock.now() + KNOWN_WITHIN_S
        while True:
            answer = await self._edge.chat(body, secret)
            try:
                head = await _head(request, answer)
                if head.status != 401:
                    return head, answer
            except BaseException:
                answer.cancel()
                raise
            answer.cancel()
            if clock.now() >= deadline:
                message = "The gateway does not know the playground's key yet. Try again in a moment."
                raise RequestError(503, ErrorType.GATEWAY_NOT_READY, message, retry_after_s=1)
            await clock.sleep(KNOWN_RETRY_S)

    async def _pass_on(self, request: web.Request, begun: tuple[AnswerHead, EdgeAnswer]) -> web.StreamResponse:
        head, answer = begun
        response = web.StreamResponse(status=head.status, headers=_passed(head.headers))
        try:
            await response.prepare(request)
            while not answer.ended:
                if data := answer.take():
                    await response.write(data)
                elif not answer.ended:
                    await answer.wait(CLIENT_CHECK_S)
                    _check_present(request)
            await response.write_eof()
        except BaseException as error:
            answer.cancel()
            # Without its last chunk, which an ordinary end would bring: nobody takes the part for the whole.
            if request.transport is not None:
                request.transport.abort()
            if not isinstance(error, Exception):
                raise
            log.info("playground_cut", error=type(error).__name__)
        return response


async def _head(request: web.Request, answer: EdgeAnswer) -> AnswerHead:
    while answer.head is None:
        await answer.wait(CLIENT_CHECK_S)
        _check_present(request)
        if answer.head is None:
            answer.take()  # raises if the connection broke
    return answer.head


def _check_present(request: web.Request) -> None:
    if request.transport is None or request.transport.is_closing():
        raise _GoneError


def _passed(headers: dict[str, str]) -> dict[str, str]:
    passed = {name: value for name, value in headers.items() if name in PASSED_HEADERS or name.startswith("x-")}
    return {"cache-control": "no-store", **passed}
