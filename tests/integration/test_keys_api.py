"""Users, keys, their secrets, limits and budgets, through the admin API on real Postgres and NATS."""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.support.console import PEPPER, AdminClient, running_console
from tests.support.waiting import eventually
from trunkline.bus import snapshots, subjects
from trunkline.bus.snapshots import KeyPolicy
from trunkline.core.limits import MODEL_NAME_CHARS_MAX
from trunkline.policy.admin_accounts import OVERLAP_S_DEFAULT, OVERLAP_S_MAX
from trunkline.policy.configuration_checks import KEY_MODELS_MAX, KEY_NETWORKS_MAX, KEY_STARS_MAX
from trunkline.policy.keys import key_hash, well_formed
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store.key_writes import SECRETS_MAX

KNOWN_WITHIN_S = 15.0
"""A second is promised, and shown in tests/e2e/test_fault_credit.py; here the machine may be busy with other tests."""

KEY = "/accounts/acme/keys/ci"
CONFIGURATION: dict[str, Any] = {
    "channels": [
        {
            "name": "main",
            "dialect": "openai",
            "base_url": "http://upstream.example/v1",
            "models": {"gpt-4o": "gpt-4o", "gpt-4o-mini": "gpt-4o-mini"},
        }
    ],
    "groups": [{"name": "vip"}],
    "tiers": [{"name": "basic", "rpm": 50}],
    "accounts": [{"name": "acme", "users": [{"name": "kim"}]}],
}


@pytest.fixture
async def client(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[AdminClient]:
    async with running_console(bus, tasks, database_dsn) as running:
        assert (await running.client.call("POST", "/apply", CONFIGURATION)).status == 200
        yield running.client


class Projection:
    """What the edges are told of keys."""

    def __init__(self, bus: NATSBus) -> None:
        self._bus = bus

    async def policy(self, secret: str) -> KeyPolicy | None:
        value = await self._bus.kv_get(subjects.KV_KEYS, key_hash(secret, PEPPER.encode()))
        return None if value is None else snapshots.decode_key_policy(value)

    async def becomes(self, secret: str, **fields: object) -> KeyPolicy:
        """Return the policy once it has these fields."""

        async def look() -> KeyPolicy | None:
            policy = await self.policy(secret)
            same = policy is not None and all(getattr(policy, name) == value for name, value in fields.items())
            return policy if same else None

        return await eventually(look, within_s=KNOWN_WITHIN_S, what=f"a policy with {fields}")

    async def vanishes(self, secret: str) -> None:
        """Return once there is no policy; whoever asks has seen one, or it may still be about to come."""

        async def look() -> bool:
            return await self._bus.kv_get(subjects.KV_KEYS, key_hash(secret, PEPPER.encode())) is None

        await eventually(look, within_s=KNOWN_WITHIN_S, what="no policy")

    async def ends_before(self, secret: str, at_ms: int) -> int:
        """Return when a secret ends, once that is before a moment."""

        async def look() -> int | None:
            policy = await self.policy(secret)
            expires_ms = None if policy is None else policy.expires_ms
            return expires_ms if expires_ms is not None and expires_ms < at_ms else None

        return await eventually(look, within_s=KNOWN_WITHIN_S, what="a sooner end")


@pytest.fixture
def projection(bus: NATSBus) -> Projection:
    return Projection(bus)


async def new_key(client: AdminClient, **fields: object) -> str:
    made = await client.call("POST", "/accounts/acme/keys", {"name": "ci", **fields})
    assert made.status == 201, made.body
    secret: str = made.body["secret"]
    return secret


async def test_a_key_has_an_owner_endpoints_limits_and_budgets(client: AdminClient, projection: Projection) -> None:
    limits = {"rpm": 5, "families": [{"models": ["gpt-*"], "tpm": 9}]}
    budgets = {"daily": "1.50", "cheaper": {"gpt-4o": "gpt-4o-mini"}}
    secret = await new_key(client, user="kim", endpoints=["embeddings"], limits=limits, budgets=budgets)
    shown = (await client.call("GET", KEY)).body
    assert (shown["user"], shown["endpoints"], shown["limits"]) == ("kim", ["embeddings"], limits)
    assert shown["budgets"] == {"daily_nano": 1_500_000_000, "cheaper": {"gpt-4o": "gpt-4o-mini"}}
    assert shown["ending"] == []
    policy = await projection.becomes(secret, endpoints=("embeddings",))
    user = (await client.call("GET", "/accounts/acme/users/kim")).body
    assert (policy.user, user["keys"]) == (user["id"], 1)


async def test_what_is_changed_of_a_key_is_projected_and_the_rest_stays(
    client: AdminClient, projection: Projection
) -> None:
    secret = await new_key(client, limits={"rpm": 5}, models=["gpt-4o"])
    before = await projection.becomes(secret, models=("gpt-4o",))
    for change, fields in (
        ({"models": ["gpt-*"]}, {"models": ("gpt-*",)}),
        ({"groups": ["vip", "default"]}, {"groups": ("vip", "default")}),
        ({"expires": "2030-01-31T00:00:00Z"}, {"expires_ms": 1_896_048_000_000}),
        ({"allow_ips": ["10.1.2.3/8"]}, {"allow_ips": ("10.0.0.0/8",)}),
        ({"endpoints": ["rerank"]}, {"endpoints": ("rerank",)}),
        ({"user": "kim"}, {"user": 1}),
        ({"name": "nightly"}, {"key_name": "nightly"}),
    ):
        answer = await client.call("PATCH", KEY, change)
        assert answer.status == 200, answer.body
        after = await projection.becomes(secret, **fields)
        assert after == msgspec.structs.replace(before, **fields)
        before = after
    shown = (await client.call("GET", "/accounts/acme/keys/nightly")).body
    assert (shown["limits"], shown["models"], shown["user"]) == ({"rpm": 5}, ["gpt-*"], "kim")
    assert (await client.call("GET", KEY)).status == 404
    cleared = {"expires": None, "user": None, "endpoints": [], "allow_ips": []}
    assert (await client.call("PATCH", "/accounts/acme/keys/nightly", cleared)).status == 200
    await projection.becomes(secret, expires_ms=None, user=0, endpoints=(), allow_ips=())


async def test_a_rotated_key_has_two_secrets_until_the_old_one_ends(
    client: AdminClient, projection: Projection
) -> None:
    old = await new_key(client)
    await projection.becomes(old, expires_ms=None)
    before_ms = SystemClock().wall_ms()
    rotated = await client.call("POST", f"{KEY}/rotate", {"overlap_s": 600})
    new = rotated.body["secret"]
    assert (rotated.status, well_formed(new), new != old) == (200, True, True)
    view = rotated.body["key"]
    assert view["prefix"] == new[:10]
    assert [ending["prefix"] for ending in view["ending"]] == [old[:10]]
    current = await projection.becomes(new, expires_ms=None)
    await projection.ends_before(old, before_ms + 660_000)
    ending = await projection.policy(old)
    assert ending is not None
    assert ending.key == current.key
    assert before_ms + 599_000 <= (ending.expires_ms or 0) <= SystemClock().wall_ms() + 601_000
    # The sooner of both ends counts.
    await client.call("PATCH", KEY, {"expires": "2020-01-01T00:00:00Z"})
    for secret in (old, new):
        await projection.becomes(secret, expires_ms=1_577_836_800_000)
    await client.call("PATCH", KEY, {"expires": None})
    assert await projection.becomes(old, expires_ms=ending.expires_ms) == ending
    # Both share what becomes of the key, to its end.
    await client.call("POST", f"{KEY}/block")
    for secret in (old, new):
        await projection.becomes(secret, blocked=True)
    assert (await client.call("DELETE", KEY)).status == 204
    for secret in (old, new):
        await projection.vanishes(secret)


async def test_a_rotation_without_overlap_ends_all_other_secrets(client: AdminClient, projection: Projection) -> None:
    secrets = [await new_key(client)]
    await projection.becomes(secrets[-1], expires_ms=None)
    for overlap_s in (600, 0):
        answer = await client.call("POST", f"{KEY}/rotate", {"overlap_s": overlap_s})
        secrets.append(answer.body["secret"])
        await projection.becomes(secrets[-1], expires_ms=None)
    for secret in secrets[:-1]:
        await projection.vanishes(secret)
    assert answer.body["key"]["ending"] == []
    # What has ended does not come back with the next projection of the key.
    await client.call("POST", f"{KEY}/block")
    await projection.becomes(secrets[-1], blocked=True)
    assert await projection.policy(secrets[0]) is None


async def test_a_second_rotation_shortens_and_never_lengthens(client: AdminClient, projection: Projection) -> None:
    first = await new_key(client)
    begun_ms = SystemClock().wall_ms()
    second = (await client.call("POST", f"{KEY}/rotate", {"overlap_s": 600})).body["secret"]
    end_ms = await projection.ends_before(first, begun_ms + 660_000)
    await client.call("POST", f"{KEY}/rotate")
    default_ms = OVERLAP_S_DEFAULT * 1000
    assert await projection.ends_before(second, begun_ms + default_ms + 60_000) >= begun_ms + default_ms - 1000
    assert await projection.ends_before(first, begun_ms + 660_000) == end_ms
    await client.call("POST", f"{KEY}/rotate", {"overlap_s": 60})
    for secret in (first, second):
        assert await projection.ends_before(secret, begun_ms + 120_000) >= begun_ms + 59_000


async def test_rotations_are_bounded(client: AdminClient) -> None:
    await new_key(client)
    for _ in range(SECRETS_MAX - 1):
        assert (await client.call("POST", f"{KEY}/rotate", {"overlap_s": 600})).status == 200
    refused = await client.call("POST", f"{KEY}/rotate", {"overlap_s": 600})
    assert (refused.status, f"{SECRETS_MAX} secrets of key acme/ci" in refused.body["error"]["message"]) == (409, True)
    assert (await client.call("POST", f"{KEY}/rotate", {"overlap_s": 0})).status == 200


async def test_rotations_at_the_same_time_leave_one_secret_without_an_end(client: AdminClient) -> None:
    await new_key(client)
    answers = await asyncio.gather(*(client.call("POST", f"{KEY}/rotate", {"overlap_s": 600}) for _ in range(5)))
    assert [answer.status for answer in answers] == [200] * 5
    view = (await client.call("GET", KEY)).body
    secrets = {answer.body["secret"][:10] for answer in answers}
    assert view["prefix"] in secrets
    assert len(view["ending"]) == 5


async def test_a_file_neither_undoes_a_rotation_nor_takes_a_secret_that_was_anothers(
    client: AdminClient, projection: Projection
) -> None:
    old = await new_key(client)
    await projection.becomes(old, expires_ms=None)
    new = (await client.call("POST", f"{KEY}/rotate", {"overlap_s": 0})).body["secret"]
    await projection.vanishes(old)
    file = {"accounts": [{"name": "acme", "keys": [{"name": "ci", "secret": old, "models": ["gpt-4o"]}]}]}
    changes = (await client.call("POST", "/apply", file)).body["changes"]
    assert [change["fields"][0]["field"] for change in changes] == ["models"]
    await projection.becomes(new, models=("gpt-4o",))
    assert await projection.policy(old) is None
    thief = {"accounts": [{"name": "acme", "keys": [{"name": "mine", "secret": old}]}]}
    answer = await client.call("POST", "/apply", thief)
    assert (answer.status, "already that of key acme/ci" in answer.body["error"]["message"]) == (409, True)
    third = file["accounts"][0]["keys"][0] = {"name": "ci", "secret": (await _spare_secret(client))}
    await client.call("POST", "/apply", file)
    await projection.becomes(str(third["secret"]), expires_ms=None)
    await projection.vanishes(new)


async def _spare_secret(client: AdminClient) -> str:
    """Return a secret that was a key's which is gone."""
    made = await client.call("POST", "/accounts/acme/keys", {"name": "spare"})
    await client.call("DELETE", "/accounts/acme/keys/spare")
    secret: str = made.body["secret"]
    return secret


async def test_a_rebuild_leaves_out_what_has_ended(client: AdminClient, projection: Projection, bus: NATSBus) -> None:
    old = await new_key(client)
    await projection.becomes(old, expires_ms=None)
    new = (await client.call("POST", f"{KEY}/rotate", {"overlap_s": 0})).body["secret"]
    await projection.becomes(new, expires_ms=None)
    await projection.vanishes(old)
    await bus.kv_put(subjects.KV_KEYS, key_hash(old, PEPPER.encode()), b"{}")
    rebuilt = (await client.call("POST", "/projection/rebuild")).body
    assert (rebuilt["written"]["keys"], rebuilt["deleted"]["keys"]) == (1, 1)
    await projection.vanishes(old)
    assert await projection.policy(new) is not None


async def test_users_from_birth_to_end(client: AdminClient) -> None:
    made = await client.call(
        "POST", "/accounts/acme/users", {"name": "lee", "limits": {"rpm": 5}, "budgets": {"daily": 2}}
    )
    assert made.status == 201
    assert (made.body["account"], made.body["limits"]) == ("acme", {"rpm": 5})
    assert made.body["budgets"] == {"daily_nano": 2_000_000_000}
    assert (await client.call("POST", "/accounts/acme/users", {"name": "lee"})).status == 409
    assert [user["name"] for user in (await client.call("GET", "/users")).body] == ["kim", "lee"]
    assert (await client.call("GET", "/accounts/acme/users")).body == (await client.call("GET", "/users")).body
    taken = await client.call("PATCH", "/accounts/acme/users/lee", {"name": "kim"})
    assert taken.status == 409
    renamed = await client.call("PATCH", "/accounts/acme/users/lee", {"name": "leigh"})
    assert (renamed.body["id"], renamed.body["name"]) == (made.body["id"], "leigh")
    await new_key(client, user="leigh")
    refused = await client.call("DELETE", "/accounts/acme/users/leigh")
    assert refused.status == 409
    assert "User acme/leigh has keys (ci); delete them" in refused.body["error"]["message"]
    assert (await client.call("PATCH", KEY, {"user": "kim"})).status == 200
    assert (await client.call("DELETE", "/accounts/acme/users/leigh")).status == 204
    assert (await client.call("DELETE", "/accounts/acme/users/leigh")).status == 404
    assert (await client.call("GET", "/accounts/acme")).body["users"] == 1


HOLDERS = ["/accounts/acme", "/accounts/acme/users/kim", KEY, "/tiers/basic", "/groups/vip"]


async def test_limits_and_budgets_are_replaced_as_a_whole(client: AdminClient) -> None:
    await new_key(client)
    limits = {"rpm": 7, "families": [{"models": ["gpt-*"], "tpm": 9}]}
    for holder in HOLDERS:
        there = (await client.call("GET", f"{holder}/limits")).body
        assert there == ({"rpm": 50} if holder == "/tiers/basic" else {})
        assert (await client.call("PUT", f"{holder}/limits", limits)).body == limits
        assert (await client.call("GET", f"{holder}/limits")).body == limits
        assert (await client.call("PUT", f"{holder}/limits", {"tpd": 3})).body == {"tpd": 3}
        assert (await client.call("GET", f"{holder}/limits")).body == {"tpd": 3}
    budgets = {"daily": "5.00", "models": [{"models": ["gpt-4*"], "monthly": 1}], "cheaper": {"gpt-4o": "gpt-4o-mini"}}
    stored = {
        "daily_nano": 5_000_000_000,
        "models": [{"models": ["gpt-4*"], "monthly_nano": 1_000_000_000}],
        "cheaper": {"gpt-4o": "gpt-4o-mini"},
    }
    for holder in HOLDERS[:3]:
        assert (await client.call("GET", f"{holder}/budgets")).body == {}
        assert (await client.call("PUT", f"{holder}/budgets", budgets)).body == stored
        assert (await client.call("GET", f"{holder}/budgets")).body == stored
        assert (await client.call("GET", holder)).body["budgets"] == stored
        assert (await client.call("PUT", f"{holder}/budgets", {})).body == {}
    for holder in HOLDERS[3:]:
        assert (await client.call("PUT", f"{holder}/budgets", budgets)).status == 404


async def test_an_accounts_tier_and_time_zone_are_changed(client: AdminClient) -> None:
    changed = await client.call("PATCH", "/accounts/acme", {"tier": "basic"})
    assert (changed.body["tier"], changed.body["time_zone"]) == ("basic", "UTC")
    changed = await client.call("PATCH", "/accounts/acme", {"time_zone": "Asia/Shanghai"})
    assert (changed.body["tier"], changed.body["time_zone"]) == ("basic", "Asia/Shanghai")
    assert (await client.call("PATCH", "/accounts/acme", {"tier": None})).body["tier"] is None


BAD_INPUT: list[tuple[str, str, object, int, str]] = [
    ("POST", "/accounts", {"name": "x", "limits": {"rmp": 1}}, 400, "limits.rmp: unknown field"),
    ("POST", "/accounts", {"name": "x", "time_zone": "Mars"}, 400, "account.time_zone: must be a time zone"),
    ("POST", "/accounts", {"name": "x", "budgets": {"daily": -1}}, 400, "account.budgets.daily: must be between"),
    ("PATCH", "/accounts/acme", {"tier": "gold"}, 400, "tier: unknown tier 'gold'"),
    ("PATCH", "/accounts/acme", {"time_zone": None}, 400, "time_zone: expected `str`"),
    ("PATCH", "/accounts/nobody", {}, 404, "no account 'nobody'"),
    ("POST", "/accounts/acme/users", {}, 400, "name: is missing"),
    ("POST", "/accounts/acme/users", {"name": "a/b"}, 400, "name: must not hold a slash"),
    ("POST", "/accounts/acme/users", {"name": "x", "limits": {"rpm": 0}}, 400, "limits.rpm: must be between 1"),
    ("POST", "/accounts/nobody/users", {"name": "x"}, 404, "no account 'nobody'"),
    ("PATCH", "/accounts/acme/users/nobody", {"name": "x"}, 404, "no user acme/nobody"),
    ("PATCH", "/accounts/acme/users/kim", {"name": ""}, 400, "name: must be a name"),
    ("POST", "/accounts/acme/keys", {"name": "k", "user": "nobody"}, 400, "user: the account has no user 'nobody'"),
    ("POST", "/accounts/acme/keys", {"name": "k", "endpoints": ["chat"]}, 400, "endpoints[0]: is no endpoint; known"),
    ("POST", "/accounts/acme/keys", {"name": "k", "limits": {"rpm": "5"}}, 400, "limits.rpm: expected `int`"),
    (
        "POST",
        "/accounts/acme/keys",
        {"name": "k", "budgets": {"daily": 1, "cheaper": {"gpt-4o": "none"}}},
        400,
        "budgets.cheaper.gpt-4o: unknown model 'none'",
    ),
    ("PATCH", KEY, {"models": []}, 400, "models: must name at least one"),
    ("PATCH", KEY, {"groups": ["gold"]}, 400, "groups[0]: unknown group 'gold'"),
    ("PATCH", KEY, {"name": "a/b"}, 400, "name: must not hold a slash"),
    ("PATCH", KEY, {"user": "nobody"}, 400, "user: the account has no user 'nobody'"),
    ("PATCH", KEY, {"allow_ips": ["here"]}, 400, "allow_ips[0]: must be an IP address"),
    ("PATCH", KEY, {"secret": "x"}, 400, "secret: unknown field"),
    ("PATCH", KEY, {"name": "other"}, 409, "There is a key acme/other already"),
    ("PATCH", "/accounts/acme/keys/nobody", {"name": "x"}, 404, "no key acme/nobody"),
    ("POST", f"{KEY}/rotate", {"overlap_s": -1}, 400, "overlap_s must be between 0 and"),
    ("POST", f"{KEY}/rotate", {"overlap_s": OVERLAP_S_MAX + 1}, 400, "overlap_s must be between 0 and"),
    ("POST", f"{KEY}/rotate", {"overlap_s": 1.5}, 400, "overlap_s: expected `int`"),
    ("POST", "/accounts/acme/keys/nobody/rotate", {"overlap_s": 0}, 404, "no key acme/nobody"),
    ("PUT", f"{KEY}/limits", {"rpm": 0}, 400, "rpm: must be between 1"),
    ("PUT", f"{KEY}/limits", [], 400, "must be a mapping"),
    ("PUT", f"{KEY}/budgets", {"cheaper": {"gpt-4o": "gpt-4o-mini"}}, 400, "cheaper: needs a budget"),
    ("PUT", "/accounts/nobody/limits", {"rpm": 1}, 404, "no account nobody"),
    ("PUT", "/accounts/acme/users/nobody/budgets", {"daily": 1}, 404, "no user acme/nobody"),
    ("GET", "/tiers/nobody/limits", None, 404, "no tier nobody"),
    ("GET", "/groups/%00/limits", None, 400, "cannot be stored"),
]


async def test_bad_input_is_refused_with_words_and_changes_nothing(client: AdminClient) -> None:
    await new_key(client)
    await client.call("POST", "/accounts/acme/keys", {"name": "other"})
    before = [(await client.call("GET", path)).body for path in ("/accounts", "/users", "/keys")]
    for method, path, body, status, says in BAD_INPUT:
        answer = await client.call(method, path, body)
        error = answer.body["error"]
        assert answer.status == status, (path, error)
        assert says in " ".join([error["message"], *error.get("faults", ())]), (path, error)
    assert [(await client.call("GET", path)).body for path in ("/accounts", "/users", "/keys")] == before


def large_body(body: dict[str, Any]) -> io.BytesIO:
    """Return a body as aiohttp wants large ones: as a file."""
    return io.BytesIO(msgspec.json.encode(body))


async def test_a_key_too_large_for_the_bus_does_not_hold_up_what_others_change(
    client: AdminClient, projection: Projection
) -> None:
    """Members make keys; an entry that NATS never takes would stand in the outbox before all others for good."""
    for large in ({"models": [f"{number}-{'m' * 240}" for number in range(5000)]}, {"allow_ips": ["::1"] * 300_000}):
        refused = await client.call("POST", "/accounts/acme/keys", large_body({"name": "large", **large}))
        assert refused.status == 400
    await projection.becomes(await new_key(client), models=("*",))
    for change, fault in (
        ({"models": ["a"] * (KEY_MODELS_MAX + 1)}, "models: must name at most 500 models or patterns"),
        ({"models": ["a*"] * (KEY_STARS_MAX + 1)}, "models: must have at most 128 times * in all patterns"),
        ({"allow_ips": ["::1"] * (KEY_NETWORKS_MAX + 1)}, "allow_ips: must name at most 500 networks"),
    ):
        refused = await client.call("PATCH", KEY, change)
        assert (refused.status, refused.body["error"]["faults"]) == (400, [fault])
    wide = "\U0001d7d8" * (MODEL_NAME_CHARS_MAX - 3)
    most = [f"{number:03}{wide}" for number in range(KEY_MODELS_MAX)]
    assert (await client.call("PATCH", KEY, {"models": most, "allow_ips": ["::1"] * KEY_NETWORKS_MAX})).status == 200
    await projection.becomes(await new_key(client, name="next"), models=("*",))


async def test_what_no_message_holds_is_refused_whoever_configures_it(
    client: AdminClient, projection: Projection
) -> None:
    """Operators, too."""
    models = {f"{number}-{'m' * 240}": "m" for number in range(5000)}
    large = {
        "channels": [{**CONFIGURATION["channels"][0], "models": models}],
        "models": [{"name": name, "free": True} for name in models],
    }
    refused = await client.call("POST", "/apply", large_body(large))
    assert refused.status == 400
    (fault,) = refused.body["error"]["faults"]
    assert fault.startswith("channels: an entry takes 12")
    assert fault.endswith("KiB, and NATS takes 1024; give it fewer models, patterns or rules")
    await projection.becomes(await new_key(client), models=("*",))
