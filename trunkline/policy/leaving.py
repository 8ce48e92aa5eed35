"""When jobs that found their region full leave it for room in another one. Pure.

At home a place comes up with every job that ends, so a job that finds none waits for a moment first: as long as the way
to another region and back takes. Once jobs have had to leave, home is known to be full, and those that find no room
there leave at once, until none had to for a while. Every job is offered at home first, so that nothing is needed to
bring them back.
"""

LEAVE_AFTER_S = 0.1
"""How long jobs wait for room at home before they leave: about as long as the round trip takes that leaving costs."""

LEFT_LATELY_S = 1.0
"""For so long after a job has left, others need not wait: as long as beats take to say otherwise."""

SCOUT_EVERY_S = 0.1
"""Between two jobs that are offered elsewhere on the word of beats alone. The dispatcher that takes one of them tells
what room it has for others, so one is enough; and a request body that is refused has crossed an ocean in vain."""


class Leaving:
    """One lane at one edge."""

    def __init__(self) -> None:
        self._left_at = float("-inf")
        self._scouted_at = float("-inf")

    def left(self, now: float) -> None:
        """A job leaves."""
        self._left_at = now

    def allowed(self, since: float, now: float) -> bool:
        """Whether jobs may leave.

        Args:
            since: from when on the oldest of them has waited; ``now`` if none does.
            now: monotonic seconds.
        """
        return now - since >= LEAVE_AFTER_S or now - self._left_at < LEFT_LATELY_S

    def scout(self, since: float, now: float) -> bool:
        """Whether a job that waits is to be offered elsewhere now, though nobody there has told of room."""
        if not self.allowed(since, now) or now - self._scouted_at < SCOUT_EVERY_S:
            return False
        self._scouted_at = now
        return True
