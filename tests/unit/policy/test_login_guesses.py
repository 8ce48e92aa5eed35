"""Who is counted when somebody tries in vain."""

import pytest

from trunkline.policy.logins.guesses import (
    DAY_S,
    HOUR_S,
    MINUTE_S,
    OF_NAME,
    OF_NETWORK,
    OF_SECOND_FACTOR,
    Guess,
    Window,
    bounds,
    network_of,
)

PEPPER = b"pepper-of-the-tests"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_addresses_of_one_customer_count_together(address: str, network: str) -> None:
    assert network_of(address) == network


def subjects(guess: Guess, what: str, address: str, pepper: bytes = PEPPER) -> set[bytes]:
    return {bound.subject for bound in bounds(guess, what, address, pepper, per_day_max=9)}


def test_a_password_counts_for_its_name_and_its_network() -> None:
    found = bounds(Guess.PASSWORD, "Kim", "192.0.2.1", PEPPER)
    assert [bound.window for bound in found] == [*OF_NAME, *OF_NETWORK]
    assert len({bound.subject for bound in found}) == len(found)
    assert subjects(Guess.PASSWORD, "kim", "192.0.2.9") == {bound.subject for bound in found}
    shared = subjects(Guess.PASSWORD, "lee", "192.0.2.1") & {bound.subject for bound in found}
    assert len(shared) == len(OF_NETWORK)
    assert not subjects(Guess.PASSWORD, "kim", "192.0.2.1", b"other") & {bound.subject for bound in found}


def test_second_factors_have_their_own_count_and_the_same_network() -> None:
    password, second = (subjects(guess, "7", "192.0.2.1") for guess in (Guess.PASSWORD, Guess.SECOND_FACTOR))
    assert len(password & second) == len(OF_NETWORK)
    assert len(second) == len(OF_SECOND_FACTOR) + len(OF_NETWORK)


def test_what_is_no_guessing_takes_no_tries_from_guessing() -> None:
    guessing = subjects(Guess.PASSWORD, "kim", "192.0.2.1")
    assert not subjects(Guess.RESET, "kim", "192.0.2.1") & guessing
    registrations = bounds(Guess.REGISTRATION, "", "192.0.2.1", PEPPER, per_day_max=9)
    assert [bound.window for bound in registrations] == [Window(DAY_S, 9)]
    assert not {registrations[0].subject} & guessing


def test_each_longer_window_lets_fewer_through_for_its_length() -> None:
    for windows in (OF_NAME, OF_SECOND_FACTOR, OF_NETWORK):
        rates = [window.failures_max / window.length_s for window in windows]
        assert rates == sorted(rates, reverse=True)
        assert [window.length_s for window in windows] == sorted(window.length_s for window in windows)
    assert OF_NAME[0].length_s == MINUTE_S
    assert max(window.length_s for window in OF_NAME) == HOUR_S


def test_every_way_to_write_a_name_that_the_database_takes_for_one_counts_together() -> None:
    # lower() makes a plain i of it, casefold() an i with a dot above: each would be as many tries more.
    assert subjects(Guess.PASSWORD, "k\u0130m", "192.0.2.1") == subjects(Guess.PASSWORD, "kim", "192.0.2.1")
