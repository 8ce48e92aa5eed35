"""What happens to a packet between two hosts: decisions as a function of what was set, the time and a seeded random.

A wire is an ordered pair of hosts, so trouble may have a direction. `network_wire` feeds the switch with packets;
`network` sets the trouble.
"""

import dataclasses
import heapq
import random
from collections.abc import Iterator, Sequence

import msgspec

HELD_PACKETS_MAX = 20_000
"""On all wires together; more are dropped, as by a router without room. A second of what the process can carry."""

DESTINATION = slice(16, 20)
"""Where an IPv4 packet says whom it is for (RFC 791 section 3.1)."""


class Trouble(msgspec.Struct, frozen=True):
    """What is wrong with a wire.

    Attributes:
        delay_s: that each packet is held.
        loss: probability that a packet is dropped, 0 to 1.
        cut: every packet is dropped, and nobody is told.
    """

    delay_s: float = 0.0
    loss: float = 0.0
    cut: bool = False


NONE = Trouble()


@dataclasses.dataclass(slots=True)
class _Wire:
    random: random.Random
    trouble: Trouble = NONE
    busy_until_s: float = 0.0
    carried: int = 0
    dropped: int = 0


@dataclasses.dataclass(frozen=True, order=True, slots=True)
class _Held:
    due_s: float
    number: int
    target: int = dataclasses.field(compare=False)
    packet: bytes = dataclasses.field(compare=False)


class Switch:
    """The wires between hosts, which are known by their index.

    Args:
        addresses: of each host, four bytes.
        seed: of the losses; each wire draws its own.
    """

    def __init__(self, addresses: Sequence[bytes], seed: int) -> None:
        self._hosts = {address: index for index, address in enumerate(addresses)}
        self._wires = {
            (source, target): _Wire(random.Random(f"{seed}:{source}:{target}"))
            for source in range(len(addresses))
            for target in range(len(addresses))
        }
        self._held: list[_Held] = []
        self._number = 0

    def set(self, source: int, target: int, trouble: Trouble) -> None:
        """Have this trouble on a wire from now on, instead of what was there; what it holds already still arrives."""
        self._wires[source, target].trouble = trouble

    def receive(self, source: int, packet: bytes, now_s: float) -> int | None:
        """Take a packet from a host.

        Returns:
            The host that gets it at once. None: it is dropped, or held until `due` brings it.
        """
        target = self._hosts.get(packet[DESTINATION])
        if target is None:  # a broadcast, or IPv6, whose hosts we do not have
            return None
        wire = self._wires[source, target]
        trouble = wire.trouble
        if trouble.cut or (trouble.loss and wire.random.random() < trouble.loss):
            wire.dropped += 1
            return None
        # A wire keeps the order, also when its delay has just become shorter.
        due_s = max(now_s + trouble.delay_s, wire.busy_until_s)
        if due_s <= now_s:
            wire.carried += 1
            return target
        if len(self._held) >= HELD_PACKETS_MAX:
            wire.dropped += 1
            return None
        wire.carried += 1
        wire.busy_until_s = due_s
        self._number += 1
        heapq.heappush(self._held, _Held(due_s, self._number, target, packet))
        return None

    def due(self, now_s: float) -> Iterator[tuple[int, bytes]]:
        """Let go of held packets whose time has come; each with its target."""
        while self._held and self._held[0].due_s <= now_s:
            held = heapq.heappop(self._held)
            yield held.target, held.packet

    def next_due_s(self) -> float | None:
        """Return when `due` will next have something, None if nothing is held."""
        return self._held[0].due_s if self._held else None

    def counts(self) -> list[tuple[int, int, int, int]]:
        """Return source, target, packets carried and packets dropped of each wire that had any."""
        return [
            (source, target, wire.carried, wire.dropped)
            for (source, target), wire in self._wires.items()
            if wire.carried or wire.dropped
        ]
