"""Tests of channels and lists of models over the admin API, with a provider that says what it is told to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from services.console import channel_trial, probes_api
from tests.support.console import Answer, RunningConsole, running_console
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet

SECRET = "planted-secret-0123456789"
OTHER = "another-secret-0123456789"
ANSWER = {"choices": [{"index": 0, "message": {"content": "Good day"}, "finish_reason": "length"}]}
MODELS = {"object": "list", "data": [{"id": "up"}, {"id": "new"}]}


class Provider:
    """Answers each path as it is told to, and 404 elsewhere.

    Attributes:
        answers: status and body by the path's end; a string is sent as HTML.
        asked: what was asked for: path with query, and the credential.
    """

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[tuple[str, str]] = []
        self.port = 0

    async def handle(self, request: web.Request) -> web.Response:
        secret = request.headers.get("authorization", "").removeprefix("Bearer ") or request.headers.get(
            "x-api-key", ""
        )
        self.asked.append((request.path_qs.removeprefix("/v1"), secret))
        ends = (request.path_qs, request.path)
        status, body = next(
            (self.answers[end.removeprefix("/v1")] for end in ends if end.removeprefix("/v1") in self.answers),
            (404, {"error": {"message": "Nothing here.", "code": "model_not_found"}}),
        )
        if isinstance(body, str):
            return web.Response(status=status, text=body, content_type="text/html", headers={"location": "/elsewhere"})
        return web.json_response(body, status=status)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Provider"]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with Provider().running() as running:
        yield running


@pytest.fixture
async def console(bus: NATSBus, tasks: TaskSet, database_dsn: str, provider: Provider) -> AsyncIterator[RunningConsole]:
    configuration = {
        "channels": [
            {
                "name": "main",
                "dialect": "openai",
                "base_url": f"http://127.0.0.1:{provider.port}/v1",
                "models": {"m": "up", "e": "embedder"},
                "credentials": [SECRET, OTHER],
            },
            {
                "name": "claude",
                "dialect": "anthropic",
                "base_url": f"http://127.0.0.1:{provider.port}/v1",
                "models": {"m": "up"},
                "credentials": [SECRET],
            },
            {"name": "gone", "dialect": "openai", "base_url": "http://127.0.0.1:9/v1", "models": {"m": "up"}},
        ],
        "models": [{"name": "m", "free": True}, {"name": "e", "free": True}],
    }
    async with running_console(bus, tasks, database_dsn) as running:
        assert (await running.client.call("POST", "/apply", configuration)).status == 200
        yield running


async def outcome_of(console: RunningConsole, body: object = None, channel: str = "main") -> Any:
    found = await console.client.call("POST", f"/channels/{channel}/test", body)
    assert found.status == 200, found.body
    return found.body


def verdict(found: Any) -> tuple[Any, ...]:
    return found["kind"], found["model"], found["result"], found["status"], found["error"]


async def test_without_a_model_the_list_is_asked_for(console: RunningConsole, provider: Provider) -> None:
    provider.answers["/models"] = 200, MODELS
    found = await outcome_of(console)

    assert verdict(found) == ("models", None, "passed", 200, None)
    assert (found["channel"], found["message"]) == ("main", "")
    assert 0 <= found["took_ms"] < 5000
    assert provider.asked == [("/models", SECRET)]


async def test_with_a_model_and_a_credential(console: RunningConsole, provider: Provider) -> None:
    provider.answers["/chat/completions"] = 200, ANSWER
    credentials = (await console.client.call("GET", "/channels/main")).body["credentials"]
    second = credentials[1]["id"]
    found = await outcome_of(console, {"model": "m", "credential": second})

    assert verdict(found) == ("completion", "m", "passed", 200, None)
    assert found["credential"] == second
    assert provider.asked == [("/chat/completions", OTHER)]
    assert "Good day" not in str(found)


async def test_a_model_of_embeddings_is_asked_for_one(console: RunningConsole, provider: Provider) -> None:
    provider.answers["/embeddings"] = 200, {"data": [{"index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 1}}
    found = await outcome_of(console, {"model": "e"})

    assert verdict(found) == ("embedding", "e", "passed", 200, None)
    assert [path for path, _ in provider.asked] == ["/chat/completions", "/embeddings"]


async def test_where_there_is_no_list_a_model_is_asked(console: RunningConsole, provider: Provider) -> None:
    provider.answers["/chat/completions"] = 200, ANSWER
    provider.answers["/embeddings"] = 200, {"data": [{"index": 0, "embedding": [0.5]}]}
    found = await outcome_of(console)

    assert verdict(found) == ("completion", "e", "passed", 200, None)


async def test_a_refusal_is_told_in_the_providers_words_without_secrets(
    console: RunningConsole, provider: Provider
) -> None:
    said = f"Incorrect API key provided: {SECRET} (sk-proj-***********wxyz). " + "See the help. " * 100
    provider.answers["/chat/completions"] = 401, {"error": {"message": said, "code": "invalid_api_key"}}
    found = await outcome_of(console, {"model": "m"})

    assert verdict(found) == ("completion", "m", "credential", 401, "upstream_credential")
    assert found["message"].startswith("Incorrect API key provided: [key] ([key]). See the help.")
    assert len(found["message"]) <= channel_trial.MESSAGE_CHARS_MAX
    assert SECRET not in str(found)


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (302, "moved", ("failed", "upstream_invalid")),
        (200, "<html>welcome</html>", ("failed", "upstream_invalid")),
        (403, {"error": {"message": "No."}}, ("credential", "upstream_credential")),
        (429, {"error": {"message": "Slowly."}}, ("passed", "upstream_rate_limited")),
        (503, {"error": {"message": "Overloaded."}}, ("failed", "upstream_overloaded")),
    ],
)
async def test_what_is_no_list_is_no_success(
    console: RunningConsole, provider: Provider, status: int, body: Any, why: tuple[str, str]
) -> None:
    provider.answers["/models"] = status, body
    found = await outcome_of(console)

    assert verdict(found) == ("models", None, why[0], status, why[1])
    assert found["message"]
    assert [path for path, _ in provider.asked] == ["/models"]  # no redirect was followed


async def test_nobody_there(console: RunningConsole) -> None:
    found = await outcome_of(console, channel="gone")

    assert verdict(found) == ("models", None, "unreachable", None, "upstream_unreachable")
    assert found["credential"] is None


async def test_what_cannot_be_tested(console: RunningConsole) -> None:
    async def refused(channel: str, body: object) -> Answer:
        return await console.client.call("POST", f"/channels/{channel}/test", body)

    assert (await refused("none", None)).status == 404
    assert (await refused("main", {"model": "other"})).status == 400
    assert (await refused("main", {"credential": 10**9})).status == 404
    assert (await refused("main", {"modle": "m"})).status == 400
    assert (await console.client.call("POST", "/channels/main/test", None, headers={})).status == 401


async def test_a_test_is_not_in_the_audit_log(console: RunningConsole, provider: Provider) -> None:
    provider.answers["/models"] = 200, MODELS
    await outcome_of(console)

    found = await console.client.call("GET", "/audit?operation=test_channel")
    assert (found.status, found.body["entries"]) == (200, [])


async def test_only_so_many_at_a_time(console: RunningConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes_api, "AT_ONCE_MAX", 0)
    found = await console.client.call("POST", "/channels/main/test")

    assert (found.status, found.body["error"]["type"]) == (503, "gateway_busy")


async def test_models_are_discovered(console: RunningConsole, provider: Provider) -> None:
    provider.answers["/models"] = 200, MODELS
    found = await console.client.call("GET", "/channels/main/discovered")

    assert found == Answer(
        200,
        {
            "channel": "main",
            "models": [{"name": "new", "mapped_as": []}, {"name": "up", "mapped_as": ["m"]}],
            "unlisted": ["e"],
            "complete": True,
        },
    )


async def test_pages_are_followed_to_their_end(console: RunningConsole, provider: Provider) -> None:
    first = {"data": [{"id": "a"}, {"id": "up"}], "has_more": True, "last_id": "up"}
    provider.answers["/models?limit=1000"] = 200, first
    provider.answers["/models?limit=1000&after_id=up"] = 200, {"data": [{"id": "z"}], "has_more": False}
    found = (await console.client.call("GET", "/channels/claude/discovered")).body

    assert [model["name"] for model in found["models"]] == ["a", "up", "z"]
    assert (found["complete"], found["unlisted"]) == (True, [])
    assert {secret for _, secret in provider.asked} == {SECRET}


async def test_pages_without_end_are_cut(
    console: RunningConsole, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes_api, "PAGES_MAX", 2)
    for query, last in (("", "a"), ("&after_id=a", "b"), ("&after_id=b", "c")):
        page = {"data": [{"id": last}], "has_more": True, "last_id": last}
        provider.answers[f"/models?limit=1000{query}"] = 200, page
    found = (await console.client.call("GET", "/channels/claude/discovered")).body

    assert [model["name"] for model in found["models"]] == ["a", "b"]
    assert found["complete"] is False
    assert len(provider.asked) == 2


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (401, {"error": {"message": f"Bad key {SECRET}."}}, ("upstream_credential", "(status 401). Bad key [key].")),
        (200, "<html>", ("upstream_invalid", "not with a list of models")),
        (404, {"error": {"message": "Nothing here."}}, ("upstream_error", "(status 404). Nothing here.")),
    ],
)
async def test_a_list_that_cannot_be_had(
    console: RunningConsole, provider: Provider, status: int, body: Any, why: tuple[str, str]
) -> None:
    provider.answers["/models"] = status, body
    found = await console.client.call("GET", "/channels/main/discovered")

    assert (found.status, found.body["error"]["type"]) == (502, why[0])
    assert why[1] in found.body["error"]["message"]


async def test_a_list_of_nobody(console: RunningConsole) -> None:
    found = await console.client.call("GET", "/channels/gone/discovered")
    assert (found.status, found.body["error"]["type"]) == (502, "upstream_unreachable")
    assert (await console.client.call("GET", "/channels/main/discovered?credential=x")).status == 400
    assert (await console.client.call("GET", "/channels/main/discovered?credential=999999")).status == 404
