"""Answers the edges' draws for allowances (``tl.allow``) from the balances.

All draws that wait are answered from one query, so that Postgres sees a query at a time however many edges ask. A
replica that cannot read the balances does not listen: the broker tells the edge at once that nobody does (or another
replica answers), and no edge is told a wrong figure.
"""

import contextlib
from typing import NamedTuple

import asyncpg
import msgspec
import structlog

from services.metering.metrics import MeteringMetrics
from trunkline.bus import messages, subjects
from trunkline.bus.messages import AllowanceDraw, AllowanceGrant, AllowanceGrants, decode_allowance_draw
from trunkline.bus.port import Bus, BusError, Message, Unsubscribe
from trunkline.core.money import NanoUSD
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database, StoreError
from trunkline.store.ledger import balances

log = structlog.get_logger()

LEASE_MS = 1000
"""How long an edge may rely on a balance: the time within which an exhausted account is refused."""

WAITING_MAX = 10_000
"""Draws that may wait for the query under way. An edge has one on its way at a time, so this many edges."""


class _Waiting(NamedTuple):
    reply: str
    accounts: tuple[int, ...]


class AllowanceDesk:
    """Listens while it is open.

    Args:
        bus: where draws come from.
        database: where the balances are.
        tasks, metrics: of the process.
    """

    def __init__(self, bus: Bus, database: Database, *, tasks: TaskSet, metrics: MeteringMetrics) -> None:
        self._bus = bus
        self._database = database
        self._tasks = tasks
        self._metrics = metrics
        self._waiting: list[_Waiting] = []
        self._answering = False
        self._unsubscribe: Unsubscribe | None = None

    async def open(self) -> None:
        """Listen for draws; harmless while open."""
        if self._unsubscribe is None:
            self._unsubscribe = await self._bus.subscribe(subjects.ALLOW, self._drawn, queue=subjects.ALLOW_QUEUE)

    async def close(self) -> None:
        """Stop listening; harmless while closed."""
        if self._unsubscribe is not None:
            unsubscribe, self._unsubscribe = self._unsubscribe, None
            await unsubscribe()

    def _drawn(self, message: Message) -> None:
        try:
            draw: AllowanceDraw = decode_allowance_draw(message.data)
        except msgspec.MsgspecError:
            self._metrics.draws.labels("refused").inc()
            return
        if not message.reply or len(self._waiting) >= WAITING_MAX:
            self._metrics.draws.labels("dropped").inc()
            return
        self._waiting.append(_Waiting(message.reply, draw.accounts))
        if not self._answering:
            self._answering = True
            self._tasks.spawn(self._answer_waiting(), name="allowances")

    async def _answer_waiting(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                try:
                    wallets = await self._wallets(waiting)
                except (StoreError, asyncpg.PostgresError) as error:
                    log.warning("allowances_unanswered", draws=len(waiting), error=type(error).__name__)
                    self._metrics.postgres_failures.labels("allowances").inc()
                    self._metrics.draws.labels("dropped").inc(len(waiting))
                    await self.close()
                else:
                    for reply, accounts in waiting:
                        self._answer(reply, accounts, wallets)
        finally:
            self._answering = False

    async def _wallets(self, waiting: list[_Waiting]) -> dict[int, NanoUSD]:
        accounts = {account for draw in waiting for account in draw.accounts}
        async with self._database.connection() as connection:
            return await balances(connection, list(accounts))

    def _answer(self, reply: str, accounts: tuple[int, ...], wallets: dict[int, NanoUSD]) -> None:
        grants = tuple(
            AllowanceGrant(account, wallets[account], LEASE_MS) for account in accounts if account in wallets
        )
        # A full bus means that the broker does not read; the edge has its grace.
        with contextlib.suppress(BusError):
            self._bus.publish(reply, messages.encode(AllowanceGrants(grants)))
            self._metrics.draws.labels("answered").inc()
