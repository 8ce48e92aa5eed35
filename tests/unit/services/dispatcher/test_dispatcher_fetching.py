"""What a job's request names by URL: for whom it is fetched, once, within bounds, and what the client is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from services.dispatcher.fetching import JobMedia, MediaError, MediaFetcher
from services.dispatcher.job_entry import JobEntry
from services.dispatcher.metrics import DispatcherMetrics
from services.dispatcher.passage import Leg, inlines, open_passage
from tests.support.job_scripts import JOB, envelope
from trunkline.bus.dispatch_job import DispatchJob
from trunkline.bus.port import Bus
from trunkline.bus.snapshots import ChannelSnapshot
from trunkline.core import limits
from trunkline.core.errors import ErrorType
from trunkline.policy.fetching import Fetched, FetchError, FetchResult
from trunkline.policy.routing import Candidate
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.vendor import VendorOptions
from trunkline.runtime.http_fetch import HTTPFetcher
from trunkline.runtime.tasks import TaskSet

URL = "https://example.com/secret-name.png"
PNG = Fetched("image/png", b"\x89PNG\r\n\x1a\n" + bytes(10))


def images(*urls: str) -> dict[str, Any]:
    return {
        "model": "public",
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}} for url in urls]}],
    }


def leg(dialect: str, upstream: str, options: VendorOptions, body: object = None) -> Leg:
    offered = msgspec.structs.replace(envelope(), dialect=dialect, model="public", stream=False)
    channel = ChannelSnapshot(1, "c", upstream, "https://provider.example/v1", (), {"public": "own"}, options=options)
    candidate = Candidate(channel, None, "default", "own", last_resort=False)
    return Leg(offered, JOB, json.dumps(body or images(URL)).encode(), candidate, RequestRules(), 0)


class FakeFetcher:
    """An `HTTPFetcher` that gives what it has by URL: a result, an error, or something to wait for."""

    def __init__(self) -> None:
        self.has: dict[str, Fetched | FetchError | asyncio.Future[Fetched]] = {}
        self.asked: list[str] = []

    async def fetch(self, url: str, _accepts: frozenset[str], take: Callable[[int], None]) -> Fetched:
        self.asked.append(url)
        found = self.has.get(url, PNG)
        if isinstance(found, asyncio.Future):
            found = await found
        if isinstance(found, FetchError):
            raise found
        take(len(found.data))
        return found


class Run:
    """One job and its dispatcher's fetcher."""

    def __init__(self) -> None:
        self.web = FakeFetcher()
        self.registry = CollectorRegistry()
        self.fetcher = MediaFetcher(cast("HTTPFetcher", self.web), metrics=DispatcherMetrics(self.registry))
        self.entry = JobEntry(DispatchJob("d1", JOB, 0, envelope(), b"hello", version=1), cast("Bus", None), 600.0)
        self.media = JobMedia(self.fetcher, self.entry)

    def counted(self) -> dict[str, float]:
        (metric,) = [found for found in self.registry.collect() if found.name == "trunkline_dispatcher_fetches"]
        samples = [sample for sample in metric.samples if sample.name.endswith("_total")]
        return {sample.labels["result"]: sample.value for sample in samples if sample.value}

    async def fails(self, body: object) -> MediaError:
        with pytest.raises(MediaError) as raised:
            await self.media.inlined(leg(OPENAI_CHAT, "openai", INLINE, body))
        assert (self.fetcher.running, self.entry._calls) == (0, ())
        return raised.value


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    running = Run()
    yield running
    running.media.close()
    assert (running.fetcher.running, running.fetcher.held_bytes) == (0, 0)


INLINE, LEAVE, UNSAID = VendorOptions(inline_images=True), VendorOptions(inline_images=False), VendorOptions()


@pytest.mark.parametrize(
    ("dialect", "upstream", "options", "expected"),
    [
        (OPENAI_CHAT, "openai", UNSAID, False),
        (OPENAI_CHAT, "openai", INLINE, True),
        (ANTHROPIC, "openai", INLINE, True),
        (ANTHROPIC, "openai", UNSAID, False),
        (ANTHROPIC, "anthropic", INLINE, True),
        (OPENAI_RESPONSES, "openai-responses", INLINE, True),
        (OPENAI_CHAT, "gemini", UNSAID, True),
        (OPENAI_CHAT, "gemini", INLINE, True),
        (OPENAI_CHAT, "gemini", LEAVE, False),
        (GEMINI, "gemini", UNSAID, False),
        (GEMINI, "gemini", INLINE, True),
        (GEMINI, "openai", UNSAID, False),
        ("embeddings", "openai", INLINE, False),
        ("completions", "gemini", INLINE, False),
    ],
)
def test_for_whom(dialect: str, upstream: str, options: VendorOptions, expected: bool) -> None:
    assert inlines(leg(dialect, upstream, options)) is expected


async def test_a_body_without_links_is_the_very_same_and_nothing_is_awaited(run: Run) -> None:
    plain = leg(OPENAI_CHAT, "openai", INLINE, images("data:image/png;base64,AAAA"))
    with pytest.raises(StopIteration) as returned:
        run.media.inlined(plain).send(None)
    assert returned.value.value.body is plain.body
    assert run.web.asked == []


async def test_all_are_fetched_at_once_and_once_for_all_attempts(run: Run) -> None:
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()
    run.web.has = {"https://a/1": first, "https://a/2": second}
    tasks = TaskSet()
    task = tasks.spawn(
        run.media.inlined(leg(OPENAI_CHAT, "openai", INLINE, images("https://a/1", "https://a/2"))), name="t"
    )
    while len(run.web.asked) < 2:
        await asyncio.wait([task], timeout=0)
    assert run.fetcher.running == 2
    second.set_result(Fetched("image/gif", b"GIF89a"))
    first.set_result(PNG)
    inlined = await task
    parts = json.loads(inlined.body)["messages"][0]["content"]
    assert [part["image_url"]["url"] for part in parts] == [
        "data:image/png;base64,iVBORw0KGgoAAAAAAAAAAAAA",
        "data:image/gif;base64,R0lGODlh",
    ]
    again = await run.media.inlined(leg(OPENAI_CHAT, "gemini", UNSAID, images("https://a/1", "https://a/2")))
    assert again.body is inlined.body
    assert len(run.web.asked) == 2
    assert run.fetcher.held_bytes == len(PNG.data) + len(b"GIF89a")
    assert run.counted() == {"fetched": 2}


@pytest.mark.parametrize(
    ("upstream", "options", "fidelity"),
    [("gemini", UNSAID, "degraded=image_url"), ("openai-responses", INLINE, ""), ("openai", INLINE, "")],
)
async def test_the_crossing_says_what_was_fetched(
    run: Run, upstream: str, options: VendorOptions, fidelity: str
) -> None:
    passage = open_passage(await run.media.inlined(leg(OPENAI_CHAT, upstream, options)))
    assert passage.fidelity == fidelity
    assert b"iVBORw0KGgoAAAAAAAAAAAAA" in passage.body
    assert URL.encode() not in passage.body


async def test_a_chat_provider_gets_a_document_that_it_could_not_be_told_of(run: Run) -> None:
    run.web.has[URL] = Fetched("application/pdf", b"%PDF-")
    body = {
        "model": "public",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "url", "url": URL}}]}],
    }
    passage = open_passage(await run.media.inlined(leg(ANTHROPIC, "openai", INLINE, body)))
    (part,) = json.loads(passage.body)["messages"][0]["content"]
    assert part["file"]["file_data"] == "data:application/pdf;base64,JVBERi0="
    assert passage.fidelity == ""


def test_a_gemini_channel_whose_models_fetch_gets_the_url() -> None:
    passage = open_passage(leg(OPENAI_CHAT, "gemini", LEAVE))
    (part,) = json.loads(passage.body)["contents"][0]["parts"]
    assert part == {"fileData": {"mimeType": "image/png", "fileUri": URL}}
    assert passage.fidelity == "degraded=image_url"


# --- failures ------------------------------------------------------------------------------------------------------


async def test_the_client_is_told_which_field_and_what_to_do_but_not_where_it_led(run: Run) -> None:
    run.web.has[URL] = FetchError(FetchResult.FORBIDDEN_ADDRESS)
    fault = (await run.fails(images("https://a/1", URL))).fault
    param = "messages[0].content[1].image_url.url"
    assert (fault.type, fault.param, fault.code) == (ErrorType.CLIENT_BAD_REQUEST, param, "invalid_image_url")
    assert fault.message == (
        f"`{param}` could not be fetched: its server cannot be reached from here. Give the URL of a public JPEG, PNG, "
        "GIF or WebP picture, or send it inline as base64."
    )
    assert run.counted() == {"fetched": 1, "forbidden_address": 1}


async def test_the_first_failure_ends_the_others(run: Run) -> None:
    run.web.has = {
        "https://a/1": asyncio.get_running_loop().create_future(),
        "https://a/2": FetchError(FetchResult.TIMEOUT),
    }
    fault = (await run.fails(images("https://a/1", "https://a/2"))).fault
    assert fault.param == "messages[0].content[1].image_url.url"
    assert "within 10 s" in fault.message
    assert run.counted() == {"given_up": 1, "timeout": 1}


async def test_a_request_may_name_so_many(run: Run) -> None:
    most = [f"https://a/{number}" for number in range(limits.FETCHES_PER_JOB_MAX)]
    fault = (await run.fails(images(*most, "https://a/one-more"))).fault
    assert (fault.type, fault.param) == (ErrorType.CLIENT_BAD_REQUEST, "messages[0].content[32].image_url.url")
    assert run.web.asked == []
    await run.media.inlined(leg(OPENAI_CHAT, "openai", INLINE, images(*most)))
    assert run.counted() == {"too_many": 1, "fetched": limits.FETCHES_PER_JOB_MAX}


async def test_all_of_a_request_are_bounded_together(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FETCH_JOB_BYTES_MAX", 2 * len(PNG.data))
    fault = (await run.fails(images("https://a/1", "https://a/1", "https://a/1"))).fault
    assert fault.type is ErrorType.CLIENT_BAD_REQUEST
    assert run.counted()["too_large"] == 1


@pytest.mark.parametrize(("name", "bound"), [("FETCHED_BYTES_MAX", len(PNG.data)), ("FETCHES_MAX", 1)])
async def test_all_jobs_are_bounded_together(run: Run, name: str, bound: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, name, bound)
    fault = (await run.fails(images("https://a/1", "https://a/2"))).fault
    assert (fault.type, fault.retry_after_ms, fault.param) == (ErrorType.GATEWAY_BUSY, 1000, None)
    assert run.counted()["busy"] == 1
    run.media.close()
    assert run.fetcher.held_bytes == 0
    await run.media.inlined(leg(OPENAI_CHAT, "openai", INLINE))


async def test_a_client_that_leaves_ends_the_fetching(run: Run) -> None:
    waiting = run.web.has[URL] = asyncio.get_running_loop().create_future()
    tasks = TaskSet()
    task = tasks.spawn(run.media.inlined(leg(OPENAI_CHAT, "openai", INLINE)), name="t")
    while not run.web.asked:
        await asyncio.wait([task], timeout=0)
    run.entry.cancel()
    run.entry.cancel()
    await task
    assert waiting.cancelled()
    assert (run.fetcher.running, run.entry._calls) == (0, ())
    assert run.counted() == {"given_up": 1}


async def test_nothing_more_is_fetched_for_a_second_call_once_the_first_has_the_answer(run: Run) -> None:
    never: asyncio.Future[Fetched] = asyncio.get_running_loop().create_future()
    run.web.has[URL] = never
    first = SimpleNamespace(outrun=lambda: None, cancel=lambda: None)
    run.entry.began(first)
    wanted = leg(OPENAI_CHAT, "openai", INLINE)
    asyncio.get_running_loop().call_soon(run.entry.won, first)  # as soon as the second waits
    async with asyncio.timeout(1.0):
        assert await run.media.inlined(wanted) == wanted
    assert run.fetcher.running == 0
    run.entry.over(first)
    run.web.has[URL] = PNG
    assert (await run.media.inlined(wanted)).body != wanted.body
