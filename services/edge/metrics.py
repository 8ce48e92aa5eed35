"""Metrics of the edge. Labels hold configured or closed sets of words only, never what a client typed."""

from collections import Counter as Tally

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

from trunkline.bus.subjects import DEFAULT_LANE
from trunkline.core.errors import ErrorType
from trunkline.policy.fair_queue import Refusal
from trunkline.runtime.metrics import LATENCY_BUCKETS_S, zeroed


class EdgeMetrics:
    """The edge's metrics, on the registry of its process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count_requests(registry)
        self._count_admission(registry)
        self._count_jobs(registry)
        self._count_questions(registry)

    def finished(self) -> Tally[str]:
        """Return how many requests have come to each outcome. For once in a second: requests themselves pay nothing."""
        outcomes: Tally[str] = Tally()
        for metric in self.requests.collect():
            for sample in metric.samples:
                if sample.name.endswith("_total"):
                    outcomes[sample.labels["outcome"]] += round(sample.value)
        return outcomes

    def added(self, first_byte_s: float, upstream_ms: int) -> None:
        """Note what the gateway itself added to an answer.

        Args:
            first_byte_s: from the request to the first byte of its answer.
            upstream_ms: the upstream's part of it. Its rounding must not make the sum fall: Prometheus would take that
                for a process begun anew.
        """
        self._overhead_seconds.observe(max(0.0, first_byte_s - upstream_ms / 1000))

    def _count_requests(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "trunkline_edge_requests",
            "Finished requests by route and outcome: ok, or the error type.",
            ["route", "outcome"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "trunkline_edge_request_seconds",
            "From the whole request to the end of its answer.",
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        first_byte = Histogram(
            "trunkline_edge_first_byte_seconds",
            "From the whole request to the first byte of a chat answer, by its form: stream, or whole, where nothing "
            "comes before all of it is made.",
            ["form"],
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.first_byte_seconds = {True: first_byte.labels("stream"), False: first_byte.labels("whole")}
        self._overhead_seconds = Summary(
            "trunkline_edge_overhead_seconds",
            "What the gateway itself added until the first byte of an answer, waiting for room included; of those that "
            "the first channel gave.",
            registry=registry,
        )

    def _count_admission(self, registry: CollectorRegistry) -> None:
        self.offers = zeroed(
            Counter(
                "trunkline_edge_reoffers",
                "Jobs offered again, by the error type of the last offer.",
                ["why"],
                registry=registry,
            ),
            [each for each in ErrorType if each.startswith("gateway_")],
        )
        self.waiting = Gauge(
            "trunkline_edge_waiting",
            "Jobs that wait because all dispatchers of their lane are full, by lane.",
            ["lane"],
            registry=registry,
        )
        self.waiting.labels(DEFAULT_LANE)  # from the start, at 0
        self.wait_seconds = Histogram(
            "trunkline_edge_wait_seconds",
            "How long the jobs that got in had waited for room at a dispatcher; those that never waited do not count.",
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.admission_refused = zeroed(
            Counter(
                "trunkline_edge_admission_refused",
                "Jobs refused while all dispatchers were full: late, no_chance, account_full, all_full, and "
                "gateway_no_dispatcher where none was left.",
                ["why"],
                registry=registry,
            ),
            [*Refusal, ErrorType.GATEWAY_NO_DISPATCHER],
        )

    def _count_jobs(self, registry: CollectorRegistry) -> None:
        self.frames_refused = Counter(
            "trunkline_edge_frames_refused", "Messages that were no frame this version knows.", registry=registry
        )
        self.dispatchers_lost = Counter(
            "trunkline_edge_dispatchers_lost", "Dispatchers whose beats stopped.", registry=registry
        )
        settled = Counter(
            "trunkline_edge_jobs_settled",
            "Jobs by what they came to: used, nothing, or lost, where the dispatcher could not be heard.",
            ["result"],
            registry=registry,
        )
        self.settled = {result: settled.labels(result) for result in ("used", "nothing", "lost")}
        self.usage_published = Counter(
            "trunkline_edge_usage_published",
            "Usage events published here because their dispatcher was lost before it could confirm them.",
            registry=registry,
        )
        self.jobs_void = Counter(
            "trunkline_edge_jobs_void",
            "Jobs that ended in an error before their answer began, and of which an offer may have been answered.",
            registry=registry,
        )
        self.usage_copies_dropped = Counter(
            "trunkline_edge_usage_copies_dropped",
            "Copies of usage events let go before they were confirmed, because there were too many.",
            registry=registry,
        )

    def _count_questions(self, registry: CollectorRegistry) -> None:
        self.failed_keys = Counter(
            "trunkline_edge_failed_keys",
            "Requests with a wrong key: malformed, unknown when it was looked up, or limited, where it was not looked "
            "up since too many others of its address had been wrong.",
            ["why"],
            registry=registry,
        )
        self.key_lookups = Counter(
            "trunkline_edge_key_lookups", "Look-ups of keys not in the cache.", ["result"], registry=registry
        )
        self.allowance_draws = zeroed(
            Counter(
                "trunkline_edge_allowance_draws", "Requests for allowances by result.", ["result"], registry=registry
            ),
            ("granted", "unanswered"),
        )
        self.inquiries = Counter(
            "trunkline_edge_inquiries",
            "Questions of clients about their own keys by what metering made of them: answered, refused, unanswered.",
            ["result"],
            registry=registry,
        )
        self.allowance_grace = Counter(
            "trunkline_edge_allowance_grace",
            "Leases extended on grace, while metering gave no answer.",
            registry=registry,
        )
