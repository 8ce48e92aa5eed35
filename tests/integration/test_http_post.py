"""Posting to URLs that strangers name: only public https, or what the operator allows, and no way around it."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from tests.support.http_certificate import certified
from tests.support.servers import free_port
from tests.support.webhook_receiver import Receiver, running_receiver
from trunkline.policy.fetching import FetchError, FetchResult, FetchRules, parse_networks
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.http_client import HTTPClientPool
from trunkline.runtime.http_post import HTTPPoster
from trunkline.runtime.tasks import TaskSet

LOOPBACK = parse_networks(["127.0.0.0/8"])


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as receiver:
        yield receiver


def resolving(names: Mapping[str, list[str]]) -> object:
    async def resolve(host: str, _port: int) -> list[str]:
        return names.get(host, [host])

    return resolve


def poster(
    tasks: TaskSet, port: int, *, allowed: bool = True, names: Mapping[str, list[str]] | None = None, **how: object
) -> HTTPPoster:
    pool = HTTPClientPool(clock=SystemClock(), tasks=tasks, tls=how.pop("tls", None))  # type: ignore[arg-type]  # a context or nothing
    rules = FetchRules(LOOPBACK if allowed else (), frozenset({port}))
    return HTTPPoster(pool, rules, resolving(names or {}), agent="trunkline", **how)  # type: ignore[arg-type]  # a time limit


async def test_a_body_is_posted_and_the_status_comes_back(tasks: TaskSet, receiver: Receiver) -> None:
    receiver.statuses = [202]
    url = f"http://127.0.0.1:{receiver.port}/hook?x=1"
    assert await poster(tasks, receiver.port).post(url, {"webhook-id": "alert-1"}, b'{"a":1}') == 202
    [post] = receiver.posts
    assert post.body == b'{"a":1}'
    assert {name: post.headers[name] for name in ("webhook-id", "user-agent", "content-type")} == {
        "webhook-id": "alert-1",
        "user-agent": "trunkline",
        "content-type": "application/json",
    }
    assert "authorization" not in post.headers


async def test_redirects_are_an_answer_like_any_other(tasks: TaskSet, receiver: Receiver) -> None:
    receiver.statuses, receiver.location = [307], f"http://127.0.0.1:{receiver.port}/elsewhere"
    assert await poster(tasks, receiver.port).post(f"http://127.0.0.1:{receiver.port}/", {}, b"{}") == 307
    assert len(receiver.posts) == 1


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["100.100.100.200"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["fd00::1"],
        ["93.184.216.34", "127.0.0.1"],
    ],
)
async def test_nothing_goes_to_addresses_that_are_not_public(
    tasks: TaskSet, receiver: Receiver, addresses: list[str]
) -> None:
    guarded = poster(tasks, receiver.port, allowed=False, names={"hook.example": addresses})
    with pytest.raises(FetchError) as caught:
        await guarded.post(f"https://hook.example:{receiver.port}/", {}, b"{}")
    assert caught.value.result is FetchResult.FORBIDDEN_ADDRESS
    assert receiver.posts == []


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "http://127.0.0.1:22/", "https://user@127.0.0.1/", "nonsense", "https://[::1/"]
)
async def test_urls_of_other_kinds_and_ports_are_refused(tasks: TaskSet, receiver: Receiver, url: str) -> None:
    with pytest.raises(FetchError) as caught:
        await poster(tasks, receiver.port).post(url, {}, b"{}")
    assert caught.value.result is FetchResult.BAD_URL


async def test_plain_http_goes_only_where_the_operator_allows_it(tasks: TaskSet, receiver: Receiver) -> None:
    # A public address, which is never connected to.
    plain = poster(tasks, receiver.port, names={"hook.example": ["93.184.216.34"]})
    with pytest.raises(FetchError) as caught:
        await plain.post(f"http://hook.example:{receiver.port}/", {}, b"{}")
    assert caught.value.result is FetchResult.BAD_URL


async def test_https_is_verified_for_the_name_and_goes_to_the_address_that_was_judged(
    tasks: TaskSet, tmp_path: Path
) -> None:
    tls, trusting = certified(tmp_path)
    async with running_receiver(tls=tls) as receiver:
        names = {"localhost": ["127.0.0.1"], "other.example": ["127.0.0.1"]}
        secure = poster(tasks, receiver.port, names=names, tls=trusting)
        assert await secure.post(f"https://localhost:{receiver.port}/", {}, b"{}") == 204
        with pytest.raises(FetchError) as caught:
            await secure.post(f"https://other.example:{receiver.port}/", {}, b"{}")
        assert caught.value.result is FetchResult.UNREACHABLE
        with pytest.raises(FetchError):
            await poster(tasks, receiver.port, names=names).post(f"https://localhost:{receiver.port}/", {}, b"{}")
        assert len(receiver.posts) == 1


async def test_servers_that_are_away_or_say_nothing(tasks: TaskSet, receiver: Receiver) -> None:
    port = free_port()
    with pytest.raises(FetchError) as caught:
        await poster(tasks, port).post(f"http://127.0.0.1:{port}/", {}, b"{}")
    assert caught.value.result is FetchResult.UNREACHABLE
    with pytest.raises(FetchError) as caught:
        await poster(tasks, receiver.port, timeout_s=0.0).post(f"http://127.0.0.1:{receiver.port}/", {}, b"{}")
    assert caught.value.result is FetchResult.TIMEOUT
