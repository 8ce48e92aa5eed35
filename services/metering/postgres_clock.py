"""Postgres's clock as metering sees it: one clock for all replicas, which somebody may set."""

import structlog

from services.metering.metrics import MeteringMetrics
from trunkline.core.clock import Clock
from trunkline.policy.leaps import LeapWatch

log = structlog.get_logger()

SAID_FROM_MS = 1000.0
"""Smaller leaps are what time servers do every day."""


class PostgresClock:
    """Notices leaps.

    Args:
        clock: of the process.
        metrics: count the leaps that are worth a word.
    """

    def __init__(self, clock: Clock, metrics: MeteringMetrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._watch = LeapWatch()

    def asked(self) -> float:
        """Return what to hand to `leapt_ms` when the answer is here; called before Postgres is asked for its time."""
        return self._clock.now()

    def leapt_ms(self, wall_ms: int, asked_s: float) -> int:
        """Take a reading and return how much older than it is something of the last minute may look.

        Args:
            wall_ms: Postgres's clock, Unix time in milliseconds.
            asked_s: see `asked`.
        """
        heard_s = self._clock.now()
        by_ms = self._watch.read(wall_ms, asked_s, heard_s)
        if abs(by_ms) >= SAID_FROM_MS:
            self._metrics.postgres_clock_leaps.labels("ahead" if by_ms > 0 else "back").inc()
            log.warning("postgres_clock_leapt", by_s=round(by_ms / 1000, 1))
        return self._watch.leapt_ms(heard_s)
