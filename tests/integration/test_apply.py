"""Applying a configuration, on real Postgres and NATS, through the admin API."""

from typing import Any

from tests.support.console import MASTER_KEYS, PEPPER, running_console
from tests.support.waiting import eventually
from trunkline.bus import snapshots, subjects
from trunkline.policy.keys import key_hash, mint
from trunkline.policy.vault import Vault, parse_masters
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.database import Database

SECRET = mint(bytes(range(64)))
OTHER_SECRET = mint(bytes(range(64, 128)))
UPSTREAM_SECRET = "planted-upstream-secret"
WITHIN_S = 15.0


def configuration() -> dict[str, Any]:
    return {
        "channels": [
            {
                "name": "main",
                "dialect": "openai",
                "base_url": "http://upstream.example/v1",
                "credentials": [UPSTREAM_SECRET],
                "models": {"gpt-4o-mini": "upstream-mini", "homemade": "homemade-1"},
                "groups": ["default", "vip"],
                "timeouts": {"connect_s": 1, "first_token_s": 2, "idle_s": 3, "total_s": 4},
                "params": {
                    "drop": ["seed"],
                    "set": {"top_k": {"b": 1, "aa": [1, 2.5]}},
                    "clamp": {"top_p": {"max": 0.99}},
                },
                "costs": {"homemade": {"input": 0.1, "output": 0.2}},
            }
        ],
        "models": [{"name": "homemade", "price": {"input": 0.15, "output": 0.6, "cached_input": 0.075}}],
        "groups": [{"name": "vip", "multiplier": 1.2, "limits": {"rpm": 100}}],
        "tiers": [
            {
                "name": "basic",
                "rpm": 50,
                "tpm": 100000,
                "concurrency": 10,
                "families": [{"models": ["gpt-*"], "rpm": 60}],
            }
        ],
        "accounts": [
            {
                "name": "acme",
                "tier": "basic",
                "credit": 10.0,
                "time_zone": "Asia/Shanghai",
                "limits": {"rpd": 500},
                "budgets": {
                    "daily": 5.0,
                    "monthly": 50.0,
                    "models": [{"models": ["gpt-4*"], "daily": 1}],
                    "cheaper": {"gpt-4o-mini": "homemade"},
                },
                "users": [{"name": "kim", "limits": {"rpm": 5}, "budgets": {"daily": 1}}],
                "keys": [
                    {
                        "name": "ci",
                        "secret": SECRET,
                        "expires": "2030-01-31T00:00:00Z",
                        "allow_ips": ["10.0.0.0/8"],
                        "user": "kim",
                        "endpoints": ["chat_completions"],
                        "limits": {"tpm": 9},
                        "budgets": {"monthly": 2},
                    }
                ],
            }
        ],
    }


async def test_the_second_application_changes_nothing(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> None:
    async with running_console(bus, tasks, database_dsn) as (_, client):
        dry = await client.call("POST", "/apply?dry_run=true", configuration())
        assert (await client.call("GET", "/accounts")).body == []
        first = await client.call("POST", "/apply", configuration())
        assert (dry.body["changes"], dry.body["dry_run"]) == (first.body["changes"], True)
        done = [(change["action"], change["kind"], change["name"]) for change in first.body["changes"]]
        assert done == [
            ("create", "group", "vip"),
            ("create", "tier", "basic"),
            ("create", "account", "acme"),
            ("create", "user", "acme/kim"),
            ("create", "key", "acme/ci"),
            ("create", "model", "homemade"),
            ("create", "model", "gpt-4o-mini"),
            ("create", "channel", "main"),
            ("create", "cost", "main/homemade"),
            ("grant", "account", "acme"),
        ]
        assert UPSTREAM_SECRET not in str(first.body)
        assert SECRET not in str(first.body)
        second = await client.call("POST", "/apply", configuration())
        assert second.body == {"dry_run": False, "changes": []}
        assert (await client.call("GET", "/accounts/acme")).body["balance_nano"] == 10_000_000_000


async def test_what_differs_is_updated_and_what_is_absent_stays(
    bus: NATSBus, tasks: TaskSet, database_dsn: str
) -> None:
    async with running_console(bus, tasks, database_dsn) as (_, client):
        await client.call("POST", "/apply", configuration())
        await client.call("POST", "/channels/main/disable")
        wanted = configuration()
        del wanted["tiers"], wanted["groups"]
        wanted["channels"][0].update(weight=5, credentials=["another-secret"])
        wanted["models"][0]["price"]["input"] = 0.3
        wanted["accounts"][0]["keys"] = [{"name": "ci", "secret": OTHER_SECRET}]
        changes = (await client.call("POST", "/apply", wanted)).body["changes"]
        fields = {(change["kind"], field["field"]): field for change in changes for field in change["fields"]}
        assert {change["action"] for change in changes} == {"update"}
        assert fields.keys() == {
            ("channel", "weight"),
            ("channel", "credentials"),
            ("model", "prices"),
            ("key", "secret"),
            ("key", "expires_ms"),
            ("key", "allow_ips"),
            ("key", "user"),
            ("key", "endpoints"),
            ("key", "limits"),
            ("key", "budgets"),
        }
        assert fields["key", "limits"] == {"field": "limits", "before": "tpm 9", "after": "none"}
        assert fields["model", "prices"]["before"] == "input 0.15, output 0.60, cache_read 0.075"
        assert "another-secret" not in str(changes)
        assert (await client.call("GET", "/channels/main")).body["enabled"] is False
        assert len((await client.call("GET", "/tiers")).body) == 1


async def test_the_buckets_hold_what_was_applied(
    bus: NATSBus, tasks: TaskSet, database_dsn: str, database: Database
) -> None:
    async with running_console(bus, tasks, database_dsn) as (_, client):
        await client.call("POST", "/apply", configuration())
        token = key_hash(SECRET, PEPPER.encode())

        async def projected() -> bool:
            async with database.connection() as connection:
                return not await connection.fetchval("select count(*) from outbox")

        await eventually(projected, within_s=WITHIN_S, what="all of it is in KV")
        entry = await bus.kv_get(subjects.KV_KEYS, token)
        assert entry is not None
        policy = snapshots.decode_key_policy(entry)
        assert (policy.account_name, policy.key_name, policy.expires_ms) == ("acme", "ci", 1_896_048_000_000)
        assert (policy.user, policy.endpoints) == (1, ("chat_completions",))
        (channel,) = [snapshots.decode_channel(value) for value in (await bus.kv_all(subjects.KV_CHANNELS)).values()]
        assert channel.timeouts == snapshots.Timeouts(1, 2, 3, 4)
        assert bytes(channel.params.set["top_k"]) == b'{"aa":[1,2.5],"b":1}'
        assert Vault(parse_masters(MASTER_KEYS)).open(channel.credentials[0]) == UPSTREAM_SECRET
        models = {
            subjects.kv_name(name): snapshots.decode_model(value)
            for name, value in (await bus.kv_all(subjects.KV_MODELS)).items()
        }
        assert {name: model.groups for name, model in models.items()} == {
            "gpt-4o-mini": ("default", "vip"),
            "homemade": ("default", "vip"),
        }
        async with database.connection() as connection:
            dump = ""
            for table in await connection.fetch("select tablename from pg_tables where schemaname = 'public'"):
                rows = await connection.fetch(f"select t::text as text from {table['tablename']} t")  # noqa: S608
                dump += "".join(row["text"] for row in rows)
        assert SECRET not in dump
        assert UPSTREAM_SECRET not in dump


async def test_all_faults_are_reported_and_nothing_is_changed(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> None:
    async with running_console(bus, tasks, database_dsn) as (_, client):
        wanted = configuration()
        wanted["channels"][0]["base_url"] = "nonsense"
        wanted["channels"][0]["weight"] = "heavy"
        wanted["accounts"][0]["keys"][0]["groups"] = ["gold"]
        answer = await client.call("POST", "/apply", wanted)
        assert answer.status == 400
        assert [fault.partition(": ")[0] for fault in answer.body["error"]["faults"]] == [
            "channels[0].weight",
            "accounts[0].keys[0].groups[0]",
        ]
        assert [group["name"] for group in (await client.call("GET", "/groups")).body] == ["default"]


async def test_a_secret_belongs_to_one_key(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> None:
    async with running_console(bus, tasks, database_dsn) as (_, client):
        await client.call("POST", "/apply", configuration())
        thief = {"accounts": [{"name": "eve", "keys": [{"name": "mine", "secret": SECRET}]}]}
        answer = await client.call("POST", "/apply", thief)
        assert answer.status == 409
        assert "already that of key acme/ci" in answer.body["error"]["message"]
        assert SECRET not in str(answer.body)
        assert (await client.call("GET", "/accounts/eve")).status == 404
