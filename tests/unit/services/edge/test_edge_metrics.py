"""Figures that the edge works out."""

from prometheus_client import CollectorRegistry

from services.edge.metrics import EdgeMetrics


def test_what_the_gateway_added_is_never_less_than_nothing() -> None:
    """The upstream's part is told in whole milliseconds; a sum that falls is taken for a process begun anew."""
    registry = CollectorRegistry()
    metrics = EdgeMetrics(registry)
    for first_byte_s, upstream_ms in ((0.1250, 100), (0.1006, 101), (0.0507, 50)):
        metrics.added(first_byte_s, upstream_ms)
    assert registry.get_sample_value("trunkline_edge_overhead_seconds_count") == 3
    total = registry.get_sample_value("trunkline_edge_overhead_seconds_sum")
    assert total is not None
    assert abs(total - 0.0257) < 1e-9
