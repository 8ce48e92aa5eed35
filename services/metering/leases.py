"""Ends leases whose edges are gone or have given them up, so that what they held is free again. Called by `upkeep`.

A lease ends when nothing of it can still be booked: its edge has been silent for `limits.LEASE_LOST_S`, or has closed
it as long ago, and the usage stream has been settled up to that moment, by whichever replica. Ended too early, a late
charge would take what others have been granted meanwhile; ended late, money stands idle.
"""

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import structlog

from services.metering.metrics import MeteringMetrics
from trunkline.bus import messages, subjects
from trunkline.bus.port import BusError, Message
from trunkline.core import limits
from trunkline.core.clock import Clock
from trunkline.policy.grants import Bearing, LeaseState, drop_lease, settled_wholly
from trunkline.runtime.nats_bus import NATSBus
from trunkline.store.allowances import (
    StoredAccount,
    WrittenAccount,
    accounts_of_edges,
    closing_accounts,
    forget_accounts,
    forget_leases,
    known_edges,
    read_accounts,
    write_states,
)
from trunkline.store.database import Connection

log = structlog.get_logger()

ACCOUNTS_MAX = 1000
"""Accounts looked at in one round: some 0.2 s of work. There is a round every second."""

EDGES_INTERVAL_S = 60.0
"""How often to look which edges hold leases at all: one may have died before it was heard here."""

MARKS_MAX = 3600
"""Moments for which it is remembered how far the usage stream was: an hour of settlement lagging behind."""


class _Mark(NamedTuple):
    """How far the usage stream was at a moment: the number of its newest message."""

    at: float
    last: int


class _Closing(NamedTuple):
    """A lease that was given up, as of its last report."""

    account: int
    lease: int
    reported_ms: int


class LeaseEnds:
    """Knows which edges live, and ends the leases of those that do not.

    Args:
        bus: beats come from there, and the usage stream is there.
        clock, metrics: of the process.
    """

    def __init__(self, bus: NATSBus, *, clock: Clock, metrics: MeteringMetrics) -> None:
        self._bus = bus
        self._clock = clock
        self._metrics = metrics
        self._heard: dict[str, float] = {}
        self._looked: float | None = None
        self._settled_at = clock.now()
        self._marks: deque[_Mark] = deque(maxlen=MARKS_MAX)
        self._closing: dict[_Closing, float] = {}

    async def start(self) -> None:
        """Listen for beats of edges."""
        await self._bus.subscribe(subjects.alive_of("edge"), self._on_beat)
        self._bus.on_connection(self._connection_changed)

    def _on_beat(self, message: Message) -> None:
        beat = messages.decode_beat(message.data)
        self._heard[beat.process] = self._clock.now()

    def _connection_changed(self, connected: bool) -> None:
        if connected:
            # Nobody was heard meanwhile: all get their time again.
            self._heard = dict.fromkeys(self._heard, self._clock.now())

    async def sweep(self, connection: Connection) -> None:
        """End what can be ended.

        Args:
            connection: outside of a transaction.

        Raises:
            StoreError, asyncpg.PostgresError: Postgres cannot do it now.
        """
        now = self._clock.now()
        await self._look_for_edges(connection, now)
        await self._look_at_stream(now)
        settled_at = min(now, self._settled_at)
        lost = {edge for edge, at in self._heard.items() if settled_at - at > limits.LEASE_LOST_S}
        accounts = set(await closing_accounts(connection, ACCOUNTS_MAX))
        if lost:
            of_lost = await accounts_of_edges(connection, lost, ACCOUNTS_MAX)
            accounts.update(of_lost)
            if not of_lost:
                for edge in lost:
                    del self._heard[edge]
        if not accounts:
            self._closing.clear()
        else:
            stored = await read_accounts(connection, accounts)
            if gone := accounts - stored.keys():
                await forget_accounts(connection, gone)
            await self._end(connection, stored, lost, settled_at)

    async def _look_for_edges(self, connection: Connection, now: float) -> None:
        if self._looked is None or now - self._looked >= EDGES_INTERVAL_S:
            for edge in await known_edges(connection):
                # Of one that was never heard here, the silence is counted from now.
                self._heard.setdefault(edge, now)
            self._looked = now

    async def _look_at_stream(self, now: float) -> None:
        """Find out up to when usage is settled: a message is confirmed once that has been done with it."""
        try:
            span = await self._bus.unconfirmed(subjects.USAGE_STREAM, subjects.USAGE_CONSUMER)
        except BusError:
            return
        if self._marks and span.last < self._marks[-1].last:
            self._marks.clear()  # another stream, which counts from its own beginning
        self._marks.append(_Mark(now, span.last))
        while self._marks and self._marks[0].last < span.first:
            self._settled_at = self._marks.popleft().at

    def _over(self, stored: Mapping[int, StoredAccount], settled_at: float) -> set[tuple[int, int]]:
        """Return closed leases that are booked to the end, or whose time is over, as account and number.

        Their time is counted from when they were first seen here: the moment of the report is Postgres's, whose clock
        may be set meanwhile.
        """
        now = self._clock.now()
        seen: dict[_Closing, float] = {}
        over = set()
        for account, found in stored.items():
            for number, lease in found.state.leases.items():
                if not lease.closing:
                    continue
                closing = _Closing(account, number, lease.reported_ms)
                seen[closing] = self._closing.get(closing, now)
                if settled_at - seen[closing] > limits.LEASE_LOST_S or _is_booked(found, number, lease):
                    over.add((account, number))
        self._closing = seen
        return over

    async def _end(
        self, connection: Connection, stored: Mapping[int, StoredAccount], lost: set[str], settled_at: float
    ) -> None:
        over = self._over(stored, settled_at)
        ended: dict[int, dict[int, str]] = {}
        for account, found in stored.items():
            for number, lease in list(found.state.leases.items()):
                if lease.edge in lost or (account, number) in over:
                    drop_lease(found.state, number)
                    ended.setdefault(account, {})[number] = "lost" if lease.edge in lost else "closed"
        if not ended:
            return
        states = [
            WrittenAccount(each, stored[each].version, stored[each].state, durable=True) for each in sorted(ended)
        ]
        written = await write_states(connection, states)
        await forget_leases(connection, {account: ended[account].keys() for account in written})
        for account in sorted(written):
            for number, why in ended[account].items():
                self._metrics.leases_dropped.labels(why).inc()
                log.info("lease_ended", account=account, lease=number, why=why)


def _is_booked(stored: StoredAccount, number: int, lease: LeaseState) -> bool:
    """Whether all that a lease has drawn is booked."""
    money = {meter: Bearing(0, settled) for meter, settled in stored.settled.items()}
    unbooked = {meter for meter, drawn in lease.drawn.items() if drawn > 0} - money.keys()
    return not unbooked and settled_wholly(lease, number, money)
