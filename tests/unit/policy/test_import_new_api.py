"""An export of New API: channels, ratios, and users with their tokens, and that nothing goes silently."""

from collections.abc import Collection
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from trunkline.policy.configuration import ConfigurationError, Names
from trunkline.policy.configuration_file import load
from trunkline.policy.imports import Format, import_text
from trunkline.policy.imports.new_api import Part
from trunkline.policy.imports.remarks import Fate, Imported
from trunkline.policy.keys import mint

NOW_MS = 1_790_000_000_000
SECRET = mint(bytes(64))

CHANNELS: list[dict[str, Any]] = [
    {
        "id": 1,
        "type": 1,
        "key": "planted-one\nplanted-two\nplanted-one",
        "name": "main / pool",
        "models": "gpt-4o,physics-model,priceless",
        "model_mapping": '{"physics-model": "step", "step": "gpt-4o"}',
        "group": "default,vip",
        "priority": 10,
        "weight": 7,
        "status": 1,
        "status_code_mapping": '{"429": "503", "200": "500"}',
        "param_override": '{"temperature": 0, "a.b": 1}',
        "header_override": '{"X-Team": "lab", "X-Key": "planted-header", "X-User": "{user}"}',
        "setting": '{"proxy": "http://user:planted-proxy@proxy", "force_format": false}',
        "channel_info": {"is_multi_key": True, "multi_key_status_list": {"1": 2}},
        "created_time": 1700000000,
    },
    {"id": 2, "type": 43, "name": "deepseek", "models": "deepseek-chat", "group": "", "status": 3, "weight": 0},
    {"id": 3, "type": 3, "key": "planted-azure", "name": "az", "models": "gpt-4o", "base_url": "https://x.azure.com",
     "other": "2024-10-21", "status": 1, "weight": 1},
    {"id": 4, "type": 33, "key": "planted|aws", "name": "aws", "models": "claude", "status": 1},
    {"id": 5, "type": 8, "key": "planted-custom", "name": "own", "models": "m", "status": 1, "weight": 1,
     "base_url": "https://llm.example/v3/chat/completions"},
    {"id": 6, "type": 26, "key": "planted-glm", "name": "glm", "models": "glm-4.6", "status": 1, "weight": 1,
     "base_url": "glm-coding-plan"},
]  # fmt: skip
OPTIONS = {
    "ModelRatio": '{"gpt-4o": 1.25, "physics-model": 3, "unused": 1}',
    "CompletionRatio": '{"gpt-4o": 4}',
    "CacheRatio": '{"gpt-4o": 0.5}',
    "ModelPrice": '{"m": 0.04}',
    "GroupRatio": '{"default": 1, "vip": 0.8}',
    "SMTPToken": "planted-smtp",
}
USERS = [
    {"id": 7, "username": "ada", "quota": 1_234_567, "group": "vip", "status": 1, "email": "ada@example.org",
     "password": "planted-hash"},
    {"id": 8, "username": "off", "quota": 5, "status": 2},
    {"id": 9, "username": "in/debt", "quota": -3, "status": 1, "group": "default"},
]  # fmt: skip
TOKENS = [
    {"id": 1, "user_id": 7, "key": "planted-token", "status": 1, "name": "ci", "expired_time": -1,
     "unlimited_quota": True, "model_limits_enabled": True, "model_limits": "gpt-4o,physics-model",
     "allow_ips": "10.0.0.0/8\n192.0.2.1"},
    {"id": 2, "user_id": 7, "key": "planted-b", "status": 1, "name": "ci", "expired_time": 1_900_000_000,
     "unlimited_quota": False, "remain_quota": 100, "group": "auto"},
    {"id": 3, "user_id": 7, "key": "planted-c", "status": 1, "name": "old", "expired_time": 1_600_000_000},
    {"id": 4, "user_id": 7, "key": "planted-d", "status": 3, "name": "spent"},
    {"id": 5, "user_id": 99, "key": "planted-e", "status": 1, "name": "orphan"},
]  # fmt: skip
EXPORT = {"channels": CHANNELS, "options": OPTIONS, "users": USERS, "tokens": TOKENS}


def imported(document: object, include: Collection[Part] = tuple(Part)) -> Imported:
    return import_text(Format.NEW_API, msgspec.json.encode(document), include, lambda: SECRET, NOW_MS)


@pytest.fixture(scope="module")
def found() -> Imported:
    return imported(EXPORT)


def test_channels(found: Imported) -> None:
    main, deepseek, azure, own, glm = found.configuration["channels"]
    assert main == {
        "name": "main - pool",
        "dialect": "openai",
        "base_url": "https://api.openai.com/v1",
        "credentials": ["planted-one"],
        "models": {"gpt-4o": "gpt-4o", "physics-model": "gpt-4o", "priceless": "priceless"},
        "groups": ["default", "vip"],
        "priority": 10,
        "weight": 7,
        "status_map": {429: 503},
        "params": {"set": {"temperature": 0}},
        "headers": {"set": {"x-team": "lab"}},
    }
    assert (deepseek["credentials"], deepseek["enabled"], deepseek["weight"]) == (["env:NEW_API_CHANNEL_2"], False, 1)
    assert deepseek["options"]["thinking_field"] == "thinking"
    assert (azure["dialect"], azure["base_url"]) == ("azure", "https://x.azure.com")
    assert azure["options"] == {"api_version": "2024-10-21"}
    assert own["base_url"] == "https://llm.example/v3"
    assert glm["base_url"] == "https://open.bigmodel.cn/api/coding/paas/v4"
    assert found.variables == ("NEW_API_CHANNEL_2",)


def test_ratios_become_prices_and_multipliers(found: Imported) -> None:
    models = {model["name"]: model["price"] for model in found.configuration["models"]}
    assert models == {
        "gpt-4o": {"input": 2.5, "output": 10, "cache_read": 1.25},
        # Without a ratio of its own: as output is to input on the list of the model that it is mapped to.
        "physics-model": {"input": 6, "output": 24},
        "m": {"requests": 40_000},
    }
    assert found.configuration["groups"] == [{"name": "default", "multiplier": 1}, {"name": "vip", "multiplier": 0.8}]


def test_users_become_accounts_with_their_quota_as_credit(found: Imported) -> None:
    ada, debtor = found.configuration["accounts"]
    assert ada == {
        "name": "ada",
        "users": [{"name": "ada"}],
        "credit": 2.469134,
        "groups": ["default", "vip"],
        "keys": [
            {
                "name": "ci",
                "secret": SECRET,
                "user": "ada",
                "groups": ["vip"],
                "models": ["gpt-4o", "physics-model"],
                "allow_ips": ["10.0.0.0/8", "192.0.2.1/32"],
            },
            {
                "name": "ci-2",
                "secret": SECRET,
                "user": "ada",
                "expires": "2030-03-17T17:46:40+00:00",
                "groups": ["vip"],
            },
        ],
    }
    assert debtor == {"name": "in-debt", "users": [{"name": "in-debt"}]}


@pytest.mark.parametrize(
    ("fate", "place", "words"),
    [
        (Fate.CHANGED, "channels[0].name", "main - pool"),
        (Fate.LEFT_OUT, "channels[0].key[1]", "turned off"),
        (Fate.LEFT_OUT, "channels[0].key[2]", "the same key again"),
        (Fate.LEFT_OUT, "channels[0].status_code_mapping.200", "400"),
        (Fate.LEFT_OUT, "channels[0].param_override", "paths"),
        (Fate.LEFT_OUT, "channels[0].header_override.X-Key", "may hold a secret"),
        (Fate.LEFT_OUT, "channels[0].header_override.X-User", "fixed"),
        (Fate.LEFT_OUT, "channels[0].setting", "proxy"),
        (Fate.CHANGED, "channels[1].status", "by New API itself"),
        (Fate.TO_DO, "channels[1].key", "NEW_API_CHANNEL_2"),
        (Fate.LEFT_OUT, "channels[3]", "AWS Bedrock"),
        (Fate.TO_DO, "options.ModelRatio.priceless", "no price is known"),
        (Fate.CHANGED, "options.CompletionRatio.physics-model", "price list"),
        (Fate.LEFT_OUT, "options.ModelRatio", "1 models"),
        (Fate.LEFT_OUT, "options", "SMTPToken"),
        (Fate.LEFT_OUT, "users[1]", "turned off"),
        (Fate.CHANGED, "users[2].quota", "without debts"),
        (Fate.CHANGED, "tokens", "new secret"),
        (Fate.CHANGED, "tokens[1].group", "vip"),
        (Fate.LEFT_OUT, "tokens[1].remain_quota", "budget"),
        (Fate.LEFT_OUT, "tokens[2]", "expired"),
        (Fate.LEFT_OUT, "tokens[3]", "used up"),
        (Fate.LEFT_OUT, "tokens[4]", "no user"),
    ],
)
def test_every_part_has_its_remark(found: Imported, fate: Fate, place: str, words: str) -> None:
    assert any(one.fate is fate and one.place == place and words in one.message for one in found.remarks)


def test_no_remark_quotes_a_secret(found: Imported) -> None:
    assert "planted" not in str(found.remarks)
    assert SECRET not in str(found.remarks)


def test_the_result_is_a_configuration_but_for_what_is_to_do(found: Imported) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(found.configuration, dict.fromkeys(found.variables, "s"), Names(), NOW_MS)
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "accounts[0].keys[1].secret",  # the tests' mint makes the same secret twice
        "channels[0].models.priceless",
        "channels[4].models.glm-4.6",
    ]
    accounts = load({"accounts": [found.configuration["accounts"][1]]}, {}, Names(), NOW_MS).accounts
    assert [account.name for account in accounts] == ["in-debt"]


def test_credit_is_exact() -> None:
    found = imported({"users": [{"id": 1, "username": "u", "quota": 1, "status": 1}]})
    account = load(found.configuration, {}, Names(), NOW_MS).accounts[0]
    assert account.credit == Decimal("0.000002")


def test_answers_of_the_admin_api_and_exports_of_the_database_are_the_same(found: Imported) -> None:
    answers = {
        "channels": {"success": True, "message": "", "data": {"items": CHANNELS, "total": len(CHANNELS)}},
        "options": {"success": True, "data": [{"key": key, "value": value} for key, value in OPTIONS.items()]},
        "users": {"success": True, "data": USERS},
        "tokens": {"success": True, "data": {"items": TOKENS}},
    }
    rows = {**EXPORT, "options": [{"key": key, "value": value} for key, value in OPTIONS.items()]}
    database = [{"type": "header"}, *({"type": "table", "name": name, "data": data} for name, data in rows.items())]
    assert imported(answers) == found
    assert imported(database) == found


def test_only_what_is_asked_for_is_taken() -> None:
    channels = imported(EXPORT, [Part.CHANNELS])
    assert "accounts" not in channels.configuration
    assert any("not asked for" in one.message and one.place == "users" for one in channels.remarks)
    accounts = imported(EXPORT, [Part.ACCOUNTS])
    assert set(accounts.configuration) == {"accounts", "groups"}


@pytest.mark.parametrize("document", [None, 3, [], {}, {"tables": []}, "channels"])
def test_what_is_no_export_is_refused(document: object) -> None:
    with pytest.raises(ConfigurationError, match="channels, options, users, tokens"):
        imported(document)
