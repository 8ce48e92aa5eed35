"""Who lives, by the beats that were heard. Pure: edges keep one of dispatchers, dispatchers one of edges.

A process is far if it is of another region than this one. One that names no region is of every region, so that a
cluster without regions is as one region, and one in which the setting is being rolled out is, too.
"""

from collections.abc import Collection
from typing import NamedTuple

from trunkline.bus import frames
from trunkline.bus.messages import Beat
from trunkline.core import limits

LOST_AFTER_S = limits.BEAT_INTERVAL_S * (limits.BEATS_MISSED_MAX + 0.5)
"""Half a beat more than the allowed misses, so that a beat which is merely late does not count."""


class Member(NamedTuple):
    """A living process: its last beat, and when it was heard (monotonic seconds)."""

    beat: Beat
    heard: float


class Fleet:
    """The living processes of one role.

    Args:
        region: this process's own; empty: all others are near.
    """

    def __init__(self, region: str = "") -> None:
        self._region = region
        self._members: dict[str, Member] = {}
        self._met: dict[str, float] = {}
        self._lane_versions: dict[str, int] = {}  # as far as it was asked for; forgotten when a member changes

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, process: str) -> bool:
        return process in self._members

    def heard_within(self, process: str, seconds: float, now: float) -> bool:
        """Return whether a process was heard so lately."""
        member = self._members.get(process)
        return member is not None and now - member.heard <= seconds

    def receive(self, beat: Beat, now: float) -> None:
        """Note a beat."""
        earlier = self._members.get(beat.process)
        if earlier is None or (earlier.beat.frames, earlier.beat.lanes) != (beat.frames, beat.lanes):
            self._lane_versions.clear()
        self._members[beat.process] = Member(beat, now)
        self._met.pop(beat.process, None)

    def meet(self, process: str, now: float) -> None:
        """A process was dealt with; if none of its beats was heard, it is lost as late as if this had been one.

        It may have taken a job just after it was given up here, or be gone before its first beat has come.
        """
        if process not in self._members:
            self._met.setdefault(process, now)

    def take_lost(self, now: float) -> list[str]:
        """Return the processes whose beats have stopped, each once."""
        heard = {process: member.heard for process, member in self._members.items()} | self._met
        lost = [process for process, at in heard.items() if now - at > LOST_AFTER_S]
        for process in lost:
            self._members.pop(process, None)
            self._met.pop(process, None)
            self._lane_versions.clear()
        return lost

    def forgive(self, now: float) -> None:
        """Our own connection was away: silence until now says nothing about the others."""
        self._members = {process: Member(member.beat, now) for process, member in self._members.items()}
        self._met = dict.fromkeys(self._met, now)

    def frame_version(self, process: str | None, lane: str) -> int:
        """Return the version of frames in which to make an offer to a dispatcher.

        Args:
            process: its id; None: whichever of the lane the broker picks. Then the one counts that reads the least,
                those that drain among them: they may get it still.
            lane: of the job.
        """
        if process is None:
            found = self._lane_versions.get(lane)
            if found is None:
                read = (beat.frames for beat, _ in self._members.values() if lane in beat.lanes)
                found = self._lane_versions[lane] = frames.agreed(min(read, default=frames.OLDEST_READ))
            return found
        member = self._members.get(process)
        return frames.OLDEST_READ if member is None else frames.agreed(member.beat.frames)

    def is_far(self, process: str) -> bool:
        """Whether a process is of another region, as far as it has been heard of."""
        member = self._members.get(process)
        return member is not None and self._far(member.beat)

    def _far(self, beat: Beat) -> bool:
        return bool(self._region and beat.region) and beat.region != self._region

    def pick(self, tried: Collection[str], lane: str) -> str | None:
        """Return the dispatcher of a lane with the most room that is near and was not tried yet, or None.

        One that reported no room is still better than none: its last beat is up to a second old.
        """
        return self._most_room(tried, lane, far=False)

    def pick_far(self, tried: Collection[str], lane: str) -> str | None:
        """Return, as `pick`, a dispatcher of another region, but none that reported no room: asking it takes long."""
        return self._most_room(tried, lane, far=True)

    def serves(self, lane: str) -> bool:
        """Whether any dispatcher takes jobs of a lane, in whichever region."""
        return any(not beat.draining and lane in beat.lanes for beat, _ in self._members.values())

    def _most_room(self, tried: Collection[str], lane: str, *, far: bool) -> str | None:
        best: tuple[int, str] | None = None
        for process, (beat, _) in self._members.items():
            if process in tried or beat.draining or lane not in beat.lanes or self._far(beat) is not far:
                continue
            if (best is None or (beat.room, process) > best) and (beat.room > 0 or not far):
                best = (beat.room, process)
        return best[1] if best is not None else None
