"""Metrics that prometheus-client lacks. Hot paths add to plain integers; they are read when a scrape comes."""

import itertools
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

LATENCY_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 600)
"""From the gateway's own half millisecond to the longest answer."""


def zeroed(counter: Counter, *series: Iterable[str]) -> Counter:
    """Return a counter whose series are all there from the start, at 0.

    One that came only with what it counts would hide the first time: Prometheus sees no increase from nothing to 1.

    Args:
        counter: with labels.
        series: the values of its labels, each a closed set of words; the series are all their combinations.
    """
    for values in itertools.product(*series):
        counter.labels(*values)
    return counter


class ReadCounter(Collector):
    """A counter whose value is read from the object that counts.

    Args:
        name: without the ``_total`` suffix, which the exposition adds.
        help_text: one sentence.
        read: returns the value, which never falls.
    """

    def __init__(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        self._name = name
        self._help = help_text
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Called at each scrape."""
        yield CounterMetricFamily(self._name, self._help, value=self._read())


class ReadGauge(Collector):
    """A gauge whose value is read from the object that holds it; arguments as for `ReadCounter`."""

    def __init__(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        self._name = name
        self._help = help_text
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Called at each scrape."""
        yield GaugeMetricFamily(self._name, self._help, value=self._read())
