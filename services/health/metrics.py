"""Health's metrics. The label ``channel`` holds configured names only; series go when their channel goes."""

from collections.abc import Iterator

from prometheus_client import Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from services.health.judge import Judge
from services.health.prober import ProbeResult
from services.health.publisher import History, WeightPublisher
from trunkline.bus.snapshots import ChannelState
from trunkline.runtime.metrics import ReadCounter, ReadGauge


class ChannelMetrics(Collector):
    """State, weight and ejections of each channel, read at each scrape."""

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
        for name, verdict, count in self._judge.standings():
            for each in ChannelState:
                state.add_metric([name, each.value], float(verdict.state is each))
            weight.add_metric([name], verdict.weight)
            ejections.add_metric([name], count)
        yield from (state, weight, ejections)


def probe_counter(registry: CollectorRegistry) -> Counter:
    """Return the counter of probes; each result is there from the start, at 0."""
    counter = Counter("trunkline_probes", "Probes by result.", ["result"], registry=registry)
    for result in ProbeResult:
        counter.labels(result.value)
    return counter


def register(registry: CollectorRegistry, judge: Judge, publisher: WeightPublisher, history: History) -> None:
    """Register what is read at each scrape."""
    registry.register(ChannelMetrics(judge))
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
        ReadCounter("trunkline_history_lost", "Samples that the stream did not take.", lambda: history.lost),
        ReadCounter(
            "trunkline_outcomes_unknown",
            "Outcomes of channels that are not configured (any more).",
            lambda: judge.unknown_outcomes,
        ),
    ):
        registry.register(collector)
