"""When a provider's limit will be hit, foreseen from what its answers say is left (`protocol.rate_limits`). Pure.

All dispatchers use the same account, so what is gone between two answers is everybody's use, and how fast it goes needs
no talk among them. Where it will be gone before the reset, the credential is *tight*: traffic leaves it until the
rest lasts to the reset at the speed it had. So a limit is used to its end, but late rather than early.

Some providers count anew at the reset, others let what is left grow all the time and call reset the moment at which all
of it is there again; those are known by a reset that moves away before it has come. The same rule holds for both.
"""

import math

from trunkline.protocol.rate_limits import ProviderLimits

WINDOW_S_DEFAULT = 60.0
"""The window of a provider that names no reset: nearly all count by the minute."""

MEASURE_S = 1.0
"""Least time between two readings of which a speed is made; a shorter one shows the order of answers."""

SPEED_S_MIN = 10.0
"""A speed is a mean over the last seconds: so many, or a tenth of what is left to the reset if that is longer."""

RESERVE = 0.02
"""Part of a limit that is left untouched: answers tell what was left when their requests came, and are late."""

REACT_S = 1.0
"""For so long use goes on as it was before all dispatchers have read how little is left."""

ENTER = 0.8
"""The rest must last for this part of the time to the reset; then it is left alone until it lasts for all of it. So a
credential is not left and taken up again with every answer, and conversations with it."""

REST_S_MAX = 60.0
"""Longest rest of a limit that is used up, if its provider refused nothing: its reset may mean the moment at which all
is there again, and after a refusal it names its wait itself."""

REFILL = 0.05
"""Part of the time to the reset that a limit rests which grows all the time: then so much of it is there again."""

MOVED_S = 2.0
"""A reset that has moved by more was not rounded."""


class Meter:
    """What is left of one kind: requests or tokens.

    Attributes:
        remaining: as last read.
        reset_at: when all of it is there again, monotonic seconds.
        limit: as said, or the most that was ever left.
        speed: how much of it goes in a second.
        per_attempt: how much an attempt takes.
    """

    __slots__ = ("_from", "_since", "limit", "per_attempt", "refills", "remaining", "reset_at", "speed")

    def __init__(self) -> None:
        self.remaining = 0
        self.reset_at = -math.inf
        self.limit = 0
        self.speed = 0.0
        self.per_attempt = 1.0
        self.refills = False
        self._from = 0
        self._since = -math.inf

    def read(self, remaining: int, limit: int | None, reset_s: float | None, now: float, rested_until: float) -> None:
        """Take a reading.

        Args:
            remaining: see `ProviderLimits`.
            limit: see there.
            reset_s: see there.
            now: monotonic seconds.
            rested_until: when traffic came back to it, if it had left.
        """
        reset_at = now + (WINDOW_S_DEFAULT if reset_s is None else reset_s)
        if now + MOVED_S < self.reset_at < reset_at - MOVED_S and reset_s is not None:
            self.refills = True
        took_s = now - self._since
        if now >= self.reset_at and not self.refills:
            self._since, self._from = now, remaining  # another window
        elif took_s >= MEASURE_S:
            gone = max(self._from - remaining, 0) / took_s
            # A time in which traffic was elsewhere shows too little, never too much.
            if gone > self.speed or self._since >= rested_until:
                part = 1.0 - math.exp(-took_s / max(SPEED_S_MIN, (reset_at - now) / 10))
                self.speed += (gone - self.speed) * (part if self.speed else 1.0)
            self._since, self._from = now, remaining
        self.remaining, self.reset_at = remaining, reset_at
        self.limit = limit or max(self.limit, remaining)

    def room(self, unread: float) -> float:
        """Return what may still be used, after a reserve for what is under way.

        Args:
            unread: attempts, of all dispatchers, that this reading does not know of.
        """
        return self.remaining - self.limit * RESERVE - self.speed * REACT_S - unread * self.per_attempt

    def tight_until(self, unread: float, now: float) -> float:
        """Return until when traffic should go elsewhere; ``now`` or earlier if it need not."""
        left_s = self.reset_at - now
        room = self.room(unread)
        if left_s <= 0 or (room > 0 and room >= self.speed * left_s * ENTER):
            return now
        if room > 0:
            return self.reset_at - room / self.speed
        return now + left_s / 4 if self.refills else self.reset_at

    def rest_until(self, now: float) -> float:
        """Return until when there is nothing left; ``now`` or earlier if there is."""
        if self.remaining > 0:
            return now
        left_s = self.reset_at - now
        return now + min(left_s * REFILL if self.refills else left_s, REST_S_MAX)


class Gauge:
    """One credential's limits for one model: providers count by account and model.

    Attributes:
        tight_until, rest_until: monotonic seconds.
        unread: attempts of this dispatcher that no reading is known to include.
    """

    __slots__ = ("_requests", "_tokens", "rest_until", "tight_until", "unread")

    def __init__(self) -> None:
        self._requests: Meter | None = None
        self._tokens: Meter | None = None
        self.tight_until = -math.inf
        self.rest_until = -math.inf
        self.unread = 0

    def begin(self, dispatchers: int, now: float) -> None:
        """An attempt begins: with many before an answer, what was read last is not true any more.

        After a rest the first one shows whether it is over; the others wait for what it brings.
        """
        self.unread += 1
        for meter in (self._requests, self._tokens):
            if meter is not None and now < meter.reset_at and meter.room(self.unread * dispatchers) <= 0:
                self._judge(meter, self.unread * dispatchers, now)

    def read(self, limits: ProviderLimits, dispatchers: int, under_way: int, now: float) -> None:
        """Take what an answer said.

        Args:
            limits: of the provider.
            dispatchers: how many use the account.
            under_way: this dispatcher's attempts with the credential.
            now: monotonic seconds.
        """
        # An attempt without an answer never tells: what it added is bounded by those under way.
        self.unread = min(max(self.unread - 1, 0), under_way)
        unread = self.unread * dispatchers
        rested_until, self.tight_until, self.rest_until = self.tight_until, now, now
        if limits.remaining_requests is not None:
            meter = self._requests = self._requests or Meter()
            meter.read(limits.remaining_requests, limits.limit_requests, limits.reset_requests_s, now, rested_until)
            self._judge(meter, unread, now)
        if limits.remaining_tokens is not None:
            meter = self._tokens = self._tokens or Meter()
            meter.read(limits.remaining_tokens, limits.limit_tokens, limits.reset_tokens_s, now, rested_until)
            if self._requests is not None and self._requests.speed:
                meter.per_attempt = meter.speed / self._requests.speed
            self._judge(meter, unread, now)

    def _judge(self, meter: Meter, unread: int, now: float) -> None:
        self.tight_until = max(self.tight_until, meter.tight_until(unread, now))
        self.rest_until = max(self.rest_until, meter.rest_until(now))
