"""Who may register, and where a registration begins."""

from typing import Any

import pytest

from trunkline.policy.configuration import Names
from trunkline.policy.logins import letters
from trunkline.policy.logins.registration import (
    LoginState,
    RegistrationSettings,
    check_registration,
    confirmed_state,
    email_fault,
    first_state,
    name_fault,
)
from trunkline.policy.strict import FaultList

NAMES = Names(groups=frozenset({"default", "vip"}), tiers=frozenset({"basic"}))


def faults_of(**fields: Any) -> list[str]:
    faults = FaultList()
    check_registration(RegistrationSettings(**fields), NAMES, faults)
    return faults.faults


def test_the_settings_of_the_beginning_are_closed_and_right() -> None:
    assert faults_of() == []
    assert RegistrationSettings().open is False
    assert RegistrationSettings().approval is True


def test_good_settings_have_no_faults() -> None:
    assert (
        faults_of(
            open=True,
            name_pattern="^[0-9]{10}$",
            name_help={"en": "Your student number", "zh": "学号"},
            email_domains=("example.edu",),
            tier="basic",
            groups=("default", "vip"),
            password_chars_min=14,
        )
        == []
    )


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"name_pattern": "["}, "name_pattern: must be a regular expression such as ^[0-9]{10}$"),
        ({"site_name": " "}, "site_name: must have 1 to 60 characters"),
        ({"name_help": {"fr": "x"}}, "name_help.fr: must be one of en, zh"),
        ({"name_help": {"en": "x" * 301}}, "name_help.en: must have at most 300 characters"),
        ({"password_chars_min": 11}, "password_chars_min: must be between 12 and 64"),
        ({"per_day_max": 0}, "per_day_max: must be between 1 and 100000"),
        ({"email_domains": ("@example.edu",)}, "email_domains[0]: must be a domain in lower case, such as example.com"),
        ({"email_domains": ("Example.edu",)}, "email_domains[0]: must be a domain in lower case, such as example.com"),
        ({"email_domains": ("a.b",) * 51}, "email_domains: must be at most 50"),
        ({"tier": "gold"}, "tier: unknown tier 'gold'; declare it under tiers"),
        ({"groups": ()}, "groups: must name at least one group"),
        ({"groups": ("gold",)}, "groups[0]: unknown group 'gold'; declare it under groups"),
        ({"groups": ("vip", "vip")}, "groups: names a group twice"),
        ({"trial": True}, "trial: there is no free trial; declare one under trial"),
    ],
)
def test_each_fault_is_told_with_its_place(fields: dict[str, Any], fault: str) -> None:
    assert faults_of(**fields) == [fault]


def test_a_name_is_refused_in_the_operators_words() -> None:
    settings = RegistrationSettings(name_pattern="[0-9]{10}", name_help={"en": "Your student number"})
    assert name_fault("2024000012", settings) is None
    assert name_fault("kim", settings) == "Your student number"
    assert name_fault("kim", RegistrationSettings(name_pattern="[0-9]{10}")) == "must match [0-9]{10}"


def test_an_address_is_asked_for_by_the_settings() -> None:
    free, needed = RegistrationSettings(), RegistrationSettings(email_required=True)
    campus = RegistrationSettings(email_domains=("example.edu", "example.org"))
    assert email_fault(None, free) is None
    assert email_fault("a@b.com", free) is None
    assert email_fault(None, needed) == "is missing"
    assert email_fault(None, campus) == "is missing"
    assert email_fault("a@example.org", campus) is None
    assert email_fault("a@sub.example.org", campus) == "must end in @example.edu or @example.org"


def test_a_registration_begins_where_the_settings_say() -> None:
    open_, approved = RegistrationSettings(approval=False), RegistrationSettings(approval=True)
    assert first_state(open_, to_confirm=True) is LoginState.UNCONFIRMED
    assert first_state(open_, to_confirm=False) is LoginState.ACTIVE
    assert first_state(approved, to_confirm=False) is LoginState.WAITING
    assert confirmed_state(approved) is LoginState.WAITING
    assert confirmed_state(open_) is LoginState.ACTIVE


@pytest.mark.parametrize("language", ["en", "zh", None, "fr"])
def test_mails_say_what_they_are_for_and_hold_the_link(language: str | None) -> None:
    for made in (
        letters.confirmation(language, site="Campus {x}", name="{url}", url="https://c.example/#/confirm/T"),
        letters.reset(language, site="Campus {x}", name="{url}", url="https://c.example/#/confirm/T"),
    ):
        assert made.text.count("https://c.example/#/confirm/T") == 1
        assert "{url}" in made.text
        assert "Campus {x}" in made.subject
        assert "\n" not in made.subject
    in_chinese = letters.reset("zh", site="S", name="N", url="U")
    assert ("密码" in in_chinese.subject) is True
    assert letters.reset("fr", site="S", name="N", url="U") == letters.reset("en", site="S", name="N", url="U")
