"""Codes of authenticator apps, and recovery codes."""

import pytest

from trunkline.policy.codes import ALPHABET
from trunkline.policy.logins import recovery, totp

# RFC 6238 appendix B, SHA-1, with the last six of its eight digits.
SECRET = totp.secret(b"12345678901234567890")
VECTORS = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (20000000000, "353130"),
]


@pytest.mark.parametrize(("now_s", "code"), VECTORS)
def test_codes_are_those_of_the_standard(now_s: int, code: str) -> None:
    assert totp.accepted_step(SECRET, code, now_s, 0) == now_s // 30


def test_the_codes_before_and_after_are_taken_and_no_others() -> None:
    now_s, code = VECTORS[2]
    step = now_s // 30
    assert [totp.accepted_step(SECRET, code, now_s + away * 30, 0) for away in (-2, -1, 0, 1, 2)] == [
        None,
        step,
        step,
        step,
        None,
    ]


def test_no_code_is_taken_twice_nor_one_before_it() -> None:
    now_s, code = VECTORS[2]
    step = now_s // 30
    assert totp.accepted_step(SECRET, code, now_s, step - 1) == step
    assert totp.accepted_step(SECRET, code, now_s, step) is None
    assert totp.accepted_step(SECRET, code, now_s, step + 1) is None


@pytest.mark.parametrize("typed", ["", "05047", "0504711", "05047x", "٠٥٠٤٧١", "-50471", "050472"])
def test_what_is_no_code_is_not_taken(typed: str) -> None:
    assert totp.accepted_step(SECRET, typed, VECTORS[2][0], 0) is None


def test_spaces_in_a_code_do_not_matter() -> None:
    assert totp.accepted_step(SECRET, " 050 471 ", VECTORS[2][0], 0) is not None


def test_an_app_is_told_all_it_needs() -> None:
    uri = totp.app_uri(SECRET, "kim lee", "Campus & Co")
    assert uri == f"otpauth://totp/Campus%20%26%20Co:kim%20lee?secret={SECRET}&issuer=Campus%20%26%20Co"


def test_recovery_codes_have_their_form_and_are_all_others() -> None:
    codes = recovery.mint(bytes(number % 16 + number // 16 for number in range(160)))
    assert len(set(codes)) == 10
    assert codes[0] == "0123-4567-89AB-CDEF"
    assert all(recovery.normal_form(code) == code.replace("-", "") for code in codes)
    with pytest.raises(ValueError, match="one byte a character"):
        recovery.mint(bytes(159))


@pytest.mark.parametrize(
    "typed", ["0123 4567 89ab cdef", "0123456789abcdef", "oL23-4567-89AB-CDEF", " 0I23-4567-89AB-CDEF"]
)
def test_what_people_make_of_a_code_does_not_matter(typed: str) -> None:
    assert recovery.normal_form(typed) == "0123456789ABCDEF"


@pytest.mark.parametrize(
    "typed", ["", "0123-4567-89AB-CDE", "0123-4567-89AB-CDEF0", "U123-4567-89AB-CDEF", "é" * 16, "0" * 65]
)
def test_what_is_no_recovery_code_is_not_looked_for(typed: str) -> None:
    assert recovery.normal_form(typed) is None
    assert "U" not in ALPHABET
