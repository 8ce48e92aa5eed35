"""Redemption codes: their form, what people make of it, and its check character."""

import itertools
import secrets

import pytest

from trunkline.policy.codes import ALPHABET, RANDOM_CHARS, check_character, code_hash, mint, normal_form

CODE = mint(bytes(range(11)))


def test_a_code_has_its_form_and_is_its_own_normal_form() -> None:
    assert CODE == "TL-0123-4567-89AB"
    assert normal_form(CODE) == "0123456789AB"
    assert mint(bytes(31 - number for number in range(11)) + b"more") == "TL-ZYXW-VTSR-QPN0"


@pytest.mark.parametrize(
    "typed",
    [
        "tl-0123-4567-89ab",
        " TL 0123 4567 89AB ",
        "TL0123456789AB",
        "0123-4567-89AB",
        "0123456789ab",
        "TL-OI23-4567-89AB",
        "TL-oL23-4567-89AB",
        "T-L-0-1-2-3-4-5-6-7-8-9-A-B",
    ],
)
def test_case_hyphens_and_letters_that_look_like_digits_do_not_matter(typed: str) -> None:
    assert normal_form(typed) == "0123456789AB"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "TL-",
        "TL-0123-4567-89A",
        "TL-0123-4567-89AB0",
        "TL-U123-4567-89AB",
        "TL-0123-4567-89A\u00df",
        "-" * 65,
        "XX-0123-4567-89AB",
    ],
)
def test_what_can_be_no_code(typed: str) -> None:
    assert normal_form(typed) is None


def test_every_single_wrong_character_is_found() -> None:
    body = normal_form(CODE)
    assert body is not None
    for place, character in itertools.product(range(len(body)), ALPHABET):
        wrong = body[:place] + character + body[place + 1 :]
        assert (normal_form(wrong) is None) == (character != body[place])


def test_nearly_every_pair_that_has_changed_places_is_found() -> None:
    missed = 0
    pairs = list(itertools.permutations(ALPHABET, 2))
    for first, second in pairs:
        body = first + second + "0" * (RANDOM_CHARS - 2)
        missed += check_character(body) == check_character(second + first + body[2:])
    assert missed == 2  # 0 and Z, as in Luhn's own for 0 and 9


def test_codes_are_drawn_from_the_whole_alphabet() -> None:
    made = [mint(secrets.token_bytes(11)) for _ in range(500)]
    assert len(set(made)) == 500
    assert all(normal_form(code) is not None for code in made)
    assert {character for code in made for character in code[3:] if character != "-"} == set(ALPHABET)
    with pytest.raises(ValueError, match="randomness"):
        mint(b"too few")


def test_the_hash_is_keyed() -> None:
    assert code_hash("0123456789AB", b"one") != code_hash("0123456789AB", b"two")
    assert len(code_hash("0123456789AB", b"one")) == 32
