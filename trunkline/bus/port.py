"""What services need of a message bus. `runtime.nats_bus` is the real one, `runtime.memory_bus` the one of fast tests.

One contract test (`tests/integration/test_bus_contract.py`) runs against both.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message as a subscriber gets it.

    Attributes:
        subject: where it was published.
        reply: where an answer goes, or empty.
        data: its bytes.
        no_responders: the broker's own answer to a publish with a reply subject that nobody listened to.
    """

    subject: str
    reply: str
    data: bytes
    no_responders: bool = False


Handler = Callable[[Message], None]
"""Called in the order of arrival; must not block. Long work is spawned as a task."""


class BusError(Exception):
    """The bus could not do what was asked: not connected, timed out, or over a bound."""


class BusFullError(BusError):
    """More is waiting to be sent than `runtime.nats_bus.OUTBOUND_BYTES_MAX`; nothing was taken."""


class NoRespondersError(BusError):
    """Nobody listens on the subject of a request."""


class Unsubscribe(Protocol):
    """Ends a subscription."""

    def __call__(self) -> Awaitable[None]:
        """Stop the handler's calls, once it has got what the broker had sent by then."""


class Bus(Protocol):
    """Core messaging, at most once; plus the two JetStream calls that the request path makes."""

    @property
    def connected(self) -> bool:
        """Whether the broker is reachable at this moment."""

    def publish(self, subject: str, payload: bytes, reply: str = "", *, may_wait: bool = False) -> None:
        """Queue a message. Messages leave in order; those queued in one turn of the loop leave together.

        Args:
            subject: whom it reaches.
            payload: its bytes.
            reply: where an answer goes.
            may_wait: it may leave two milliseconds later, with others, where others have just left.

        Raises:
            BusFullError: see there.
        """

    async def subscribe(self, subject: str, handler: Handler, *, queue: str = "") -> Unsubscribe:
        """Call ``handler`` for each message; with ``queue``, one subscriber of that group gets each."""

    async def request(self, subject: str, payload: bytes, *, timeout_s: float) -> bytes:
        """Publish and return the first answer.

        Raises:
            NoRespondersError: nobody listens.
            BusError: no answer in time, or not connected.
        """

    async def store(self, subject: str, payload: bytes, *, message_id: str, timeout_s: float) -> None:
        """Publish to a stream and return once the broker has it on disk. The same id twice is stored once.

        Raises:
            BusError: not acknowledged in time; it may or may not be stored.
        """

    async def kv_get(self, bucket: str, token: str) -> bytes | None:
        """Return a snapshot entry, or None if there is none.

        Raises:
            BusError: the bucket cannot be read now.
        """

    def on_connection(self, callback: Callable[[bool], None]) -> None:
        """Call ``callback(connected)`` whenever the connection is lost or comes back."""
