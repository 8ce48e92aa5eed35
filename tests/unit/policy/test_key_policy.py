"""What a key's policy allows, and the words in which it refuses."""

from typing import Any

import pytest

from trunkline.bus.snapshots import KeyPolicy
from trunkline.core.errors import ErrorType
from trunkline.policy.keys import CompiledKey

NOW_MS = 1_790_000_000_000


def key(**fields: Any) -> CompiledKey:
    return CompiledKey(KeyPolicy(key=1, key_name="ci", account=2, account_name="acme", **fields))


@pytest.mark.parametrize(
    ("fields", "client_ip", "refused_as"),
    [
        ({}, "198.51.100.7", None),
        ({"blocked": True}, "198.51.100.7", ErrorType.POLICY_KEY_BLOCKED),
        ({"expires_ms": NOW_MS}, "198.51.100.7", ErrorType.CLIENT_UNAUTHENTICATED),
        ({"expires_ms": NOW_MS + 1}, "198.51.100.7", None),
        ({"allow_ips": ("198.51.100.0/24", "::1/128")}, "198.51.100.7", None),
        ({"allow_ips": ("198.51.100.0/24",)}, "::ffff:198.51.100.7", None),
        ({"allow_ips": ("198.51.100.0/24", "::1/128")}, "::1", None),
        ({"allow_ips": ("198.51.100.0/24",)}, "203.0.113.9", ErrorType.POLICY_KEY_BLOCKED),
        ({"allow_ips": ("198.51.100.0/24",)}, "", ErrorType.POLICY_KEY_BLOCKED),
    ],
)
def test_a_key_is_refused_by_state_time_and_place(
    fields: dict[str, Any], client_ip: str, refused_as: ErrorType | None
) -> None:
    refusal = key(**fields).refusal(NOW_MS, client_ip)
    assert (None if refusal is None else refusal.type) == refused_as


def test_a_key_without_endpoints_may_call_them_all() -> None:
    assert key().endpoint_refusal("rerank_v2") is None


def test_an_endpoint_that_is_not_the_keys_is_refused_and_the_others_are_named() -> None:
    limited = key(endpoints=("embeddings", "rerank"))
    assert limited.endpoint_refusal("rerank") is None
    refusal = limited.endpoint_refusal("chat_completions")
    assert refusal is not None
    assert refusal.type is ErrorType.POLICY_ENDPOINT_NOT_ALLOWED
    assert refusal.message == (
        "This API key may not call chat_completions; it may call embeddings, rerank, and list models. "
        "Ask the account's administrator."
    )


@pytest.mark.parametrize(
    ("patterns", "model", "allowed"),
    [
        (("*",), "anything/at:all", True),
        (("gpt-*",), "gpt-4o", True),
        (("gpt-*",), "o1", False),
        (("gpt-4o", "o*-mini"), "o1-mini", True),
        (("gpt.4o",), "gpt-4o", False),
    ],
)
def test_models_are_matched_by_whole_names(patterns: tuple[str, ...], model: str, allowed: bool) -> None:
    assert key(models=patterns).allows_model(model) is allowed
