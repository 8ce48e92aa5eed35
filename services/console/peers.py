"""Which processes live, from their beats: what `trunkline doctor` is told."""

import math
from collections.abc import Collection

from trunkline.bus import messages, subjects
from trunkline.bus.messages import Beat
from trunkline.bus.port import Bus, Message
from trunkline.core.clock import Clock
from trunkline.core.limits import BEAT_INTERVAL_S, BEATS_MISSED_MAX
from trunkline.policy.admin_api import Check, Peer
from trunkline.policy.diagnosis import Heard, fleet_checks

PEERS_MAX = 10_000
"""Processes remembered; beats of more are not kept."""


class Peers:
    """Remembers the last beat of each process.

    Args:
        bus, clock: of the process.
    """

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._beats: dict[str, tuple[float, Beat]] = {}
        self._heard_all_at = math.inf

    @property
    def connected(self) -> bool:
        """Whether the bus is."""
        return self._bus.connected

    async def start(self) -> None:
        """Listen to the beats of all roles."""
        await self._bus.subscribe(subjects.alive_of("*"), self._heard)
        self._heard_all_at = self._clock.now() + BEAT_INTERVAL_S * BEATS_MISSED_MAX

    async def heard_all(self) -> None:
        """Return once everybody who lives has been heard: soon after the start, then at once."""
        while (wait_s := self._heard_all_at - self._clock.now()) > 0:
            await self._clock.sleep(min(wait_s, BEAT_INTERVAL_S))

    async def miss_ended(self) -> None:
        """Return once those that have ended until now are not taken for alive any more."""
        await self._clock.sleep(BEAT_INTERVAL_S * BEATS_MISSED_MAX)

    def _heard(self, message: Message) -> None:
        beat = messages.decode_beat(message.data)
        if beat.role != subjects.beating_role(message.subject):
            return  # whoever sends it may not speak for that role
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

    def without_master(self, roles: Collection[str], master: int) -> list[str]:
        """Return which processes of some roles live and do not hold a master key, by its version."""
        self._forget()
        return sorted(
            beat.process for _, beat in self._beats.values() if beat.role in roles and master not in beat.masters
        )

    def checks(self) -> list[Check]:
        """Return what they tell of the fleet's condition."""
        self._forget()
        now, wall_ms = self._clock.now(), self._clock.wall_ms()
        # What our clock showed when each was heard is what it shows now, less the time since.
        return fleet_checks(
            [Heard(beat, beat.sent_ms - wall_ms + round((now - at) * 1000)) for at, beat in self._beats.values()]
        )
