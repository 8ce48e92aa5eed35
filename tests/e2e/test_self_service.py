"""What clients see of their own limits, use and costs: in every SDK's headers, in answers, and where they ask for it.

Every figure is compared with the ledger's.
"""

import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import anthropic
import openai
import pytest
from google import genai
from google.genai import types as google

from tests.support.books import ledger_connection
from tests.support.chat_client import session
from tests.support.live_stack import LiveStack, StackPlan
from tests.support.waiting import eventually
from trunkline.core.money import NANO_PER_USD, usd_text

MODEL = "demo"
COST_HEADER = "x-trunkline-cost-usd"
ASK_HEADER = {"x-trunkline-include-cost": "true"}
SETTLED_WITHIN_S = 10.0
PAGE = Path(__file__).parents[2] / "docs" / "operating" / "self-service.md"
RPM, TPM, CREDIT_NANO = 50, 100_000, 7 * NANO_PER_USD
MAX_TOKENS = 5
NOT_THERE = "00000000-0000-7000-8000-000000000000"


class Reply(NamedTuple):
    """An answer: ``body`` is its JSON, None if it is none."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Rig(NamedTuple):
    stack: LiveStack
    keys: dict[str, str]
    http: aiohttp.ClientSession

    @property
    def edge(self) -> str:
        return self.stack.edges[0]

    async def call(
        self, path: str, key: str, body: object = None, *, method: str = "", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a request to the first edge, with the key of that account."""
        sent = {"authorization": f"Bearer {self.keys[key]}", **(headers or {})}
        data = None if body is None else json.dumps(body)
        method = method or ("GET" if body is None else "POST")
        async with self.http.request(method, f"{self.edge}{path}", data=data, headers=sent) as response:
            content = await response.read()
            found = json.loads(content) if content.startswith(b"{") else None
            return Reply(response.status, {name.lower(): value for name, value in response.headers.items()}, found)

    async def chat(self, key: str, **fields: object) -> Reply:
        message = {"role": "user", "content": "Hello!"}
        return await self.call("/v1/chat/completions", key, {"model": MODEL, "messages": [message], **fields})

    async def generation(self, request_id: str, key: str) -> dict[str, Any]:
        """Return what is told of a request once it is settled."""

        async def look() -> Any:
            reply = await self.call(f"/v1/generations/{request_id}", key)
            assert reply.status in {200, 404}, reply
            return reply.body if reply.status == 200 else None

        found: dict[str, Any] = await eventually(look, within_s=SETTLED_WITHIN_S, what="the request is settled")
        return found

    async def charge_nano(self, request_id: str) -> int:
        """Return what the ledger charged for a request."""
        async with ledger_connection(self.stack) as connection:
            found: int = await connection.fetchval(
                "select amount_nano from transfers where kind = 'charge' and job = $1::text::uuid", request_id
            )
        return found

    async def charged_nano(self, account: str) -> int:
        """Return what the ledger charged an account in all."""
        async with ledger_connection(self.stack) as connection:
            found: int = await connection.fetchval(
                "select coalesce(sum(amount_nano), 0)::bigint from transfers"
                " where kind = 'charge' and debit = (select id * 8 + 1 from accounts where name = $1)",
                account,
            )
        return found

    async def sent_to_provider(self) -> dict[str, Any]:
        """Return the body of the last request that reached the provider, and its headers under ``headers``."""
        async with self.http.get(f"{self.stack.ready.upstream_url}/last") as response:
            last = await response.json()
        return {**json.loads(last["body"]), "headers": last["headers"]}


@pytest.fixture(scope="module")
def stack_and_keys() -> Iterator[tuple[LiveStack, dict[str, str]]]:
    plan = StackPlan(edges=2, dispatchers=1)
    plan.channel("only", MODEL)
    limits = {"rpm": RPM, "tpm": TPM}
    accounts: dict[str, dict[str, Any]] = {
        **{name: {"limits": limits} for name in ("openai", "responses", "anthropic", "gemini", "shared")},
        "two": {"limits": {"rpm": 2}},
        "free": {},
        "books": {"credit_usd": CREDIT_NANO / NANO_PER_USD, "budgets": {"daily": 3.5, "monthly": 50}},
        "page": {},
    }
    keys = {name: plan.account(name, **fields) for name, fields in accounts.items()}
    with plan.running() as stack:
        yield stack, keys


@pytest.fixture
async def rig(stack_and_keys: tuple[LiveStack, dict[str, str]]) -> AsyncIterator[Rig]:
    async with session() as http:
        yield Rig(*stack_and_keys, http)


# --- limits in headers ---------------------------------------------------------------------------------------------


def seconds_of(duration: str) -> int:
    """Return the seconds of ``1m1s`` or ``59s``."""
    minutes, _, seconds = duration.removesuffix("s").rpartition("m")
    return int(minutes or 0) * 60 + int(seconds)


def assert_openai_headers(headers: Mapping[str, str], counted: int, tokens: int) -> None:
    """Check the headers of an answer after so many requests, which held so many tokens."""
    assert headers["x-ratelimit-limit-requests"] == str(RPM)
    assert headers["x-ratelimit-remaining-requests"] == str(RPM - counted)
    assert 50 <= seconds_of(headers["x-ratelimit-reset-requests"]) <= 62
    assert headers["x-ratelimit-limit-tokens"] == str(TPM)
    assert TPM - tokens <= int(headers["x-ratelimit-remaining-tokens"]) < TPM
    assert 50 <= seconds_of(headers["x-ratelimit-reset-tokens"]) <= 62


def test_openais_sdk_finds_its_limits(stack_and_keys: tuple[LiveStack, dict[str, str]]) -> None:
    stack, keys = stack_and_keys
    message: Any = {"role": "user", "content": "Hello!"}
    with openai.OpenAI(base_url=f"{stack.edges[0]}/v1", api_key=keys["openai"], max_retries=0) as sdk:
        create = sdk.chat.completions.with_raw_response.create
        first = create(model=MODEL, messages=[message], max_tokens=MAX_TOKENS, extra_body={"usage": {"include": True}})
        assert_openai_headers(first.headers, counted=1, tokens=100)
        usage = first.parse().usage
        assert usage is not None
        assert usage.model_extra == {"cost": float(first.headers[COST_HEADER])}
        second = create(model=MODEL, messages=[message], max_tokens=MAX_TOKENS, stream=True)
        assert_openai_headers(second.headers, counted=2, tokens=200)
        assert COST_HEADER not in second.headers
        assert list(second.parse())
    with openai.OpenAI(base_url=f"{stack.edges[0]}/v1", api_key=keys["responses"], max_retries=0) as sdk:
        answer = sdk.responses.with_raw_response.create(model=MODEL, input="Hello!", max_output_tokens=16)
        assert_openai_headers(answer.headers, counted=1, tokens=100)
        assert answer.parse().output_text


def test_anthropics_sdk_finds_its_limits(stack_and_keys: tuple[LiveStack, dict[str, str]]) -> None:
    stack, keys = stack_and_keys
    with anthropic.Anthropic(base_url=stack.edges[0], api_key=keys["anthropic"], max_retries=0) as sdk:
        answer = sdk.messages.with_raw_response.create(
            model=MODEL,
            max_tokens=MAX_TOKENS,
            messages=[{"role": "user", "content": "Hello!"}],
            extra_headers=ASK_HEADER,
        )
    headers = answer.headers
    assert headers["anthropic-ratelimit-requests-limit"] == str(RPM)
    assert headers["anthropic-ratelimit-requests-remaining"] == str(RPM - 1)
    for name in ("tokens", "input-tokens", "output-tokens"):
        assert headers[f"anthropic-ratelimit-{name}-limit"] == str(TPM)
        assert TPM - 100 <= int(headers[f"anthropic-ratelimit-{name}-remaining"]) < TPM
        assert headers[f"anthropic-ratelimit-{name}-reset"] == headers["anthropic-ratelimit-requests-reset"]
    assert headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert not [name for name in headers if name.startswith("x-ratelimit")]
    usage = answer.parse().usage
    assert usage.output_tokens == MAX_TOKENS
    assert usage.model_extra is not None
    assert usage.model_extra["cost"] == float(headers[COST_HEADER])


def test_googles_sdk_finds_its_limits(stack_and_keys: tuple[LiveStack, dict[str, str]]) -> None:
    stack, keys = stack_and_keys
    sdk = genai.Client(
        api_key=keys["gemini"], http_options=google.HttpOptions(base_url=stack.edges[0], headers=ASK_HEADER)
    )
    config = google.GenerateContentConfig(max_output_tokens=MAX_TOKENS)
    answer = sdk.models.generate_content(model=MODEL, contents="Hello!", config=config)
    assert answer.sdk_http_response is not None
    headers = answer.sdk_http_response.headers
    assert headers is not None
    assert_openai_headers({name.lower(): value for name, value in headers.items()}, counted=1, tokens=100)
    # It drops what it does not know, and does not stumble over it.
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.candidates_token_count == MAX_TOKENS
    sdk.close()


async def test_a_refused_request_is_told_its_limit_too(rig: Rig) -> None:
    replies = [await rig.chat("two") for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert [reply.headers["x-ratelimit-remaining-requests"] for reply in replies] == ["1", "0", "0"]
    refused = replies[-1].headers
    assert refused["x-ratelimit-limit-requests"] == "2"
    assert 50 <= int(refused["retry-after"]) <= 62
    # The same limit in the words of another dialect.
    body = {"model": MODEL, "max_tokens": 5, "messages": [{"role": "user", "content": "Hello!"}]}
    other = await rig.call("/v1/messages", "two", body)
    assert (other.status, other.headers["anthropic-ratelimit-requests-remaining"]) == (429, "0")


async def test_without_limits_no_header_tells_of_them(rig: Rig) -> None:
    reply = await rig.chat("free")
    assert reply.status == 200
    assert not [name for name in reply.headers if "ratelimit" in name]


# --- costs ---------------------------------------------------------------------------------------------------------

CHAT = {"model": MODEL, "max_tokens": MAX_TOKENS, "messages": [{"role": "user", "content": "Hello!"}]}
RESPONSE = {"model": MODEL, "max_output_tokens": 16, "input": "Hello!"}
CONTENT = {"contents": [{"role": "user", "parts": [{"text": "Hello!"}]}]}
PLACES = {
    "/v1/chat/completions": (CHAT, "usage", "x-request-id"),
    "/v1/responses": (RESPONSE, "usage", "x-request-id"),
    "/v1/messages": (CHAT, "usage", "request-id"),
    f"/v1beta/models/{MODEL}:generateContent": (CONTENT, "usageMetadata", "x-request-id"),
    "/v1/completions": ({"model": MODEL, "max_tokens": MAX_TOKENS, "prompt": "Hello!"}, "usage", "x-request-id"),
    "/v1/embeddings": ({"model": MODEL, "input": "Hello!"}, "usage", "x-request-id"),
}
"""Where to ask, what, and in which report and under which name the cost and the id come."""


@pytest.mark.parametrize("path", PLACES)
async def test_a_whole_answer_says_what_the_ledger_books(rig: Rig, path: str) -> None:
    body, report, id_header = PLACES[path]
    plain = await rig.call(path, "free", body)
    assert plain.status == 200, plain
    assert "cost" not in plain.body[report]
    reply = await rig.call(path, "free", body, headers=ASK_HEADER)
    request_id = reply.headers[id_header]
    generation = await rig.generation(request_id, "free")
    nano = await rig.charge_nano(request_id)
    assert nano > 0
    assert generation["cost_nano"] == nano
    assert generation["cost_usd"] == reply.headers[COST_HEADER] == usd_text(nano)
    assert reply.body[report]["cost"] == nano / NANO_PER_USD
    sent = await rig.sent_to_provider()
    assert "usage" not in sent
    assert not [name for name in sent["headers"] if name.startswith("x-trunkline")]


async def test_openrouters_wish_is_understood_and_stays_here(rig: Rig) -> None:
    for path, body in (("/v1/chat/completions", CHAT), ("/v1/responses", RESPONSE)):
        reply = await rig.call(path, "free", {**body, "usage": {"include": True}})
        assert reply.body["usage"]["cost"] == float(reply.headers[COST_HEADER]) > 0
        assert "usage" not in await rig.sent_to_provider()
        unasked = await rig.call(path, "free", {**body, "usage": {"include": False}})
        assert "cost" not in unasked.body["usage"]


async def streamed_reports(rig: Rig, path: str, body: object) -> tuple[str, list[dict[str, Any]]]:
    """Return the request id of a stream, and the usage reports in it that are not empty."""
    headers = {"authorization": f"Bearer {rig.keys['free']}", **ASK_HEADER}
    reports = []
    async with rig.http.post(f"{rig.edge}{path}", data=json.dumps(body), headers=headers) as response:
        assert response.status == 200
        async for line in response.content:
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                event = event.get("response") or event
                reports += [event[name] for name in ("usage", "usageMetadata") if event.get(name)]
        return response.headers.get("x-request-id") or response.headers["request-id"], reports


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {**CHAT, "stream": True}),
        ("/v1/chat/completions", {**CHAT, "stream": True, "trunkline_demo": {"no_usage": True, "chunks": 20}}),
        ("/v1/responses", {**RESPONSE, "stream": True}),
        ("/v1/messages", {**CHAT, "stream": True}),
        (f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse", CONTENT),
    ],
)
async def test_a_stream_says_it_in_its_last_report(rig: Rig, path: str, body: object) -> None:
    request_id, reports = await streamed_reports(rig, path, body)
    generation = await rig.generation(request_id, "free")
    assert generation["stream"] is True
    assert reports[-1]["cost"] == await rig.charge_nano(request_id) / NANO_PER_USD > 0


async def test_an_answer_of_many_frames_has_its_cost_in_its_head(rig: Rig) -> None:
    reply = await rig.chat("free", trunkline_demo={"chunks": 400, "chunk_bytes": 2000}, usage={"include": True})
    assert len(reply.body["choices"][0]["message"]["content"]) >= 800_000
    nano = (await rig.generation(reply.headers["x-request-id"], "free"))["cost_nano"]
    assert reply.headers[COST_HEADER] == usd_text(nano)
    assert reply.body["usage"]["cost"] == nano / NANO_PER_USD


async def test_sound_has_its_cost_in_the_head_alone(rig: Rig) -> None:
    body = {"model": MODEL, "input": "Hello!", "voice": "alloy"}
    reply = await rig.call("/v1/audio/speech", "free", body, headers=ASK_HEADER)
    assert reply.status == 200
    assert reply.body is None


# --- asking --------------------------------------------------------------------------------------------------------


async def test_figures_of_a_key_are_the_ledgers(rig: Rig) -> None:
    replies = [await rig.chat("books", max_tokens=MAX_TOKENS) for _ in range(5)]
    failed = await rig.chat("books", trunkline_demo={"status": 400})
    assert failed.status == 400
    for reply in replies:
        await rig.generation(reply.headers["x-request-id"], "books")
    charged = await rig.charged_nano("books")
    assert charged == sum(round(float(reply.headers[COST_HEADER]) * NANO_PER_USD) for reply in replies) > 0
    shown = (await rig.call("/v1/key", "books")).body
    assert (shown["name"], shown["account"], shown["groups"], shown["models"]) == ("books", "books", ["default"], ["*"])
    assert shown["balance_nano"] == CREDIT_NANO - charged
    assert shown["balance_usd"] == usd_text(CREDIT_NANO - charged)
    tokens = {
        name: sum(reply.body["usage"][field] for reply in replies)
        for name, field in (("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens"))
    }
    for period in ("today", "this_week", "this_month"):
        used = shown["usage"][period]
        assert (used["requests"], used["charge_nano"], used["charge_usd"]) == (5, charged, usd_text(charged))
        assert {name: used[name] for name in tokens} == tokens
    budgets = {budget["per"]: budget for budget in shown["budgets"]}
    assert [budgets[per]["limit_usd"] for per in ("day", "month")] == ["3.50", "50.00"]
    assert {budget["spent_nano"] for budget in budgets.values()} == {charged}
    usage = (await rig.call("/v1/usage?by=day,model", "books")).body
    (row,) = usage["data"]
    assert (row["model"], row["requests"], row["charge_nano"]) == (MODEL, 5, charged)
    assert (row["day"], usage["to"]) == (usage["to"], row["day"])


async def test_a_balance_checker_finds_what_this_key_can_spend(rig: Rig) -> None:
    for root in ("/v1", ""):
        subscription = (await rig.call(f"{root}/dashboard/billing/subscription", "books")).body
        path = f"{root}/dashboard/billing/usage?start_date=2020-01-01&end_date=2020-01-31"
        usage = (await rig.call(path, "books")).body
        charged = await rig.charged_nano("books")
        assert usage == {"object": "list", "total_usage": charged / 10_000_000}
        left = subscription["hard_limit_usd"] - usage["total_usage"] / 100
        # The budget of the day, which leaves less than the credit.
        assert left == pytest.approx(3.5 - charged / NANO_PER_USD)
        whole = subscription["system_hard_limit_usd"] - usage["total_usage"] / 100
        assert whole == pytest.approx((CREDIT_NANO - charged) / NANO_PER_USD)


async def test_limits_are_told_with_what_edges_have_drawn(rig: Rig) -> None:
    for _ in range(3):
        assert (await rig.chat("shared")).status == 200
    limits = {limit["of"]: limit for limit in (await rig.call("/v1/key", "shared")).body["limits"]}
    requests = limits["requests"]
    assert (requests["per"], requests["scope"], requests["limit"]) == ("minute", "account", RPM)
    assert 3 <= requests["used"] == RPM - requests["remaining"] < RPM
    assert 0 < requests["resets_in_s"] <= 62
    assert limits["tokens"]["limit"] == TPM


async def test_nobody_sees_another_accounts_requests(rig: Rig) -> None:
    request_id = (await rig.chat("books")).headers["x-request-id"]
    own = await rig.generation(request_id, "books")
    assert (own["id"], own["model"], own["group"], own["outcome"]) == (request_id, MODEL, "default", "ok")
    assert own["total_ms"] >= (own["first_token_ms"] or 0)
    assert len(own["attempts"]) == 1
    assert "only" not in json.dumps(own), "the channel's name"
    paths = [f"/v1/generations/{request_id}", f"/v1/generation?id={request_id}"]
    foreign = [await rig.call(path, "free") for path in paths]
    nowhere = [await rig.call(path, "free") for path in (f"/v1/generations/{NOT_THERE}", "/v1/generation?id=nonsense")]
    assert {reply.status for reply in foreign + nowhere} == {404}
    assert len({json.dumps(reply.body) for reply in foreign + nowhere}) == 1
    data = (await rig.call(paths[1], "books")).body["data"]
    assert (data["id"], data["total_cost"]) == (request_id, own["cost_nano"] / NANO_PER_USD)
    # A key's own use, and its account's, whatever else it names.
    for query in ("scope=account", "scope=account&account=books&by=key", "key_id=1&scope=key"):
        before = await rig.charged_nano("free")
        rows = (await rig.call(f"/v1/usage?{query}", "free")).body["data"]
        assert before <= sum(row["charge_nano"] for row in rows) <= await rig.charged_nano("free")


@pytest.mark.parametrize("path", ["/v1/key", "/v1/usage", "/key", "/v1/dashboard/billing/subscription"])
async def test_the_key_is_taken_in_every_form(rig: Rig, path: str) -> None:
    key = rig.keys["free"]
    forms: list[tuple[str, dict[str, str]]] = [
        (path, {"authorization": f"Bearer {key}"}),
        (path, {"x-api-key": key}),
        (path, {"x-goog-api-key": key}),
        (path, {"api-key": key}),
        (f"{path}?key={key}", {}),
    ]
    for target, headers in forms:
        async with rig.http.get(f"{rig.edge}{target}", headers=headers) as response:
            assert response.status == 200, (target, headers)
            length = response.content_length
        async with rig.http.head(f"{rig.edge}{target}", headers=headers) as response:
            assert (response.status, await response.read()) == (200, b"")
            assert response.headers["content-length"] == str(length)
    reply = await rig.call(path, "free", method="DELETE")
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
    async with rig.http.get(f"{rig.edge}{path}") as response:
        assert response.status == 401


async def test_errors_are_those_of_the_dialect_that_is_spoken(rig: Rig) -> None:
    wrong = "/v1/usage?by=channel"
    assert (await rig.call(wrong, "free")).body["error"]["param"] == "by"
    spoken = await rig.call(wrong, "free", headers={"anthropic-version": "2023-06-01"})
    assert (spoken.status, spoken.body["type"], spoken.body["error"]["type"]) == (400, "error", "invalid_request_error")
    assert "request-id" in spoken.headers
    google_words = await rig.call("/v1beta/usage?by=channel", "free")
    assert google_words.body["error"]["status"] == "INVALID_ARGUMENT"


async def test_metering_away_is_said_and_models_answer_all_the_same(rig: Rig) -> None:
    assert (await rig.chat("free")).status == 200
    pid = rig.stack.signal("metering", number=signal.SIGSTOP)
    try:
        reply = await rig.call("/v1/key", "free")
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert reply.body["error"]["code"] == "overloaded"
        spoken = await rig.call("/v1/usage", "free", headers={"anthropic-version": "2023-06-01"})
        assert (spoken.status, spoken.body["error"]["type"]) == (529, "overloaded_error")
        assert (await rig.chat("free")).status == 200
    finally:
        os.kill(pid, signal.SIGCONT)

    async def back() -> bool:
        return (await rig.call("/v1/key", "free")).status == 200

    await eventually(back, within_s=SETTLED_WITHIN_S, what="metering answers again")


def test_the_lines_of_the_page_run(stack_and_keys: tuple[LiveStack, dict[str, str]]) -> None:
    stack, keys = stack_and_keys
    blocks = [part.partition("```")[0] for part in PAGE.read_text().split("```sh\n")[1:]]
    assert "export TRUNKLINE_API_KEY=" in blocks[0]
    script = "set -euo pipefail\n" + "\necho\n".join(blocks[1:])
    environment = {
        "PATH": os.defpath,
        "TRUNKLINE_BASE_URL": stack.edges[0],
        "TRUNKLINE_API_KEY": keys["page"],
    }
    done = subprocess.run(  # noqa: S603 - the page's own lines
        ["/usr/bin/env", "bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.count('"object":"usage"') == 3
    assert done.stdout.count('"cost":') == 2
    assert '"object":"generation"' in done.stdout
    assert '"object":"billing_subscription"' in done.stdout
