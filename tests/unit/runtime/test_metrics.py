"""Metrics that prometheus-client lacks."""

from prometheus_client import CollectorRegistry, Counter

from trunkline.runtime.metrics import ReadCounter, ReadGauge, zeroed


def test_series_are_there_before_they_count() -> None:
    registry = CollectorRegistry()
    counter = zeroed(
        Counter("sent", "Sent.", ["channel", "result"], registry=registry), ("mail", "post"), ["done", "failed"]
    )
    counter.labels("mail", "failed").inc()
    found = {
        (channel, result): registry.get_sample_value("sent_total", {"channel": channel, "result": result})
        for channel in ("mail", "post")
        for result in ("done", "failed")
    }
    assert found == {("mail", "done"): 0, ("mail", "failed"): 1, ("post", "done"): 0, ("post", "failed"): 0}


def test_values_are_read_when_they_are_asked_for() -> None:
    registry, values = CollectorRegistry(), [3, 7]
    registry.register(ReadCounter("jobs", "Jobs.", lambda: values[0]))
    registry.register(ReadGauge("room", "Room.", lambda: values[1]))
    assert registry.get_sample_value("jobs_total") == 3
    values[:] = [4, 5]
    assert (registry.get_sample_value("jobs_total"), registry.get_sample_value("room")) == (4, 5)
