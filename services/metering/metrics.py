"""Metrics of metering. Labels are closed sets of words."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from trunkline.core.money import NANO_PER_USD
from trunkline.runtime.metrics import LATENCY_BUCKETS_S, ReadCounter, ReadGauge, zeroed
from trunkline.store.settlement import SettledBatch


class MeteringMetrics:
    """Metering's metrics, on the registry of its process.

    Attributes:
        queue_messages: usage messages in the stream that are not settled yet.
        queue_age_s: how long at least the oldest of them has waited.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._booked_nano = {"charge": 0, "cost": 0}
        self.queue_messages = 0
        self.queue_age_s = 0.0
        self._count_settling(registry)
        self._show_books(registry)
        self._count_answers(registry)
        self._count_postgres(registry)
        self._count_upkeep(registry)

    def _count_settling(self, registry: CollectorRegistry) -> None:
        self.events = zeroed(
            Counter(
                "trunkline_metering_events",
                "Usage events by result: settled for the first time, duplicate, or refused and set aside.",
                ["result"],
                registry=registry,
            ),
            ("settled", "duplicate", "refused"),
        )
        self.messages_refused = Counter(
            "trunkline_metering_messages_refused",
            "Messages that were no usage batch this version knows; set aside.",
            registry=registry,
        )
        self.batches = Counter("trunkline_metering_batches", "Settled transactions.", registry=registry)
        self.settle_seconds = Histogram(
            "trunkline_metering_settle_seconds",
            "One settlement transaction.",
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.unpriced = Counter(
            "trunkline_metering_unpriced",
            "Events settled without a charge, or with a part of it missing, because no price is known.",
            registry=registry,
        )
        self.void_jobs = zeroed(
            Counter(
                "trunkline_metering_void_jobs",
                "Jobs of which edges said that their clients got nothing, by what came of it: noted, refunded, or "
                "refused, since they were too old.",
                ["result"],
                registry=registry,
            ),
            ("noted", "refunded", "refused"),
        )

    def _show_books(self, registry: CollectorRegistry) -> None:
        for kind in self._booked_nano:
            registry.register(self._booked(kind))
        registry.register(
            ReadGauge(
                "trunkline_metering_queue_messages",
                "Usage messages in the stream that are not settled yet, over all replicas.",
                lambda: self.queue_messages,
            )
        )
        registry.register(
            ReadGauge(
                "trunkline_metering_queue_age_seconds",
                "How long at least the oldest of these messages has waited; 0 if none waits.",
                lambda: self.queue_age_s,
            )
        )

    def _count_answers(self, registry: CollectorRegistry) -> None:
        self.draws = Counter(
            "trunkline_metering_allowance_draws",
            "Allowance draws by result: answered, dropped (Postgres away), refused (unreadable).",
            ["result"],
            registry=registry,
        )
        self.draw_conflicts = Counter(
            "trunkline_metering_draw_conflicts",
            "Draws decided again because another replica had changed the account meanwhile.",
            registry=registry,
        )
        self.inquiries = Counter(
            "trunkline_metering_inquiries",
            "Questions of clients about their own keys by result: answered, busy (too many waited), late (its edge has "
            "given up), away (Postgres), refused (unreadable).",
            ["result"],
            registry=registry,
        )

    def _count_postgres(self, registry: CollectorRegistry) -> None:
        self.postgres_failures = zeroed(
            Counter(
                "trunkline_metering_postgres_failures",
                "Uses of Postgres that failed and were or will be tried again.",
                ["use"],
                registry=registry,
            ),
            ("allowances", "inquiries", "ledger", "retention", "settlement", "upkeep"),
        )
        self.postgres_clock_leaps = zeroed(
            Counter(
                "trunkline_metering_postgres_clock_leaps",
                "Times that Postgres's clock was seen to be set by a second or more, by where to: ahead, or back. Each "
                "replica counts for itself.",
                ["direction"],
                registry=registry,
            ),
            ("ahead", "back"),
        )

    def _count_upkeep(self, registry: CollectorRegistry) -> None:
        self.leases_dropped = zeroed(
            Counter(
                "trunkline_metering_leases_dropped",
                "Leases ended, by why: closed by their edge, or lost with it.",
                ["why"],
                registry=registry,
            ),
            ("closed", "lost"),
        )
        self.ledger_mismatches = Gauge(
            "trunkline_metering_ledger_mismatches",
            "What did not agree when the ledger was last looked at: the sum of all balances, and the charges of the "
            "newest attempts.",
            registry=registry,
        )
        self.ledger_looked_at = Gauge(
            "trunkline_metering_ledger_looked_at_timestamp_seconds",
            "When that was, as Unix time; 0 if it has not been yet.",
            registry=registry,
        )
        self.orphans = Counter(
            "trunkline_metering_orphans",
            "Attempts settled by the last checkpoint of their dispatcher, which was lost.",
            registry=registry,
        )
        self.orphans_corrected = Counter(
            "trunkline_metering_orphans_corrected",
            "Attempts settled by a checkpoint, of which exact usage came later and was booked in its place.",
            registry=registry,
        )
        self.forgotten = Counter(
            "trunkline_metering_usage_forgotten",
            "Attempts of which only sums are kept because of their age.",
            registry=registry,
        )

    def _booked(self, kind: str) -> ReadCounter:
        return ReadCounter(
            f"trunkline_metering_{kind}_usd",
            f"Ledger transfers of kind {kind} booked by this process, without corrections, in USD.",
            lambda: self._booked_nano[kind] / NANO_PER_USD,
        )

    def settled(self, batch: SettledBatch, seconds: float) -> None:
        """Count one settled transaction."""
        self.batches.inc()
        self.settle_seconds.observe(seconds)
        self.events.labels("settled").inc(batch.events)
        self.events.labels("duplicate").inc(batch.duplicates)
        self.unpriced.inc(batch.unpriced)
        self.orphans_corrected.inc(batch.corrected)
        self._booked_nano["charge"] += batch.charge_nano
        self._booked_nano["cost"] += batch.cost_nano
