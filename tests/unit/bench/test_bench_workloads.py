import json

from bench import workloads
from bench.orders import Pace, wires


def test_a_request_is_addressed_and_has_its_length() -> None:
    order = workloads.to_gateway(workloads.plain(2, 1.0), 8080, ("sk-a", "sk-b"))
    first, second = wires(order)
    head, _, body = first.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"\r\nauthorization: Bearer sk-a\r\n" in head
    assert b"authorization: Bearer sk-b" in second
    assert b"\r\ncontent-length: %d" % len(body) in head
    assert json.loads(body)["model"] == "bench"


def test_the_upstream_is_asked_for_its_own_model() -> None:
    order = workloads.to_upstream(workloads.stream(1, 1.0), 9)
    assert json.loads(order.body)["model"] == "demo"
    assert order.port == 9


def test_a_stream_expects_an_event_for_each_chunk_and_its_framing() -> None:
    order = workloads.stream(1, 1.0, chunks=7, pace_s=0.0)
    assert order.events == 10
    assert json.loads(order.body)["trunkline_demo"] == {"chunks": 7, "chunk_bytes": workloads.CHUNK_BYTES}
    assert workloads.content_chunks(events=20, answered=2) == 14


def test_held_streams_outlast_their_ramp_and_the_hold() -> None:
    order = workloads.hold(1000, begun_per_s=100.0, hold_s=5.0, pace_s=0.5)
    chunks = order.events - workloads.FRAMING_EVENTS
    assert order.pace is Pace.HOLD
    assert chunks * 0.5 > 10.0 + 5.0
    assert order.requests_max == order.connections == 1000
    assert order.seconds_max + order.grace_s > 10.0 + chunks * 0.5
