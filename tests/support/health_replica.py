"""Health as a process of the test's own on a real NATS, and an upstream over HTTP that does as it is told."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

from services.health.app import HealthService, open_service
from services.health.config import HealthSettings
from trunkline.bus import messages, snapshots, subjects
from trunkline.bus.messages import Beat
from trunkline.bus.snapshots import ChannelSnapshot, ChannelState, ChannelWeight
from trunkline.policy.vault import NONCE_BYTES, Vault
from trunkline.runtime import nats_bus
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.process import Process
from trunkline.runtime.tasks import TaskSet

MASTER = bytes(range(32))
SECRET = "sk-upstream-planted-secret"
POLL_S = 0.02

ANSWER = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "length"}]}
EMBEDDING = {"data": [{"index": 0, "embedding": [0.5, 0.25]}], "usage": {"prompt_tokens": 1}}


class Upstream:
    """Answers ``/v1/models`` with the status it is told to, None for never; and models as they are told to, by name.

    Attributes:
        status: of the list of models.
        answers: status and body for each of the provider's models, 404 for others; of embeddings in ``embeddings``.
        requests: header of each request for the list.
        asked: path's end and body of each request to a model.
    """

    def __init__(self) -> None:
        self.status: int | None = 200
        self.answers: dict[str, tuple[int, object]] = {}
        self.embeddings: dict[str, tuple[int, object]] = {}
        self.requests: list[dict[str, str]] = []
        self.asked: list[tuple[str, Any]] = []
        self.port = 0
        self._release = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append({name.lower(): value for name, value in request.headers.items()})
        if self.status is None:
            await self._release.wait()
        return web.json_response({"data": []}, status=self.status or 200)

    async def ask(self, request: web.Request) -> web.Response:
        body = await request.json()
        end = request.path.rpartition("/")[2]
        self.asked.append((end, body))
        answers = self.embeddings if end == "embeddings" else self.answers
        missing = (404, {"error": {"message": "No such model.", "code": "model_not_found"}})
        status, answer = answers.get(body["model"], missing)
        return web.json_response(answer, status=status)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Upstream"]:
        app = web.Application()
        app.router.add_get("/v1/models", self.handle)
        app.router.add_post("/v1/chat/completions", self.ask)
        app.router.add_post("/v1/embeddings", self.ask)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            self._release.set()
            await runner.cleanup()

    def channel(
        self, number: int, dialect: str = "openai", *, master: bytes = MASTER, **fields: Any
    ) -> ChannelSnapshot:
        sealed = Vault({1: master}).seal(number * 10, SECRET, bytes(NONCE_BYTES))
        return ChannelSnapshot(
            id=number,
            name=f"channel-{number}",
            dialect=dialect,
            base_url=f"http://127.0.0.1:{self.port}/v1",
            credentials=(sealed,),
            **({"models": {"m": "m"}} | fields),
        )


def settings(nats_url: str) -> HealthSettings:
    return HealthSettings(
        nats_url=nats_url,
        master_keys="1:" + base64.b64encode(MASTER).decode(),
        probe_interval_s=0.2,
        probe_timeout_s=1.5,
        upstream_allow=("127.0.0.0/8",),
    )


class Replica:
    """One health process within the test's own."""

    def __init__(self, name: str, nats_url: str) -> None:
        self.name = name
        self.registry = CollectorRegistry()
        self._nats_url = nats_url
        self.draining = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[HealthService]:
        tasks, clock = TaskSet(), SystemClock()
        bus = await nats_bus.connect(self._nats_url, name=self.name, tasks=tasks)
        process = Process("health", self.name, 7, clock, tasks, bus, self.registry)
        try:
            async with open_service(process, settings(self._nats_url)) as service:
                tasks.spawn(self._beat(bus, clock), name="beat")
                yield service
        finally:
            await tasks.cancel()
            await bus.close()

    async def _beat(self, bus: NATSBus, clock: SystemClock) -> None:
        while True:
            beat = Beat("health", self.name, clock.wall_ms(), draining=self.draining)
            bus.publish(subjects.alive("health", self.name), messages.encode(beat))
            await clock.sleep(0.2)

    def metric(self, line: str) -> float:
        """Return one sample of what a scrape would find."""
        found = [text for text in generate_latest(self.registry).decode().splitlines() if text.startswith(line + " ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0


async def put(bus: NATSBus, channel: ChannelSnapshot) -> None:
    await bus.kv_put(subjects.KV_CHANNELS, str(channel.id), snapshots.encode(channel))


async def weights(bus: NATSBus) -> dict[str, ChannelWeight]:
    entries = await bus.kv_all(subjects.KV_WEIGHTS)
    return {token: snapshots.decode_weight(value) for token, value in entries.items()}


async def until_weights(
    bus: NATSBus, holds: Callable[[dict[str, ChannelWeight]], bool], within_s: float = 20.0
) -> dict[str, ChannelWeight]:
    """Return what health publishes of the channels, by their token, once it is so.

    Raises:
        AssertionError: it has not become so in time.
    """
    found: dict[str, ChannelWeight] = {}
    try:
        async with asyncio.timeout(within_s):
            while not holds(found := await weights(bus)):  # noqa: ASYNC110 - NATS tells nobody here
                await asyncio.sleep(POLL_S)  # noqa: TID251 - polls for an event with a deadline
    except TimeoutError:
        raise AssertionError(f"weights did not become so within {within_s} s: {found}") from None
    return found


async def until(holds: Callable[[], bool], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - metrics and counts are read, not awaited
            await asyncio.sleep(POLL_S)  # noqa: TID251 - polls for an event with a deadline


def is_state(token: str, state: ChannelState) -> Callable[[dict[str, ChannelWeight]], bool]:
    return lambda found: token in found and found[token].state is state
