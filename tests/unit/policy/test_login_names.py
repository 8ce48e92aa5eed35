"""Names and addresses of logins: their one form, and what cannot be one."""

import time

import pytest

from trunkline.policy.logins.names import NAME_CHARS_MAX, check_pattern, fits, normal_email, normal_name

STUDENT = r"^[0-9]{10}$"


@pytest.mark.parametrize(
    ("typed", "name"),
    [("kim", "kim"), (" kim ", "kim"), ("２０２４００００１２", "2024000012"), ("李雷", "李雷"), ("Ｋｉｍ", "Kim")],  # noqa: RUF001 - full-width on purpose
)
def test_a_name_has_one_form(typed: str, name: str) -> None:
    assert normal_name(typed) == name


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("", "must be a name without control characters or spaces around it"),
        ("a/b", "must not hold a slash"),
        ("a\nb", "must be a name without control characters or spaces around it"),
        ("a\u202eb", "must be a name without control characters or spaces around it"),
        ("k@example.com", "must not hold an @: people sign in with a name or an address"),
        ("Admin Key", "is reserved"),
        ("nobody", "is reserved"),
        ("a" * 65, "must have at most 64 characters"),
    ],
)
def test_what_cannot_be_a_name_is_refused(typed: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        normal_name(typed)


def test_an_address_keeps_its_case_before_the_at_alone() -> None:
    assert normal_email(" Kim.Lee+x@Example.COM ") == "Kim.Lee+x@example.com"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "kim",
        "kim@",
        "@example.com",
        "kim@example",
        "a@b@example.com",
        "kim@exa mple.com",
        "kim@-x.com",
        "a\n@b.com",
    ],
)
def test_what_cannot_be_an_address_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r"^must be an address such as name@example\.com$"):
        normal_email(typed)


def test_a_long_address_is_refused_at_its_bound() -> None:
    local, domain = "a" * 64, "b" * 60 + "."
    whole = f"{local}@{domain * 3}{'c' * 6}"
    assert len(normal_email(whole)) == 254
    with pytest.raises(ValueError, match="must be an address"):
        normal_email(f"{whole}c")


def test_a_pattern_is_matched_against_all_of_a_name() -> None:
    check_pattern(STUDENT)
    assert fits("2024000012", STUDENT)
    assert not fits("202400001", STUDENT)
    assert not fits("2024000012x", "[0-9]{10}")
    assert not fits("2024000012\n", STUDENT)
    assert fits("anything", "")


@pytest.mark.parametrize("pattern", ["[", "(a", "a{99999999999}", "x" * 201])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="must"):
        check_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"([a-z]+\.?)+[0-9]{4}",
        "(a|a)*b",
        "(a|b){2,}",
        "((a?){20}){20}",
        "(?:[a-z]{1,9}){1,9}",
        "(?P<n>x*)*",
        "a*a*a*a*a*b",
        "a?" * 40 + "a" * 40,
        "(a|a)" * 30,
        "(((((a|b){60}){60}){60}){60}){60}",
        "(?#()a*a*a*a*a*b",
        "(?x)a # [\n(a+)+ # ]\n",
        "(?ix:a # [\n(a+)+ # ]\n)",
    ],
)
def test_a_pattern_that_a_wrong_name_could_keep_busy_is_refused(pattern: str) -> None:
    """A stranger who registers chooses the name, and the console matches it on its event loop."""
    with pytest.raises(ValueError, match=r"^(must not repeat a group|leaves too much open)"):
        check_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        STUDENT,
        r"^(?:bsc|msc|phd)-[0-9]{6,8}$",
        r"[a-z]+\.[a-z]+[0-9]*",
        r"[A-Z][^)*+]{0,20}\(x\)\*",
        r"(ab)*[]*+(]{3}",
        "(?i:[a-z]{1,8}(-[a-z]{1,8})?)",
        "[a-z]*[a-z]*[a-z]*!",
    ],
)
def test_usual_patterns_are_taken_and_soon_decided(pattern: str) -> None:
    check_pattern(pattern)
    began = time.process_time()
    for letters in ("a", "0", "a.", "(x)"):
        fits((letters * NAME_CHARS_MAX)[:NAME_CHARS_MAX], pattern)
    assert time.process_time() - began < 1.0
