"""What becomes of a key holds at every edge within a second, whoever asks in whichever way."""

import datetime as dt
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, NamedTuple

import aiohttp
import anthropic
import msgspec
import openai
import pytest

from tests.support.chat_client import session
from tests.support.live_stack import LiveStack, StackPlan, channel_entry, model_entry
from tests.support.waiting import eventually
from trunkline.runtime.clock import SystemClock

MODEL, VIP_MODEL = "demo", "vip-demo"
KNOWN_WITHIN_S = 1.0
SLACK_S = 2.0
"""For this test's own requests and a busy machine. An edge that is not told of a change finds out much later."""

OVERLAP_S = 5
"""Of two secrets, and until a key expires: time enough to see that every edge takes it first."""

EARLY_S = 0.5
"""A secret ends no sooner than this before its time."""

GIVE_UP_S = 10.0

OFFICE, ELSEWHERE = "198.51.100.7", "203.0.113.9"

WELL = (200, None)
REFUSED = (401, "invalid_api_key")
NO_MODEL = (403, "model_not_allowed")
NO_ENDPOINT = (403, "endpoint_not_allowed")


class Rig(NamedTuple):
    stack: LiveStack
    http: aiohttp.ClientSession

    async def new_key(self, name: str, **fields: object) -> str:
        """Make a key and return its secret once all edges take it."""
        made = await self.stack.admin(self.http, "POST", "/accounts/acme/keys", {"name": name, **fields})
        secret: str = made["secret"]
        await self.everywhere(secret, WELL, path="/v1/models")
        return secret

    async def change(self, method: str, path: str, body: object = None) -> Any:
        """Change a key of the account."""
        return await self.stack.admin(self.http, method, f"/accounts/acme/keys/{path}", body)

    async def ask(
        self, edge: str, secret: str, path: str, headers: Mapping[str, str], model: str
    ) -> tuple[int, str | None]:
        """Return the status of an answer and the code of its error."""
        method, body = "GET", None
        if path != "/v1/models":
            method, body = (
                "POST",
                msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": "hi"}]}),
            )
        sent = {"authorization": f"Bearer {secret}", "content-type": "application/json", **headers}
        async with self.http.request(method, f"{edge}{path}", data=body, headers=sent) as response:
            content = msgspec.json.decode(await response.read())
            return response.status, content.get("error", {}).get("code")

    async def everywhere(
        self,
        secret: str,
        answer: tuple[int, str | None],
        *,
        path: str = "/v1/chat/completions",
        forwarded_for: str = "",
        model: str = MODEL,
        within_s: float = KNOWN_WITHIN_S + SLACK_S,
    ) -> None:
        """Return once every edge answers a key like this, which must be soon, and goes on to."""
        headers = {"x-forwarded-for": forwarded_for} if forwarded_for else {}
        clock = SystemClock()
        began = clock.now()
        for edge in self.stack.edges:

            async def look(edge: str = edge) -> bool:
                return await self.ask(edge, secret, path, headers, model) == answer

            await eventually(look, within_s=GIVE_UP_S, what=f"{edge} answers {answer}")
        assert clock.now() - began < within_s
        for edge in self.stack.edges:
            assert await self.ask(edge, secret, path, headers, model) == answer


@pytest.fixture(scope="module")
def stack() -> Iterator[LiveStack]:
    plan = StackPlan(edges=2, dispatchers=1)
    plan.environment["TRUNKLINE_TRUSTED_PROXIES"] = "127.0.0.1"
    # Until an edge has heard of a new key, this test is an address that tries wrong ones.
    plan.environment["TRUNKLINE_FAILED_KEYS_PER_MINUTE"] = "100000"
    plan.channel("only", MODEL)
    plan.account("acme")
    with plan.running() as stack:
        yield stack


@pytest.fixture
async def rig(stack: LiveStack) -> AsyncIterator[Rig]:
    async with session() as http:
        yield Rig(stack, http)


async def test_a_key_is_blocked_and_unblocked(rig: Rig) -> None:
    secret = await rig.new_key("blocked")
    await rig.everywhere(secret, WELL)
    await rig.change("POST", "blocked/block")
    await rig.everywhere(secret, REFUSED)
    await rig.change("POST", "blocked/unblock")
    await rig.everywhere(secret, WELL)


async def test_a_key_expires_when_told_and_when_its_time_has_come(rig: Rig) -> None:
    secret = await rig.new_key("expiring")
    await rig.everywhere(secret, WELL)
    await rig.change("PATCH", "expiring", {"expires": "2020-01-01T00:00:00Z"})
    await rig.everywhere(secret, REFUSED)
    end = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=OVERLAP_S)
    await rig.change("PATCH", "expiring", {"expires": end})
    await rig.everywhere(secret, WELL)
    await rig.everywhere(secret, REFUSED, within_s=OVERLAP_S + KNOWN_WITHIN_S + SLACK_S)
    assert dt.datetime.now(dt.UTC) >= end
    await rig.change("PATCH", "expiring", {"expires": None})
    await rig.everywhere(secret, WELL)


async def test_a_key_gets_other_models_and_groups(rig: Rig) -> None:
    channel = channel_entry("of-vips", VIP_MODEL, f"{rig.stack.ready.upstream_url}/v1", groups=["vip"])
    await rig.stack.apply(rig.http, groups=[{"name": "vip"}], channels=[channel], models=[model_entry(VIP_MODEL)])
    secret = await rig.new_key("choosy")
    await rig.everywhere(secret, WELL)
    await rig.change("PATCH", "choosy", {"models": ["vip-*"]})
    await rig.everywhere(secret, NO_MODEL)
    await rig.everywhere(secret, NO_MODEL, model=VIP_MODEL)
    await rig.change("PATCH", "choosy", {"groups": ["vip"]})
    await rig.everywhere(secret, WELL, model=VIP_MODEL)
    await rig.change("PATCH", "choosy", {"models": ["*"], "groups": ["default", "vip"]})
    await rig.everywhere(secret, WELL)
    await rig.everywhere(secret, WELL, model=VIP_MODEL)


async def test_a_key_is_limited_to_endpoints(rig: Rig) -> None:
    secret = await rig.new_key("narrow")
    await rig.everywhere(secret, WELL)
    await rig.change("PATCH", "narrow", {"endpoints": ["embeddings"]})
    await rig.everywhere(secret, NO_ENDPOINT)
    await rig.everywhere(secret, WELL, path="/v1/models")
    edge = rig.stack.edges[0]
    async with openai.AsyncOpenAI(base_url=f"{edge}/v1", api_key=secret, max_retries=0) as sdk:
        assert (await sdk.embeddings.create(model=MODEL, input="one two")).usage.prompt_tokens > 0
        with pytest.raises(openai.PermissionDeniedError) as refused:
            await sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hi"}])
        assert "may not call chat_completions; it may call embeddings, and list models" in str(refused.value)
    async with anthropic.AsyncAnthropic(base_url=edge, api_key=secret, max_retries=0) as other:
        with pytest.raises(anthropic.PermissionDeniedError, match="may not call messages"):
            await other.messages.create(model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "hi"}])
    await rig.change("PATCH", "narrow", {"endpoints": ["chat_completions", "embeddings"]})
    await rig.everywhere(secret, WELL)
    await rig.change("PATCH", "narrow", {"endpoints": []})
    await rig.everywhere(secret, WELL)


async def test_a_key_is_limited_to_places_behind_a_proxy(rig: Rig) -> None:
    secret = await rig.new_key("local")
    await rig.everywhere(secret, WELL, forwarded_for=ELSEWHERE)
    await rig.change("PATCH", "local", {"allow_ips": ["198.51.100.0/24"]})
    await rig.everywhere(secret, REFUSED, forwarded_for=ELSEWHERE)
    await rig.everywhere(secret, WELL, forwarded_for=OFFICE)
    await rig.everywhere(secret, WELL, forwarded_for=f"1.2.3.4, {OFFICE}, 127.0.0.1")
    # What a client writes itself stands on the left of what the proxy adds.
    await rig.everywhere(secret, REFUSED, forwarded_for=f"{OFFICE}, {ELSEWHERE}")
    await rig.everywhere(secret, REFUSED, forwarded_for=f"{OFFICE}, nonsense")
    await rig.everywhere(secret, REFUSED)
    await rig.change("PATCH", "local", {"allow_ips": []})
    await rig.everywhere(secret, WELL)
    log = rig.stack.logs / "data" / "logs" / "edge-1.log"

    async def written() -> bool:
        return f'"client_ip":"{OFFICE}"' in log.read_text()

    await eventually(written, within_s=GIVE_UP_S, what="the client's address is in the log")


async def test_both_secrets_of_a_rotated_key_work_until_the_old_one_ends(rig: Rig) -> None:
    old = await rig.new_key("rotated")
    await rig.everywhere(old, WELL)
    clock = SystemClock()
    began = clock.now()
    new = (await rig.change("POST", "rotated/rotate", {"overlap_s": OVERLAP_S}))["secret"]
    await rig.everywhere(new, WELL)
    await rig.everywhere(old, WELL)
    assert clock.now() - began < OVERLAP_S
    await rig.everywhere(old, REFUSED, within_s=OVERLAP_S + KNOWN_WITHIN_S + SLACK_S)
    assert clock.now() - began > OVERLAP_S - EARLY_S
    newest = (await rig.change("POST", "rotated/rotate", {"overlap_s": 0}))["secret"]
    await rig.everywhere(new, REFUSED)
    await rig.everywhere(newest, WELL)
    await rig.everywhere(old, REFUSED)


async def test_a_deleted_key_is_gone_with_all_its_secrets(rig: Rig) -> None:
    old = await rig.new_key("doomed")
    new = (await rig.change("POST", "doomed/rotate", {"overlap_s": 600}))["secret"]
    await rig.everywhere(old, WELL)
    await rig.everywhere(new, WELL)
    await rig.change("DELETE", "doomed")
    await rig.everywhere(old, REFUSED)
    await rig.everywhere(new, REFUSED)
