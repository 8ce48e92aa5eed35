"""Which of several health processes publishes: the one with the smallest id among those that live.

Every replica probes and judges; only the leader writes. It is told from the beats that every process sends anyway,
without a lock or a lease: the simplest rule that is safe, because two leaders for a moment (a beat was lost, one has
just started) do no harm. Both write verdicts on the same channels from the same outcomes, each with a growing
version, and the history's message ids make the second copy of a sample vanish. Pure.
"""

from trunkline.bus.messages import Beat
from trunkline.core import limits

LOST_AFTER_S = limits.BEAT_INTERVAL_S * limits.BEATS_MISSED_MAX


class Peers:
    """The health processes that are heard.

    Args:
        own: this process's id.
    """

    def __init__(self, own: str) -> None:
        self._own = own
        self._heard: dict[str, float] = {}
        self._resigned = False

    def receive_beat(self, beat: Beat, now: float) -> None:
        """Take any health process's beat; ``now`` in monotonic seconds. One that drains has resigned."""
        if beat.draining:
            self._heard.pop(beat.process, None)
        elif beat.process != self._own:
            self._heard[beat.process] = now

    def leads(self, now: float) -> bool:
        """Return whether this process is to publish."""
        if self._resigned:
            return False
        for process, heard in list(self._heard.items()):
            if now - heard > LOST_AFTER_S:
                del self._heard[process]
            elif process < self._own:
                return False
        return True

    def resign(self) -> None:
        """Lead no more: this process is about to stop."""
        self._resigned = True
