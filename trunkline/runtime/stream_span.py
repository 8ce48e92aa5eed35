"""How far a stream goes, and how far whoever works through it has got. Used by `nats_bus` and `bus_condition`."""

from typing import NamedTuple

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError


class StreamSpan(NamedTuple):
    """Numbers of a stream's messages.

    Attributes:
        first: of the oldest that counts; one more than ``last`` when none does.
        last: of the newest, whether it is still there or not.
    """

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many numbers there are: as many messages, or more."""
        return self.last - self.first + 1


async def held(jetstream: JetStreamContext, stream: str) -> StreamSpan:
    """Return which numbers the messages have that a stream holds.

    Raises:
        NATSError, TimeoutError: it cannot be asked now.
    """
    state = (await jetstream.stream_info(stream)).state
    # Of a stream that never held any message, the broker says that the first has number 0.
    return StreamSpan(state.first_seq if state.messages else state.last_seq + 1, state.last_seq)


async def unconfirmed(jetstream: JetStreamContext, stream: str, consumer: str) -> StreamSpan:
    """Return which numbers the messages of a queue have from the first that a consumer has not confirmed.

    The stream may hold earlier ones: it keeps each for its mirrors, too, and for as long as they are away (NATS from
    2.14 on).

    Raises:
        NATSError, TimeoutError: it cannot be asked now.
    """
    span = await held(jetstream, stream)
    try:
        floor = (await jetstream.consumer_info(stream, consumer)).ack_floor
    except NotFoundError:
        return span  # nobody has confirmed anything
    confirmed = floor.stream_seq if floor is not None else 0
    return StreamSpan(max(span.first, min(confirmed, span.last) + 1), span.last)
