"""What an edge's beats say of the requests that came to an end."""

from prometheus_client import CollectorRegistry

from services.edge.metrics import EdgeMetrics


def test_requests_are_added_up_by_outcome_over_all_routes() -> None:
    metrics = EdgeMetrics(CollectorRegistry())
    assert metrics.finished() == {}
    metrics.requests.labels("chat_completions", "ok").inc(5)
    metrics.requests.labels("messages", "ok").inc(2)
    metrics.requests.labels("messages", "upstream_error").inc()

    finished = metrics.finished()
    assert finished == {"ok": 7, "upstream_error": 1}
    assert finished.total() == 8
