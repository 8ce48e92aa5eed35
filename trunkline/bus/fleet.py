"""Who lives, by the beats that were heard. Pure: edges keep one of dispatchers, dispatchers one of edges."""

from collections.abc import Collection
from typing import NamedTuple

from trunkline.bus.messages import Beat
from trunkline.core import limits

LOST_AFTER_S = limits.BEAT_INTERVAL_S * (limits.BEATS_MISSED_MAX + 0.5)
"""Half a beat more than the allowed misses, so that a beat which is merely late does not count."""


class Member(NamedTuple):
    """A living process: its last beat, and when it was heard (monotonic seconds)."""

    beat: Beat
    heard: float


class Fleet:
    """The living processes of one role."""

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, process: str) -> bool:
        return process in self._members

    def receive(self, beat: Beat, now: float) -> None:
        """Note a beat."""
        self._members[beat.process] = Member(beat, now)

    def take_lost(self, now: float) -> list[str]:
        """Return the processes whose beats have stopped, each once."""
        lost = [process for process, member in self._members.items() if now - member.heard > LOST_AFTER_S]
        for process in lost:
            del self._members[process]
        return lost

    def forgive(self, now: float) -> None:
        """Our own connection was away: silence until now says nothing about the others."""
        self._members = {process: Member(member.beat, now) for process, member in self._members.items()}

    def pick(self, tried: Collection[str], lane: str) -> str | None:
        """Return the dispatcher of a lane with the most room that was not tried yet, or None.

        One that reported no room is still better than none: its last beat is up to a second old.
        """
        best: tuple[int, str] | None = None
        for process, (beat, _) in self._members.items():
            if process in tried or beat.draining or lane not in beat.lanes:
                continue
            if best is None or (beat.room, process) > best:
                best = (beat.room, process)
        return best[1] if best is not None else None
