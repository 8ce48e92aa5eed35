"""Metrics of the dispatcher. Labels hold configured or closed sets of words only."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from trunkline.runtime.metrics import LATENCY_BUCKETS_S


class DispatcherMetrics:
    """The dispatcher's metrics, on the registry of its process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.offers = Counter(
            "trunkline_dispatcher_offers", "Offers of jobs by what was decided.", ["verdict"], registry=registry
        )
        self.attempts = Counter(
            "trunkline_dispatcher_attempts",
            "Upstream calls by channel and outcome: ok, or the error type.",
            ["channel", "outcome"],
            registry=registry,
        )
        self.first_token_seconds = Histogram(
            "trunkline_dispatcher_first_token_seconds",
            "From the start of an attempt to its first output.",
            ["channel"],
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.tokens = Counter(
            "trunkline_dispatcher_tokens",
            "Tokens by channel, direction and source (reported, counted).",
            ["channel", "direction", "source"],
            registry=registry,
        )
        self.frames_refused = Counter(
            "trunkline_dispatcher_frames_refused", "Messages that were no frame this version knows.", registry=registry
        )
        self.edges_lost = Counter("trunkline_dispatcher_edges_lost", "Edges whose beats stopped.", registry=registry)
        self.usage_store_failures = Counter(
            "trunkline_dispatcher_usage_store_failures",
            "Usage batches that JetStream did not take at the first try; they are kept and sent again.",
            registry=registry,
        )
        self.channels_refused = Counter(
            "trunkline_dispatcher_channels_refused",
            "Channel snapshots that this dispatcher cannot use.",
            registry=registry,
        )
