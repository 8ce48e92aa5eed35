"""Metrics of the dispatcher. Labels hold configured or closed sets of words only."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from trunkline.core.errors import ErrorType
from trunkline.core.usage import UsageSource
from trunkline.runtime.metrics import LATENCY_BUCKETS_S


class DispatcherMetrics:
    """The dispatcher's metrics, on the registry of its process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.offers = Counter(
            "trunkline_dispatcher_offers", "Offers of jobs by what was decided.", ["verdict"], registry=registry
        )
        self.jobs_far = Counter(
            "trunkline_dispatcher_jobs_far", "Jobs taken from edges of other regions.", registry=registry
        )
        self.attempts = Counter(
            "trunkline_dispatcher_attempts",
            "Upstream calls by channel and outcome: ok, or the error type.",
            ["channel", "outcome"],
            registry=registry,
        )
        self.first_token_seconds = Histogram(
            "trunkline_dispatcher_first_token_seconds",
            "From the start of a streamed attempt to its first output.",
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
        self.channels_refused = Counter(
            "trunkline_dispatcher_channels_refused",
            "Channel snapshots that this dispatcher cannot use.",
            registry=registry,
        )
        self.fetches = Counter(
            "trunkline_dispatcher_fetches",
            "Pictures and documents fetched for providers that do not fetch URLs, by how it went.",
            ["result"],
            registry=registry,
        )


class ChannelCounters:
    """One channel's metrics, looked up once: finding a child by its labels costs as much as counting.

    Args:
        metrics: of the process.
        channel: its name.
    """

    def __init__(self, metrics: DispatcherMetrics, channel: str) -> None:
        self._attempts = metrics.attempts
        self._channel = channel
        self._by_outcome: dict[ErrorType | None, Counter] = {}
        self.first_token_seconds = metrics.first_token_seconds.labels(channel)
        self.tokens = {
            source: tuple(metrics.tokens.labels(channel, direction, source.value) for direction in ("input", "output"))
            for source in UsageSource
        }

    def attempts(self, error: ErrorType | None) -> Counter:
        """Return the counter of attempts that ended so; None for a good end."""
        counter = self._by_outcome.get(error)
        if counter is None:
            outcome = "ok" if error is None else error.value
            counter = self._by_outcome[error] = self._attempts.labels(self._channel, outcome)
        return counter
