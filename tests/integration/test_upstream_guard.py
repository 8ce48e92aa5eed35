"""The guard of the HTTP client: which connections are made, with names that lead wherever a test wants."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
import structlog

from tests.support.both_loops import on_both_loops
from tests.support.http_serving import until
from tests.support.http_upstream import REQUEST, Receiver, upstream
from tests.support.manual_clock import ManualClock
from trunkline.policy.probe_call import ProbeCall
from trunkline.policy.probing import ProbeResult
from trunkline.policy.upstream_addresses import NOT_ALLOWED
from trunkline.runtime.http_call import CallError, call
from trunkline.runtime.http_client import Endpoint, HTTPClientError, HTTPClientPool, NotAllowedError
from trunkline.runtime.probe_http import ProbeFailedError, open_only, send_probe
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.upstream_guard import TOLD_EVERY_S, AddressRefusedError, UpstreamGuard, resolve_by_system

NAME = "provider.test"


class Names:
    """Answers look-ups.

    Attributes:
        turns: addresses that the next look-ups give; the last one stays.
        asked: how many look-ups there were.
    """

    def __init__(self, *turns: list[str]) -> None:
        self.turns = list(turns)
        self.asked = 0

    async def __call__(self, _host: str, _port: int) -> list[str]:
        self.asked += 1
        return self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]


@contextlib.asynccontextmanager
async def guarded(names: Names, *allowed: str) -> AsyncIterator[HTTPClientPool]:
    tasks, clock = TaskSet(), ManualClock()
    pool = HTTPClientPool(clock=clock, tasks=tasks, guard=UpstreamGuard(allowed, clock=clock, resolve=names))
    try:
        yield pool
    finally:
        pool.close()
        await until(lambda: pool.connections == 0, "all connections are closed")
        await tasks.cancel()


@on_both_loops
async def test_a_name_that_turns_inwards_is_refused_at_the_next_connection() -> None:
    """DNS rebinding: what was allowed a moment ago says nothing of now."""
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    async with upstream() as up, guarded(names, "127.0.0.1/32") as pool:
        endpoint = Endpoint(NAME, up.endpoint.port, tls=False)
        connection = await pool.connect(endpoint, 5.0)
        await until(lambda: len(up.peers) == 1, "the connection")
        with pytest.raises(NotAllowedError):
            await pool.connect(endpoint, 5.0)
        assert (names.asked, len(up.peers)) == (2, 1)
        connection.close()


@on_both_loops
async def test_a_kept_connection_is_used_without_a_look_up() -> None:
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    async with upstream() as up, guarded(names, "127.0.0.1/32") as pool:
        endpoint = Endpoint(NAME, up.endpoint.port, tls=False)
        receiver = Receiver()
        (await pool.connect(endpoint, 5.0)).send(REQUEST, receiver)
        await until(lambda: len(up.peers) == 1, "the connection")
        up.peers[0].send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        await receiver.ended("end")
        assert pool.take_idle(endpoint) is not None
        assert names.asked == 1
        up.peers[0].reset()


@on_both_loops
async def test_one_address_inside_among_public_ones_refuses_the_name() -> None:
    async with upstream() as up, guarded(Names(["93.184.216.34", "127.0.0.1"])) as pool:
        with pytest.raises(NotAllowedError):
            await pool.connect(Endpoint(NAME, up.endpoint.port, tls=False), 5.0)
        assert up.peers == []


@on_both_loops
async def test_a_dead_address_leaves_the_turn_to_the_next() -> None:
    async with upstream() as up, guarded(Names(["127.0.0.2", "127.0.0.1"]), "127.0.0.0/8") as pool:
        connection = await pool.connect(Endpoint(NAME, up.endpoint.port, tls=False), 5.0)
        await until(lambda: len(up.peers) == 1, "the connection")
        with pytest.raises(HTTPClientError, match="ConnectionRefusedError"):
            await pool.connect(Endpoint(NAME, 1, tls=False), 5.0)
        connection.close()


@on_both_loops
async def test_names_without_an_address_are_no_refusal() -> None:
    class NoNames(Names):
        async def __call__(self, _host: str, _port: int) -> list[str]:
            raise socket.gaierror(socket.EAI_NONAME, "not known")

    for names in (NoNames(), Names([])):
        async with guarded(names) as pool:
            with pytest.raises(HTTPClientError) as raised:
                await pool.connect(Endpoint(NAME, 80, tls=False), 5.0)
            assert not isinstance(raised.value, NotAllowedError)


@on_both_loops
async def test_a_look_up_that_hangs_is_bounded_as_a_connection_is() -> None:
    class Hanging(Names):
        async def __call__(self, _host: str, _port: int) -> list[str]:
            await asyncio.Event().wait()
            return []

    async with guarded(Hanging()) as pool:
        with pytest.raises(HTTPClientError, match="not made in time"):
            await pool.connect(Endpoint(NAME, 80, tls=False), 0.05)


@on_both_loops
async def test_other_ways_to_write_the_loopback_are_the_loopback() -> None:
    for written in ("127.1", "0x7f000001", "2130706433", "::1", "localhost"):
        found = await resolve_by_system(written, 80)
        assert set(found) <= {"127.0.0.1", "::1"}, written
        assert found


@on_both_loops
async def test_the_log_says_what_to_set_and_does_not_repeat_itself() -> None:
    clock = ManualClock()
    guard = UpstreamGuard((), clock=clock, resolve=Names(["10.0.0.1"]))
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(AddressRefusedError):
                await guard.addresses(NAME, 80)
        await clock.advance(TOLD_EVERY_S)
        with pytest.raises(AddressRefusedError):
            await guard.addresses(NAME, 80)
    line = {"event": "upstream_address_refused", "log_level": "warning", "host": NAME, "message": NOT_ALLOWED}
    assert logs == [line, line]


@on_both_loops
async def test_probes_and_calls_are_guarded_as_requests_are() -> None:
    async with upstream() as up, guarded(Names(["127.0.0.1"])) as pool:
        url = f"http://{NAME}:{up.endpoint.port}/v1/models"
        for asking in (
            send_probe(pool, ProbeCall("GET", url, {}), timeout_s=5.0, bytes_max=100),
            open_only(pool, url, timeout_s=5.0),
        ):
            with pytest.raises(ProbeFailedError) as raised:
                await asking
            assert raised.value.result is ProbeResult.FORBIDDEN
        with pytest.raises(CallError, match="not allowed"):
            await call(pool, "GET", url, {}, bytes_max=100, timeout_s=5.0)
        assert up.peers == []
