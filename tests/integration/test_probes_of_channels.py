"""What health's probes send to a real upstream, and what they make of its answers."""

import math
import socket
from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.support.health_replica import (
    ANSWER,
    EMBEDDING,
    MASTER,
    SECRET,
    Replica,
    Upstream,
    is_state,
    put,
    until,
    until_weights,
)
from tests.support.waiting import eventually
from trunkline.bus import messages, snapshots, subjects
from trunkline.bus.messages import AttemptOutcome, OutcomeBatch
from trunkline.bus.snapshots import ChannelState, ModelAccess, Probe, ProbeKind
from trunkline.core.errors import ErrorType
from trunkline.policy import model_access
from trunkline.policy.vault import NONCE_BYTES, Vault
from trunkline.runtime.nats_bus import NATSBus


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream().running() as running:
        yield running


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
        found = await until_weights(bus, lambda found: "1" in found)
        assert found["1"].state is ChannelState.SERVING
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
            found = await until_weights(bus, lambda found: "1" in found)
            assert found["1"].state is ChannelState.SERVING
    assert (upstream.requests, upstream.asked) == ([], [])


async def access(bus: NATSBus) -> dict[str, ModelAccess]:
    entries = await bus.kv_all(subjects.KV_ACCESS)
    return {token: snapshots.decode_access(value) for token, value in entries.items()}


async def until_access(bus: NATSBus, expected: list[ModelAccess]) -> None:
    async def look() -> bool:
        return list((await access(bus)).values()) == expected

    await eventually(look, within_s=10.0, what=f"access is {expected}")


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
        # What is closed and what is refused are published by themselves.
        found = await until_weights(bus, lambda found: found["1"].refused == ("n",))
        assert found["1"].weight == 1.0
        await until(lambda: {end for end, _ in upstream.asked} == {"completions", "embeddings"})
        assert {body["model"] for _, body in upstream.asked} == {"n"}
        upstream.embeddings["n"] = (200, EMBEDDING)
        await until_access(bus, [])
        await until_weights(bus, lambda found: found["1"].refused == ())
        assert replica.metric("trunkline_probes_paid_total") >= 4
