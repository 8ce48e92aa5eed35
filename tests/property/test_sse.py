"""Server-sent events: how a stream is cut into chunks never matters."""

from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.core.errors import FaultError
from trunkline.protocol.sse import EventBuffer, EventSplitter, last_event, parse_event, render_event, split_events

UNTIMED = settings(deadline=None)
"""A busy machine is no failure."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
TEXT_LINE = "data: é\u2028".encode()
LINES = st.sampled_from([b"data: a", b"data:b", TEXT_LINE, b": ping", b"event: x", b"id: 1", b"", b"data"])
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
STREAMS = st.lists(st.tuples(LINES, ENDS), max_size=30).map(lambda lines: b"".join([a + b for a, b in lines]))
MARKED_STREAMS = st.one_of(STREAMS, STREAMS.map(lambda stream: BYTE_ORDER_MARK + stream))


def cut(stream: bytes, borders: list[int]) -> list[bytes]:
    """Return a stream in pieces; empty ones included, since sockets and decompressors give such, too."""
    marks = sorted(border % (len(stream) + 1) for border in borders)
    return [stream[a:b] for a, b in zip([0, *marks], [*marks, len(stream)], strict=True)]


def events_of(pieces: list[bytes]) -> tuple[list[bytes], bytes]:
    splitter = EventSplitter()
    events = [event for piece in pieces for event in splitter.receive(piece)]
    return events, splitter.finish()


def reference(stream: bytes) -> list[bytes]:
    """Return the data of each dispatched event, as WHATWG HTML section 9.2.6 says, line by line."""
    text = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    found = []
    data: list[bytes] = []
    for line in text.removeprefix(BYTE_ORDER_MARK).split(b"\n")[:-1]:
        if line == b"":
            if data:
                found.append(b"\n".join(data))
            data = []
        elif line.partition(b":")[0] == b"data":
            data.append(line.partition(b":")[2].removeprefix(b" "))
    return found


@given(MARKED_STREAMS, st.lists(st.integers(0, 2**16), max_size=20))
@UNTIMED
def test_any_chunking_gives_the_same_bytes_and_data(stream: bytes, borders: list[int]) -> None:
    events, rest = events_of(cut(stream, borders))
    whole, whole_rest = events_of([stream])
    assert b"".join(events) + rest == stream
    assert rest.strip(b"\r\n") == whole_rest.strip(b"\r\n")
    data = [parse_event(event).data for event in events]
    assert [item for item in data if item is not None] == [
        item for event in whole if (item := parse_event(event).data) is not None
    ]


@given(STREAMS)
def test_the_last_event_is_found_without_the_others(stream: bytes) -> None:
    block = EventBuffer().receive(stream)
    events = [event for event in split_events(block) if event.strip(b"\r\n")]
    assert last_event(block) == parse_event(events[-1] if events else b"")


@given(MARKED_STREAMS)
@UNTIMED
def test_events_are_those_of_the_specification(stream: bytes) -> None:
    events, rest = events_of([stream])
    data = [item for event in [*events, *split_events(rest)] if (item := parse_event(event).data) is not None]
    expected = reference(stream)
    assert data[: len(expected)] == expected
    assert len(data) - len(expected) <= 1


@given(st.binary(max_size=200), st.lists(st.integers(0, 2**16), max_size=10))
@UNTIMED
def test_any_bytes_are_taken(stream: bytes, borders: list[int]) -> None:
    events, rest = events_of(cut(stream, borders))
    assert b"".join(events) + rest == stream
    for event in events:
        parse_event(event)


@given(st.binary(min_size=1, max_size=60), st.integers(1, 40))
@UNTIMED
def test_the_bound_raises_nothing_else(stream: bytes, event_bytes_max: int) -> None:
    splitter = EventSplitter(event_bytes_max)
    try:
        for start in range(len(stream)):
            splitter.receive(stream[start : start + 1])
    except FaultError as error:
        assert error.fault.type.value == "upstream_invalid"  # noqa: PT017 - only the kind is documented
    assert len(splitter.finish()) <= event_bytes_max + 1


@given(st.binary(max_size=60).filter(lambda data: b"\r" not in data and not data.endswith(b"\n")))
@UNTIMED
def test_rendering_and_parsing_are_inverse(data: bytes) -> None:
    assert parse_event(render_event(data)).data == data
