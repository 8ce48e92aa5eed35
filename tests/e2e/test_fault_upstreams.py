"""What an upstream can do wrong, alone and with a healthy one behind it, as the official SDK sees it.

Alone, a fault becomes the right error; with a second channel it becomes an answer, unless output had begun: then it
is an error inside the stream, never a clean end.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import aiohttp
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.support.books import assert_books_agree
from tests.support.chat_client import session
from tests.support.live_stack import LiveStack, StackPlan

TIMEOUTS = {"connect_s": 2, "first_token_s": 0.8, "idle_s": 0.6, "total_s": 1.5}


class Seen(NamedTuple):
    """What the SDK is to raise: an error response, or with ``status`` 0 an error inside a stream."""

    status: int
    code: str

    @property
    def raised(self) -> type[openai.APIError]:
        match self.status:
            case 0:
                return openai.APIError
            case 400:
                return openai.BadRequestError
            case 429:
                return openai.RateLimitError
            case _:
                return openai.InternalServerError


class Fault(NamedTuple):
    """One way to fail.

    Attributes:
        script: of the channel that fails.
        plain, stream: what is seen if that channel is alone.
        begun: whether a stream has had output before: then a second channel does not help.
        retried: whether a second channel is asked at all.
    """

    script: str
    plain: Seen
    stream: Seen
    begun: bool = False
    retried: bool = True


INVALID, LATE = "upstream_invalid_response", "upstream_timeout"
LIMITED = Seen(429, "rate_limit_exceeded")
UNAVAILABLE = Seen(502, "upstream_unavailable")

FAULTS = {
    "cuts-early": Fault("cut_after=0", Seen(502, INVALID), Seen(502, INVALID)),
    "cuts-midway": Fault("chunks=20&delay_ms=5&cut_after=5", Seen(502, INVALID), Seen(0, INVALID), begun=True),
    "stalls-early": Fault("stall_after=0", Seen(504, LATE), Seen(504, LATE)),
    "stalls-midway": Fault("chunks=20&delay_ms=5&stall_after=5", Seen(504, LATE), Seen(0, LATE), begun=True),
    "breaks-early": Fault("chunks=20&delay_ms=20&broken_chunk_after=0", Seen(502, INVALID), Seen(502, INVALID)),
    "breaks-midway": Fault(
        "chunks=20&delay_ms=20&broken_chunk_after=5", Seen(502, INVALID), Seen(0, INVALID), begun=True
    ),
    "never-answers": Fault("never_answer=true", Seen(504, LATE), Seen(504, LATE)),
    "limits": Fault("status=429&retry_after=7", LIMITED, LIMITED),
    "refuses-credential": Fault("status=401", UNAVAILABLE, UNAVAILABLE),
    "wants-payment": Fault("status=402", UNAVAILABLE, UNAVAILABLE),
    "fails": Fault("status=500", UNAVAILABLE, UNAVAILABLE),
    "is-overloaded": Fault("status=503", Seen(503, "overloaded"), Seen(503, "overloaded")),
    "refuses-request": Fault("status=400", Seen(400, "invalid_value"), Seen(400, "invalid_value"), retried=False),
}


class Rig(NamedTuple):
    """A stack, and the SDK on its first edge."""

    stack: LiveStack
    sdk: openai.AsyncOpenAI
    http: aiohttp.ClientSession

    async def ask(self, model: str, *, stream: bool) -> str:
        """Return the text of an answer; raises what the SDK raises."""
        messages: list[ChatCompletionMessageParam] = [
            {"role": "user", "content": "say something that a test can count"}
        ]
        if not stream:
            answer = await self.sdk.chat.completions.create(model=model, messages=messages)
            assert answer.choices[0].finish_reason == "stop"
            return answer.choices[0].message.content or ""
        text, finished = "", False
        async for event in await self.sdk.chat.completions.create(model=model, messages=messages, stream=True):
            for choice in event.choices:
                text += choice.delta.content or ""
                finished = finished or choice.finish_reason == "stop"
        assert finished, "a stream ended cleanly before its answer did"
        return text


@pytest.fixture(scope="module")
def stack_and_key() -> Iterator[tuple[LiveStack, str]]:
    plan = StackPlan(edges=1, dispatchers=2)
    for name, fault in FAULTS.items():
        plan.channel(f"{name}-alone", f"{name}-alone", script=fault.script, timeouts=TIMEOUTS)
        plan.channel(f"{name}-first", f"{name}-backed", script=fault.script, timeouts=TIMEOUTS, priority=10)
        plan.channel(f"{name}-second", f"{name}-backed")
    key = plan.account("acme")
    with plan.running() as stack:
        yield stack, key


@pytest.fixture
async def rig(stack_and_key: tuple[LiveStack, str]) -> AsyncIterator[Rig]:
    stack, key = stack_and_key
    async with (
        session() as http,
        openai.AsyncOpenAI(base_url=f"{stack.edges[0]}/v1", api_key=key, max_retries=0, timeout=20) as sdk,
    ):
        yield Rig(stack, sdk, http)


def assert_seen(error: openai.APIError, seen: Seen) -> None:
    assert type(error) is seen.raised
    assert error.code == seen.code
    assert isinstance(error.body, dict)
    assert error.body["message"]
    if isinstance(error, openai.APIStatusError):
        assert error.status_code == seen.status
        assert error.request_id
    else:
        assert error.body["request_id"]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", FAULTS)
async def test_fault_of_the_only_channel(rig: Rig, name: str, stream: bool) -> None:
    fault = FAULTS[name]
    with pytest.raises(openai.APIError) as caught:
        await rig.ask(f"{name}-alone", stream=stream)
    assert_seen(caught.value, fault.stream if stream else fault.plain)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", FAULTS)
async def test_fault_of_the_first_of_two_channels(rig: Rig, name: str, stream: bool) -> None:
    fault = FAULTS[name]
    if (stream and fault.begun) or not fault.retried:
        with pytest.raises(openai.APIError) as caught:
            await rig.ask(f"{name}-backed", stream=stream)
        assert_seen(caught.value, fault.stream if stream else fault.plain)
    else:
        assert (await rig.ask(f"{name}-backed", stream=stream)).startswith("Hello!")


async def test_retry_after_reaches_the_client(rig: Rig) -> None:
    for _ in range(4):  # the first is the provider's word, the later ones may be a dispatcher's memory of it
        with pytest.raises(openai.RateLimitError) as caught:
            await rig.ask("limits-alone", stream=False)
        headers = caught.value.response.headers
        assert 0 < int(headers["retry-after"]) <= 7
        assert 0 < int(headers["retry-after-ms"]) <= 7000
        assert "x-should-retry" not in headers


async def test_books_agree_after_all_faults(rig: Rig) -> None:
    with contextlib.suppress(openai.APIError):
        await rig.ask("cuts-midway-alone", stream=True)
    await assert_books_agree(rig.stack, rig.http)
    counts = await rig.stack.counts(rig.http)
    assert counts.begun == counts.finished + counts.aborted + counts.cut + counts.refused
