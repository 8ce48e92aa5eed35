"""A stack that may connect to public addresses only: what it says of a channel that leads inside, and to whom."""

from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import aiohttp
import msgspec
import pytest

from tests.support.chat_client import ChatClient, session
from tests.support.live_stack import LiveStack, StackPlan, channel_entry
from tests.support.waiting import eventually
from trunkline.policy.upstream_addresses import ALLOW_SETTING, NOT_ALLOWED

MODEL = "inside"
WITHIN_S = 10.0


class Rig(NamedTuple):
    stack: LiveStack
    client: ChatClient
    http: aiohttp.ClientSession


@pytest.fixture(scope="module")
def stack_and_key() -> Iterator[tuple[LiveStack, str]]:
    plan = StackPlan(edges=1, dispatchers=1)
    plan.environment[ALLOW_SETTING] = ""
    # A name to the configuration, and the loopback to whoever looks it up.
    plan.channel(MODEL, MODEL, base_url=f"http://127.1:{plan.upstream_port}/v1")
    key = plan.account("acme")
    with plan.running() as stack:
        yield stack, key


@pytest.fixture
async def rig(stack_and_key: tuple[LiveStack, str]) -> AsyncIterator[Rig]:
    stack, key = stack_and_key
    async with session() as http:
        yield Rig(stack, ChatClient(http, key, MODEL), http)


async def test_a_client_learns_that_the_provider_is_not_reached_and_no_more(rig: Rig) -> None:
    outcome = await rig.client.chat(rig.stack.edges[0])

    assert (outcome.status, outcome.code) == (502, "upstream_unavailable")
    assert outcome.message == "The provider could not be reached."
    metrics = await rig.stack.metrics(rig.http, "dispatcher", 0)
    assert metrics[f"trunkline_dispatcher_attempts_total{{channel={MODEL},outcome=upstream_address}}"] >= 1
    assert (await rig.stack.counts(rig.http)).attempts == {}


@pytest.mark.parametrize("role", ["dispatcher", "health"])
async def test_the_log_names_the_setting(rig: Rig, role: str) -> None:
    await rig.client.chat(rig.stack.edges[0])
    log = rig.stack.logs / "data" / "logs" / f"{role}-1.log"

    async def look() -> bool:
        return "upstream_address_refused" in log.read_text()

    await eventually(look, within_s=WITHIN_S, what=f"{role} says it")
    assert ALLOW_SETTING in log.read_text()


async def test_health_counts_its_probes_as_forbidden(rig: Rig) -> None:
    async def look() -> bool:
        metrics = await rig.stack.metrics(rig.http, "health", 0)
        return metrics.get("trunkline_probes_total{result=forbidden}", 0) >= 1

    await eventually(look, within_s=WITHIN_S, what="a probe")


async def test_the_consoles_test_and_discovery_say_what_to_set(rig: Rig) -> None:
    tested = await rig.stack.admin(rig.http, "POST", f"/channels/{MODEL}/test")
    assert (tested["result"], tested["error"], tested["message"]) == ("forbidden", "upstream_address", NOT_ALLOWED)

    url = f"{rig.stack.ready.console_url}/admin/v1/channels/{MODEL}/discovered"
    headers = {"authorization": f"Bearer {rig.stack.ready.admin_key}"}
    async with rig.http.get(url, headers=headers) as response:
        error = (await response.json())["error"]
    assert (response.status, error["type"]) == (502, "upstream_address")
    assert ALLOW_SETTING in error["message"]


async def test_a_channel_that_shows_where_it_leads_is_not_even_taken(rig: Rig) -> None:
    entry = channel_entry("second", MODEL, "http://169.254.169.254/v1")
    url = f"{rig.stack.ready.console_url}/admin/v1/apply"
    headers = {"authorization": f"Bearer {rig.stack.ready.admin_key}"}
    async with rig.http.post(url, data=msgspec.json.encode({"channels": [entry]}), headers=headers) as response:
        said = await response.text()
    assert response.status == 400, said
    assert f"channels[0].base_url: {NOT_ALLOWED}" in said
