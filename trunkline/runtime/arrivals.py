"""Connections that a server has accepted and knows nothing of yet: with TLS there is a handshake before.

asyncio's own servers tell nobody of them, so a client that begins handshakes and ends none would hold as many as it
likes. Here they are counted, bounded and cut, those first of whoever has most. Called by `runtime.http_server` and
`runtime.tls_site`.
"""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

import structlog

from trunkline.core.clock import Clock
from trunkline.policy.addresses import block_of
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.tls import HANDSHAKE_TIMEOUT_S, TLSContext, listening

log = structlog.get_logger()

HANDSHAKES_MAX: Final = 1000
"""At a time. Each takes about a millisecond of the processor and a few round trips, so an edge that ends as many as it
can has a few hundred under way; more are of people who do not end theirs."""

HANDSHAKES_SHARE: Final = 4
"""At most this part of a server's connections are handshakes: those that are never ended take nobody else's place."""

CUT_SHARE: Final = 16
"""Where there are too many, this part of them goes: to look for whose they are takes a millisecond, which newcomers
must not cost each."""

BACKLOG: Final = 4096
"""Connections that the kernel keeps until they are accepted; it makes that `net.core.somaxconn` if that is less."""

ACCEPTED_AT_ONCE_MAX: Final = 64
"""Of one port, before others have their turn."""

RETRY_S: Final = 1.0
"""Until the next try where no more can be accepted: there are no file descriptors, or no memory."""


class Arrivals:
    """Accepts connections, and hands them to protocols once they can be used.

    Args:
        make: returns the protocol of a connection.
        full: whether the server has no room for another one; it may make some.
        tls: what is presented; None for plain connections.
        connections_max: of the server.
        closing_s: how long a connection that is being closed may wait for its client's goodbye.
        clock, tasks: of the process.
    """

    def __init__(
        self,
        make: Callable[[], asyncio.BaseProtocol],
        full: Callable[[], bool],
        tls: TLSContext | None,
        *,
        connections_max: int,
        closing_s: float,
        clock: Clock,
        tasks: TaskSet,
    ) -> None:
        self._make = make
        self._full = full
        self._clock = clock
        self._tasks = tasks
        self._under_way: dict[socket.socket, str] = {}
        """By their clients' networks, the oldest first."""
        self._listeners: list[socket.socket] = []
        self._under_way_max = connections_max
        self._tls: dict[str, Any] = {}
        if tls is not None:
            self._under_way_max = max(min(HANDSHAKES_MAX, connections_max // HANDSHAKES_SHARE), 1)
            self._tls = {
                "ssl": listening(tls),
                "ssl_handshake_timeout": HANDSHAKE_TIMEOUT_S,
                "ssl_shutdown_timeout": closing_s,
            }

    def __len__(self) -> int:
        return len(self._under_way)

    async def listen(self, host: str, port: int) -> int:
        """Bind and accept; returns the port.

        Raises:
            OSError: it cannot be bound.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, kind, protocol, _, address in dict.fromkeys(found):
                self._listeners.append(_bound(socket.socket(family, kind, protocol), address))
        except OSError:
            for listener in self._listeners:
                listener.close()
            raise
        for listener in self._listeners:
            loop.add_reader(listener, self._accept, listener)
        return int(self._listeners[0].getsockname()[1])

    def close(self) -> None:
        """Accept the connections that wait at the ports, and close these in the same breath."""
        self.take_over(self._left())

    def drop(self) -> None:
        """Close the ports; whoever waits there is reset."""
        for listener in self._left():
            listener.close()

    def _left(self) -> list[socket.socket]:
        """Return the ports, at which nobody listens any more."""
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)
        listeners, self._listeners = self._listeners, []
        return listeners

    def take_over(self, listeners: Iterable[socket.socket]) -> None:
        """The same for ports at which another server has listened."""
        for listener in listeners:
            listener.setblocking(False)
            with listener:
                while self._accept_one(listener):
                    pass

    def _accept(self, listener: socket.socket) -> None:
        """Called by the event loop: somebody waits."""
        for _ in range(ACCEPTED_AT_ONCE_MAX):
            if not self._accept_one(listener):
                return

    def _accept_one(self, listener: socket.socket) -> bool:
        """Accept a connection; False if there is none, or none can be."""
        try:
            connection, peer = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            log.warning("connections_not_accepted", error=error.strerror)
            self._tasks.spawn(self._pause(listener), name="accept_again")
            return False
        if self._tls and self._under_way and (len(self._under_way) >= self._under_way_max or self._full()):
            self._cut()
        if self._full():
            connection.close()
            return True
        connection.setblocking(False)
        self._under_way[connection] = block_of(peer[0])
        self._tasks.spawn(self._hand_over(connection), name="arriving_connection")
        return True

    async def _pause(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        await self._clock.sleep(RETRY_S)
        if listener in self._listeners:
            loop.add_reader(listener, self._accept, listener)

    async def _hand_over(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._make, connection, **self._tls)
        except OSError as error:  # also those of TLS: whoever came has left, is too slow or speaks something else
            log.debug("connection_not_made", error=type(error).__name__)
        except Exception as error:
            log.exception("connection_not_made", error=type(error).__name__)
        finally:
            self._under_way.pop(connection, None)

    def _cut(self) -> None:
        """End handshakes, first those of whoever has most of them, the oldest first."""
        held = Counter(self._under_way.values())
        leaving = sorted(self._under_way, key=lambda connection: -held[self._under_way[connection]])
        leaving = leaving[: max(self._under_way_max // CUT_SHARE, 1)]
        for connection in leaving:
            del self._under_way[connection]
            with contextlib.suppress(OSError):  # the client has done so itself
                connection.shutdown(socket.SHUT_RDWR)  # the loop closes what has come to its end
        log.warning("handshakes_full", handshakes=len(self._under_way), cut=len(leaving))


def _bound(listener: socket.socket, address: Any) -> socket.socket:
    """Return a socket that listens.

    Raises:
        OSError: it cannot be bound; it is closed.
    """
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listener.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has a socket of its own
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
