"""What applying a configuration changes."""

from typing import Any

import msgspec

from trunkline.policy.change_text import prices_text
from trunkline.policy.changes import Change, FieldChange, compare, entity_id, fingerprint, wanted_entities
from trunkline.policy.configuration import Names
from trunkline.policy.configuration_file import load
from trunkline.policy.configuration_values import FREE
from trunkline.policy.entities import Channel, Entity, Key, Model
from trunkline.policy.keys import mint
from trunkline.policy.pricing import Rates

NOW_MS = 1_790_000_000_000
PEPPER = b"pepper-of-the-tests"
SECRET = mint(bytes(range(64)))


def wanted(parsed: dict[str, Any], current: dict[tuple[str, str], Entity] | None = None) -> list[Entity]:
    configuration = load(parsed, {}, Names(), NOW_MS)
    return wanted_entities(configuration, current or {}, known_models=frozenset(), pepper=PEPPER, now_ms=NOW_MS)


def by_id(entities: list[Entity]) -> dict[tuple[str, str], Entity]:
    return {entity_id(entity): entity for entity in entities}


CONFIGURATION: dict[str, Any] = {
    "channels": [
        {
            "name": "main",
            "dialect": "openai",
            "base_url": "https://api.openai.com/v1",
            "credentials": ["upstream-secret"],
            "models": {"gpt-4o-mini": "gpt-4o-mini", "lab": "lab-1"},
        }
    ],
    "models": [{"name": "lab", "free": True}],
    "accounts": [{"name": "acme", "budgets": {"daily": 5}, "keys": [{"name": "ci", "secret": SECRET}]}],
}


def test_the_same_again_is_no_change() -> None:
    first = wanted(CONFIGURATION)
    assert compare(wanted(CONFIGURATION, by_id(first)), by_id(first)) == []


def test_rows_come_before_those_that_refer_to_them() -> None:
    assert [entity_id(entity) for entity in wanted(CONFIGURATION)] == [
        ("account", "acme"),
        ("key", "acme/ci"),
        ("model", "lab"),
        ("model", "gpt-4o-mini"),
        ("channel", "main"),
    ]


def test_a_model_that_only_a_channel_names_takes_its_list_price() -> None:
    models = {entity.name: entity for entity in wanted(CONFIGURATION) if isinstance(entity, Model)}
    assert models["gpt-4o-mini"].price_source == "genai-prices"
    assert models["gpt-4o-mini"].prices["output"] == 600_000_000
    assert models["lab"].prices == FREE


def test_a_free_model_has_a_price_of_nothing_for_every_kind() -> None:
    assert Rates(FREE).missing == ()


def test_what_is_left_out_on_purpose_stays() -> None:
    (current,) = [entity for entity in wanted(CONFIGURATION) if isinstance(entity, Channel)]
    disabled = Channel(**{**{name: getattr(current, name) for name in current.__struct_fields__}, "enabled": False})
    again = {**CONFIGURATION, "channels": [{**CONFIGURATION["channels"][0]}]}
    del again["channels"][0]["credentials"]
    (channel,) = [entity for entity in wanted(again, {("channel", "main"): disabled}) if isinstance(entity, Channel)]
    assert channel == disabled


def test_a_diff_shows_the_fields_and_no_secret() -> None:
    first = by_id(wanted(CONFIGURATION))
    other = mint(bytes(range(64, 128)))
    changed = {
        **CONFIGURATION,
        "channels": [{**CONFIGURATION["channels"][0], "credentials": ["another-secret"], "weight": 7}],
        "accounts": [{"name": "acme", "keys": [{"name": "ci", "secret": other}]}],
    }
    changes = [change for change, _ in compare(wanted(changed, first), first)]
    before, after = fingerprint("upstream-secret", PEPPER), fingerprint("another-secret", PEPPER)
    assert changes == [
        Change("update", "account", "acme", (FieldChange("budgets", "daily 5.00 USD", "none"),)),
        Change("update", "key", "acme/ci", (FieldChange("secret", f"{SECRET[:10]}…", f"{other[:10]}…"),)),
        Change(
            "update",
            "channel",
            "main",
            (
                FieldChange("weight", "100", "7"),
                FieldChange("credentials", f"1 ({before[:6]})", f"1 ({after[:6]})"),
            ),
        ),
    ]


def test_prices_are_shown_as_people_write_them() -> None:
    assert prices_text({"input": 150_000_000, "output": 37_500_000}) == "input 0.15, output 0.0375"
    assert prices_text({}) == "none"


def test_a_secret_that_was_rotated_away_is_not_brought_back() -> None:
    (first,) = [entity for entity in wanted(CONFIGURATION) if isinstance(entity, Key)]
    rotated = msgspec.structs.replace(first, hash="new", prefix="sk-tl-newp", replaced=(first.hash,))
    current = {**by_id(wanted(CONFIGURATION)), ("key", "acme/ci"): rotated}
    assert compare(wanted(CONFIGURATION, current), current) == []
    other = mint(bytes(range(64, 128)))
    changed = {"accounts": [{**CONFIGURATION["accounts"][0], "keys": [{"name": "ci", "secret": other}]}]}
    (change,) = [change for change, _ in compare(wanted(changed, current), current)]
    assert change.fields == (FieldChange("secret", "sk-tl-newp…", f"{other[:10]}…"),)


def test_terms_are_compared_and_shown() -> None:
    before = {"accounts": [{"name": "acme", "users": [{"name": "kim", "limits": {"rpm": 5}}]}]}
    after = {
        "accounts": [
            {
                "name": "acme",
                "time_zone": "Asia/Shanghai",
                "limits": {"rpm": 9, "families": [{"models": ["a*"], "tpm": 1}]},
                "users": [{"name": "kim"}],
            }
        ]
    }
    first = by_id(wanted(before))
    assert [change for change, _ in compare(wanted(after, first), first)] == [
        Change(
            "update",
            "account",
            "acme",
            (
                FieldChange("time_zone", '"UTC"', '"Asia/Shanghai"'),
                FieldChange("limits", "none", "rpm 9; a*: tpm 1"),
            ),
        ),
        Change("update", "user", "acme/kim", (FieldChange("limits", "rpm 5", "none"),)),
    ]
