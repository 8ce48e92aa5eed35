"""Which processes live, from their beats: what `trunkline doctor` is told."""

from trunkline.bus import messages, subjects
from trunkline.bus.messages import Beat
from trunkline.bus.port import Bus, Message
from trunkline.core.clock import Clock
from trunkline.core.limits import BEAT_INTERVAL_S, BEATS_MISSED_MAX
from trunkline.policy.admin_api import Check, Peer

ROLES = ("edge", "dispatcher", "metering", "health")
"""What a working gateway has at least one of, beside the console that answers."""

PEERS_MAX = 10_000
"""Processes remembered; beats of more are not kept."""

_WITHOUT = {
    "edge": "no client can connect",
    "dispatcher": "no request is served",
    "metering": "usage waits in the stream and balances do not move",
    "health": "channels keep the weights that they had",
}


class Peers:
    """Remembers the last beat of each process.

    Args:
        bus, clock: of the process.
    """

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._beats: dict[str, tuple[float, Beat]] = {}

    @property
    def connected(self) -> bool:
        """Whether the bus is."""
        return self._bus.connected

    async def start(self) -> None:
        """Listen to the beats of all roles."""
        await self._bus.subscribe(subjects.alive_of("*"), self._heard)

    def _heard(self, message: Message) -> None:
        beat = messages.decode_beat(message.data)
        if len(self._beats) >= PEERS_MAX:
            self._forget()
        if len(self._beats) < PEERS_MAX:
            self._beats[beat.process] = self._clock.now(), beat

    def _forget(self) -> None:
        lost = self._clock.now() - BEAT_INTERVAL_S * BEATS_MISSED_MAX
        self._beats = {name: heard for name, heard in self._beats.items() if heard[0] >= lost}

    def alive(self) -> tuple[Peer, ...]:
        """Return the processes heard within `BEATS_MISSED_MAX` beats, by role and id."""
        self._forget()
        now = self._clock.now()
        return tuple(
            sorted(
                (
                    Peer(beat.role, beat.process, round((now - at) * 1000), beat.in_flight, beat.room, beat.draining)
                    for at, beat in self._beats.values()
                ),
                key=lambda peer: (peer.role, peer.process),
            )
        )

    def checks(self) -> list[Check]:
        """Return one check per role: whether a process of it works."""
        working = [peer.role for peer in self.alive() if not peer.draining]
        return [
            Check(role, True, f"{count} alive")
            if (count := working.count(role))
            else Check(role, False, f"None is alive: {_WITHOUT[role]}. Start one, or look at its log.")
            for role in ROLES
        ]
