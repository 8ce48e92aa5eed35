"""When a channel's next probe comes."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from services.health.prober import SUSPECT_INTERVAL_S, Prober, _Slot
from tests.support.health_bus import StandingClock
from trunkline.bus.snapshots import ChannelSnapshot, Probe
from trunkline.policy.vault import Vault
from trunkline.runtime.tasks import TaskSet

INTERVAL_S = 5.0


class Doubts:
    """Says what a test says."""

    def __init__(self) -> None:
        self.suspected = False
        self.doubted = False

    def suspect(self, channel: int) -> bool:
        return self.suspected

    def in_doubt(self, channel: int) -> bool:
        return self.doubted

    def due_model(self, channel: int, now: float) -> str | None:
        return None


@pytest.fixture
def doubts() -> Doubts:
    return Doubts()


@pytest.fixture
async def prober(doubts: Doubts) -> AsyncIterator[Prober]:
    async with aiohttp.ClientSession() as session:
        yield Prober(
            session,
            Vault({1: bytes(32)}),
            clock=StandingClock(),
            tasks=TaskSet(),
            interval_s=INTERVAL_S,
            timeout_s=1.0,
            draw=lambda: 0.5,
            doubts=doubts,
            pays=lambda: True,
            on_report=lambda _channel, _report: None,
        )


def channel(interval_s: float | None) -> ChannelSnapshot:
    return ChannelSnapshot(1, "c", "openai", "http://test", (), {"m": "m"}, probe=Probe(interval_s=interval_s))


@pytest.mark.parametrize(
    ("own_s", "calm_s", "doubted_s"), [(None, INTERVAL_S, INTERVAL_S), (600.0, 600.0, INTERVAL_S), (2.0, 2.0, 2.0)]
)
async def test_a_channel_has_its_own_interval_and_in_doubt_no_longer_one_than_others(
    prober: Prober, doubts: Doubts, own_s: float | None, calm_s: float, doubted_s: float
) -> None:
    slot = _Slot(0.0, 1.0)
    slot.begun = True
    assert prober._wait_s(channel(own_s), slot) == calm_s
    doubts.doubted = True
    assert prober._wait_s(channel(own_s), slot) == doubted_s
    doubts.suspected = True
    assert prober._wait_s(channel(own_s), slot) == SUSPECT_INTERVAL_S


async def test_a_draw_makes_an_interval_longer_or_shorter(prober: Prober) -> None:
    slot = _Slot(0.0, 0.8)
    slot.begun = True
    assert prober._wait_s(channel(None), slot) == 4.0
    assert prober._wait_s(channel(10.0), slot) == 8.0


@pytest.mark.parametrize(("own_s", "wait_s"), [(None, 0.25), (600.0, 0.25), (0.4, 0.1)])
async def test_the_first_probe_comes_soon(prober: Prober, own_s: float | None, wait_s: float) -> None:
    assert prober._wait_s(channel(own_s), _Slot(0.0, 0.25)) == pytest.approx(wait_s)
