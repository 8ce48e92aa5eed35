"""What a configuration says of routing, from the admin API to the buckets, on real Postgres and NATS."""

import datetime as dt
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from tests.support.console import PEPPER, AdminClient, running_console
from tests.support.waiting import eventually
from trunkline.bus import snapshots, subjects
from trunkline.bus.snapshots import (
    ChannelOverride,
    ChannelSnapshot,
    Clamp,
    CredentialLimits,
    CredentialOrder,
    HeaderRules,
    KeyPolicy,
    ModelRouting,
    ModelSnapshot,
    Probe,
    ProbeKind,
    Strategy,
    Timeouts,
)
from trunkline.policy.keys import key_hash, mint
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database

SECRET = mint(bytes(range(64)))
WITHIN_S = 15.0

SOON_S = 3.0
"""A moment that is past when it is heard of is refused."""


T = TypeVar("T")


def configuration() -> dict[str, Any]:
    return {
        "channels": [
            {
                "name": "main",
                "dialect": "openai",
                "base_url": "http://upstream.example/v1",
                "credentials": ["plain-secret", {"secret": "heavy-secret", "weight": 3, "jobs": 8, "rpm": 60}],
                "models": {"small": "up-small", "large": "up-large"},
                "groups": ["default", "vip"],
                "timeouts": {"first_token_s": 20},
                "params": {
                    "default": {"seed": {"b": 1, "aa": [1, 2.5]}},
                    "clamp": {"top_p": {"max": 0.99}},
                    "rename": {"max_tokens": "max_completion_tokens"},
                },
                "credential_order": "least-used",
                "limits": {"jobs": 4, "tpm": 1000},
                "overrides": [
                    {"models": ["large"], "timeouts": {"idle_s": 9}, "params": {"set": {"top_k": {"b": 1, "a": 2}}}}
                ],
                "headers": {"drop": ["x-trace"], "set": {"x-title": "Acme"}},
                "status_map": {"403": 429},
                "probe": {"kind": "completion", "model": "small", "interval_s": 30, "paid_per_day": 100},
                "costs": {"small": {"input": 1.0, "output": 5.0}, "large": {"images": 40000}},
            }
        ],
        "models": [
            {"name": "small", "free": True, "strategy": "throughput", "fallbacks": ["large"], "hedge": True},
            {"name": "large", "free": True, "context_fallbacks": ["small"], "filter_fallbacks": ["small"]},
        ],
        "groups": [{"name": "default"}, {"name": "vip", "strategy": "cost"}],
        "tiers": [{"name": "gold", "priority": 7}, {"name": "iron"}],
        "accounts": [
            {"name": "acme", "tier": "gold", "keys": [{"name": "ci", "secret": SECRET, "strategy": "least-busy"}]}
        ],
    }


class Buckets:
    """What the console has projected of the configuration above."""

    def __init__(self, bus: NATSBus) -> None:
        self._bus = bus

    async def channel(self, wanted: Callable[[ChannelSnapshot], bool] = lambda _: True) -> ChannelSnapshot:
        return await self._wanted(subjects.KV_CHANNELS, None, snapshots.decode_channel, wanted)

    async def model(self, name: str, wanted: Callable[[ModelSnapshot], bool] = lambda _: True) -> ModelSnapshot:
        return await self._wanted(subjects.KV_MODELS, subjects.kv_token(name), snapshots.decode_model, wanted)

    async def key(self, wanted: Callable[[KeyPolicy], bool] = lambda _: True) -> KeyPolicy:
        return await self._wanted(
            subjects.KV_KEYS, key_hash(SECRET, PEPPER.encode()), snapshots.decode_key_policy, wanted
        )

    async def _wanted(
        self, bucket: str, token: str | None, decode: Callable[[bytes], T], wanted: Callable[[T], bool]
    ) -> T:
        async def look() -> T | None:
            values = [
                value for name, value in (await self._bus.kv_all(bucket)).items() if token is None or name == token
            ]
            found = [decode(value) for value in values]
            return found[0] if found and wanted(found[0]) else None

        return await eventually(look, within_s=WITHIN_S, what=f"{bucket} hold what is wanted")


@pytest.fixture
def buckets(bus: NATSBus) -> Buckets:
    return Buckets(bus)


async def test_each_field_arrives(bus: NATSBus, tasks: TaskSet, database_dsn: str, buckets: Buckets) -> None:
    async with running_console(bus, tasks, database_dsn) as (_, client):
        assert (await client.call("POST", "/apply", configuration())).status == 200
        channel = await buckets.channel()
        assert [(credential.weight, credential.limits) for credential in channel.credentials].count(
            (3, CredentialLimits(jobs=8, rpm=60))
        ) == 1
        assert sorted(credential.weight for credential in channel.credentials) == [1, 3]
        assert channel.credential_order is CredentialOrder.LEAST_USED
        assert channel.limits == CredentialLimits(jobs=4, tpm=1000)
        assert bytes(channel.params.default["seed"]) == b'{"aa":[1,2.5],"b":1}'
        assert channel.params.clamp == {"top_p": Clamp(max=0.99)}
        assert channel.params.rename == {"max_tokens": "max_completion_tokens"}
        (override,) = channel.overrides
        assert override == ChannelOverride(("large",), Timeouts(5, 20, 9, 600), override.params)
        assert bytes(override.params.set["top_k"]) == b'{"a":2,"b":1}'
        assert channel.headers == HeaderRules(("x-trace",), {"x-title": "Acme"})
        assert channel.status_map == {403: 429}
        assert channel.probe == Probe(ProbeKind.COMPLETION, "small", 30, 100)
        assert channel.drained is False
        # Three parts input, one part output; what has a price by the image alone has no cost by the token.
        assert channel.costs == {"small": 2_000_000_000}
        small, large = await buckets.model("small"), await buckets.model("large")
        assert small.routing == ModelRouting(Strategy.THROUGHPUT, fallbacks=("large",), hedge=True)
        assert large.routing == ModelRouting(context_fallbacks=("small",), filter_fallbacks=("small",))
        assert small.strategies == large.strategies == {"vip": Strategy.COST}
        key = await buckets.key()
        assert (key.strategy, key.priority) == (Strategy.LEAST_BUSY, 7)
        again = await client.call("POST", "/apply", configuration())
        assert again.body == {"dry_run": False, "changes": []}


async def test_each_field_arrives_after_a_change(
    bus: NATSBus, tasks: TaskSet, database_dsn: str, buckets: Buckets
) -> None:
    async with running_console(bus, tasks, database_dsn) as (_, client):
        await client.call("POST", "/apply", configuration())
        changed = configuration()
        changed["channels"][0].update(
            credentials=["plain-secret", {"secret": "heavy-secret", "weight": 5, "tpm": 7}],
            params={"rename": {"stop": "stop_sequences"}},
            credential_order="weighted",
            limits={"rpm": 2},
            overrides=[],
            headers={"set": {"x-title": "Other"}},
            status_map={},
            probe={"kind": "tcp"},
            costs={"small": {"input": 2.0}},
        )
        changed["models"] = [{"name": "small", "free": True, "strategy": "cost"}, {"name": "large", "free": True}]
        changed["groups"] = [{"name": "default", "strategy": "latency"}, {"name": "vip"}]
        changed["tiers"][0]["priority"] = 9
        changed["accounts"][0]["keys"][0].pop("strategy")
        changes = (await client.call("POST", "/apply", changed)).body["changes"]
        assert {(change["action"], change["kind"]) for change in changes} == {
            ("update", kind) for kind in ("group", "tier", "key", "model", "channel", "cost")
        }
        channel = await buckets.channel(lambda found: found.headers.set == {"x-title": "Other"})
        assert sorted((one.weight, one.limits.tpm) for one in channel.credentials if one.weight != 1) == [(5, 7)]
        assert channel.params.rename == {"stop": "stop_sequences"}
        assert channel.params.default == {}
        assert channel.credential_order is CredentialOrder.WEIGHTED
        assert channel.limits == CredentialLimits(rpm=2)
        assert (channel.overrides, channel.status_map, channel.probe) == ((), {}, Probe(ProbeKind.TCP))
        assert channel.costs == {"small": 1_500_000_000}
        small = await buckets.model("small", lambda found: found.routing.strategy is Strategy.COST)
        assert (small.routing, small.strategies) == (
            ModelRouting(strategy=Strategy.COST),
            {"default": Strategy.LATENCY},
        )
        key = await buckets.key(lambda found: found.strategy is None)
        assert key.priority == 9
        assert (await client.call("POST", "/apply", changed)).body["changes"] == []


async def test_a_change_of_costs_alone_reaches_the_channel(
    bus: NATSBus, tasks: TaskSet, database_dsn: str, buckets: Buckets
) -> None:
    async with running_console(bus, tasks, database_dsn) as (_, client):
        await client.call("POST", "/apply", configuration())
        changed = configuration()
        changed["channels"][0]["costs"] = {"small": {"input": 2.0, "output": 2.0}}
        changes = (await client.call("POST", "/apply", changed)).body["changes"]
        assert [change["kind"] for change in changes] == ["cost"]
        await buckets.channel(lambda found: found.costs == {"small": 2_000_000_000})
        await client.call("PUT", "/channels/main/costs/large", {"price": {"output": 8}})
        await buckets.channel(lambda found: found.costs == {"small": 2_000_000_000, "large": 2_000_000_000})


async def test_a_cost_that_comes_into_force_reaches_the_channel(
    bus: NATSBus, tasks: TaskSet, database_dsn: str, buckets: Buckets, database: Database
) -> None:
    async with running_console(bus, tasks, database_dsn) as (_, client):
        await client.call("POST", "/apply", configuration())
        for price, later_s in ((9, 3600), (3, SOON_S)):
            moment = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=later_s)
            set_ = {"price": {"input": price, "output": price}, "effective_from": moment}
            assert (await client.call("PUT", "/channels/main/costs/small", set_)).status == 200
        versions = (await client.call("GET", "/channels/main/costs/small")).body
        await buckets.channel(lambda found: found.costs == {"small": 3_000_000_000})
        async with database.connection() as connection:
            due = await connection.fetch("select version from cost_changes_due")
        assert [row["version"] for row in due] == [versions[0]["id"]]
        assert (await client.call("DELETE", f"/channels/main/costs/small/{versions[0]['id']}")).status == 204
        async with database.connection() as connection:
            assert await connection.fetchval("select count(*) from cost_changes_due") == 0


async def test_a_drained_channel_stays_drained(
    bus: NATSBus, tasks: TaskSet, database_dsn: str, buckets: Buckets
) -> None:
    async with running_console(bus, tasks, database_dsn) as (_, client):
        await client.call("POST", "/apply", configuration())
        before = await buckets.model("small"), await buckets.key()
        assert (await client.call("POST", "/channels/main/drain")).body["drained"] is True
        channel = await buckets.channel(lambda found: found.drained)
        assert channel.enabled
        assert (await client.call("POST", "/apply", configuration())).body["changes"] == []
        weighted = configuration()
        weighted["channels"][0]["weight"] = 5
        await client.call("POST", "/apply", weighted)
        assert (await buckets.channel(lambda found: found.weight == 5)).drained
        # What clients see of its models and what keys may do does not change with it.
        assert (await buckets.model("small"), await buckets.key()) == before
        weighted["channels"][0]["drained"] = False
        (change,) = (await client.call("POST", "/apply", weighted)).body["changes"]
        assert change["fields"] == [{"field": "drained", "before": "true", "after": "false"}]
        await buckets.channel(lambda found: not found.drained)
        await client.call("POST", "/channels/main/drain")
        assert (await client.call("POST", "/channels/main/undrain")).body["drained"] is False
        await buckets.channel(lambda found: not found.drained)
        assert (await client.call("POST", "/channels/none/drain")).status == 404


async def test_the_priority_of_a_tier_reaches_the_keys_of_its_accounts(
    bus: NATSBus, tasks: TaskSet, database_dsn: str, buckets: Buckets
) -> None:
    async with running_console(bus, tasks, database_dsn) as (_, client):
        await client.call("POST", "/apply", configuration())
        await client.call("PUT", "/tiers/gold", {"priority": -2})
        await buckets.key(lambda found: found.priority == -2)
        await client.call("PATCH", "/accounts/acme", {"tier": "iron"})
        await buckets.key(lambda found: found.priority == 0)
        await client.call("POST", "/apply", {"accounts": [{"name": "acme", "tier": "gold"}]})
        await buckets.key(lambda found: found.priority == -2)
        await client.call("PATCH", "/accounts/acme", {"tier": None})
        await buckets.key(lambda found: found.priority == 0)


async def test_a_keys_strategy_is_set_and_taken_away(
    bus: NATSBus, tasks: TaskSet, database_dsn: str, buckets: Buckets
) -> None:
    async with running_console(bus, tasks, database_dsn) as (_, client):
        await client.call("POST", "/apply", configuration())
        key = "/accounts/acme/keys/ci"
        assert (await client.call("GET", key)).body["strategy"] == "least-busy"
        assert (await client.call("PATCH", key, {"strategy": "cost"})).body["strategy"] == "cost"
        await buckets.key(lambda found: found.strategy is Strategy.COST)
        assert (await client.call("PATCH", key, {"models": ["small"]})).body["strategy"] == "cost"
        assert (await client.call("PATCH", key, {"strategy": None})).body["strategy"] is None
        await buckets.key(lambda found: found.strategy is None)
        made = await client.call("POST", "/accounts/acme/keys", {"name": "other", "strategy": "latency"})
        assert made.body["key"]["strategy"] == "latency"
        refused = await client.call("PATCH", key, {"strategy": "fast"})
        assert refused.status == 400
        assert "must be one of priority, cost, latency, throughput, least-busy" in str(refused.body)


async def test_the_admin_api_shows_what_was_applied(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> None:
    async with running_console(bus, tasks, database_dsn) as (_, client):
        wanted = configuration()
        await client.call("POST", "/apply", wanted)
        channel = (await client.call("GET", "/channels/main")).body
        for field in ("credential_order", "limits", "headers", "status_map", "probe"):
            assert channel[field] == wanted["channels"][0][field]
        assert channel["overrides"] == [
            {
                "models": ["large"],
                "timeouts": {"connect_s": 5.0, "first_token_s": 20.0, "idle_s": 9.0, "total_s": 600.0},
                "params": {"set": {"top_k": {"a": 2, "b": 1}}},
            }
        ]
        shown = sorted((one["weight"], str(one["limits"])) for one in channel["credentials"])
        assert shown == [(1, "{}"), (3, "{'jobs': 8, 'rpm': 60}")]
        model = (await client.call("GET", "/models/small")).body
        assert model["routing"] == {"strategy": "throughput", "fallbacks": ["large"], "hedge": True}
        strategies = {group["name"]: group["strategy"] for group in (await client.call("GET", "/groups")).body}
        assert strategies == {"default": None, "vip": "cost"}


async def test_a_credential_is_added_and_weighed_by_itself(
    bus: NATSBus, tasks: TaskSet, database_dsn: str, buckets: Buckets
) -> None:
    async with running_console(bus, tasks, database_dsn) as (_, client):
        await client.call("POST", "/apply", configuration())
        new = {"secret": "third-secret", "weight": 2, "tpm": 500}
        added = await client.call("POST", "/channels/main/credentials", new)
        assert (added.status, added.body["weight"], added.body["limits"]) == (201, 2, {"tpm": 500})
        again = await client.call("POST", "/channels/main/credentials", {**new, "weight": 4})
        assert (again.status, again.body["id"], again.body["weight"]) == (200, added.body["id"], 4)
        channel = await buckets.channel(lambda found: any(one.weight == 4 for one in found.credentials))
        assert sorted(one.weight for one in channel.credentials) == [1, 3, 4]
        refused = await client.call("POST", "/channels/main/credentials", {**new, "weight": 0})
        assert refused.status == 400
        assert refused.body["error"]["faults"][0].startswith("weight: must be between 1 and 1000000")


async def test_a_credential_changes_by_what_is_given(
    bus: NATSBus, tasks: TaskSet, database_dsn: str, buckets: Buckets
) -> None:
    async with running_console(bus, tasks, database_dsn) as (_, client):
        await client.call("POST", "/apply", configuration())
        new = {"secret": "third-secret", "weight": 2, "jobs": 5, "tpm": 500}
        added = (await client.call("POST", "/channels/main/credentials", new)).body
        path = f"/channels/main/credentials/{added['id']}"
        limited = await client.call("PATCH", path, {"jobs": None, "rpm": 70})
        assert (limited.status, limited.body) == (200, {**added, "limits": {"rpm": 70, "tpm": 500}})
        weighed = await client.call("PATCH", path, {"weight": 9})
        assert weighed.body == {**limited.body, "weight": 9}
        channel = await buckets.channel(lambda found: any(one.weight == 9 for one in found.credentials))
        assert [(one.id, one.limits) for one in channel.credentials if one.weight == 9] == [
            (added["id"], CredentialLimits(rpm=70, tpm=500))
        ]
        for wrong, faults in (
            ({"weight": 0, "rpm": 0}, ["weight: must be between 1 and", "rpm: must be between 1 and"]),
            ({"weight": None}, ["weight: "]),
            ({"secret": "another"}, ["secret: "]),
        ):
            refused = await client.call("PATCH", path, wrong)
            found = refused.body["error"]["faults"]
            assert (refused.status, len(found)) == (400, len(faults))
            assert all(fault.startswith(start) for fault, start in zip(found, faults, strict=True))
        shown = (await client.call("GET", "/channels/main")).body
        assert weighed.body in shown["credentials"]
        assert [one["weight"] for one in shown["credentials"] if one["id"] != added["id"]] == [1, 3]
        for nowhere in (f"main/credentials/{10**23}", f"none/credentials/{added['id']}"):
            assert (await client.call("PATCH", f"/channels/{nowhere}", {"weight": 1})).status == 404


async def test_a_fallback_is_not_deleted(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> None:
    async with running_console(bus, tasks, database_dsn) as (_, client):
        await _apply_models(client, fallbacks=["spare"])
        refused = await client.call("DELETE", "/models/spare")
        assert refused.status == 409
        assert "'spare' is a fallback of main; take it from there first" in refused.body["error"]["message"]
        await _apply_models(client, fallbacks=[])
        assert (await client.call("DELETE", "/models/spare")).status == 204


async def _apply_models(client: AdminClient, fallbacks: list[str]) -> None:
    models = [{"name": "main", "free": True, "filter_fallbacks": fallbacks}, {"name": "spare", "free": True}]
    assert (await client.call("POST", "/apply", {"models": models})).status == 200
