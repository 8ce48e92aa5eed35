"""Who lives, as the console hears it."""

from services.console.peers import Peers
from tests.support.manual_clock import ManualClock
from trunkline.bus import messages, subjects
from trunkline.bus.messages import Beat
from trunkline.runtime.memory_bus import MemoryBroker


async def test_a_process_speaks_for_its_own_role_alone() -> None:
    """An edge that was taken over may beat as edges do; what its beat says of itself is only its word."""
    bus, clock = MemoryBroker().connect("console-1"), ManualClock()
    peers = Peers(bus, clock)
    await peers.start()
    real = Beat("dispatcher", "dispatcher-1", 0, masters=(1,))
    bus.publish(subjects.alive("dispatcher", real.process), messages.encode(real))
    for claimed in (Beat("dispatcher", "dispatcher-1", 0, masters=(1, 2)), Beat("health", "health-1", 0)):
        bus.publish(subjects.alive("edge", claimed.process), messages.encode(claimed))
    await clock.advance(0)
    assert [(peer.role, peer.process) for peer in peers.alive()] == [("dispatcher", "dispatcher-1")]
    assert peers.without_master(("dispatcher", "health"), 2) == ["dispatcher-1"]
