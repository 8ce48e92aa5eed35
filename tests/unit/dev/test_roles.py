"""Which secrets the processes of a stack are given."""

from pathlib import Path

import pytest

from trunkline.dev.roles import SECRETS_BY_ROLE, ServiceSite, helper_part, service_part

DRAWN = {name: f"{name} drawn" for names in SECRETS_BY_ROLE.values() for name in names}
HEADERS = {"TRUNKLINE_TRACE_HEADERS": "x-key=given"}
TRACES = {"edge", "dispatcher", "metering"}


def site(secrets: dict[str, str], environment: dict[str, str]) -> ServiceSite:
    return ServiceSite(
        environment=environment,
        secrets=secrets,
        nats_urls={role: f"nats://{role}" for role in SECRETS_BY_ROLE},
        logs=Path("logs"),
        grace_s=1.0,
        lock=3,
    )


def given(role: str, secrets: dict[str, str], **environment: str) -> dict[str, str]:
    """Return the secrets in a service's environment."""
    found = service_part(site(secrets, environment), role, 1, ops_port=9100).environment
    return {name: value for name, value in found.items() if name in {**DRAWN, **HEADERS}}


@pytest.mark.parametrize("role", SECRETS_BY_ROLE)
def test_a_service_is_given_its_own_and_no_others(role: str) -> None:
    own = {name: DRAWN[name] for name in SECRETS_BY_ROLE[role]}
    assert given(role, DRAWN) == own
    assert given(role, DRAWN | HEADERS) == own | (HEADERS if role in TRACES else {})


def test_a_file_goes_before_what_was_drawn() -> None:
    secrets = {**DRAWN, **HEADERS}
    assert given("edge", secrets, TRUNKLINE_KEY_PEPPER_FILE="pepper", TRUNKLINE_TRACE_HEADERS_FILE="headers") == {}


def test_what_stands_in_for_providers_is_given_none() -> None:
    assert helper_part(site({**DRAWN, **HEADERS}, {}), "upstream", 9200, "/").environment == {}
