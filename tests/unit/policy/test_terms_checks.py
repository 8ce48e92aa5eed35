"""Limits, budgets, time zones, users, endpoints in a configuration: what they mean, and each fault with its place."""

from typing import Any

import msgspec
import pytest

from trunkline.policy.changes import entity_id, wanted_entities
from trunkline.policy.configuration import ConfigurationError, Names
from trunkline.policy.configuration_file import load
from trunkline.policy.entities import Account, Entity, Group, Key, Tier, User
from trunkline.policy.keys import mint
from trunkline.policy.meters import FAMILIES_MAX, Budgets, FamilyLimits, Limits, ModelBudget
from trunkline.policy.terms_checks import CHEAPER_MAX, LIMIT_MAX, PATTERNS_MAX
from trunkline.protocol.names import ENDPOINT_NAMES

NOW_MS = 1_790_000_000_000
SECRET = mint(bytes(range(64)))
NAMES = Names(models=frozenset({"gpt-4o", "gpt-4o-mini", "o1"}), users=frozenset({"acme/old-hand", "other/stranger"}))
CONFIGURATION: dict[str, Any] = {
    "tiers": [{"name": "basic", "rpm": 50, "families": [{"models": ["gpt-*"], "rpm": 60}]}],
    "groups": [{"name": "vip", "multiplier": 1.2, "limits": {"rpm": 100}}],
    "accounts": [
        {
            "name": "acme",
            "tier": "basic",
            "time_zone": "Asia/Shanghai",
            "limits": {"rpd": 500, "families": [{"models": ["o1", "o3*"], "concurrency": 2}]},
            "budgets": {
                "daily": 5.00,
                "models": [{"models": ["gpt-4*"], "monthly": "1.50"}],
                "cheaper": {"gpt-4o": "gpt-4o-mini"},
            },
            "users": [{"name": "kim", "limits": {"rpm": 5}, "budgets": {"monthly": 2}}],
            "keys": [
                {
                    "name": "ci",
                    "secret": SECRET,
                    "user": "kim",
                    "endpoints": ["chat_completions", "embeddings"],
                    "limits": {"tpm": 1000},
                    "budgets": {"daily": 0},
                }
            ],
        }
    ],
}


def entities(parsed: dict[str, Any]) -> dict[tuple[str, str], Entity]:
    configuration = load(parsed, {}, NAMES, NOW_MS)
    wanted = wanted_entities(configuration, {}, known_models=NAMES.models, pepper=b"p", now_ms=NOW_MS)
    return {entity_id(entity): entity for entity in wanted}


def faults_of(parsed: object) -> list[str]:
    try:
        load(parsed, {}, NAMES, NOW_MS)
    except ConfigurationError as error:
        return error.faults
    return []


def test_terms_stand_where_they_were_written() -> None:
    found = entities(CONFIGURATION)
    assert found["tier", "basic"] == Tier("basic", Limits(rpm=50, families=(FamilyLimits(models=("gpt-*",), rpm=60),)))
    assert found["group", "vip"] == Group("vip", 1_200_000, Limits(rpm=100))
    assert found["account", "acme"] == Account(
        "acme",
        "basic",
        "Asia/Shanghai",
        Limits(rpd=500, families=(FamilyLimits(models=("o1", "o3*"), concurrency=2),)),
        Budgets(
            daily_nano=5_000_000_000,
            models=(ModelBudget(("gpt-4*",), monthly_nano=1_500_000_000),),
            cheaper={"gpt-4o": "gpt-4o-mini"},
        ),
    )
    assert found["user", "acme/kim"] == User("acme", "kim", Limits(rpm=5), Budgets(monthly_nano=2_000_000_000))
    key = found["key", "acme/ci"]
    assert isinstance(key, Key)
    assert (key.user, key.endpoints) == ("kim", ("chat_completions", "embeddings"))
    assert (key.limits, key.budgets) == (Limits(tpm=1000), Budgets(daily_nano=0))


def test_what_is_sent_to_the_console_means_the_same_there() -> None:
    configuration = load(CONFIGURATION, {}, NAMES, NOW_MS)
    sent = msgspec.json.Encoder(decimal_format="string").encode(configuration)
    assert load(msgspec.json.decode(sent), {}, NAMES, NOW_MS) == configuration


def account(**fields: Any) -> dict[str, Any]:
    return {"accounts": [{"name": "acme", **fields}]}


def budgets(**fields: Any) -> dict[str, Any]:
    return account(budgets={"daily": 1, **fields})


def key(**fields: Any) -> dict[str, Any]:
    return account(keys=[{"name": "ci", "secret": SECRET, **fields}])


FAMILY = {"models": ["a*"], "rpm": 1}


@pytest.mark.parametrize(
    ("parsed", "fault"),
    [
        (account(time_zone="Mars/Olympus"), "accounts[0].time_zone: must be a time zone such as UTC or Asia/Shanghai"),
        (account(time_zone=""), "accounts[0].time_zone: must be a time zone"),
        (account(time_zone="../../etc/passwd"), "accounts[0].time_zone: must be a time zone"),
        (account(time_zone="localtime"), "accounts[0].time_zone: must be a time zone"),
        (account(limits={"rpm": 0}), f"accounts[0].limits.rpm: must be between 1 and {LIMIT_MAX}"),
        (account(limits={"tpd": LIMIT_MAX + 1}), "accounts[0].limits.tpd: must be between 1 and"),
        (account(limits={"concurrency": 1.5}), "accounts[0].limits.concurrency: expected `int`, got `float`"),
        (account(limits={"rpn": 1}), "accounts[0].limits.rpn: unknown field; known here are: rpm, rpd"),
        (account(limits=[]), "accounts[0].limits: must be a mapping, not a list"),
        (
            account(limits={"families": [FAMILY, {"models": ["b"], "rpm": -1}]}),
            "accounts[0].limits.families[1].rpm: must be between 1 and",
        ),
        (account(limits={"families": [{"rpm": 1}]}), "accounts[0].limits.families[0].models: is missing"),
        (
            account(limits={"families": [{"models": [], "rpm": 1}]}),
            f"accounts[0].limits.families[0].models: must name between 1 and {PATTERNS_MAX} models or patterns",
        ),
        (
            account(limits={"families": [{"models": [f"m{n}" for n in range(PATTERNS_MAX + 1)], "rpm": 1}]}),
            "accounts[0].limits.families[0].models: must name between 1 and",
        ),
        (
            account(limits={"families": [{"models": ["a", " b"], "rpm": 1}]}),
            "accounts[0].limits.families[0].models[1]: must be a name without control characters",
        ),
        (
            account(limits={"families": [{"models": ["a"]}]}),
            "accounts[0].limits.families[0]: must set one of rpm, rpd, tpm, tpd, images_per_minute, concurrency",
        ),
        (
            account(limits={"families": [FAMILY, FAMILY]}),
            "accounts[0].limits.families[1].models: the same models as accounts[0].limits.families[0].models",
        ),
        (
            account(limits={"families": [{"models": [f"m{n}"], "rpm": 1} for n in range(FAMILIES_MAX + 1)]}),
            f"accounts[0].limits.families: must have at most {FAMILIES_MAX} entries",
        ),
        ({"tiers": [{"name": "t", "families": [{"models": ["a"], "rpm": 0}]}]}, "tiers[0].families[0].rpm: must be"),
        ({"groups": [{"name": "g", "limits": {"rpd": 0}}]}, "groups[0].limits.rpd: must be between 1 and"),
        (budgets(monthly=-1), "accounts[0].budgets.monthly: must be between 0 and"),
        (budgets(monthly="1e-10"), "accounts[0].budgets.monthly: not a whole number of nano-USD"),
        (budgets(models=[{"models": ["a"]}]), "accounts[0].budgets.models[0]: must set one of daily, monthly"),
        (
            budgets(models=[{"models": ["a"], "daily": 1}, {"models": ["a"], "monthly": 2}]),
            "accounts[0].budgets.models[1].models: the same models as accounts[0].budgets.models[0].models",
        ),
        (budgets(models=[{"models": ["a"], "daily": "x"}]), "accounts[0].budgets.models[0].daily: invalid decimal"),
        (
            budgets(cheaper={"gpt-4o": "nothing"}),
            "accounts[0].budgets.cheaper.gpt-4o: unknown model 'nothing'; declare it under models",
        ),
        (budgets(cheaper={"nothing": "o1"}), "accounts[0].budgets.cheaper.nothing: unknown model 'nothing'"),
        (budgets(cheaper={"o1": "o1"}), "accounts[0].budgets.cheaper.o1: leads back to the same model"),
        (
            budgets(cheaper={f"m{n}": "o1" for n in range(CHEAPER_MAX + 1)}),
            f"accounts[0].budgets.cheaper: must have at most {CHEAPER_MAX} models",
        ),
        (
            account(budgets={"cheaper": {"gpt-4o": "o1"}}),
            "accounts[0].budgets.cheaper: needs a budget beside it",
        ),
        (account(users=[{"name": "a/b"}]), "accounts[0].users[0].name: must not hold a slash"),
        (
            account(users=[{"name": "kim"}, {"name": "kim"}]),
            "accounts[0].users[1].name: the same name as accounts[0].users[0].name",
        ),
        (account(users=[{"name": "kim", "limits": {"rpm": 0}}]), "accounts[0].users[0].limits.rpm: must be between"),
        (account(users=[{"name": "kim", "budgets": {"daily": -1}}]), "accounts[0].users[0].budgets.daily: must be"),
        (key(user="nobody"), "accounts[0].keys[0].user: the account has no user 'nobody'; declare it under its users"),
        (key(user="stranger"), "accounts[0].keys[0].user: the account has no user 'stranger'"),
        (
            key(endpoints=["chat"]),
            f"accounts[0].keys[0].endpoints[0]: is no endpoint; known are: {', '.join(ENDPOINT_NAMES)}",
        ),
        (
            key(endpoints=["rerank", "rerank"]),
            "accounts[0].keys[0].endpoints[1]: the same endpoint as accounts[0].keys[0].endpoints[0]",
        ),
        (key(limits={"rpm": 0}), "accounts[0].keys[0].limits.rpm: must be between 1 and"),
        (key(budgets={"daily": -1}), "accounts[0].keys[0].budgets.daily: must be between 0 and"),
    ],
)
def test_each_fault_has_its_place(parsed: object, fault: str) -> None:
    faults = faults_of(parsed)
    assert len(faults) == 1, faults
    assert faults[0].startswith(fault)


def test_models_that_replace_each_other_are_found_all_the_way_round() -> None:
    cheaper = {"gpt-4o": "gpt-4o-mini", "gpt-4o-mini": "o1", "o1": "gpt-4o-mini"}
    assert faults_of(budgets(cheaper=cheaper)) == [
        "accounts[0].budgets.cheaper.gpt-4o-mini: leads back to the same model",
        "accounts[0].budgets.cheaper.o1: leads back to the same model",
    ]
    assert faults_of(budgets(cheaper={"gpt-4o": "gpt-4o-mini", "gpt-4o-mini": "o1"})) == []


def test_a_cheaper_model_may_be_one_that_only_a_channel_names() -> None:
    parsed = budgets(cheaper={"gpt-4o": "gpt-4.1-nano"})
    served = {"name": "main", "dialect": "openai", "base_url": "http://x", "models": {"gpt-4.1-nano": "gpt-4.1-nano"}}
    assert len(faults_of(parsed)) == 1
    assert faults_of({**parsed, "channels": [served]}) == []


def test_a_user_that_the_console_knows_may_have_keys() -> None:
    assert faults_of(key(user="old-hand")) == []
