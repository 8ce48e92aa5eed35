"""A chat client that says exactly how each request ended, and a load of many of them at once.

It is stricter than an SDK: an answer counts as whole only if all of it came, and as an error only if it is one in
OpenAI's dialect. Whatever else happens is an ending of its own, so that a test can say that it never does.
"""

import asyncio
import contextlib
import dataclasses
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any

import aiohttp
import msgspec

from tests.support.waiting import eventually
from trunkline.dev.demo.script import FIELD
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.tasks import TaskSet

REQUEST_TIMEOUT_S = 60.0
"""No request of these tests may take this long, whatever breaks."""

PROGRESS_TIMEOUT_S = 30.0

RETRY_WAIT_S = 0.05
RETRIES_MAX = 200
"""Connections that nobody takes are tried elsewhere for ten seconds, as a load balancer would."""


class Ending(StrEnum):
    """How a request ended for its client."""

    WHOLE = "whole"
    """All of the answer."""
    REFUSED = "refused"
    """An error response in the dialect, before any of the answer."""
    IN_BAND = "in_band"
    """An error event in the dialect as the last of a stream that had begun."""
    CUT = "cut"
    """The connection was lost: the client knows that it has not got everything."""
    SHORT = "short"
    """A clean end of an answer that is not whole: must never happen."""
    MALFORMED = "malformed"
    """Something that is neither answer nor error: must never happen."""
    HUNG = "hung"
    """No end within `REQUEST_TIMEOUT_S`: must never happen."""
    LEFT = "left"
    """The client itself did not wait for the end."""


PROPER = frozenset({Ending.WHOLE, Ending.REFUSED, Ending.IN_BAND})
"""What a request may end with as long as its edge lives."""


@dataclasses.dataclass(slots=True)
class Outcome:
    """One request.

    Attributes:
        ending: see `Ending`.
        status: HTTP status, 0 if none came.
        code, error_type, message: of the error.
        headers: of the response, names in lower case.
        chunks: content chunks of a stream.
        usage: as reported to this client, if it was.
        began: monotonic seconds of its start.
        seconds: from its start to its end.
        edge: where it was sent.
        untaken: the connection was refused.
    """

    ending: Ending = Ending.MALFORMED
    status: int = 0
    code: str | None = None
    error_type: str = ""
    message: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    chunks: int = 0
    usage: Mapping[str, Any] | None = None
    began: float = 0.0
    seconds: float = 0.0
    edge: str = ""
    untaken: bool = False


class ChatClient:
    """Sends chat requests with one key.

    Args:
        http: carries them.
        key: API key.
        model: public model name.
    """

    def __init__(self, http: aiohttp.ClientSession, key: str, model: str) -> None:
        self._http = http
        self._clock = SystemClock()
        self.key = key
        self.model = model

    def body(self, script: Mapping[str, object] | None = None, *, stream: bool = False, **fields: object) -> bytes:
        """Return the body of a request; ``script`` tells the demo upstream how to answer."""
        message = {"role": "user", "content": "say something that a test can count"}
        body = {"model": self.model, "messages": [message], "stream": stream, **fields}
        if script:
            body[FIELD] = dict(script)
        return msgspec.json.encode(body)

    async def chat(
        self,
        edge: str,
        script: Mapping[str, object] | None = None,
        *,
        stream: bool = False,
        on_chunk: Callable[[int], None] | None = None,
        **fields: object,
    ) -> Outcome:
        """Make a request and return how it ended. Never raises for anything that the other side does.

        Args:
            edge: base URL, without ``/v1``.
            script: see `body`.
            stream: whether to ask for a stream.
            on_chunk: called with the number of each content chunk, from 1 on, however many one read has brought.
            fields: further fields of the body.
        """
        began = self._clock.now()
        outcome = Outcome(edge=edge, began=began)
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                async with self._http.post(
                    f"{edge}/v1/chat/completions",
                    data=self.body(script, stream=stream, **fields),
                    headers={"authorization": f"Bearer {self.key}", "content-type": "application/json"},
                ) as response:
                    outcome.status = response.status
                    outcome.headers = {name.lower(): value for name, value in response.headers.items()}
                    if response.status == 200 and stream:
                        await _read_stream(response, outcome, on_chunk)
                    else:
                        _read_whole(await response.read(), outcome)
        except TimeoutError:
            outcome.ending = Ending.HUNG
        except (aiohttp.ClientError, OSError) as error:
            outcome.ending = Ending.CUT
            outcome.untaken = isinstance(error, aiohttp.ClientConnectorError)
        outcome.seconds = self._clock.now() - began
        return outcome

    async def chat_anywhere(
        self,
        edges: Sequence[str],
        first: int,
        script: Mapping[str, object] | None = None,
        *,
        stream: bool = False,
        reuses: bool = False,
        **fields: Any,
    ) -> Outcome:
        """Make a request as a load balancer does: where a connection is refused, another edge is tried.

        Args:
            edges: base URLs.
            first: index of the one to try first.
            script: as for `chat`.
            stream: as for `chat`.
            reuses: connections are kept. One that is closed just when it is used again, before any byte of an answer,
                is then like one that was refused (RFC 9112 section 9.3.1).
            fields: as for `chat`.
        """
        for attempt in range(RETRIES_MAX):
            outcome = await self.chat(edges[(first + attempt) % len(edges)], script, stream=stream, **fields)
            closed = reuses and outcome.ending is Ending.CUT and not outcome.status
            if not (outcome.untaken or closed):
                return outcome
            await self._clock.sleep(RETRY_WAIT_S)
        return outcome


def _read_whole(body: bytes, outcome: Outcome) -> None:
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return
    if outcome.status != 200:
        outcome.ending = Ending.REFUSED if _note_error(answer, outcome) else Ending.MALFORMED
        return
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if choices and choices[0]["finish_reason"] and choices[0]["message"]["content"]:
        outcome.usage = answer.get("usage")
        outcome.ending = Ending.WHOLE


async def _read_stream(
    response: aiohttp.ClientResponse, outcome: Outcome, on_chunk: Callable[[int], None] | None
) -> None:
    finished = done = failed = False
    pending = b""
    async for data in response.content.iter_any():
        pending += data
        *events, pending = pending.split(b"\n\n")
        before = outcome.chunks
        for event in events:
            if event.startswith(b":"):
                continue  # a comment
            if done or failed or not event.startswith(b"data: "):
                return  # something after the end, or no event: malformed
            if event == b"data: [DONE]":
                done = True
                continue
            chunk = msgspec.json.decode(event[6:])
            if "error" in chunk:
                failed = _note_error(chunk, outcome)
                if not failed:
                    return
                continue
            outcome.usage = chunk.get("usage") or outcome.usage
            for choice in chunk["choices"]:
                outcome.chunks += bool(choice["delta"].get("content"))
                finished = finished or bool(choice["finish_reason"])
        if on_chunk is not None:
            for number in range(before + 1, outcome.chunks + 1):
                on_chunk(number)
    if failed:
        outcome.ending = Ending.IN_BAND if not pending else Ending.MALFORMED
    else:
        outcome.ending = Ending.WHOLE if done and finished and not pending else Ending.SHORT


def _note_error(body: object, outcome: Outcome) -> bool:
    """Return whether a body is an error as OpenAI words it, and note what it says."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or not {"message", "type", "param", "code"} <= error.keys():
        return False
    outcome.error_type, outcome.code, outcome.message = error["type"], error["code"], error["message"]
    return bool(error["message"]) and "x-request-id" in outcome.headers


def endings(outcomes: Sequence[Outcome]) -> Counter[str]:
    """Return how many requests ended how; errors by their code."""
    return Counter(
        outcome.ending.value if outcome.code is None else f"{outcome.ending.value}:{outcome.code}"
        for outcome in outcomes
    )


def assert_proper(outcomes: Sequence[Outcome], allowed: Collection[Ending] = PROPER) -> None:
    """Assert that each request ended in one of the allowed ways."""
    wrong = [outcome for outcome in outcomes if outcome.ending not in allowed]
    assert not wrong, f"{endings(outcomes)}; for example {wrong[0]}"


class Load:
    """Requests that go on until told otherwise.

    Attributes:
        outcomes: of those that have ended.
    """

    def __init__(self, request: Callable[[int], Awaitable[Outcome]]) -> None:
        self._request = request
        self._stopping = False
        self.outcomes: list[Outcome] = []

    async def work(self, number: int) -> None:
        """Make one request after the other."""
        while not self._stopping:
            self.outcomes.append(await self._request(number))
            number += 1

    def stop(self) -> None:
        """Begin no more."""
        self._stopping = True

    async def progress(self, requests: int) -> None:
        """Return once so many more have ended."""
        enough = len(self.outcomes) + requests

        async def look() -> bool:
            return len(self.outcomes) >= enough

        await eventually(look, within_s=PROGRESS_TIMEOUT_S, what=f"{requests} more requests have ended")


@contextlib.asynccontextmanager
async def load(request: Callable[[int], Awaitable[Outcome]], *, workers: int) -> AsyncIterator[Load]:
    """Keep ``workers`` requests under way for the length of the block, which ends when the last has ended.

    Args:
        request: makes one; its argument differs from one request to the next.
        workers: how many at a time.
    """
    running = Load(request)
    tasks = TaskSet()
    working = [tasks.spawn(running.work(number), name="load") for number in range(workers)]
    try:
        yield running
        running.stop()
        await asyncio.gather(*working)
    finally:
        await tasks.cancel()


def session(*, reuse: bool = False) -> aiohttp.ClientSession:
    """Return an HTTP client for many requests at once, each over a connection of its own unless told otherwise."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=not reuse),
        timeout=aiohttp.ClientTimeout(total=None),
        read_bufsize=256 * 1024,
    )
