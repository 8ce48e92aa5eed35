"""However a broker's bytes are cut into pieces, the same events come out."""

from hypothesis import given
from hypothesis import strategies as st

from trunkline.bus.nats_wire import Delivery, Event, NATSProtocolError, NATSReader, Ping, Pong
from trunkline.bus.port import Message

_subjects = st.from_regex(r"[a-z0-9]{1,8}(\.[a-z0-9]{1,8}){0,2}", fullmatch=True)
_messages = st.builds(
    Delivery,
    st.integers(1, 9),
    st.builds(Message, _subjects, st.just("") | _subjects, st.binary(), st.just(value=False)),
)
_events = st.lists(_messages | st.just(Ping()) | st.just(Pong()), max_size=8)


def _wire(event: Event) -> bytes:
    if isinstance(event, Delivery):
        message = event.message
        reply = f"{message.reply} " if message.reply else ""
        return f"MSG {message.subject} {event.sid} {reply}{len(message.data)}\r\n".encode() + message.data + b"\r\n"
    return b"PING\r\n" if isinstance(event, Ping) else b"PONG\r\n"


@given(events=_events, data=st.data())
def test_any_cut_gives_the_same_events(events: list[Event], data: st.DataObject) -> None:
    wire = b"".join(_wire(event) for event in events)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=12)))
    reader, received = NATSReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        received += reader.receive(wire[start:end])
    assert received == events


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_garbage_raises_nothing_but_the_documented_error(pieces: list[bytes]) -> None:
    reader = NATSReader()
    try:
        for piece in pieces:
            assert isinstance(reader.receive(piece), list)
    except NATSProtocolError:
        pass
