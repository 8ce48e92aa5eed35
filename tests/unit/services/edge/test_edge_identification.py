"""Whose key it is, and which keys are not looked up because too many others of their address were wrong."""

from collections.abc import Callable, Sequence
from typing import cast

import pytest
import structlog
from prometheus_client import CollectorRegistry

from services.edge.identification import Identification
from services.edge.key_ring import KeyRing
from services.edge.metrics import EdgeMetrics
from tests.support.manual_clock import ManualClock
from trunkline.bus import snapshots, subjects
from trunkline.bus.port import Bus, BusError, Message
from trunkline.bus.snapshots import KeyPolicy
from trunkline.core.errors import ErrorType, FaultError
from trunkline.policy import keys
from trunkline.policy.keys import CompiledKey
from trunkline.runtime.http_exchange import Request
from trunkline.runtime.tasks import TaskSet

PEPPER = b"pepper-of-the-tests"
ADDRESS, OTHER = "198.51.100.7", "198.51.100.8"
POLICY = snapshots.encode(KeyPolicy(key=1, key_name="k", account=1, account_name="a"))
PER_MINUTE = 3


def secret(number: int) -> str:
    return keys.mint(bytes([number]) * 64)


GOOD, LATER = secret(200), secret(201)


class Store:
    """A bucket of keys.

    Attributes:
        entries: policies by hash.
        reads: how many look-ups there were.
        away: none can be made.
    """

    def __init__(self) -> None:
        self.entries = {keys.key_hash(GOOD, PEPPER): POLICY}
        self.reads = 0
        self.away = False
        self.handler: Callable[[Message], None]
        self.connection_changed: Callable[[bool], None]

    async def subscribe(self, _subject: str, handler: Callable[[Message], None]) -> None:
        self.handler = handler

    def on_connection(self, callback: Callable[[bool], None]) -> None:
        self.connection_changed = callback

    async def kv_get(self, _bucket: str, token: str) -> bytes | None:
        self.reads += 1
        if self.away:
            raise BusError("away")
        return self.entries.get(token)

    def put(self, key: str) -> None:
        """Store a key, and announce it."""
        name = keys.key_hash(key, PEPPER)
        self.entries[name] = POLICY
        self.handler(Message(f"$KV.{subjects.KV_KEYS}.{name}", "", POLICY))


class Rig:
    """An identification on a store."""

    def __init__(self) -> None:
        self.store, self.clock, self.registry = Store(), ManualClock(), CollectorRegistry()
        metrics = EdgeMetrics(self.registry)
        self.ring = KeyRing(cast("Bus", self.store), PEPPER, clock=self.clock, tasks=TaskSet(), metrics=metrics)
        self.identification = Identification(self.ring, PER_MINUTE, clock=self.clock, metrics=metrics)

    async def ask(self, key: str | None, address: str = ADDRESS) -> ErrorType | None:
        """Return the error of a request; None for a key that is good."""
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        try:
            found = self.identification.identify(Request("POST", "/", "", headers, b"", address), "")
            if not isinstance(found, CompiledKey):
                await found
        except FaultError as error:
            self.retry_after_ms = error.fault.retry_after_ms
            return error.fault.type
        return None

    async def guess(self, numbers: Sequence[int]) -> None:
        """Try wrong keys that are well-formed."""
        for number in numbers:
            assert await self.ask(secret(number)) is ErrorType.CLIENT_UNAUTHENTICATED

    def counted(self) -> dict[str, float]:
        """Return the metric."""
        whys = ("malformed", "unknown", "limited")
        values = {why: self.registry.get_sample_value("trunkline_edge_failed_keys_total", {"why": why}) for why in whys}
        return {why: value for why, value in values.items() if value}


@pytest.fixture
async def rig() -> Rig:
    rig = Rig()
    await rig.ring.start()
    return rig


async def test_past_the_bound_nothing_is_looked_up(rig: Rig) -> None:
    await rig.guess(range(PER_MINUTE))
    assert await rig.ask(secret(50)) is ErrorType.POLICY_RATE_LIMITED
    assert rig.retry_after_ms == 20_000
    assert await rig.ask(GOOD) is ErrorType.POLICY_RATE_LIMITED  # which an answer would tell apart
    assert await rig.ask("sk-tl-nonsense") is ErrorType.POLICY_RATE_LIMITED
    assert rig.store.reads == PER_MINUTE
    assert rig.counted() == {"unknown": 3, "limited": 3}

    await rig.clock.advance(20)
    assert await rig.ask(GOOD) is None


async def test_a_key_that_is_known_is_not_kept_waiting_nor_are_other_addresses(rig: Rig) -> None:
    assert await rig.ask(GOOD) is None
    await rig.guess(range(PER_MINUTE))
    assert await rig.ask(GOOD) is None
    assert await rig.ask(secret(50), OTHER) is ErrorType.CLIENT_UNAUTHENTICATED


async def test_a_key_that_was_known_may_be_looked_up_again(rig: Rig) -> None:
    """It is forgotten with each change of it, and with the connection to the bus."""
    assert await rig.ask(GOOD) is None
    await rig.guess(range(PER_MINUTE))
    rig.store.put(GOOD)
    assert await rig.ask(GOOD) is None
    rig.store.connection_changed(True)
    assert await rig.ask(GOOD) is None


async def test_a_key_that_was_just_made_may_be_looked_up(rig: Rig) -> None:
    await rig.guess(range(PER_MINUTE))
    rig.store.put(LATER)
    assert await rig.ask(LATER) is None


async def test_malformed_keys_count_and_missing_ones_do_not(rig: Rig) -> None:
    for _ in range(PER_MINUTE + 5):
        assert await rig.ask(None) is ErrorType.CLIENT_UNAUTHENTICATED
    for _ in range(PER_MINUTE):
        assert await rig.ask("undefined") is ErrorType.CLIENT_UNAUTHENTICATED
    assert await rig.ask("undefined") is ErrorType.POLICY_RATE_LIMITED
    assert await rig.ask(None) is ErrorType.CLIENT_UNAUTHENTICATED
    assert rig.store.reads == 0
    assert rig.counted() == {"malformed": 3, "limited": 1}


async def test_the_same_wrong_key_again_is_no_further_guess(rig: Rig) -> None:
    """A program whose key was deleted must not shut others out behind the same address."""
    for _ in range(PER_MINUTE + 5):
        assert await rig.ask(secret(1)) is ErrorType.CLIENT_UNAUTHENTICATED
    assert rig.store.reads == 1
    assert await rig.ask(GOOD) is None


async def test_what_cannot_be_looked_up_was_not_wrong(rig: Rig) -> None:
    rig.store.away = True
    for number in range(PER_MINUTE + 5):
        assert await rig.ask(secret(number)) is ErrorType.GATEWAY_NOT_READY
    rig.store.away = False
    assert await rig.ask(GOOD) is None
    assert rig.counted() == {}


async def test_the_log_names_the_address_once_and_few_of_many(rig: Rig) -> None:
    with structlog.testing.capture_logs() as logs:
        await rig.guess(range(PER_MINUTE))
        for number in range(PER_MINUTE):
            await rig.ask(secret(100 + number), "2001:db8::1")
        await rig.clock.advance(60)
        for number in range(PER_MINUTE):
            await rig.ask(secret(150 + number), "2001:db8:0:1::1")
    assert [(line["event"], line["address"], line["others"]) for line in logs] == [
        ("failed_keys_limited", ADDRESS, 0),
        ("failed_keys_limited", "2001:db8:0:1::/64", 1),
    ]
    assert rig.identification.addresses == 1
