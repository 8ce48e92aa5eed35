"""Health against a real NATS and an upstream over HTTP that does as it is told."""

import asyncio
import base64
import json
import math
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

from services.health.app import HealthService, open_service
from services.health.config import HealthSettings
from tests.support.waiting import eventually
from trunkline.bus import messages, snapshots, subjects
from trunkline.bus.messages import AttemptOutcome, Beat, CredentialEvent, HealthSample, OutcomeBatch
from trunkline.bus.snapshots import (
    ChannelSnapshot,
    ChannelState,
    ChannelWeight,
    ModelAccess,
    ModelFigures,
    Probe,
    ProbeKind,
)
from trunkline.core.errors import ErrorType
from trunkline.policy import model_access
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


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream().running() as running:
        yield running


def settings(nats_url: str) -> HealthSettings:
    return HealthSettings(
        nats_url=nats_url,
        master_keys="1:" + base64.b64encode(MASTER).decode(),
        probe_interval_s=0.2,
        probe_timeout_s=0.5,
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
    bus: NATSBus, holds: Callable[[dict[str, ChannelWeight]], bool], within_s: float = 10.0
) -> dict[str, ChannelWeight]:
    found: dict[str, ChannelWeight] = {}
    try:
        async with asyncio.timeout(within_s):
            while not holds(found := await weights(bus)):  # noqa: ASYNC110 - NATS tells nobody here
                await asyncio.sleep(POLL_S)  # noqa: TID251 - polls for an event with a deadline
    except TimeoutError:
        raise AssertionError(f"weights did not become so within {within_s} s: {found}") from None
    return found


async def until(holds: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - metrics and counts are read, not awaited
            await asyncio.sleep(POLL_S)  # noqa: TID251 - polls for an event with a deadline


def is_state(token: str, state: ChannelState) -> Callable[[dict[str, ChannelWeight]], bool]:
    return lambda found: token in found and found[token].state is state


async def test_a_channel_dies_is_ejected_comes_back_is_tried_and_serves(
    bus: NATSBus, nats_url: str, upstream: Upstream, capfd: pytest.CaptureFixture[str]
) -> None:
    await put(bus, upstream.channel(1))
    replica = Replica("health-1", nats_url)
    async with replica.running() as service:
        first = (await until_weights(bus, is_state("1", ChannelState.SERVING)))["1"]
        assert first.weight == 1.0
        assert service.not_ready() == []
        upstream.status = 503
        ejected = (await until_weights(bus, is_state("1", ChannelState.EJECTED), 5.0))["1"]
        assert (ejected.weight, ejected.reason) == (0.0, "probes fail")
        assert ejected.version > first.version
        assert replica.metric('trunkline_channel_state{channel="channel-1",state="ejected"}') == 1.0
        upstream.status = 200
        probing = (await until_weights(bus, is_state("1", ChannelState.PROBING), 8.0))["1"]
        assert probing.weight == 0.1
        serving = (await until_weights(bus, is_state("1", ChannelState.SERVING), 8.0))["1"]
        assert serving.weight < 1.0
        assert serving.version > probing.version > ejected.version
        assert replica.metric('trunkline_channel_ejections_total{channel="channel-1"}') == 1.0
        assert replica.metric('trunkline_probes_total{result="failed"}') >= 3
    assert {request["authorization"] for request in upstream.requests} == {f"Bearer {SECRET}"}
    assert SECRET not in "".join(capfd.readouterr()) + json.dumps(generate_latest(replica.registry).decode())


async def test_outcomes_under_load_eject_within_seconds_although_probes_pass(
    bus: NATSBus, nats_url: str, upstream: Upstream
) -> None:
    for number in (1, 2):
        await put(bus, upstream.channel(number))
    clock = SystemClock()

    def report(error: ErrorType | None) -> None:
        outcomes = tuple(
            AttemptOutcome(number, 1, "m", error if number == 1 else None, 0, 5, 1, 9) for number in (1, 2)
        )
        bus.publish(subjects.OUTCOME, messages.encode(OutcomeBatch("dispatcher-1", outcomes)))

    async with Replica("health-1", nats_url).running():
        await until_weights(bus, lambda found: set(found) == {"1", "2"})
        for _ in range(20):
            report(None)
        died = clock.now()
        while (await weights(bus))["1"].state is not ChannelState.EJECTED:
            report(ErrorType.UPSTREAM_UNREACHABLE)
            assert clock.now() - died < 5.0
            await asyncio.sleep(0.05)  # noqa: TID251 - 20 attempts a second
        found = await weights(bus)
        assert found["1"].reason == "attempts fail"
        assert found["2"].weight == 1.0


async def test_an_upstream_that_never_answers_is_ejected(bus: NATSBus, nats_url: str, upstream: Upstream) -> None:
    await put(bus, upstream.channel(1))
    upstream.status = None
    replica = Replica("health-1", nats_url)
    async with replica.running():
        await until_weights(bus, is_state("1", ChannelState.EJECTED))
        assert replica.metric('trunkline_probes_total{result="timeout"}') >= 3


async def test_refused_and_unopened_credentials_are_not_the_channels_fault(
    bus: NATSBus, nats_url: str, upstream: Upstream
) -> None:
    await put(bus, upstream.channel(1, "anthropic"))
    await put(bus, upstream.channel(2, master=bytes(32)))
    upstream.status = 401
    replica = Replica("health-1", nats_url)
    async with replica.running():
        await until(lambda: replica.metric('trunkline_probes_total{result="credential"}') >= 4)
        await until(lambda: replica.metric('trunkline_probes_total{result="unusable"}') >= 4)
        found = await until_weights(bus, lambda found: set(found) == {"1", "2"})
        assert {weight.weight for weight in found.values()} == {1.0}
    assert {request.get("x-api-key") for request in upstream.requests} == {SECRET}
    assert all("authorization" not in request for request in upstream.requests)


async def test_credentials_take_turns(bus: NATSBus, nats_url: str, upstream: Upstream) -> None:
    second = Vault({1: MASTER}).seal(11, "sk-second", bytes(NONCE_BYTES))
    channel = upstream.channel(1)
    await put(bus, msgspec.structs.replace(channel, credentials=(*channel.credentials, second)))
    async with Replica("health-1", nats_url).running():
        await until(lambda: len(upstream.requests) >= 4)
    used = [request["authorization"] for request in upstream.requests[:4]]
    assert used == [f"Bearer {SECRET}", "Bearer sk-second"] * 2


async def test_weights_follow_the_channels(bus: NATSBus, nats_url: str, upstream: Upstream) -> None:
    stale = ChannelWeight(9, ChannelState.SERVING, 1.0, 10**14)
    await bus.kv_put(subjects.KV_WEIGHTS, "9", snapshots.encode(stale))
    await put(bus, upstream.channel(1))
    async with Replica("health-1", nats_url).running():
        found = await until_weights(bus, lambda found: set(found) == {"1"})
        assert found["1"].version > stale.version
        await put(bus, upstream.channel(2))
        await until_weights(bus, lambda found: set(found) == {"1", "2"})
        await bus.kv_delete(subjects.KV_CHANNELS, "1")
        await until_weights(bus, lambda found: set(found) == {"2"})


async def test_a_restart_keeps_an_ejected_channel_out(bus: NATSBus, nats_url: str, upstream: Upstream) -> None:
    upstream.status = 500
    await put(bus, upstream.channel(1))
    before = ChannelWeight(1, ChannelState.EJECTED, 0.0, 77, "attempts fail")
    await bus.kv_put(subjects.KV_WEIGHTS, "1", snapshots.encode(before))
    seen: list[ChannelWeight] = []

    async def collect() -> None:
        async with asyncio.timeout(5):
            while len(upstream.requests) < 5:
                seen.append((await weights(bus))["1"])
                await asyncio.sleep(POLL_S)  # noqa: TID251 - polls for an event with a deadline

    async with Replica("health-2", nats_url).running():
        await collect()
    assert {weight.state for weight in seen} == {ChannelState.EJECTED}
    assert seen[-1].version > before.version


async def test_one_of_two_replicas_publishes_and_the_other_takes_over(
    bus: NATSBus, nats_url: str, upstream: Upstream
) -> None:
    await put(bus, upstream.channel(1))
    one, two = Replica("health-1", nats_url), Replica("health-2", nats_url)
    async with AsyncExitStack() as stack:
        leader = await stack.enter_async_context(one.running())
        await stack.enter_async_context(two.running())
        await until(lambda: one.metric("trunkline_health_leads") == 1 and two.metric("trunkline_health_leads") == 0)
        one.draining = True  # as the process's skeleton says in its beats
        await leader.drain()
        await until(lambda: one.metric("trunkline_health_leads") == 0)
        await until(lambda: two.metric("trunkline_health_leads") == 1)
        before = (await weights(bus))["1"].version
        upstream.status = 503
        found = await until_weights(bus, is_state("1", ChannelState.EJECTED), 5.0)
        assert found["1"].version > before


async def test_a_completion_probe_sees_what_a_list_of_models_hides(
    bus: NATSBus, nats_url: str, upstream: Upstream
) -> None:
    probe = Probe(ProbeKind.COMPLETION, model="m")
    await put(bus, upstream.channel(1, models={"a": "a", "m": "provider-m"}, probe=probe))
    upstream.answers["provider-m"] = (200, ANSWER)
    replica = Replica("health-1", nats_url)
    async with replica.running() as service:
        await until_weights(bus, is_state("1", ChannelState.SERVING))
        await until(lambda: replica.metric('trunkline_probes_total{result="passed"}') >= 3)
        assert len(upstream.asked) == 1  # in calm most probes are only connections
        upstream.answers["provider-m"] = (
            200,
            {"error": {"message": "The server had an error.", "type": "server_error"}},
        )
        for slot in service._prober._slots.values():
            slot.paid._last_at = -math.inf  # as if the next paid probe were due
        ejected = (await until_weights(bus, is_state("1", ChannelState.EJECTED)))["1"]
        assert ejected.reason == "probes fail"
        upstream.answers["provider-m"] = (200, ANSWER)
        await until_weights(bus, is_state("1", ChannelState.PROBING))
    assert upstream.requests == []
    assert {(end, body["model"], body["max_tokens"]) for end, body in upstream.asked} == {
        ("completions", "provider-m", 1)
    }


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ((401, {"error": {"message": "Incorrect API key provided."}}), "credential"),
        ((402, {"error": {"message": "Payment required."}}), "credential"),
        ((429, {"error": {"message": "Rate limit reached."}}), "limited"),
        ((404, {"error": {"message": "The model does not exist.", "code": "model_not_found"}}), "denied"),
    ],
)
async def test_what_says_nothing_against_a_channel_does_not_eject_it(
    bus: NATSBus, nats_url: str, upstream: Upstream, answer: tuple[int, object], result: str
) -> None:
    # Several, since in calm each is asked once.
    for number in (1, 2, 3):
        await put(bus, upstream.channel(number, probe=Probe(ProbeKind.COMPLETION)))
    upstream.answers["m"] = answer
    replica = Replica("health-1", nats_url)
    async with replica.running():
        await until(lambda: replica.metric(f'trunkline_probes_total{{result="{result}"}}') == 3)
        assert replica.metric("trunkline_probes_paid_total") == 3
        found = await until_weights(bus, lambda found: set(found) == {"1", "2", "3"})
        assert {weight.weight for weight in found.values()} == {1.0}


async def test_past_the_days_allowance_only_connections_are_tried(
    bus: NATSBus, nats_url: str, upstream: Upstream
) -> None:
    await put(bus, upstream.channel(1, probe=Probe(ProbeKind.EMBEDDING, paid_per_day=2)))
    upstream.embeddings["m"] = (500, {})
    replica = Replica("health-1", nats_url)
    async with replica.running():
        await until(lambda: replica.metric('trunkline_probes_total{result="passed"}') >= 3)
        assert replica.metric('trunkline_probes_total{result="failed"}') == 2
        assert (await weights(bus))["1"].state is ChannelState.SERVING
    assert [end for end, _ in upstream.asked] == ["embeddings", "embeddings"]


async def test_a_tcp_probe_is_only_a_connection(bus: NATSBus, nats_url: str, upstream: Upstream) -> None:
    await put(bus, upstream.channel(1, probe=Probe(ProbeKind.TCP)))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        await put(bus, msgspec.structs.replace(upstream.channel(2, probe=Probe(ProbeKind.TCP)), base_url=address))
        replica = Replica("health-1", nats_url)
        async with replica.running():
            await until_weights(bus, is_state("2", ChannelState.EJECTED))
            await until(lambda: replica.metric('trunkline_probes_total{result="passed"}') >= 3)
            assert (await weights(bus))["1"].state is ChannelState.SERVING
    assert (upstream.requests, upstream.asked) == ([], [])


async def test_a_drained_channel_is_probed_and_judged(bus: NATSBus, nats_url: str, upstream: Upstream) -> None:
    await put(bus, upstream.channel(1, drained=True))
    upstream.status = 503
    async with Replica("health-1", nats_url).running():
        await until_weights(bus, is_state("1", ChannelState.EJECTED))


def failures(*channels: int) -> bytes:
    outcomes = tuple(
        AttemptOutcome(number, 1, "m", ErrorType.UPSTREAM_ERROR, 500, 0, 0, 9) for number in channels for _ in range(5)
    )
    return messages.encode(OutcomeBatch("dispatcher-1", outcomes))


async def test_failing_attempts_alone_do_not_eject_all_channels(
    bus: NATSBus, nats_url: str, upstream: Upstream
) -> None:
    for number in (1, 2, 3):
        await put(bus, upstream.channel(number))
    replica = Replica("health-1", nats_url)
    async with replica.running():
        await until_weights(bus, lambda found: set(found) == {"1", "2", "3"})
        bus.publish(subjects.OUTCOME, failures(1, 2, 3))
        await until_weights(bus, is_state("1", ChannelState.EJECTED))
        found = await until_weights(bus, lambda found: found["3"].weight == 0.1)
        assert [found[token].weight for token in ("1", "2", "3")] == [0.0, 0.1, 0.1]
        assert replica.metric('trunkline_channel_spared{channel="channel-3"}') == 1.0


async def test_an_outage_of_all_channels_ejects_all_of_them_within_seconds(
    bus: NATSBus, nats_url: str, upstream: Upstream
) -> None:
    for number in (1, 2, 3):
        await put(bus, upstream.channel(number, probe=Probe(interval_s=5.0)))
    clock = SystemClock()
    async with Replica("health-1", nats_url).running():
        await until_weights(bus, lambda found: set(found) == {"1", "2", "3"})
        await until(lambda: len(upstream.requests) >= 3)
        upstream.status = 503
        died = clock.now()
        while {weight.weight for weight in (await weights(bus)).values()} != {0.0}:
            bus.publish(subjects.OUTCOME, failures(1, 2, 3))
            assert clock.now() - died < 5.0
            await asyncio.sleep(0.1)  # noqa: TID251 - attempts go on
        assert {weight.reason for weight in (await weights(bus)).values()} == {"attempts fail"}


async def access(bus: NATSBus) -> dict[str, ModelAccess]:
    entries = await bus.kv_all(subjects.KV_ACCESS)
    return {token: snapshots.decode_access(value) for token, value in entries.items()}


async def until_access(bus: NATSBus, expected: list[ModelAccess]) -> None:
    async def look() -> bool:
        return list((await access(bus)).values()) == expected

    await eventually(look, within_s=5.0, what=f"access is {expected}")


async def test_a_model_that_is_denied_is_closed_until_a_probe_finds_it_open(
    bus: NATSBus, nats_url: str, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_access, "RECHECK_S_MIN", 0.5)
    await put(bus, upstream.channel(1, models={"m": "m", "n": "n"}))
    upstream.answers["m"] = (200, ANSWER)
    replica = Replica("health-1", nats_url)
    denied = AttemptOutcome(1, 10, "n", ErrorType.UPSTREAM_ERROR, 404, 0, 0, 9, denied=True)
    async with replica.running():
        await until_weights(bus, is_state("1", ChannelState.SERVING))
        bus.publish(subjects.OUTCOME, messages.encode(OutcomeBatch("dispatcher-1", (denied,) * 3)))
        await until_access(bus, [ModelAccess("n", ("default",))])
        found = (await weights(bus))["1"]
        assert (found.refused, found.weight) == (("n",), 1.0)
        await until(lambda: {end for end, _ in upstream.asked} == {"completions", "embeddings"})
        assert {body["model"] for _, body in upstream.asked} == {"n"}
        upstream.embeddings["n"] = (200, EMBEDDING)
        await until_access(bus, [])
        await until_weights(bus, lambda found: found["1"].refused == ())
        assert replica.metric("trunkline_probes_paid_total") >= 4


async def test_figures_of_all_dispatchers_are_published(bus: NATSBus, nats_url: str, upstream: Upstream) -> None:
    await put(bus, upstream.channel(1))
    async with Replica("health-1", nats_url).running():
        await until_weights(bus, is_state("1", ChannelState.SERVING))
        for dispatcher, first_token_ms in (("dispatcher-1", 300), ("dispatcher-2", 500)):
            outcome = AttemptOutcome(1, 10, "m", None, 200, first_token_ms, 101, first_token_ms + 1000, stream=True)
            bus.publish(subjects.OUTCOME, messages.encode(OutcomeBatch(dispatcher, (outcome,))))
        found = await until_weights(bus, lambda found: found["1"].figures != {})
        assert found["1"].figures == {"m": ModelFigures(400, 100)}


async def test_a_refused_credential_is_told_once_and_through_a_restart(
    bus: NATSBus, nats_url: str, upstream: Upstream
) -> None:
    await put(bus, upstream.channel(1))

    def report(error: ErrorType | None, status: int) -> None:
        outcome = AttemptOutcome(1, 10, "m", error, status, 0, 0, 9)
        bus.publish(subjects.OUTCOME, messages.encode(OutcomeBatch("dispatcher-1", (outcome,) * 3)))

    async def told() -> list[CredentialEvent]:
        found: list[CredentialEvent] = []
        for number in range(1, (await bus.stream_span(subjects.HEALTH_STREAM)).last + 1):
            message: Any = await bus.jetstream.get_msg(subjects.HEALTH_STREAM, number)
            if message.subject == subjects.credential(1, 10):
                found.append(messages.decode_credential_event(message.data))
        return found

    async def until_told(refused: list[bool]) -> None:
        async def look() -> bool:
            return [event.refused for event in await told()] == refused

        await eventually(look, within_s=5.0, what=f"credential events are {refused}")

    first = Replica("health-1", nats_url)
    async with first.running():
        await until_weights(bus, is_state("1", ChannelState.SERVING))
        report(ErrorType.UPSTREAM_CREDENTIAL, 402)
        await until_told([True])
        assert first.metric('trunkline_channel_refused_credentials{channel="channel-1"}') == 1.0
    second = Replica("health-2", nats_url)
    async with second.running():
        assert second.metric('trunkline_channel_refused_credentials{channel="channel-1"}') == 1.0
        report(ErrorType.UPSTREAM_CREDENTIAL, 402)
        report(None, 200)
        await until_told([True, False])
    assert (await told())[0].status == 402


async def test_history_reaches_the_stream(bus: NATSBus, nats_url: str, upstream: Upstream) -> None:
    await put(bus, upstream.channel(1))
    async with Replica("health-1", nats_url).running() as service:
        await until(lambda: len(upstream.requests) >= 3)
        await service._history.write(1_700_000_000_000)
        await service._history.write(1_700_000_000_000)
    stored: list[HealthSample] = []
    info = await bus.jetstream.stream_info(subjects.HEALTH_STREAM)
    for number in range(info.state.first_seq, info.state.last_seq + 1):
        message: Any = await bus.jetstream.get_msg(subjects.HEALTH_STREAM, number)
        assert message.subject == subjects.health(1)
        stored.append(messages.decode_health_sample(message.data))
    (sample,) = [each for each in stored if each.at_ms == 1_700_000_000_000]
    assert (sample.channel, sample.state, sample.failures) == (1, "serving", 0)
    # An interval of the process's own may have ended meanwhile, with a part of them.
    assert sum(each.successes for each in stored) >= 2
