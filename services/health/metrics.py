"""Health's metrics. The labels ``channel`` and ``model`` hold configured names; series go when their channel goes."""

from collections.abc import Iterator

from prometheus_client import Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from services.health.access_publisher import AccessPublisher
from services.health.credential_reports import CredentialReports
from services.health.history import History
from services.health.judge import Judge
from services.health.prober import Prober
from services.health.publisher import WeightPublisher
from trunkline.bus.snapshots import ChannelState
from trunkline.policy.probing import ProbeResult
from trunkline.runtime.metrics import ReadCounter, ReadGauge


class ChannelMetrics(Collector):
    """State, weight, ejections and denied models of each channel, read at each scrape."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def collect(self) -> Iterator[Metric]:
        """Called at each scrape."""
        state = GaugeMetricFamily(
            "trunkline_channel_state",
            "1 for the state that a channel is in, 0 for the others.",
            labels=["channel", "state"],
        )
        weight = GaugeMetricFamily(
            "trunkline_channel_weight", "What a channel deserves now, 0 to 1.", labels=["channel"]
        )
        ejections = CounterMetricFamily(
            "trunkline_channel_ejections", "How often a channel was ejected.", labels=["channel"]
        )
        spared = GaugeMetricFamily(
            "trunkline_channel_spared",
            "1 for a channel that fails and is kept in, since too many are out and no probe has failed; else 0.",
            labels=["channel"],
        )
        refused = GaugeMetricFamily(
            "trunkline_channel_refused_models",
            "Models that a channel's provider does not let the gateway use.",
            labels=["channel"],
        )
        for standing in self._judge.standings():
            labels = [standing.name]
            for each in ChannelState:
                state.add_metric([standing.name, each.value], float(standing.verdict.state is each))
            weight.add_metric(labels, standing.verdict.weight)
            ejections.add_metric(labels, standing.ejections)
            spared.add_metric(labels, float(standing.spared))
            refused.add_metric(labels, len(standing.refused))
        yield from (state, weight, ejections, spared, refused, self._models())

    def _models(self) -> Metric:
        serving = GaugeMetricFamily(
            "trunkline_model_channels",
            "Channels that take jobs of a model now: neither ejected nor drained, and not refused the model.",
            labels=["model"],
        )
        for model, channels in self._judge.channels_of_models().items():
            serving.add_metric([model], channels)
        return serving


class CredentialMetrics(Collector):
    """How many credentials of each channel are refused, read at each scrape."""

    def __init__(self, credentials: CredentialReports) -> None:
        self._credentials = credentials

    def collect(self) -> Iterator[Metric]:
        """Called at each scrape."""
        refused = GaugeMetricFamily(
            "trunkline_channel_refused_credentials",
            "Credentials of a channel that its provider refuses.",
            labels=["channel"],
        )
        for name, count in self._credentials.refused():
            refused.add_metric([name], count)
        yield refused


def probe_counter(registry: CollectorRegistry) -> Counter:
    """Return the counter of probes; each result is there from the start, at 0."""
    counter = Counter("trunkline_probes", "Probes by result.", ["result"], registry=registry)
    for result in ProbeResult:
        counter.labels(result.value)
    return counter


def register_channels(registry: CollectorRegistry, judge: Judge, credentials: CredentialReports) -> None:
    """Register what is known of channels."""
    registry.register(ChannelMetrics(judge))
    registry.register(CredentialMetrics(credentials))


def register_publishing(
    registry: CollectorRegistry, publisher: WeightPublisher, access: AccessPublisher, history: History
) -> None:
    """Register what is written to the bus."""
    for collector in (
        ReadGauge("trunkline_health_leads", "1 while this process publishes, else 0.", lambda: publisher.leading),
        ReadGauge(
            "trunkline_weights_age_seconds",
            "Time since all weights had been published; 0 where another process publishes.",
            publisher.age_s,
        ),
        ReadCounter(
            "trunkline_weights_failures",
            "Publications cut short by the bus; they are repeated.",
            lambda: publisher.failures,
        ),
        ReadCounter(
            "trunkline_access_failures",
            "Publications of closed models cut short by the bus; they are repeated.",
            lambda: access.failures,
        ),
        ReadCounter("trunkline_history_lost", "Samples that the stream did not take.", lambda: history.lost),
    ):
        registry.register(collector)


def register_input(registry: CollectorRegistry, judge: Judge, prober: Prober) -> None:
    """Register what is judged by."""
    registry.register(ReadCounter("trunkline_probes_paid", "Probes that let a model work.", lambda: prober.paid))
    registry.register(
        ReadCounter(
            "trunkline_outcomes_unknown",
            "Outcomes of channels that are not configured (any more).",
            lambda: judge.unknown_outcomes,
        )
    )
