"""How long usage waits to be settled. Pure; asked by `upkeep`."""

from services.metering.intake import Queue


class QueueAge:
    """Tells from where the stream stands, look by look, how long its oldest message has waited at least.

    JetStream's answer has no times. So a mark is set at the newest message, and the next one when all up to it are
    settled: as long as they are not, the oldest is at least as old as the mark. While messages keep coming and wait for
    ``n`` seconds each, this goes from 0 to ``n`` again and again.
    """

    def __init__(self) -> None:
        self._mark = 0
        self._marked_at: float | None = None

    def age_s(self, queue: Queue, now: float) -> float:
        """Return the age; 0 if nothing waits. ``now`` in monotonic seconds."""
        if not queue.messages:
            self._marked_at = None
            return 0.0
        anew = queue.published < self._mark  # another stream has taken its place
        if self._marked_at is None or queue.settled >= self._mark or anew:
            self._mark, self._marked_at = queue.published, now
        return now - self._marked_at
