"""The configuration file: what it means, and everything that can be wrong with it."""

import datetime as dt
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import yaml

from trunkline.policy.configuration import ChannelEntry, Configuration, ConfigurationError, Names
from trunkline.policy.configuration_file import load
from trunkline.policy.keys import mint

NOW_MS = 1_790_000_000_000
SECRET = mint(bytes(range(64)))
CHANNEL: dict[str, Any] = {
    "name": "main",
    "dialect": "openai",
    "base_url": "https://api.openai.com/v1",
    "models": {"gpt-4o-mini": "gpt-4o-mini"},
}
NOT_WELL_FORMED = (
    "is not a well-formed key: sk-tl-, 32 letters and digits, and their checksum; `trunkline keys create` makes one"
)
EXAMPLE = f"""
channels:
  - name: openai-main
    dialect: openai
    base_url: https://API.openai.com/v1/
    credentials: ["env:OPENAI_API_KEY", literal-secret]
    models: {{gpt-4o-mini: gpt-4o-mini}}
    groups: [default, vip]
    priority: 0
    weight: 100
    timeouts: {{connect_s: 5, first_token_s: 30, idle_s: 60, total_s: 600}}
    params: {{drop: [], set: {{}}, clamp: {{top_p: {{max: 0.99}}}}}}
models:
  - {{name: gpt-4o-mini, price: {{input: 0.15, output: 0.60, cached_input: 0.075}}}}
groups: [{{name: default, multiplier: 1.0}}, {{name: vip, multiplier: 1.2}}]
tiers:  [{{name: basic, rpm: 50, tpm: 100000, concurrency: 10}}]
accounts:
  - name: acme
    tier: basic
    credit: 10.00
    budgets: {{daily: 5.00, monthly: 50.00}}
    keys: [{{name: ci, secret: "{SECRET}", groups: [default], models: ["*"], expires: null, allow_ips: []}}]
"""


def faults_of(parsed: object, environment: dict[str, str] | None = None, names: Names | None = None) -> list[str]:
    try:
        load(parsed, environment or {}, names or Names(), NOW_MS)
    except ConfigurationError as error:
        return error.faults
    return []


def channel(**fields: Any) -> dict[str, Any]:
    return {"channels": [{**CHANNEL, **fields}]}


def key(**fields: Any) -> dict[str, Any]:
    return {"accounts": [{"name": "acme", "keys": [{"name": "ci", "secret": SECRET, **fields}]}]}


def test_the_example_of_the_design_is_right() -> None:
    configuration = load(yaml.safe_load(EXAMPLE), {"OPENAI_API_KEY": "sk-up"}, Names(), NOW_MS)
    assert configuration.channels[0].credentials == ("sk-up", "literal-secret")
    assert configuration.channels[0].timeouts.first_token_s == 30.0
    assert configuration.accounts[0].credit == Decimal(10)
    assert configuration.models[0].price == {
        "input": Decimal("0.15"),
        "output": Decimal("0.6"),
        "cached_input": Decimal("0.075"),
    }


def test_what_is_sent_to_the_console_is_read_back_the_same() -> None:
    configuration = load(yaml.safe_load(EXAMPLE), {"OPENAI_API_KEY": "sk-up"}, Names(), NOW_MS)
    sent = msgspec.json.Encoder(decimal_format="string").encode(configuration)
    assert load(msgspec.json.decode(sent), {}, Names(), NOW_MS) == configuration


@pytest.mark.parametrize("parsed", [None, {}, {"channels": None, "models": []}])
def test_an_empty_file_asks_for_nothing(parsed: object) -> None:
    assert load(parsed, {}, Names(), NOW_MS) == Configuration()


def test_all_faults_are_found_at_once() -> None:
    parsed = yaml.safe_load(
        """
        chanels: []
        channels:
          - {name: a, dialect: cobol, base_url: "ftp://x", models: {}, wieght: 1}
          - {name: b, dialect: openai, base_url: "http://user:pw@x/", models: {gpt-4o-mini: m}, groups: [gold]}
        groups: [{name: vip, multiplier: -1}, {multiplier: 1}]
        accounts:
          - {name: acme, tier: none, keys: [{name: k, secret: sk-tl-short}, {name: k, secret: "env:MISSING"}]}
        """
    )
    assert faults_of(parsed) == [
        "chanels: unknown section; known are: channels, models, groups, tiers, accounts, discounts, trial, alerts",
        f"channels[0].wieght: unknown field; known here are: {', '.join(ChannelEntry.__struct_fields__)}",
        "groups[1].name: is missing",
        "accounts[0].keys[1].secret: the environment variable MISSING is not set",
        "channels[1].base_url: must not hold a user name or password; use credentials",
        "channels[1].groups[0]: unknown group 'gold'; declare it under groups",
        "groups[0].multiplier: must be between 0 and 1000",
        "accounts[0].tier: unknown tier 'none'; declare it under tiers",
        "accounts[0].keys[1].name: the same name as accounts[0].keys[0].name",
        f"accounts[0].keys[0].secret: {NOT_WELL_FORMED}",
    ]


@pytest.mark.parametrize(
    ("parsed", "fault"),
    [
        ([], "must be a mapping of channels, models"),
        ({"channels": {}}, "channels: must be a list"),
        ({"channels": ["x"]}, "channels[0]: must be a mapping, not text"),
        ({"channels": [None]}, "channels[0]: must be a mapping, not nothing"),
        (channel(name=7), "channels[0].name: expected `str`, got `int`"),
        (channel(name=" a"), "channels[0].name: must be a name without control characters or spaces around it"),
        (channel(name="a/b"), "channels[0].name: must not hold a slash"),
        (channel(name="a" * 200), "channels[0].name: must have at most 128 characters"),
        (channel(dialect="OpenAI"), "channels[0].dialect: must be one of openai, openai-responses, azure, anthropic,"),
        (channel(base_url="api.openai.com"), "channels[0].base_url: must be a URL such as"),
        (channel(base_url="http://x:port"), "channels[0].base_url: must be a URL such as"),
        (channel(base_url="http://x/v1?key=1"), "channels[0].base_url: must end with its path"),
        (channel(credentials="secret"), "channels[0].credentials: must be a list, not text"),
        (channel(credentials=["two words"]), "channels[0].credentials[0]: must be printable ASCII without spaces"),
        (channel(credentials=["a", "a"]), "channels[0].credentials[1]: the same secret as channels[0].credentials[0]"),
        (channel(models=["gpt-4o-mini"]), "channels[0].models: must be a mapping, not a list"),
        (channel(models={}), "channels[0].models: must map at least one public model name"),
        (channel(models={4: "x"}), "channels[0].models.4: its name must be text, not a number; put it in quotes"),
        (channel(models={"gpt-4o-mini": ""}), "channels[0].models.gpt-4o-mini: must be a name"),
        (channel(models={"homemade": "x"}), "channels[0].models.homemade: no list price is known for 'homemade'"),
        (channel(groups=[]), "channels[0].groups: must name at least one group"),
        (channel(groups=["default", "default"]), "channels[0].groups[1]: the same group as channels[0].groups[0]"),
        (channel(weight=-1), "channels[0].weight: must be between 0 and 1000000"),
        (channel(priority=True), "channels[0].priority: expected `int`, got `bool`"),
        (channel(timeouts={"idle": 3}), "channels[0].timeouts.idle: unknown field; known here are: connect_s"),
        (channel(timeouts={"idle_s": 0}), "channels[0].timeouts.idle_s: must be more than 0"),
        (channel(params={"clamp": {"top_p": {}}}), "channels[0].params.clamp.top_p: must have a min, a max or both"),
        (
            channel(params={"clamp": {"t": {"min": 2, "max": 1}}}),
            "channels[0].params.clamp.t: its min is above its max",
        ),
        (channel(costs={"gpt-4": {"input": 1}}), "channels[0].costs.gpt-4: is not among the channel's models"),
        (channel(costs={"gpt-4o-mini": {"inputs": 1}}), "channels[0].costs.gpt-4o-mini.inputs: is no unit kind"),
        ({"channels": [CHANNEL, CHANNEL]}, "channels[1].name: the same name as channels[0].name"),
        ({"models": [{"name": "homemade"}]}, "models[0].price: no list price is known for 'homemade'"),
        ({"models": [{"name": "m", "free": True, "price": {}}]}, "models[0].price: must be left out of a free model"),
        ({"models": [{"name": "m", "price": {"input": -1}}]}, "models[0].price.input: must be between 0 and"),
        ({"models": [{"name": "m", "price": {"input": float("nan")}}]}, "models[0].price.input: must be between 0"),
        ({"models": [{"name": "m", "price": {"input": "x"}}]}, "models[0].price.input: invalid decimal string"),
        (
            {"models": [{"name": "m", "price": {"cached_input": 1, "cache_read": 1}}]},
            "models[0].price: has both cached_input and cache_read",
        ),
        (
            {"models": [{"name": "m", "free": True, "lane": "eu.west"}]},
            "models[0].lane: must be letters, digits, - and _",
        ),
        ({"groups": [{"name": "g", "multiplier": 0.1234567}]}, "groups[0].multiplier: must have at most six decimals"),
        ({"tiers": [{"name": "t", "rpm": 0}]}, "tiers[0].rpm: must be between 1 and"),
        ({"tiers": [{"name": "t", "rpm": 1.5}]}, "tiers[0].rpm: expected `int`, got `float`"),
        ({"accounts": [{"name": "a", "budgets": {"weekly": 1}}]}, "accounts[0].budgets.weekly: unknown field"),
        ({"accounts": [{"name": "a", "credit": "1e400000"}]}, "accounts[0].credit: must be between 0 and"),
        (key(secret=SECRET[:-1] + "x"), "accounts[0].keys[0].secret: is not a well-formed key"),
        (key(models=[]), "accounts[0].keys[0].models: must name at least one model"),
        (key(expires="soon"), "accounts[0].keys[0].expires: invalid RFC3339 encoded datetime"),
        (key(allow_ips=["10.0.0.0/33"]), "accounts[0].keys[0].allow_ips[0]: must be an IP address or a CIDR range"),
        (
            {"accounts": [{"name": n, "keys": [{"name": "k", "secret": SECRET}]} for n in "ab"]},
            "accounts[1].keys[0].secret: the same secret as accounts[0].keys[0].secret",
        ),
    ],
)
def test_each_fault_has_its_place_and_shows_no_secret(parsed: object, fault: str) -> None:
    faults = faults_of(parsed)
    assert len(faults) == 1, faults
    assert faults[0].startswith(fault)
    assert SECRET not in faults[0]


def test_names_that_the_console_knows_may_be_referred_to() -> None:
    parsed = {**channel(groups=["gold"], models={"homemade": "h"}), "accounts": [{"name": "a", "tier": "big"}]}
    names = Names(groups=frozenset({"gold"}), tiers=frozenset({"big"}), models=frozenset({"homemade"}))
    assert faults_of(parsed, names=names) == []


def test_a_day_without_a_time_is_its_beginning_in_utc() -> None:
    configuration = load(key(expires=dt.date(2030, 1, 31)), {}, Names(), NOW_MS)
    assert configuration.accounts[0].keys[0].expires == dt.datetime(2030, 1, 31, tzinfo=dt.UTC)
