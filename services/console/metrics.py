"""Metrics of the console. Labels are routes and closed sets of words."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from trunkline.runtime.metrics import zeroed


class ConsoleMetrics:
    """The console's metrics, on the registry of its process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count_requests(registry)
        self._count_projection(registry)
        self._count_upkeep(registry)
        self._count_history(registry)

    def _count_requests(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "trunkline_console_requests",
            "Admin requests by method, route and status.",
            ["method", "route", "status"],
            registry=registry,
        )
        self.payments = Counter(
            "trunkline_console_payments",
            "Payments announced, by provider and result: booked, known already, kept aside for a person, ignored (not"
            " of a payment), refused (forged, too old or not understood).",
            ["provider", "result"],
            registry=registry,
        )

    def _count_projection(self, registry: CollectorRegistry) -> None:
        self.projected = Counter(
            "trunkline_console_projected", "Outbox entries written to KV, by bucket.", ["bucket"], registry=registry
        )
        self.projection_failures = zeroed(
            Counter(
                "trunkline_console_projection_failures",
                "Projections that stopped and were or will be tried again, by what was away.",
                ["dependency"],
                registry=registry,
            ),
            ("nats", "postgres"),
        )
        self.projecting = Gauge(
            "trunkline_console_projecting", "Whether this replica is the one that projects.", registry=registry
        )
        self.outbox_entries = Gauge(
            "trunkline_console_outbox_entries",
            "Changes of the configuration that are not in KV yet.",
            registry=registry,
        )
        self.outbox_age_seconds = Gauge(
            "trunkline_console_outbox_age_seconds",
            "How long the oldest change of the configuration has waited to be written to KV; 0 if none waits.",
            registry=registry,
        )

    def _count_upkeep(self, registry: CollectorRegistry) -> None:
        self.upkeep_failures = Counter(
            "trunkline_console_upkeep_failures",
            "Work by the clock that Postgres did not let be done, and that is tried again.",
            registry=registry,
        )
        self.alerts = Counter("trunkline_console_alerts", "Alerts found by the sweep.", registry=registry)
        self.deliveries = zeroed(
            Counter(
                "trunkline_console_alert_deliveries",
                "Tries to deliver an alert, by channel and result: delivered, failed (tried again later), given_up.",
                ["channel", "result"],
                registry=registry,
            ),
            ("email", "webhook"),
            ("delivered", "failed", "given_up"),
        )

    def _count_history(self, registry: CollectorRegistry) -> None:
        self.history = zeroed(
            Counter(
                "trunkline_console_history",
                "Messages of health read from its stream, by result: stored, refused (not to be read or not "
                "believable).",
                ["result"],
                registry=registry,
            ),
            ("stored", "refused"),
        )
        self.history_failures = Counter(
            "trunkline_console_history_failures",
            "Times that the history of health had to wait for Postgres or NATS, and was or will be taken up again.",
            registry=registry,
        )
