"""What a configuration says of routing: how it is read, what can be wrong with it, what a change of it is."""

from typing import Any

import msgspec
import pytest
import yaml

from trunkline.bus.snapshots import (
    ChannelOverride,
    Clamp,
    CredentialLimits,
    CredentialOrder,
    HeaderRules,
    ModelRouting,
    ParameterRules,
    Probe,
    ProbeKind,
    Strategy,
    Timeouts,
)
from trunkline.policy.changes import FieldChange, compare, entity_id, fingerprint, wanted_entities
from trunkline.policy.configuration import ConfigurationError, Names
from trunkline.policy.configuration_file import load
from trunkline.policy.configuration_values import raw_values
from trunkline.policy.entities import Channel, Credential, Entity, Group, Key, Model, Tier
from trunkline.policy.keys import mint

NOW_MS = 1_790_000_000_000
PEPPER = b"pepper-of-the-tests"
SECRET = mint(bytes(range(64)))
FILE = f"""
channels:
  - name: main
    dialect: openai
    base_url: https://api.example.com/v1
    credentials:
      - env:FIRST
      - {{secret: "env:SECOND", weight: 3, jobs: 8, rpm: 60, tpm: 90000}}
    models: {{small: up-small, large: up-large, embed: up-embed}}
    drained: true
    credential_order: weighted
    limits: {{jobs: 4}}
    timeouts: {{first_token_s: 20, idle_s: 10}}
    params:
      default: {{temperature: 1}}
      clamp: {{top_p: {{max: 0.99}}}}
      rename: {{max_tokens: max_completion_tokens}}
    overrides:
      - models: [large*]
        timeouts: {{first_token_s: 90}}
        params: {{drop: [seed], set: {{b: {{y: 1, x: 2}}}}}}
    headers: {{drop: [x-trace], set: {{x-title: "Acme, Ltd"}}}}
    status_map: {{403: 429, 520: 503}}
    probe: {{kind: embedding, model: embed, interval_s: 30, paid_per_day: 100}}
models:
  - {{name: small, free: true, strategy: latency, fallbacks: [large], context_fallbacks: [large],
     hedge: true, continues: true}}
  - {{name: large, free: true, filter_fallbacks: [small]}}
  - {{name: embed, free: true}}
groups: [{{name: default, strategy: cost}}]
tiers: [{{name: gold, rpm: 5, priority: 7}}]
accounts:
  - name: acme
    tier: gold
    keys: [{{name: ci, secret: "{SECRET}", strategy: least-busy}}]
"""
ENVIRONMENT = {"FIRST": "secret-one", "SECOND": "secret-two"}
CHANNEL: dict[str, Any] = {
    "name": "main",
    "dialect": "openai",
    "base_url": "https://api.example.com/v1",
    "models": {"small": "up-small"},
}
MODELS: list[dict[str, Any]] = [{"name": "small", "free": True}, {"name": "large", "free": True}]


def parsed() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE)
    return found


def entities(data: object, current: dict[tuple[str, str], Entity] | None = None) -> dict[tuple[str, str], Entity]:
    configuration = load(data, ENVIRONMENT, Names(), NOW_MS)
    wanted = wanted_entities(configuration, current or {}, known_models=frozenset(), pepper=PEPPER, now_ms=NOW_MS)
    return {entity_id(entity): entity for entity in wanted}


def faults_of(data: object) -> list[str]:
    try:
        load(data, {}, Names(), NOW_MS)
    except ConfigurationError as error:
        return error.faults
    return []


def test_every_field_is_read() -> None:
    found = entities(parsed())
    channel = found["channel", "main"]
    assert isinstance(channel, Channel)
    assert channel.credentials == tuple(
        sorted(
            (
                Credential(fingerprint("secret-one", PEPPER)),
                Credential(fingerprint("secret-two", PEPPER), 3, CredentialLimits(8, 60, 90_000)),
            ),
            key=lambda credential: credential.fingerprint,
        )
    )
    assert (channel.drained, channel.credential_order) == (True, CredentialOrder.WEIGHTED)
    assert channel.limits == CredentialLimits(jobs=4)
    assert channel.params == ParameterRules(
        default=raw_values({"temperature": 1}),
        clamp={"top_p": Clamp(max=0.99)},
        rename={"max_tokens": "max_completion_tokens"},
    )
    # What an override leaves out of the timeouts is the channel's, not the default of all channels.
    assert channel.overrides == (
        ChannelOverride(
            ("large*",),
            Timeouts(connect_s=5, first_token_s=90, idle_s=10, total_s=600),
            ParameterRules(drop=("seed",), set={"b": msgspec.Raw(b'{"x":2,"y":1}')}),
        ),
    )
    assert channel.headers == HeaderRules(("x-trace",), {"x-title": "Acme, Ltd"})
    assert channel.status_map == {403: 429, 520: 503}
    assert channel.probe == Probe(ProbeKind.EMBEDDING, "embed", 30, 100)
    small, large = found["model", "small"], found["model", "large"]
    assert isinstance(small, Model)
    assert isinstance(large, Model)
    assert small.routing == ModelRouting(Strategy.LATENCY, ("large",), ("large",), (), hedge=True, continues=True)
    assert large.routing == ModelRouting(filter_fallbacks=("small",))
    group, tier, key = found["group", "default"], found["tier", "gold"], found["key", "acme/ci"]
    assert isinstance(group, Group)
    assert isinstance(tier, Tier)
    assert isinstance(key, Key)
    assert (group.strategy, tier.priority, key.strategy) == (Strategy.COST, 7, Strategy.LEAST_BUSY)


def test_what_is_sent_to_the_console_is_read_there_as_it_was_meant() -> None:
    configuration = load(parsed(), ENVIRONMENT, Names(), NOW_MS)
    sent = msgspec.json.Encoder(decimal_format="string").encode(configuration)
    assert load(msgspec.json.decode(sent), {}, Names(), NOW_MS) == configuration


def test_the_same_again_is_no_change() -> None:
    first = entities(parsed())
    assert compare(entities(parsed(), first).values(), first) == []


def test_a_new_channel_that_says_nothing_of_routing_shows_nothing_of_it() -> None:
    found = entities({"channels": [CHANNEL], "models": MODELS})
    shown = {change.kind: [field.field for field in change.fields] for change, _ in compare(found.values(), {})}
    assert shown["channel"] == [
        *("dialect", "base_url", "models", "groups", "priority", "weight", "enabled", "timeouts", "params"),
        *("stream_usage", "options", "credentials"),
    ]
    assert "routing" not in shown["model"]


def test_a_diff_says_in_words_what_differs() -> None:
    plain = {
        "channels": [
            {**CHANNEL, "credentials": ["secret-two"], "models": dict.fromkeys(("small", "large", "embed"), "m")}
        ],
        "models": [{"name": name, "free": True} for name in ("small", "large", "embed")],
        "groups": [{"name": "default"}],
        "tiers": [{"name": "gold", "rpm": 5}],
        "accounts": [{"name": "acme", "tier": "gold", "keys": [{"name": "ci", "secret": SECRET}]}],
    }
    before = entities(plain)
    wanted = parsed()
    del wanted["channels"][0]["credentials"][0]
    after = entities(wanted, before)
    fields = {(change.kind, change.name): change.fields for change, _ in compare(after.values(), before)}
    mark = fingerprint("secret-two", PEPPER)[:6]
    timeouts = "connect_s 5, first_token_s {}, idle_s {}, total_s 600"
    assert fields["channel", "main"][1:] == (
        FieldChange("timeouts", timeouts.format(120, 60), timeouts.format(20, 10)),
        FieldChange(
            "params",
            "none",
            "default temperature 1; clamp top_p to …0.99; rename max_tokens to max_completion_tokens",
        ),
        FieldChange("credentials", f"1 ({mark})", f"1 ({mark} weight 3 jobs 8, rpm 60, tpm 90000)"),
        FieldChange("drained", "false", "true"),
        FieldChange("credential_order", '"turns"', '"weighted"'),
        FieldChange("limits", "none", "jobs 4"),
        FieldChange("overrides", "none", f'[large*: {timeouts.format(90, 10)}; drop seed; set b {{"x":2,"y":1}}]'),
        FieldChange("headers", "none", "drop x-trace; set x-title: Acme, Ltd"),
        FieldChange("status_map", "none", "403 as 429, 520 as 503"),
        FieldChange("probe", "models", "embedding of embed, every 30 s, 100 paid a day"),
    )
    assert fields["model", "small"] == (
        FieldChange("routing", "none", "latency; fallbacks large; context fallbacks large; hedged; continued"),
    )
    assert fields["group", "default"] == (FieldChange("strategy", "none", '"cost"'),)
    assert fields["tier", "gold"] == (FieldChange("priority", "0", "7"),)
    assert fields["key", "acme/ci"] == (FieldChange("strategy", "none", '"least-busy"'),)


def test_a_file_that_says_nothing_of_it_leaves_a_channel_drained() -> None:
    drained = entities({"channels": [{**CHANNEL, "drained": True}], "models": MODELS})
    again = entities({"channels": [CHANNEL], "models": MODELS}, drained)
    assert again["channel", "main"] == drained["channel", "main"]
    ended = entities({"channels": [{**CHANNEL, "drained": False}], "models": MODELS}, drained)["channel", "main"]
    assert isinstance(ended, Channel)
    assert ended.drained is False


def channel(**fields: Any) -> dict[str, Any]:
    return {"channels": [{**CHANNEL, **fields}], "models": MODELS}


def override(**fields: Any) -> dict[str, Any]:
    return channel(overrides=[{"models": ["small"], "params": {"drop": ["seed"]}, **fields}])


def model(**fields: Any) -> dict[str, Any]:
    return {"models": [{**MODELS[0], **fields}, MODELS[1]]}


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (channel(credentials=[7]), "channels[0].credentials[0]: expected `str`, got `int`"),
        (channel(credentials=[{"weight": 2}]), "channels[0].credentials[0].secret: is missing"),
        (
            channel(credentials=["s1", {"secret": "s1"}]),
            "channels[0].credentials[1].secret: the same secret as channels[0].credentials[0]",
        ),
        (
            channel(credentials=[{"secret": "two words"}]),
            "channels[0].credentials[0].secret: must be printable ASCII without spaces",
        ),
        (
            channel(credentials=[{"secret": "env:NONE"}]),
            "channels[0].credentials[0].secret: the environment variable NONE is not set",
        ),
        (
            channel(credentials=[{"secret": "s1", "weight": 0}]),
            "channels[0].credentials[0].weight: must be between 1 and 1000000; leave out",
        ),
        (channel(credentials=[{"secret": "s1", "rpm": 0}]), "channels[0].credentials[0].rpm: must be between 1 and"),
        (channel(limits={"jobs": 0}), "channels[0].limits.jobs: must be between 1 and"),
        (channel(limits={"rpd": 1}), "channels[0].limits.rpd: unknown field; known here are: jobs, rpm, tpm"),
        (
            channel(credential_order="random"),
            "channels[0].credential_order: must be one of turns, least-used, weighted",
        ),
        (override(models=[]), "channels[0].overrides[0].models: must name between 1 and 64"),
        (override(models=["big*"]), "channels[0].overrides[0].models[0]: matches none of the channel's models"),
        (override(params={}), "channels[0].overrides[0]: must have timeouts, params or both"),
        (override(params={}, timeouts={}), "channels[0].overrides[0]: must have timeouts, params or both"),
        (override(timeouts={"idle_s": 0}), "channels[0].overrides[0].timeouts.idle_s: must be more than 0"),
        (
            override(params={"clamp": {"n": {}}}),
            "channels[0].overrides[0].params.clamp.n: must have a min, a max or both",
        ),
        (
            channel(overrides=[{"models": ["small"], "params": {"drop": ["n"]}}] * 65),
            "channels[0].overrides: must have",
        ),
        (channel(params={"rename": {"a": ""}}), "channels[0].params.rename.a: must name a field and what"),
        (channel(params={"rename": {"": "a"}}), "channels[0].params.rename.: must name a field and what"),
        (channel(params={"rename": {"a": "a"}}), "channels[0].params.rename.a: must be another name"),
        (
            channel(params={"rename": {"a": "c", "b": "c"}}),
            "channels[0].params.rename.b: the same name as channels[0].params.rename.a",
        ),
        (channel(params={"default": {"a": "\ud800"}}), "channels[0].params.default: "),
        (channel(headers={"set": {"X-Title": "a"}}), "channels[0].headers.set.X-Title: must be the name of a header"),
        (channel(headers={"set": {"x title": "a"}}), "channels[0].headers.set.x title: must be the name of a header"),
        (channel(headers={"drop": ["connection"]}), "channels[0].headers.drop.connection: is the gateway's own"),
        (channel(headers={"set": {"content-length": "1"}}), "channels[0].headers.set.content-length: is the gateway's"),
        (channel(headers={"set": {"host": "x"}}), "channels[0].headers.set.host: is the gateway's own"),
        (channel(headers={"drop": ["authorization"]}), "channels[0].headers.drop.authorization: is made of the"),
        (channel(headers={"set": {"x-api-key": "k"}}), "channels[0].headers.set.x-api-key: is made of the channel's"),
        (channel(headers={"set": {"x-a": "a\r\nb: c"}}), "channels[0].headers.set.x-a: must be printable ASCII"),
        (channel(headers={"set": {"x-a": "ä"}}), "channels[0].headers.set.x-a: must be printable ASCII"),
        (channel(headers={"set": {"x-a": "env:SECRET"}}), "channels[0].headers.set.x-a: is not read from the"),
        (channel(headers={"set": {"x-a": ""}}), "channels[0].headers.set.x-a: must be printable ASCII"),
        (channel(headers={"set": {"x-a": "a" * 4097}}), "channels[0].headers.set.x-a: must have at most 4096"),
        (channel(headers={"set": {"x-a": "a"}, "drop": ["x-a"]}), "channels[0].headers.set.x-a: is dropped as well"),
        (channel(headers={"drop": [f"x-{n}" for n in range(33)]}), "channels[0].headers.drop: must have at most 32"),
        (channel(status_map={200: 500}), "channels[0].status_map.200: must map 400 to 599 to one of these"),
        (channel(status_map={400: 200}), "channels[0].status_map.400: must map 400 to 599 to one of these"),
        (channel(status_map={"429": "503"}), "channels[0].status_map.429: expected `int`, got `str`"),
        (channel(status_map={"4xx": 503}), "channels[0].status_map.4xx: its name must be a whole number"),
        (channel(status_map={True: 503}), "channels[0].status_map.True: its name must be a whole number"),
        (channel(probe={"kind": "ping"}), "channels[0].probe.kind: must be one of models, completion, embedding, tcp"),
        (
            channel(probe={"kind": "completion", "model": "large"}),
            "channels[0].probe.model: is not among the channel's models",
        ),
        (channel(probe={"model": "small"}), "channels[0].probe.model: is for probes of the kinds completion and"),
        (
            channel(dialect="anthropic", probe={"kind": "embedding"}),
            "channels[0].probe.kind: embedding is for channels of the dialects openai, azure, gemini",
        ),
        (
            channel(dialect="gemini", options={"prefix": "last_message"}),
            "channels[0].options.prefix: is for channels of",
        ),
        (channel(dialect="anthropic", options={"prefix": "partial"}), "channels[0].options.prefix: is for channels of"),
        (channel(options={"prefix": "yes"}), "channels[0].options.prefix: must be one of none, last_message, prefix"),
        (channel(probe={"interval_s": 0.5}), "channels[0].probe.interval_s: must be between 1 and 86400 s"),
        (channel(probe={"paid_per_day": -1}), "channels[0].probe.paid_per_day: must be between 0 and 86400"),
        (channel(drained="yes"), "channels[0].drained: expected `bool`, got `str`"),
        (model(strategy="fast"), "models[0].strategy: must be one of priority, cost, latency, throughput, least-busy"),
        (model(fallbacks=["small"]), "models[0].fallbacks[0]: is the model itself"),
        (model(fallbacks=["none"]), "models[0].fallbacks[0]: unknown model 'none'; declare it under models"),
        (
            model(context_fallbacks=["large", "large"]),
            "models[0].context_fallbacks[1]: the same model as models[0].context_fallbacks[0]",
        ),
        (model(filter_fallbacks=["large"] * 9), "models[0].filter_fallbacks: must name at most 8 models"),
        ({"groups": [{"name": "g", "strategy": ""}]}, "groups[0].strategy: must be one of priority, cost"),
        ({"tiers": [{"name": "t", "priority": 10**7}]}, "tiers[0].priority: must be between -1000000 and 1000000"),
        (
            {"accounts": [{"name": "a", "keys": [{"name": "k", "secret": SECRET, "strategy": 1}]}]},
            "accounts[0].keys[0].strategy: must be one of priority, cost",
        ),
    ],
)
def test_each_fault_has_its_place(data: object, fault: str) -> None:
    (found,) = faults_of(data)
    assert found.startswith(fault)


def test_a_fallback_may_be_a_model_that_only_a_channel_names() -> None:
    data = {
        "channels": [{**CHANNEL, "models": {"gpt-4o-mini": "m"}}],
        "models": [{**MODELS[0], "fallbacks": ["gpt-4o-mini"]}],
    }
    assert faults_of(data) == []
