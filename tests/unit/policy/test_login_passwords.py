"""What a password must be."""

import pytest

from trunkline.policy.logins.passwords import BYTES_MAX, CHARS_MIN, normal_password, password_fault, too_long

COMMON = "is one of the commonest; take another, such as four words that have nothing to do with each other"


@pytest.mark.parametrize(
    "password", ["seven lazy harbours", "aZ3!aZ3!aZ3?", "密码很长很长很长很长一些", "x1" * 6 + "yz"]
)
def test_long_and_uncommon_passwords_are_taken(password: str) -> None:
    assert password_fault(password, names=("kim", "kim@example.com")) is None


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("short", f"must have {CHARS_MIN} characters or more"),
        ("a" * 12, COMMON),
        ("ababababababab", COMMON),
        ("passwordpassword", COMMON),
        ("Password1234567", COMMON),
        ("qwertyuiop123!", COMMON),
        ("123456789012", COMMON),
        ("abcdefghijklm", COMMON),
        ("kim.the.student", "must not be the name or the address"),
        ("Kim.The.Student2024", "must not be the name or the address"),
        ("kim.the.student@example.com", "must not be the name or the address"),
        ("é" * 6 + "x" * BYTES_MAX, f"must have at most {BYTES_MAX} bytes"),
    ],
)
def test_others_are_refused_with_a_reason_that_quotes_nothing(password: str, fault: str) -> None:
    assert password_fault(password, names=("kim.the.student", "kim.the.student@example.com")) == fault
    assert password not in fault


def test_operators_may_ask_for_more_characters() -> None:
    assert password_fault("seven lazy harbours", chars_min=20) == "must have 20 characters or more"
    assert password_fault("seven lazy harbours", chars_min=19) is None


def test_the_bound_is_in_bytes() -> None:
    assert not too_long("é" * 512)
    assert too_long("é" * 512 + "x")
    assert too_long("\ud800" * 400)


def test_the_same_key_strokes_are_the_same_password() -> None:
    assert normal_password("caf\u0065\u0301 au lait") == normal_password("caf\u00e9 au lait")
