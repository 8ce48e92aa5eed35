"""An address that tries wrong keys at two edges: it is stopped, and who shares it and is known goes on."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import NamedTuple

import aiohttp
import msgspec
import pytest

from tests.support.chat_client import session
from tests.support.live_stack import LiveStack, StackPlan, new_key

MODEL = "demo"
PER_MINUTE = 5
GUESSER, ELSEWHERE = "198.51.100.7", "203.0.113.9"
GUESSER_6, NEIGHBOUR_6, STRANGER_6 = "2001:db8:1:2::3", "2001:db8:1:2:ffff::4", "2001:db8:1:3::3"
LOOKUPS = "trunkline_edge_key_lookups_total{result=unknown}"


class Rig(NamedTuple):
    stack: LiveStack
    http: aiohttp.ClientSession
    key: str

    async def ask(
        self, edge: int, key: str, address: str, path: str = "/v1/models", header: str = "authorization"
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Ask an edge from an address, as its proxy says."""
        sent = {header: f"Bearer {key}" if header == "authorization" else key, "x-forwarded-for": address}
        async with self.http.get(f"{self.stack.edges[edge]}{path}", headers=sent) as response:
            return response.status, response.headers, await response.read()

    async def status(self, edge: int, key: str, address: str) -> int:
        return (await self.ask(edge, key, address))[0]

    async def guess(self, edge: int, address: str, times: int = PER_MINUTE) -> list[int]:
        return [await self.status(edge, new_key(), address) for _ in range(times)]


@pytest.fixture(scope="module")
def stack_and_key() -> Iterator[tuple[LiveStack, str]]:
    plan = StackPlan(edges=2, dispatchers=1)
    plan.environment["TRUNKLINE_TRUSTED_PROXIES"] = "127.0.0.1"
    plan.environment["TRUNKLINE_FAILED_KEYS_PER_MINUTE"] = str(PER_MINUTE)
    plan.channel("only", MODEL)
    key = plan.account("acme")
    with plan.running() as stack:
        yield stack, key


@pytest.fixture
async def rig(stack_and_key: tuple[LiveStack, str]) -> AsyncIterator[Rig]:
    async with session() as http:
        yield Rig(stack_and_key[0], http, stack_and_key[1])


async def test_guesses_are_stopped_at_each_edge_by_itself(rig: Rig) -> None:
    assert await rig.status(0, rig.key, ELSEWHERE) == 200  # so edge 0 knows it
    assert await rig.guess(0, GUESSER) == [401] * PER_MINUTE
    before = (await rig.stack.metrics(rig.http, "edge", 0))[LOOKUPS]
    assert await rig.guess(0, GUESSER, 3) == [429] * 3

    metrics = await rig.stack.metrics(rig.http, "edge", 0)
    assert metrics[LOOKUPS] == before  # without a look-up
    assert metrics["trunkline_edge_failed_keys_total{why=limited}"] == 3
    assert await rig.status(0, rig.key, GUESSER) == 200
    assert await rig.status(0, new_key(), ELSEWHERE) == 401
    assert (await rig.guess(1, GUESSER))[0] == 401
    log = (rig.stack.logs / "data" / "logs" / "edge-1.log").read_text()
    assert "failed_keys_limited" in log
    assert GUESSER in log


@pytest.mark.parametrize(
    ("path", "header", "kind"),
    [
        ("/v1/models", "authorization", "rate_limit_exceeded"),
        ("/v1/models", "x-api-key", "rate_limit"),
        ("/v1beta/models", "x-goog-api-key", "RESOURCE_EXHAUSTED"),
    ],
)
async def test_it_is_said_in_the_clients_dialect_with_the_time_to_wait(
    rig: Rig, path: str, header: str, kind: str
) -> None:
    address = f"198.51.100.{len(path) + len(header) + 50}"
    await rig.guess(0, address)
    status, headers, body = await rig.ask(0, new_key(), address, path, header)

    assert status == 429
    assert 1 <= int(headers["retry-after"]) <= 60 / PER_MINUTE
    assert kind in body.decode()
    assert "error" in msgspec.json.decode(body)


async def test_a_home_with_ipv6_is_one_client(rig: Rig) -> None:
    await rig.guess(0, GUESSER_6)
    assert await rig.status(0, new_key(), NEIGHBOUR_6) == 429
    assert await rig.status(0, new_key(), STRANGER_6) == 401


async def test_malformed_keys_count(rig: Rig) -> None:
    address = "198.51.100.200"
    said = [await rig.status(0, "undefined", address) for _ in range(PER_MINUTE + 1)]
    assert said == [401] * PER_MINUTE + [429]
