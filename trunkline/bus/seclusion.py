"""When to leave a server of NATS that has lost the others of its cluster. Pure; called by `runtime.cluster_watch`.

Such a server lives, answers pings, and carries messages between those that are connected to it. What gives it away is
that JetStream, which takes a majority of the servers, does not answer through it. So it does not answer either while a
majority is really gone; then no other server is better, and leaving again and again would only cost.
"""

SECLUDED_AFTER_S = 10.0
"""Without an answer: longer than a stream is without a leader after the loss of a server, which is 4 to 9 s."""

PATIENCE_S_MAX = 300.0
"""What the time between two attempts grows to while leaving does not help."""


class Seclusion:
    """Looks at whether JetStream answers on one connection."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._patience_s = SECLUDED_AFTER_S

    def answered(self) -> None:
        """JetStream has answered: all is well."""
        self._since = None
        self._patience_s = SECLUDED_AFTER_S

    def unanswered(self, now: float) -> bool:
        """It has not answered in time; returns whether to leave the server now. ``now`` is monotonic seconds."""
        if self._since is None:
            self._since = now
        if now - self._since < self._patience_s:
            return False
        self._since = now
        self._patience_s = min(2 * self._patience_s, PATIENCE_S_MAX)
        return True
