"""Two connections hear the same for a moment, in which one takes over from the other. Called by `runtime.nats_link`."""

from collections import Counter
from collections.abc import Callable

from trunkline.bus.nats_wire import Delivery
from trunkline.runtime.nats_connection import Deliver, NATSConnection

HELD_BYTES_MAX = 64 * 1024 * 1024
"""What the new connection may bring while the old one still speaks: some seconds of all that a process can take."""


class Handover:
    """Hands messages on in their order, each once.

    The old connection speaks; what the new one brings is held until the old one has fallen silent, and what both have
    brought is left out. Of a queue group each message comes by one of them only, and is handed on at once.

    The new connection may lag behind the old one, and then brings some of what that has brought only after it has
    taken over. So that is waited for, and left out as well; of what was heard before all servers knew the new
    connection nobody can say whether it will come once more.

    Args:
        old: the connection in use.
        deliver: takes the messages.
        queued: whether a subscription, by its number, is one of a queue group.

    Attributes:
        overflown: more came than is held; the handover must be given up.
    """

    def __init__(self, old: NATSConnection, deliver: Deliver, queued: Callable[[int], bool]) -> None:
        self._deliver = deliver
        self._queued = queued
        self._heard: list[Delivery] = []
        self._held: list[Delivery] = []
        self._held_bytes = 0
        self._known_after = 0
        self._late: Counter[Delivery] = Counter()
        self._new: NATSConnection | None = None
        self._old = old
        self._before = old.deliver
        old.deliver = self._take_old
        self.overflown = False

    def known(self) -> None:
        """Each server knows by now what the new connection has subscribed: what the old one brings, it brings too."""
        self._known_after = len(self._heard)

    def take_new(self, delivery: Delivery) -> None:
        """A message has come by the new connection."""
        if self._queued(delivery.sid):
            self._deliver(delivery)
        elif self._held_bytes > HELD_BYTES_MAX:
            self.overflown = True
        else:
            self._held_bytes += len(delivery.message.data)
            self._held.append(delivery)

    def _take_old(self, delivery: Delivery) -> None:
        if not self._queued(delivery.sid):
            self._heard.append(delivery)
        self._before(delivery)

    def give_up(self) -> None:
        """The old connection stays."""
        self._old.deliver = self._before

    def complete(self, new: NATSConnection) -> None:
        """The old connection is silent: hand on what only the new one has brought, from now on as well."""
        self._late = Counter(self._heard[self._known_after :]) - Counter(self._held)
        self._new, new.deliver = new, self._take_late
        copies = Counter(self._heard)
        for delivery in self._held:
            if copies[delivery]:
                copies[delivery] -= 1
            else:
                self._deliver(delivery)

    def _take_late(self, delivery: Delivery) -> None:
        if self._late and self._late[delivery]:
            self._late[delivery] -= 1
        else:
            self._deliver(delivery)

    def forget(self) -> None:
        """What the new connection has not brought once more by now was lost: nothing is compared or kept any more."""
        self._late.clear()
        self._heard.clear()
        self._held.clear()
        if self._new is not None and self._new.deliver == self._take_late:
            self._new.deliver = self._deliver
