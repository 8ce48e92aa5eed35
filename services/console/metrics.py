"""Metrics of the console. Labels are routes and closed sets of words."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class ConsoleMetrics:
    """The console's metrics, on the registry of its process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "trunkline_console_requests",
            "Admin requests by method, route and status.",
            ["method", "route", "status"],
            registry=registry,
        )
        self.projected = Counter(
            "trunkline_console_projected", "Outbox entries written to KV, by bucket.", ["bucket"], registry=registry
        )
        self.projection_failures = Counter(
            "trunkline_console_projection_failures",
            "Projections that stopped and were or will be tried again, by what was away.",
            ["dependency"],
            registry=registry,
        )
        self.projecting = Gauge(
            "trunkline_console_projecting", "Whether this replica is the one that projects.", registry=registry
        )
