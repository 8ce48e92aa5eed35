"""Answers that are written while they are made: long checks, and exports of any length.

A handler of one carries `streaming`, which gives it a time limit of its own. What is wrong before the first piece is
answered like any other error. Later the head is out: a stream of lines then says so in its last one, and any other is
cut off, so that no client takes a part for the whole.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

import msgspec
import structlog
from aiohttp import web

from services.console.http import RequestError, caller_of
from trunkline.core.errors import ErrorType
from trunkline.runtime.tasks import TaskSet

log = structlog.get_logger()

STREAM_TIMEOUT_S = 900.0
"""From a request's head to the end of its answer: a whole ledger read, or an export over a slow line."""

HEARTBEAT_S = 5.0
"""How often a stream of lines shows that its work goes on: clients and proxies give up on what is silent for 30 s."""

BUSY_RETRY_S = 30

NDJSON = "application/x-ndjson"

LONG_ANSWERS_MAX = 3
"""Long answers at a time: each holds one of the console's connections to Postgres."""

OF_ACCOUNTS_MAX = 2
"""Of these, long answers for accounts' people: however slowly they read theirs, operators get one."""

H = TypeVar("H", bound=Callable[..., Any])

_encode = msgspec.json.Encoder(decimal_format="string").encode


def streaming(handler: H) -> H:
    """Give a handler `STREAM_TIMEOUT_S` instead of the usual limit; the shell looks for it."""
    handler.timeout_s = STREAM_TIMEOUT_S  # type: ignore[attr-defined]  # functions take attributes
    return handler


class Room:
    """Bounds how many long answers are made at a time; those beyond are refused at once."""

    def __init__(self) -> None:
        self._taken = 0
        self._accounts: set[str] = set()

    @contextlib.contextmanager
    def place(self, account: str | None = None) -> Iterator[None]:
        """Take a place for the length of the block.

        Args:
            account: whose people ask, see `asking_account`: each has one at a time.

        Raises:
            RequestError: there is none.
        """
        if account in self._accounts:
            message = "A long answer is being made for this account already. Try again when it is done."
            raise RequestError(503, ErrorType.GATEWAY_BUSY, message, retry_after_s=BUSY_RETRY_S)
        most = LONG_ANSWERS_MAX if account is None else min(OF_ACCOUNTS_MAX, LONG_ANSWERS_MAX)
        if self._taken >= LONG_ANSWERS_MAX or (account is not None and len(self._accounts) >= most):
            message = f"{most} long answers are being made already. Try again when one of them is done."
            raise RequestError(503, ErrorType.GATEWAY_BUSY, message, retry_after_s=BUSY_RETRY_S)
        self._taken += 1
        if account is not None:
            self._accounts.add(account)
        try:
            yield
        finally:
            self._taken -= 1
            if account is not None:
                self._accounts.remove(account)


def asking_account(request: web.Request) -> str | None:
    """Return whose people ask for something of an account; None if an operator does."""
    return None if caller_of(request).operator else request.match_info.get("account")


async def stream(
    request: web.Request, pieces: AsyncIterator[bytes], *, content_type: str, file_name: str | None = None
) -> web.StreamResponse:
    """Answer with pieces as they are made.

    Args:
        request: to be answered.
        pieces: of the body; what the first one raises is the caller's, what later ones raise cuts the answer off.
        content_type: of the answer.
        file_name: under which browsers store it.
    """
    first = await anext(pieces, b"")
    response = web.StreamResponse(headers={"content-type": content_type, "cache-control": "no-store"})
    if file_name is not None:
        response.headers["content-disposition"] = f'attachment; filename="{file_name}"'
    await response.prepare(request)
    try:
        await response.write(first)
        async for piece in pieces:
            await response.write(piece)
        await response.write_eof()
    except BaseException as error:
        # Without its last chunk, which an ordinary end would bring.
        if request.transport is not None:
            request.transport.abort()
        log.warning("stream_cut", route=request.path, error=type(error).__name__)
        if not isinstance(error, Exception):
            raise
    return response


async def lines(
    steps: AsyncIterator[msgspec.Struct], failed: Callable[[Exception], msgspec.Struct]
) -> AsyncIterator[bytes]:
    """Return steps of a long work as lines of JSON, with an empty line while one takes its time.

    Args:
        steps: see there.
        failed: makes the last line of an error after the first.
    """
    tasks = TaskSet()
    made: asyncio.Queue[msgspec.Struct | Exception | None] = asyncio.Queue(maxsize=1)

    async def work() -> None:
        try:
            async for step in steps:
                await made.put(step)
            await made.put(None)
        except Exception as error:
            await made.put(error)

    tasks.spawn(work(), name="lines")
    begun = False
    try:
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    step = await made.get()
            except TimeoutError:
                yield b"\n"
            else:
                if step is None:
                    return
                if isinstance(step, Exception):
                    if not begun:
                        raise step
                    yield _encode(failed(step)) + b"\n"
                    return
                yield _encode(step) + b"\n"
            begun = True
    finally:
        await tasks.cancel()
