"""Keyed hashes and signed texts of logins."""

import msgspec
import pytest

from trunkline.policy.logins.tokens import (
    Domain,
    csrf_token,
    keyed_hash,
    opened,
    peeked,
    signed,
    token,
    well_formed,
)

PEPPER = b"pepper-of-the-tests"


class Note(msgspec.Struct, frozen=True):
    login: int
    ends_s: int


NOTE = Note(7, 1000)


def test_a_token_is_its_bytes_as_url_safe_text() -> None:
    assert token(bytes(32)) == "A" * 43
    assert well_formed(token(bytes(range(32))))
    with pytest.raises(ValueError, match="32 bytes"):
        token(bytes(31))


@pytest.mark.parametrize("presented", ["", "A" * 42, "A" * 44, "A" * 42 + "é", "A" * 42 + "\n", "A" * 42 + "="])
def test_what_is_no_token_costs_no_look_up(presented: str) -> None:
    assert not well_formed(presented)


def test_hashes_differ_by_domain_text_and_pepper() -> None:
    hashes = {keyed_hash(domain, text, pepper) for domain in Domain for text in "ab" for pepper in (PEPPER, b"other")}
    assert len(hashes) == len(Domain) * 4


def test_the_csrf_token_says_nothing_of_the_cookie_and_is_another_for_each_session() -> None:
    first, second = (keyed_hash(Domain.SESSION, text, PEPPER) for text in ("one", "two"))
    assert csrf_token(first, PEPPER) != csrf_token(second, PEPPER)
    assert csrf_token(first, PEPPER) == csrf_token(first, PEPPER)
    assert csrf_token(first, PEPPER) != csrf_token(first, b"other")


def test_a_signed_text_opens_with_what_it_was_made_with_alone() -> None:
    text = signed(Domain.SECOND_FACTOR, NOTE, PEPPER, bound_to="hash")
    assert opened(Domain.SECOND_FACTOR, text, Note, PEPPER, bound_to="hash") == NOTE
    assert peeked(text, Note) == NOTE
    assert opened(Domain.SECOND_FACTOR, text, Note, PEPPER, bound_to="another") is None
    assert opened(Domain.ELSEWHERE, text, Note, PEPPER, bound_to="hash") is None
    assert opened(Domain.SECOND_FACTOR, text, Note, b"other", bound_to="hash") is None


def test_a_signed_text_that_was_altered_does_not_open() -> None:
    text = signed(Domain.SECOND_FACTOR, NOTE, PEPPER)
    forged = signed(Domain.SECOND_FACTOR, Note(8, 1000), b"guessed")
    body, mark = forged.split(".")[0], text.split(".")[1]
    for altered in (
        "",
        ".",
        text[:-1],
        f"{text}A",
        f"{body}.{mark}",
        text.split(".", maxsplit=1)[0],
        "é" + text,
        text * 40,
    ):
        assert opened(Domain.SECOND_FACTOR, altered, Note, PEPPER) is None


def test_nothing_is_read_of_what_is_no_such_text() -> None:
    for text in ("", "x", "!!!.x", "é.x", "e30.x", "A" * 5000):
        assert peeked(text, Note) is None
