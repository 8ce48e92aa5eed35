"""Strings are planted in prompts, answers, keys and credentials; whatever happens, they are nowhere they may not be."""

import pytest

from tests.support.evidence import Evidence, gather
from trunkline.bus.permissions import OPERATOR, ROLES
from trunkline.policy import keys

OUTPUT = "dev.log"
"""What `trunkline dev` prints for a person: a key and the admin key are among it, on purpose."""

SECRETS_FILE = "data folder/secrets.json"

PLANTED = ("prompt", "answer", "credential", "key", "collector_key")


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    """See `Evidence`: one stack's life for all tests of this module."""
    return gather()


def test_search_finds_what_must_be_there(evidence: Evidence) -> None:
    """If these are not found, the other tests say nothing."""
    own, planted = evidence.own, evidence.planted
    assert evidence.holders(own["admin_key"]) >= {SECRETS_FILE, OUTPUT}
    assert planted.key.encode() in evidence.files[OUTPUT]
    key_hash = keys.key_hash(planted.key, own["key_pepper"].encode())
    assert key_hash in evidence.tables["public.key_secrets"]
    assert evidence.holders(key_hash, "data folder/nats"), "keys are in the projection by their hash"
    assert "model-good" in evidence.tables["public.usage"]
    assert evidence.holders("model-good", "data folder/logs")
    assert "ciphertext" not in evidence.tables["public.credentials"]
    assert len(evidence.tables["public.credentials"].splitlines()) > 1
    assert len(evidence.refusals) > 25
    assert planted.collector_key in evidence.environments["edge"]
    assert "trunkline_trace_spans_dropped" in evidence.metrics
    for log in ("edge", "dispatcher", "metering", "health", "console", "nats", "postgres", "upstream"):
        assert f"data folder/logs/{log}-1.log" in evidence.files


@pytest.mark.parametrize("name", PLANTED)
def test_planted_strings_are_in_no_file(evidence: Evidence, name: str) -> None:
    """Neither in logs, nor in what NATS and Postgres keep on disk."""
    found = evidence.holders(evidence.planted.all()[name])
    assert found == ({OUTPUT} if name == "key" else set())


def test_secrets_of_the_stack_are_in_their_own_file_alone(evidence: Evidence) -> None:
    assert evidence.holders(evidence.own["admin_key"]) == {SECRETS_FILE, OUTPUT}
    for name in ("key_pepper", "master_keys"):
        assert evidence.holders(evidence.own[name]) == {SECRETS_FILE}
    assert not evidence.holders(evidence.own["postgres_password"], "data folder/logs")
    assert not evidence.holders(evidence.own["postgres_password"], "data folder/nats")
    for role in ROLES:
        assert evidence.holders(evidence.own[f"nats_{role}"]) == {SECRETS_FILE}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_strings_are_in_no_table(evidence: Evidence, name: str) -> None:
    secret = evidence.planted.all()[name]
    forms = (secret, secret.encode().hex())
    assert [table for table, rows in evidence.tables.items() if any(form in rows for form in forms)] == []


def test_secrets_of_the_stack_are_in_no_table_and_no_metric(evidence: Evidence) -> None:
    for secret in evidence.own.values():
        assert [table for table, rows in evidence.tables.items() if secret in rows] == []
        assert secret not in evidence.metrics


@pytest.mark.parametrize("name", PLANTED)
def test_planted_strings_are_in_no_metric(evidence: Evidence, name: str) -> None:
    assert "trunkline_edge_requests_total" in evidence.metrics
    assert evidence.planted.all()[name] not in evidence.metrics


def test_refusals_hold_no_secret(evidence: Evidence) -> None:
    """An upstream's own words reach the client where they help, but never with a credential in them."""
    planted = evidence.planted
    for secret in (planted.credential, planted.key, planted.collector_key, *evidence.own.values()):
        assert [name for name, refusal in evidence.refusals.items() if secret in refusal] == []


def test_only_words_of_the_upstream_on_a_bad_request_repeat_content(evidence: Evidence) -> None:
    planted = evidence.planted
    repeating = {
        name for name, refusal in evidence.refusals.items() if planted.prompt in refusal or planted.answer in refusal
    }
    assert repeating <= {f"status_{code}, {stream}" for code in (400, 422) for stream in (True, False)}


def test_refusals_hold_no_trace_of_code(evidence: Evidence) -> None:
    for refusal in evidence.refusals.values():
        assert "Traceback" not in refusal
        assert ".py" not in refusal


def test_command_lines_hold_no_secret(evidence: Evidence) -> None:
    """Anybody on the machine can read them."""
    for secret in (*evidence.own.values(), *evidence.planted.all().values()):
        assert [role for role, command in evidence.commands.items() if secret in command] == []


def test_each_process_is_given_only_what_it_needs(evidence: Evidence) -> None:
    own = evidence.own

    def given(secret: str) -> set[str]:
        return {role for role, environment in evidence.environments.items() if secret in environment}

    assert given(own["admin_key"]) == {"console"}
    assert given(own["master_keys"]) == {"dispatcher", "health", "console"}
    assert given(own["key_pepper"]) == {"edge", "console"}
    assert given(own["postgres_password"]) == {"metering", "console"}
    for role in ROLES:
        assert given(own[f"nats_{role}"]) == {role, "nats"}
    assert given(own[f"nats_{OPERATOR}"]) == {"nats"}
    assert given(evidence.planted.credential) == set()
