"""The processes of the simulated gateway, wired from the real parts as their ``app.py`` does.

In place of the HTTP server stand the clients of `sim_clients`, in place of upstream connections `sim_upstream`, and
metering decides draws and settles nothing (`sim_metering`).
"""

import base64
import io
from typing import NamedTuple, cast

from prometheus_client import CollectorRegistry

from services.dispatcher.app import TICK_S
from services.dispatcher.catalog import Catalog
from services.dispatcher.checkpoints import Checkpoints
from services.dispatcher.fetching import MediaFetcher
from services.dispatcher.intake import Intake
from services.dispatcher.job_entry import JobEntry
from services.dispatcher.job_runner import JobRunner
from services.dispatcher.metrics import DispatcherMetrics
from services.dispatcher.outcome_outbox import OutcomeOutbox
from services.dispatcher.settlement import Settlement
from services.edge.allowances import Allowances, Grace
from services.edge.client_job import ClientJob
from services.edge.identification import Identification
from services.edge.job_board import JobBoard
from services.edge.key_ring import KeyRing
from services.edge.metrics import EdgeMetrics
from services.edge.models import Models
from services.edge.payments import Payments
from services.edge.request_log import RequestLog
from services.edge.request_path import RequestPath
from services.edge.self_service import SelfService
from services.edge.usage_keeper import UsageKeeper
from tests.sim.sim_clients import Client
from tests.sim.sim_loop import LoopClock
from tests.sim.sim_upstream import Provider, SimulatedPool
from trunkline.bus import messages, snapshots, subjects
from trunkline.bus.fleet import Fleet
from trunkline.bus.job_table import JobTable
from trunkline.bus.messages import Beat, UsageEvent
from trunkline.bus.port import Message
from trunkline.bus.snapshots import ChannelSnapshot, KeyPolicy, ModelSnapshot, Timeouts
from trunkline.core import limits
from trunkline.core.ids import JobID, JobIDMint
from trunkline.policy.keys import key_hash, mint
from trunkline.policy.vault import Vault, parse_masters
from trunkline.runtime.http_client import HTTPClientPool
from trunkline.runtime.http_fetch import HTTPFetcher
from trunkline.runtime.logging import LineLog
from trunkline.runtime.memory_bus import MemoryBroker, MemoryBus
from trunkline.runtime.tasks import TaskSet
from trunkline.runtime.usage_outbox import UsageMetrics, UsageOutbox

PEPPER = b"pepper of the simulation"
SECRET = mint(bytes(range(64)))
MASTERS = "1:" + base64.b64encode(bytes(32)).decode()
DEADLINE_S = 15.0
FAILED_KEYS_PER_MINUTE = 60
DISPATCHER_JOBS_MAX = 12
ADMISSION_WAIT_S = 2.0
CHANNELS = (1, 2, 3)
TIMEOUTS = Timeouts(connect_s=1.0, first_token_s=3.0, idle_s=2.5, total_s=9.0)


def fill_buckets(broker: MemoryBroker) -> None:
    """Write the snapshots that every process starts from."""
    policy = KeyPolicy(key=1, key_name="k", account=1, account_name="a")
    broker.buckets[subjects.KV_KEYS][key_hash(SECRET, PEPPER)] = snapshots.encode(policy)
    model = ModelSnapshot("public", groups=("default",), prices={"input": 1_000_000, "output": 1_000_000})
    broker.buckets[subjects.KV_MODELS][subjects.kv_token("public")] = snapshots.encode(model)
    vault = Vault(parse_masters(MASTERS))
    for number in CHANNELS:
        credentials = tuple(
            vault.seal(10 * number + index, f"upstream-{number}-{index}", bytes(11) + bytes([index]))
            for index in range(number)
        )
        channel = ChannelSnapshot(
            id=number,
            name=f"channel-{number}",
            dialect="openai",
            base_url=f"http://upstream-{number}/v1",
            credentials=credentials,
            models={"public": "public" if number == 1 else f"private-{number}"},
            timeouts=TIMEOUTS,
        )
        broker.buckets[subjects.KV_CHANNELS][str(number)] = snapshots.encode(channel)


class Settled(NamedTuple):
    """What the gateway's edge was told of a job."""

    usage: UsageEvent | None
    lost: bool


class _Mint(JobIDMint):
    """Remembers the last id, by which the books find a client's entries."""

    last = JobID(b"")

    def mint(self, now_ms: int) -> JobID:
        self.last = super().mint(now_ms)
        return self.last


class _Process:
    """What edges and dispatchers have in common: a bus, a clock, tasks, beats, and a sudden death."""

    def __init__(self, broker: MemoryBroker, role: str, name: str, clock: LoopClock) -> None:
        self.name = name
        self.role = role
        self.clock = clock
        self.bus: MemoryBus = broker.connect(name)
        self.failures: list[BaseException] = []
        self.tasks = TaskSet(on_failure=self.failures.append)
        self.dead = False

    def outbox(self) -> UsageOutbox:
        metrics = UsageMetrics(CollectorRegistry(), self.role)
        return UsageOutbox(
            self.bus, self.role, self.name, clock=self.clock, tasks=self.tasks, metrics=metrics, spool=None
        )

    def beat(self) -> Beat:
        raise NotImplementedError

    async def send_beats(self) -> None:
        while True:
            self.bus.publish(subjects.alive(self.role, self.name), messages.encode(self.beat()))
            await self.clock.sleep(limits.BEAT_INTERVAL_S)

    async def die(self) -> None:
        self.dead = True
        self.bus.kill()
        await self.tasks.cancel()

    def left_over(self) -> dict[str, int]:
        """Return what a process at rest should not hold, by name."""
        raise NotImplementedError


class SimulatedEdge(_Process):
    """An edge; see `services.edge.app`."""

    def __init__(self, broker: MemoryBroker, name: str, clock: LoopClock, entropy: int) -> None:
        super().__init__(broker, "edge", name, clock)
        tasks, bus, metrics = self.tasks, self.bus, EdgeMetrics(CollectorRegistry())
        self.clients: list[Client] = []
        self._mint = _Mint(entropy)
        self.fleet = Fleet()
        self.models = Models()
        for token, value in broker.buckets[subjects.KV_MODELS].items():
            self.models.changed(token, value)
        self.keys = KeyRing(bus, PEPPER, clock=clock, tasks=tasks, metrics=metrics)
        self.keeper = UsageKeeper(self.outbox(), metrics=metrics)
        self.settled: dict[JobID, list[Settled]] = {}
        self.allowances = Allowances(bus, name, entropy, Grace(60.0, 10**12), clock=clock, tasks=tasks, metrics=metrics)
        self.payments = Payments(self.allowances, self.models)
        self.board = JobBoard(
            bus,
            name,
            clock=clock,
            metrics=metrics,
            fleet=self.fleet,
            keeper=self.keeper,
            wait_s=ADMISSION_WAIT_S,
            on_end=self._ended,
            on_priced=self.payments.price,
            on_settled=self._settled,
        )
        self.path = RequestPath(
            edge=name,
            jobs_max=1000,
            deadline_s=DEADLINE_S,
            mint=self._mint,
            identification=Identification(self.keys, FAILED_KEYS_PER_MINUTE, clock=clock, metrics=metrics),
            models=self.models,
            payments=self.payments,
            board=self.board,
            self_service=SelfService(bus, metrics=metrics),
            clock=clock,
            tasks=tasks,
            metrics=metrics,
            request_log=RequestLog(LineLog(clock, io.BytesIO()), name, clock),
        )

    def _ended(self, job: ClientJob) -> None:
        self.path.finish(job)

    def _settled(self, client: ClientJob, usage: UsageEvent | None, *, lost: bool) -> None:
        self.settled.setdefault(client.job, []).append(Settled(usage, lost))
        self.payments.settle(client, usage, lost=lost)

    async def start(self) -> None:
        await self.keys.start()
        await self.allowances.start()
        await self.bus.subscribe(subjects.alive_of("dispatcher"), self._on_beat)
        await self.board.start()
        self.tasks.spawn(self._tick(), name="edge_tick")
        self.tasks.spawn(self.send_beats(), name="beat")

    def _on_beat(self, message: Message) -> None:
        beat = messages.decode_beat(message.data)
        self.fleet.receive(beat, self.clock.now())
        self.keeper.confirmed(beat.process, beat.stored)

    async def _tick(self) -> None:
        while True:
            await self.clock.sleep(limits.BEAT_INTERVAL_S / 2)
            for dispatcher in self.fleet.take_lost(self.clock.now()):
                self.board.dispatcher_lost(dispatcher)
            self.keeper.sweep(self.fleet, self.clock.now())
            self.board.tick()
            self.allowances.sweep()

    def beat(self) -> Beat:
        clock_ms = round(self.clock.now() * 1000)
        return Beat(
            "edge",
            self.name,
            self.clock.wall_ms(),
            in_flight=self.path.in_flight,
            lanes=self.board.lanes_waiting,
            clock_ms=clock_ms,
        )

    def begin(self, client: Client) -> None:
        """A client's request has come."""
        self.clients.append(client)
        self.path.begin(client.exchange)
        client.job = self._mint.last

    async def die(self) -> None:
        await super().die()
        for client in self.clients:
            client.edge_died = True
            client.exchange.ended = True

    def left_over(self) -> dict[str, int]:
        return {
            "jobs": len(self.board),
            "in flight": self.path.in_flight,
            "usage kept": len(self.keeper),
            "jobs to settle": self.board.settling,
            "lanes waited in": len(self.board.lanes_waiting),
            "holds": self.allowances.holds,
        }


class SimulatedDispatcher(_Process):
    """A dispatcher; see `services.dispatcher.app`."""

    def __init__(self, broker: MemoryBroker, name: str, clock: LoopClock, seed: int, provider: Provider) -> None:
        super().__init__(broker, "dispatcher", name, clock)
        tasks, bus, metrics = self.tasks, self.bus, DispatcherMetrics(CollectorRegistry())
        self.pool = SimulatedPool(provider)
        self.table: JobTable[JobEntry] = JobTable(jobs_max=DISPATCHER_JOBS_MAX, body_bytes_max=limits.BODIES_BYTES_MAX)
        self.catalog = Catalog(Vault(parse_masters(MASTERS)), seed, clock=clock, metrics=metrics)
        for token, value in broker.buckets[subjects.KV_CHANNELS].items():
            self.catalog.channel_changed(token, value)
        self.usage = self.outbox()
        outcomes = OutcomeOutbox(bus, name, clock=clock, tasks=tasks)
        settlement = Settlement(self.usage, outcomes, clock=clock, metrics=metrics)
        self.runner = JobRunner(
            self.catalog,
            cast("HTTPClientPool", self.pool),
            MediaFetcher(cast("HTTPFetcher", None), metrics=metrics),  # no channel here wants anything fetched
            settlement,
            clock=clock,
        )
        self.checkpoints = Checkpoints(bus, name, self.runner.attempts, settlement, clock=clock, tasks=tasks)
        self.intake = Intake(
            bus,
            name,
            table=self.table,
            runner=self.runner,
            usage=self.usage,
            edges=Fleet(),
            clock=clock,
            tasks=tasks,
            metrics=metrics,
        )

    async def start(self) -> None:
        await self.intake.start((subjects.DEFAULT_LANE,))
        self.tasks.spawn(self._tick(), name="dispatcher_tick")
        self.tasks.spawn(self.send_beats(), name="beat")

    async def _tick(self) -> None:
        while True:
            await self.clock.sleep(TICK_S)
            self.intake.announce()
            self.runner.tick()
            self.catalog.tick()
            self.intake.tick()

    def beat(self) -> Beat:
        return Beat(
            "dispatcher",
            self.name,
            self.clock.wall_ms(),
            in_flight=len(self.table),
            room=self.table.room,
            stored=self.usage.stored,
            lanes=(subjects.DEFAULT_LANE,),
        )

    async def die(self) -> None:
        await super().die()
        self.pool.kill()

    def left_over(self) -> dict[str, int]:
        busy = sum(connection.busy for connection in self.pool.open)
        records = [self.catalog.figures.channel(channel) for channel in CHANNELS]
        seats = sum(record.in_flight + record.waiting for record in records if record is not None)
        return {"jobs": len(self.table), "usage": len(self.usage), "calls": busy, "seats": seats}
