"""Wires metering."""

import contextlib
from collections.abc import AsyncIterator

import msgspec

from services.metering.allowances import AllowanceDesk
from services.metering.config import MeteringSettings
from services.metering.consumer import Consumer
from services.metering.desks import Desks
from services.metering.inquiries import InquiryDesk
from services.metering.intake import NATSIntake
from services.metering.leases import LeaseEnds
from services.metering.ledger_watch import LedgerWatch
from services.metering.metrics import MeteringMetrics
from services.metering.orphans import Orphans
from services.metering.postgres_clock import PostgresClock
from services.metering.retention import Retention
from services.metering.settler import Settler
from services.metering.terms import TermsBook
from services.metering.upkeep import Upkeep
from trunkline.bus.messages import Beat
from trunkline.runtime.process import Process
from trunkline.runtime.tracer import Tracer
from trunkline.runtime.tracing import open_tracer
from trunkline.store import database
from trunkline.store.schema import SchemaGate


class Metering:
    """The running service, as the skeleton sees it (`runtime.process.Service`)."""

    def __init__(self, gate: SchemaGate, consumer: Consumer, upkeep: Upkeep) -> None:
        self._gate = gate
        self._consumer = consumer
        self._upkeep = upkeep

    def not_ready(self) -> list[str]:
        """Return what is missing: Postgres, its schema, or the stream."""
        if self._gate.waits_for:
            return [self._gate.waits_for]
        missing = []
        if self._upkeep.postgres_away or self._consumer.postgres_away:
            missing.append("postgres")
        if self._consumer.stream_away:
            missing.append("stream")
        return missing

    def beat(self, beat: Beat) -> Beat:
        """Fill in the messages in hand."""
        return msgspec.structs.replace(beat, in_flight=self._consumer.in_hand)

    async def drain(self) -> None:
        """Leave the draws to the other replicas and finish the batch in hand."""
        await self._upkeep.stop()
        if not self._gate.waits_for:
            await self._consumer.stop()


@contextlib.asynccontextmanager
async def open_metering(process: Process, settings: MeteringSettings) -> AsyncIterator[Metering]:
    """Run metering for the length of the block. Postgres need not be there."""
    async with open_tracer(process, settings) as tracer, _opened(process, settings, tracer) as metering:
        yield metering


@contextlib.asynccontextmanager
async def _opened(process: Process, settings: MeteringSettings, tracer: Tracer) -> AsyncIterator[Metering]:
    clock, tasks = process.clock, process.tasks
    metrics = MeteringMetrics(process.registry)
    store = await database.connect(settings.database_url, application="trunkline-metering")
    intake = NATSIntake(process.bus, settings.messages_max)
    terms = TermsBook(clock)
    settler = Settler(store, terms, clock=clock, metrics=metrics, tracer=tracer)
    consumer = Consumer(intake, settler, clock=clock, metrics=metrics)
    postgres_clock = PostgresClock(clock, metrics)
    allowances = AllowanceDesk(
        process.bus, store, terms, settler.discounts, postgres_clock=postgres_clock, tasks=tasks, metrics=metrics
    )
    inquiries = InquiryDesk(process.bus, store, clock=clock, tasks=tasks, metrics=metrics)
    desks = Desks(allowances, inquiries)
    orphans = Orphans(process.bus, settler, clock=clock, metrics=metrics)
    await orphans.start()
    leases = LeaseEnds(process.bus, clock=clock, metrics=metrics)
    await leases.start()
    upkeep = Upkeep(store, desks, intake, orphans, leases, clock=clock, metrics=metrics)
    retention = Retention(store, settings.usage_days, postgres_clock, clock=clock, metrics=metrics)
    gate = SchemaGate(store, clock)
    watch = LedgerWatch(store, clock=clock, metrics=metrics)
    running = {
        "upkeep": upkeep.run,
        "consumer": consumer.run,
        "retention": retention.run,
        "ledger_watch": watch.run,
    }
    loops = [tasks.spawn(gate.then(work), name=name) for name, work in running.items()]
    loops.append(tasks.spawn(gate.run(), name="schema"))
    try:
        yield Metering(gate, consumer, upkeep)
    finally:
        await tasks.end(*loops)
        await desks.close()
        await store.close()
